//! Documents that take no changes from a connection, while its other documents go on.
//!
//! A refusal is told once, and remembered for the connection: what the client still sends about the document is dropped
//! before it costs anything. A client that keeps its connection does not come back every few seconds with the same.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use primitives::DocumentId;
use sync_engine::BadMessage;

use super::command::SyncPeer;
use super::outbox::{FarewellKind, Outgoing, Waiter};

/// How long a refusal lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// As long as the connection: what was sent will never be accepted.
    Connection,
    /// Until the document accepts changes again. The peer goes on reading meanwhile, and is then asked for its changes.
    ForNow,
}

/// The documents that refuse changes of one connection. Clones are the same. Bounded by the documents that a connection may
/// sync.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<HashMap<DocumentId, Lasting>>>, Arc<Mutex<HashSet<DocumentId>>>);

impl Refusals {
    /// Whether a message about this document is to be dropped. `brings_changes`: it carries some.
    #[must_use]
    pub fn drops(&self, id: &DocumentId, brings_changes: bool) -> bool {
        match self.lock().get(id) {
            None => false,
            Some(Lasting::Connection) => true,
            Some(Lasting::ForNow) => brings_changes,
        }
    }

    /// Whether the document refuses everything for as long as the connection lasts.
    pub(super) fn is_final(&self, id: &DocumentId) -> bool {
        self.lock().get(id) == Some(&Lasting::Connection)
    }

    /// Whether this connection is told for the first time that there is no such document, of one that is not for its user.
    pub(super) fn is_first_denial(&self, id: &DocumentId) -> bool {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
    }

    /// Remembers a refusal. False: it was there, and has been told.
    fn add(&self, id: &DocumentId, lasting: Lasting) -> bool {
        let mut refusals = self.lock();
        let before = refusals.get(id).copied();
        if before == Some(Lasting::Connection) || before == Some(lasting) {
            return false;
        }
        refusals.insert(id.clone(), lasting);
        true
    }

    /// The document accepts changes again.
    pub(super) fn lift(&self, id: &DocumentId) {
        let mut refusals = self.lock();
        if refusals.get(id) == Some(&Lasting::ForNow) {
            refusals.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DocumentId, Lasting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SyncPeer {
    /// Refuses changes to one document, and tells the peer why, once. Returns whether it had not been told before.
    pub(super) fn refuse(&self, id: &DocumentId, lasting: Lasting, message: &str) -> bool {
        if !self.refusals.add(id, lasting) {
            return false;
        }
        let kind = match lasting {
            Lasting::Connection => FarewellKind::BadMessage,
            Lasting::ForNow => FarewellKind::TryAgainLater,
        };
        match self.outbox.place_for_notice(&Waiter::Document(id.clone())) {
            Some(place) => place.fill(Outgoing::Refused { document: id.clone(), kind, message: Arc::from(message) }),
            // A connection that takes nothing has to be told otherwise.
            None => self.outbox.close(kind, message),
        }
        true
    }
}

/// How long a message with this fault is refused.
pub(super) fn lasting(error: &BadMessage) -> Lasting {
    match error {
        // Not the peer's fault, and not for ever.
        BadMessage::Full(_) => Lasting::ForNow,
        _ => Lasting::Connection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_once_and_lifted_unless_it_is_final() {
        let (refusals, id) = (Refusals::default(), DocumentId::from_random([7; 16]));
        assert!(!refusals.drops(&id, true));
        assert!(refusals.add(&id, Lasting::ForNow));
        assert!(!refusals.add(&id, Lasting::ForNow), "told before");
        assert_eq!(
            (refusals.drops(&id, true), refusals.drops(&id, false)),
            (true, false),
            "acknowledgements are heard"
        );
        refusals.lift(&id);
        assert!(!refusals.drops(&id, true) && refusals.add(&id, Lasting::ForNow));
        assert!(refusals.add(&id, Lasting::Connection), "a worse one is told as well");
        assert!(!refusals.add(&id, Lasting::ForNow));
        refusals.lift(&id);
        assert!(refusals.drops(&id, false) && refusals.is_final(&id));
    }
}
