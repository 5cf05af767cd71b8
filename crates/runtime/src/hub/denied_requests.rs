//! Requests for documents that their clients may not read yet.
//!
//! automerge-repo takes `doc-unavailable` as final and does not ask again. So the server remembers the request while the connection
//! lasts, and sends the document once the user gets access.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};
use primitives::DocumentId;

use super::Hub;
use super::access::Right;
use super::command::{Command, SyncPeer};
use super::outbox::ConnectionKey;

/// Maximum number of remembered requests. Further ones are answered as before, and forgotten.
const MAX_REQUESTS: usize = 10_000;
/// Maximum number of remembered requests for one document.
const MAX_REQUESTS_PER_DOCUMENT: usize = 1_000;

/// The denied requests of all connections.
#[derive(Default)]
pub(super) struct DeniedRequests(Mutex<Requests>);

#[derive(Default)]
struct Requests {
    by_document: HashMap<DocumentId, HashMap<ConnectionKey, SyncPeer>>,
    count: usize,
}

impl DeniedRequests {
    /// Remembers the request of a peer.
    pub(super) fn add(&self, id: &DocumentId, peer: &SyncPeer) {
        let mut requests = self.lock();
        if requests.count >= MAX_REQUESTS {
            return;
        }
        let peers = requests.by_document.entry(id.clone()).or_default();
        if peers.len() < MAX_REQUESTS_PER_DOCUMENT && peers.insert(peer.key, peer.clone()).is_none() {
            requests.count += 1;
        }
    }

    /// Forgets the request of a closed connection.
    pub(super) fn remove(&self, id: &DocumentId, key: ConnectionKey) {
        self.take(id, |peer| peer.key == key);
    }

    /// Removes and returns the requests for which `condition` holds.
    fn take(&self, id: &DocumentId, condition: impl Fn(&SyncPeer) -> bool) -> Vec<SyncPeer> {
        let mut requests = self.lock();
        let Some(peers) = requests.by_document.get_mut(id) else { return Vec::new() };
        let mut taken: Vec<SyncPeer> = peers.extract_if(|_, peer| condition(peer)).map(|(_, peer)| peer).collect();
        // The order must not depend on the hash map.
        taken.sort_unstable_by_key(|peer| peer.key);
        if peers.is_empty() {
            requests.by_document.remove(id);
        }
        requests.count -= taken.len();
        taken
    }

    fn documents(&self) -> Vec<DocumentId> {
        self.lock().by_document.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.0.lock()
    }
}

impl Hub {
    /// Answers the denied requests for a document whose clients may read it now. Does not wait for the document.
    pub(super) fn serve_denied_requests(&self, id: &DocumentId) {
        let may_read = |peer: &SyncPeer| self.right(&peer.requester, id) >= Right::Read;
        for peer in self.inner.denied_requests.take(id, may_read) {
            if peer.outbox.is_closed() {
                continue;
            }
            let (hub, id) = (self.clone(), id.clone());
            self.inner.tasks.spawn(async move {
                // Fails only if the server is shutting down.
                let _ = hub.send(&id, Command::StartSync(peer)).await;
            });
        }
    }

    /// Answers the denied requests for all documents whose clients may read them now.
    pub(super) fn serve_all_denied_requests(&self) {
        for id in self.inner.denied_requests.documents() {
            self.serve_denied_requests(&id);
        }
    }
}
