//! Peerings: connections to other servers that this server has dialled.
//!
//! A client asks for the documents that it wants. A peering follows all documents that it may read: those that exist when it
//! begins, and others as soon as they are opened. A document that clients ask for and that does not exist here is requested from
//! the other server, too. A document that only peerings use is unloaded, and followed again when it is opened.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use primitives::DocumentId;
use store::StoreError;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::command::{Command, SyncPeer};
use super::outbox::{CloseKind, ConnectionKey, DrainListener};

/// The peerings that are connected.
#[derive(Default)]
pub(super) struct Peerings {
    connected: RwLock<Vec<Peering>>,
    /// Incremented by every change of the list.
    version: AtomicU64,
}

#[derive(Clone)]
struct Peering {
    peer: SyncPeer,
    /// Cancelled at the end of the peering.
    ended: CancellationToken,
    /// Notified when the peer's outbox has room again.
    drained: Arc<Notify>,
}

impl Peerings {
    /// The version of the list. Documents compare it with the last one that they have seen.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// All connected peerings.
    pub(super) fn connected(&self) -> Vec<SyncPeer> {
        let connected = self.connected.read();
        connected.iter().map(|peering| peering.peer.clone()).collect()
    }

    fn add(&self, peer: SyncPeer) -> Peering {
        let peering = Peering { peer, ended: CancellationToken::new(), drained: Arc::default() };
        let mut connected = self.connected.write();
        connected.push(peering.clone());
        self.version.fetch_add(1, Ordering::Release);
        peering
    }

    fn notify_drained(&self, key: ConnectionKey) {
        let connected = self.connected.read();
        connected.iter().filter(|peering| peering.peer.key == key).for_each(|peering| peering.drained.notify_one());
    }

    fn remove(&self, key: ConnectionKey) {
        let mut connected = self.connected.write();
        for peering in connected.extract_if(.., |peering| peering.peer.key == key) {
            peering.ended.cancel();
        }
        self.version.fetch_add(1, Ordering::Release);
    }
}

impl Hub {
    /// Makes a peer follow all documents that it may read, from now on until [`end_peering`](Self::end_peering). Stored documents
    /// are opened one after the other.
    pub fn begin_peering(&self, peer: SyncPeer) {
        let peering = self.inner.peerings.add(peer);
        let (hub, draining) = (self.clone(), self.inner.draining.clone());
        self.inner.tasks.spawn(async move {
            let Peering { peer, ended, drained } = peering;
            let followed = ended.run_until_cancelled(draining.run_until_cancelled(hub.follow_all(&peer, &drained)));
            if let Some(Some(Err(error))) = followed.await {
                tracing::error!(%error, "the documents could not be listed; the peering is closed, and dialled again");
                peer.outbox.close(CloseKind::TryAgainLater, "the documents could not be listed");
            }
        });
    }

    /// Removes a peering from all documents, after its connection was closed.
    pub async fn end_peering(&self, key: ConnectionKey) {
        self.inner.peerings.remove(key);
        // Documents that are opened from now on do not see the peering.
        let open: Vec<DocumentId> = self.registry().keys().cloned().collect();
        self.leave(key, open).await;
    }

    /// Tells a peering that its outbox has room again.
    pub fn notify_peering_drained(&self, key: ConnectionKey) {
        self.inner.peerings.notify_drained(key);
    }

    /// Records that a peer has answered that it does not have a document. Clients that wait for it are told.
    pub async fn record_lacking(&self, id: &DocumentId, key: ConnectionKey) {
        self.send_if_open(id, Command::PeerLacks(key)).await;
    }

    async fn follow_all(&self, peer: &SyncPeer, drained: &Notify) -> Result<(), StoreError> {
        // Documents that are open may not be stored yet.
        let mut ids: BTreeSet<DocumentId> = self.registry().keys().cloned().collect();
        ids.extend(self.list(&peer.requester).await?);
        ids.extend(peer.requester.named_documents());
        for id in ids {
            if self.is_hidden_from(peer, &id) {
                continue;
            }
            // Otherwise very many documents would wait for room, and all of them would retry whenever there is some.
            while peer.outbox.try_reserve(&DrainListener::Connection).is_none() {
                drained.notified().await;
            }
            let (opened, is_open) = oneshot::channel();
            if self.send(&id, Command::Follow { opened }).await.is_err() {
                break;
            }
            // Fails if the document cannot be opened. It is followed once it can.
            let _ = is_open.await;
        }
        Ok(())
    }
}
