//! Presence of legacy users for automerge-repo peers: ephemeral messages of the server's own peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use primitives::DocumentId;

use super::outbox::Ephemeral;

/// Renders the names of the users that are online as the payload of an ephemeral message.
pub type RenderPresence = fn(&[String]) -> Bytes;

/// The users that are logged in on legacy sockets, and the source of the messages that announce them.
#[derive(Debug)]
pub struct LegacyPresence {
    peer: Arc<str>,
    session: Arc<str>,
    render: RenderPresence,
    names: Mutex<Vec<String>>,
    /// Count of the last message. Peers ignore a message whose count is not higher than the last one of its session.
    count: AtomicU64,
}

impl LegacyPresence {
    /// Sends messages as `peer`, the server's peer id. `session` must differ between processes.
    #[must_use]
    pub fn new(peer: &str, session: &str, render: RenderPresence) -> Self {
        Self { peer: peer.into(), session: session.into(), render, names: Mutex::default(), count: AtomicU64::new(0) }
    }

    /// Replaces the names of the logged-in users.
    pub(super) fn set_names(&self, names: Vec<String>) {
        *self.names.lock() = names;
    }

    /// The names of the logged-in users.
    pub(super) fn names(&self) -> Vec<String> {
        self.names.lock().clone()
    }

    /// The next message about a document, with these names.
    pub(super) fn message(&self, document: &DocumentId, names: &[String]) -> Ephemeral {
        Ephemeral {
            document: document.clone(),
            sender: Arc::clone(&self.peer),
            session: Arc::clone(&self.session),
            count: self.count.fetch_add(1, Ordering::Relaxed) + 1,
            data: (self.render)(names),
        }
    }
}
