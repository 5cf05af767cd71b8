//! Documents that reject changes of one connection, while its other documents are served.
//!
//! The peer is told once. The connection remembers the refusal, and drops further messages about the document before
//! they cost anything. So the client keeps its connection instead of reconnecting every few seconds with the same
//! changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use primitives::DocumentId;
use sync_engine::BadMessage;

use super::command::SyncPeer;
use super::outbox::{CloseKind, DrainListener, Outgoing};

/// How long a refusal lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalDuration {
    /// As long as the connection: the message can never be accepted.
    Connection,
    /// Until the document accepts changes again. The peer continues to receive, and is then asked for its changes.
    Temporary,
}

/// The documents that reject changes of one connection. Clones share the state. Bounded by the number of documents
/// that a connection may sync.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    by_document: Arc<Mutex<HashMap<DocumentId, RefusalDuration>>>,
    /// Hidden documents about which the connection was answered once.
    denied: Arc<Mutex<HashSet<DocumentId>>>,
    /// Documents about which the connection was told why they are not stored.
    told: Arc<Mutex<HashSet<DocumentId>>>,
}

impl Refusals {
    /// Whether to drop a message about this document. `has_changes`: the message carries changes.
    #[must_use]
    pub fn drops(&self, id: &DocumentId, has_changes: bool) -> bool {
        match self.lock().get(id) {
            None => false,
            Some(RefusalDuration::Connection) => true,
            Some(RefusalDuration::Temporary) => has_changes,
        }
    }

    /// Whether the document rejects all messages for the rest of the connection.
    pub(super) fn is_final(&self, id: &DocumentId) -> bool {
        self.lock().get(id) == Some(&RefusalDuration::Connection)
    }

    /// Records that this connection was told that a hidden document does not exist. Returns whether it was the first
    /// time.
    pub(super) fn record_denial(&self, id: &DocumentId) -> bool {
        self.denied.lock().insert(id.clone())
    }

    /// Records a refusal. Returns false if the peer was already told.
    fn add(&self, id: &DocumentId, duration: RefusalDuration) -> bool {
        let mut refusals = self.lock();
        let before = refusals.get(id).copied();
        if before == Some(RefusalDuration::Connection) || before == Some(duration) {
            return false;
        }
        refusals.insert(id.clone(), duration);
        true
    }

    /// Ends a temporary refusal.
    pub(super) fn lift(&self, id: &DocumentId) {
        let mut refusals = self.lock();
        if refusals.get(id) == Some(&RefusalDuration::Temporary) {
            refusals.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DocumentId, RefusalDuration>> {
        self.by_document.lock()
    }
}

impl SyncPeer {
    /// Tells the peer once why a document is not stored. A connection with a full outbox is not told.
    pub(super) fn tell_once(&self, id: &DocumentId, message: &str) {
        let mut told = self.refusals.told.lock();
        if told.contains(id) {
            return;
        }
        if let Some(permit) = self.outbox.try_reserve_for_notice(&DrainListener::Document(id.clone())) {
            told.insert(id.clone());
            let (document, kind, message) = (id.clone(), CloseKind::Forbidden, Arc::from(message));
            permit.send(Outgoing::Refused { document, kind, message });
        }
    }

    /// Rejects changes to one document, and tells the peer the reason once. Returns whether it was told now.
    pub(super) fn refuse(&self, id: &DocumentId, duration: RefusalDuration, message: &str) -> bool {
        if !self.refusals.add(id, duration) {
            return false;
        }
        let kind = match duration {
            RefusalDuration::Connection => CloseKind::BadMessage,
            RefusalDuration::Temporary => CloseKind::TryAgainLater,
        };
        match self.outbox.try_reserve_for_notice(&DrainListener::Document(id.clone())) {
            Some(permit) => permit.send(Outgoing::Refused { document: id.clone(), kind, message: Arc::from(message) }),
            // The outbox is full, so the reason goes into the close frame.
            None => self.outbox.close(kind, message),
        }
        true
    }
}

/// How long a message with this error is rejected.
pub(super) fn refusal_duration(error: &BadMessage) -> RefusalDuration {
    match error {
        // The document is full. It may accept changes again later.
        BadMessage::Full(_) => RefusalDuration::Temporary,
        _ => RefusalDuration::Connection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_sent_once_and_only_temporary_ones_lift() {
        let (refusals, id) = (Refusals::default(), DocumentId::from_random([7; 16]));
        assert!(!refusals.drops(&id, true));
        assert!(refusals.add(&id, RefusalDuration::Temporary));
        assert!(!refusals.add(&id, RefusalDuration::Temporary), "sent before");
        assert_eq!(
            (refusals.drops(&id, true), refusals.drops(&id, false)),
            (true, false),
            "acknowledgements are processed"
        );
        refusals.lift(&id);
        assert!(!refusals.drops(&id, true) && refusals.add(&id, RefusalDuration::Temporary));
        assert!(refusals.add(&id, RefusalDuration::Connection), "a final refusal is sent as well");
        assert!(!refusals.add(&id, RefusalDuration::Temporary));
        refusals.lift(&id);
        assert!(refusals.drops(&id, false) && refusals.is_final(&id));
    }
}
