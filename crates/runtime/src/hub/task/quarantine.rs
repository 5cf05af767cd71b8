//! Quarantined senders and documents, in the document's task.

use limits::Payer;
use tokio::time::Instant;

use super::DocumentTask;
use super::suspension::SuspensionCause;
use crate::document::Document;
use crate::hub::command::Unavailable;
use crate::hub::outbox::ConnectionKey;
use crate::hub::requester::Requester;
use crate::metrics::RefusalReason;

/// Sent to a quarantined sender.
const SLOW_SENDER: &str =
    "your changes to this document took too long; it temporarily rejects your changes, try again later";

impl DocumentTask {
    /// Whether the document rejects all changes.
    pub(super) fn is_quarantined(&self) -> bool {
        self.hub.inner.quarantines.is_document_quarantined(&self.id, Instant::now())
    }

    /// Whether the document rejects changes of this peer.
    pub(super) fn is_peer_quarantined(&self, key: ConnectionKey) -> bool {
        let payer = self.subscribers.peers.get(&key).and_then(|subscription| subscription.peer.requester.payer());
        self.holds_sender(payer.as_ref())
    }

    /// Whether the document rejects edits of this requester.
    pub(super) fn is_requester_quarantined(&self, requester: &Requester) -> bool {
        self.holds_sender(requester.payer().as_ref())
    }

    fn holds_sender(&self, payer: Option<&Payer>) -> bool {
        self.hub.inner.quarantines.is_sender_quarantined(&self.id, payer, Instant::now())
    }

    /// Rejects changes of a peer that is quarantined, or of any peer if the document is.
    pub(super) fn refuse_changes(&mut self, document: &mut Document, key: ConnectionKey) {
        self.hub.inner.metrics.record_refusal(RefusalReason::TooSlow);
        let why = if self.is_quarantined() {
            Unavailable::Quarantined(self.id.clone()).to_string()
        } else {
            SLOW_SENDER.to_owned()
        };
        self.refuse_temporarily(document, key, SuspensionCause::Quarantine, &why);
    }

    /// Whether a peer has left or has to leave.
    pub(super) fn is_leaving(&self, key: ConnectionKey) -> bool {
        self.subscribers.peers.get(&key).is_none_or(|subscription| {
            subscription.peer.outbox.is_closed() || subscription.peer.refusals.is_final(&self.id)
        })
    }
}
