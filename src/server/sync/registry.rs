//! Which connection goes by which peer id. One at a time: the same peer joining again means that its old socket is half
//! open, so the old one is closed before the new one begins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::hub::{ConnectionKey, FarewellKind, Outbox};
use crate::wire::repo::PeerId;

/// All joined peers.
#[derive(Clone, Default)]
pub struct PeerRegistry {
    peers: Arc<Mutex<HashMap<PeerId, Entry>>>,
}

#[derive(Clone)]
struct Entry {
    key: ConnectionKey,
    /// Whose connection it is, if that is known.
    user: Option<Arc<str>>,
    outbox: Outbox,
    /// Cancelled when the connection has left all documents.
    gone: CancellationToken,
}

/// Another user has the peer id.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("another user is connected under this peer id; join under another one")]
pub struct Taken;

/// A peer id that is taken until this is dropped.
pub struct Registration {
    registry: PeerRegistry,
    peer: PeerId,
    key: ConnectionKey,
    gone: CancellationToken,
}

impl PeerRegistry {
    /// Takes a peer id for a connection. Whoever has it is closed first, and has left its documents when this returns.
    ///
    /// # Errors
    /// When another user has it.
    pub async fn register(
        &self,
        peer: &PeerId,
        key: ConnectionKey,
        outbox: &Outbox,
        user: Option<Arc<str>>,
    ) -> Result<Registration, Taken> {
        let gone = CancellationToken::new();
        loop {
            let entry = Entry { key, user: user.clone(), outbox: outbox.clone(), gone: gone.clone() };
            let before = {
                let mut peers = self.lock();
                match peers.get(peer) {
                    Some(before) if before.user != user => return Err(Taken),
                    Some(before) => before.clone(),
                    None => {
                        peers.insert(peer.clone(), entry);
                        return Ok(Registration { registry: self.clone(), peer: peer.clone(), key, gone });
                    }
                }
            };
            before.outbox.close(FarewellKind::Replaced, "this peer id has joined again over another connection");
            before.gone.cancelled().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Entry>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut peers = self.registry.lock();
        if peers.get(&self.peer).is_some_and(|entry| entry.key == self.key) {
            peers.remove(&self.peer);
        }
        drop(peers);
        self.gone.cancel();
    }
}
