//! Senders and documents whose changes took too long.

use limits::Payer;
use tokio::time::Instant;

use super::DocumentTask;
use super::suspended::Cause;
use crate::document::Document;
use crate::hub::caller::Caller;
use crate::hub::command::Unavailable;
use crate::hub::outbox::ConnectionKey;
use crate::metrics::Refusal;

/// Told to senders that come back meanwhile.
const SLOW_SENDER: &str =
    "changes of yours to this document took too long; it takes none of yours for a while, try again later";

impl DocumentTask {
    /// Whether changes to this document took too long a while ago, of several senders.
    pub(super) fn is_quarantined(&self) -> bool {
        self.hub.inner.quarantines.holds(&self.id, Instant::now())
    }

    /// Whether changes of this peer's user, or of several, took too long a while ago.
    pub(super) fn is_peer_quarantined(&self, key: ConnectionKey) -> bool {
        let payer = self.subscribers.peers.get(&key).and_then(|member| member.peer.caller.payer());
        self.holds_sender(payer.as_ref())
    }

    /// Whether an edit of this caller is not taken, for the same reasons.
    pub(super) fn is_caller_quarantined(&self, caller: &Caller) -> bool {
        self.holds_sender(caller.payer().as_ref())
    }

    fn holds_sender(&self, payer: Option<&Payer>) -> bool {
        self.hub.inner.quarantines.holds_sender(&self.id, payer, Instant::now())
    }

    /// A peer brings changes while the document takes none.
    pub(super) fn refuse_changes(&mut self, document: &mut Document, key: ConnectionKey) {
        self.hub.inner.metrics.refuse(Refusal::TooSlow);
        let why = if self.is_quarantined() {
            Unavailable::Quarantined(self.id.clone()).to_string()
        } else {
            SLOW_SENDER.to_owned()
        };
        self.refuse_for_now(document, key, Cause::Quarantine, &why);
    }

    /// Whether a peer is gone, or has to go.
    pub(super) fn is_leaving(&self, key: ConnectionKey) -> bool {
        self.subscribers
            .peers
            .get(&key)
            .is_none_or(|member| member.peer.outbox.is_closed() || member.peer.refusals.is_final(&self.id))
    }
}
