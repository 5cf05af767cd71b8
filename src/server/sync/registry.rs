//! Which connection goes by which peer id. One at a time for each user: the same peer joining again means that its old socket
//! is half open, so the old one is closed before the new one begins.
//!
//! A peer id is a claim. Two users may join under the same one, and neither replaces the other or keeps the other out:
//! connections are told apart by their keys everywhere else. Where users are not known a peer id is all there is to tell
//! peers apart by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repo_protocol::PeerId;
use runtime::hub::{CloseKind, ConnectionKey, Outbox};
use tokio_util::sync::CancellationToken;

/// All joined peers.
#[derive(Clone, Default)]
pub struct PeerRegistry {
    peers: Arc<Mutex<HashMap<Name, Entry>>>,
}

/// What a peer is told apart by: the user whose connection it is, if that is known, and the peer id.
type Name = (Option<Arc<str>>, PeerId);

#[derive(Clone)]
struct Entry {
    key: ConnectionKey,
    outbox: Outbox,
    /// Cancelled when the connection has left all documents.
    gone: CancellationToken,
}

/// A peer id that is taken, for one user, until this is dropped.
pub struct Registration {
    registry: PeerRegistry,
    name: Name,
    key: ConnectionKey,
    gone: CancellationToken,
}

impl PeerRegistry {
    /// Takes a peer id for a connection of this user. Another connection that the same user has under it is closed first, and
    /// has left its documents when this returns.
    pub async fn register(
        &self,
        user: Option<Arc<str>>,
        peer: &PeerId,
        key: ConnectionKey,
        outbox: &Outbox,
    ) -> Registration {
        let (name, gone) = ((user, peer.clone()), CancellationToken::new());
        loop {
            let before = {
                let mut peers = self.lock();
                match peers.get(&name) {
                    Some(before) => before.clone(),
                    None => {
                        peers.insert(name.clone(), Entry { key, outbox: outbox.clone(), gone: gone.clone() });
                        return Registration { registry: self.clone(), name, key, gone };
                    }
                }
            };
            before.outbox.close(CloseKind::Replaced, "this peer id has joined again over another connection");
            before.gone.cancelled().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Entry>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut peers = self.registry.lock();
        if peers.get(&self.name).is_some_and(|entry| entry.key == self.key) {
            peers.remove(&self.name);
        }
        drop(peers);
        self.gone.cancel();
    }
}
