//! How sync peers are told who is here by other ways than theirs: in ephemeral messages of the server's own peer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use primitives::DocumentId;

use super::outbox::Ephemeral;

/// Renders presence for sync peers. No names: nobody is logged in.
pub type RenderPeople = fn(&[String]) -> Bytes;

/// The server as one who makes ephemeral messages.
#[derive(Debug)]
pub struct Announcer {
    peer: Arc<str>,
    session: Arc<str>,
    render: RenderPeople,
    names: Mutex<Vec<String>>,
    /// Of the last message. Peers ignore what is not newer than what they have seen of a session.
    count: AtomicU64,
}

impl Announcer {
    /// Speaks as `peer`, which is what the server calls itself. `session`: a name that no other process has.
    #[must_use]
    pub fn new(peer: &str, session: &str, render: RenderPeople) -> Self {
        Self { peer: peer.into(), session: session.into(), render, names: Mutex::default(), count: AtomicU64::new(0) }
    }

    /// Sets who is logged in.
    pub(super) fn set_names(&self, names: Vec<String>) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Who is logged in.
    pub(super) fn names(&self) -> Vec<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next message about a document: these are here.
    pub(super) fn people(&self, document: &DocumentId, names: &[String]) -> Ephemeral {
        Ephemeral {
            document: document.clone(),
            sender: Arc::clone(&self.peer),
            session: Arc::clone(&self.session),
            count: self.count.fetch_add(1, Ordering::Relaxed) + 1,
            data: (self.render)(names),
        }
    }
}
