//! The peer ids of joined automerge-repo peers. A peer id has one connection at a time: if a peer joins again, its old connection
//! is half open, and is closed before the new one joins.
//!
//! A peer id is not authenticated. So users are distinguished: two users may join with the same peer id without affecting each
//! other. Everywhere else connections are identified by their keys. Without authentication only the peer id identifies a peer.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use repo_protocol::PeerId;
use runtime::hub::{CloseKind, ConnectionKey, Outbox};
use tokio_util::sync::CancellationToken;

/// All joined peers. Clones share them.
#[derive(Clone, Default)]
pub struct PeerRegistry {
    peers: Arc<Mutex<HashMap<PeerKey, JoinedPeer>>>,
}

/// Identifies a peer: the user of the connection, if known, and the peer id.
type PeerKey = (Option<Arc<str>>, PeerId);

#[derive(Clone)]
struct JoinedPeer {
    connection: ConnectionKey,
    outbox: Outbox,
    /// Cancelled when the connection has unsubscribed from all documents.
    left: CancellationToken,
}

/// Keeps a peer id registered for one connection, until this is dropped.
pub struct PeerRegistration {
    registry: PeerRegistry,
    peer: PeerKey,
    connection: ConnectionKey,
    left: CancellationToken,
}

impl PeerRegistry {
    /// Registers a peer id for a connection of this user. If another connection of the same user has registered it, closes that
    /// connection first, and waits until it has unsubscribed from all documents.
    pub async fn register(
        &self,
        user: Option<Arc<str>>,
        peer: &PeerId,
        connection: ConnectionKey,
        outbox: &Outbox,
    ) -> PeerRegistration {
        let (peer, left) = ((user, peer.clone()), CancellationToken::new());
        loop {
            let previous = {
                let mut peers = self.lock();
                match peers.get(&peer) {
                    Some(previous) => previous.clone(),
                    None => {
                        let joined = JoinedPeer { connection, outbox: outbox.clone(), left: left.clone() };
                        peers.insert(peer.clone(), joined);
                        return PeerRegistration { registry: self.clone(), peer, connection, left };
                    }
                }
            };
            previous.outbox.close(CloseKind::Replaced, "this peer id has joined again on another connection");
            previous.left.cancelled().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerKey, JoinedPeer>> {
        self.peers.lock()
    }
}

impl Drop for PeerRegistration {
    fn drop(&mut self) {
        let mut peers = self.registry.lock();
        if peers.get(&self.peer).is_some_and(|joined| joined.connection == self.connection) {
            peers.remove(&self.peer);
        }
        drop(peers);
        self.left.cancel();
    }
}
