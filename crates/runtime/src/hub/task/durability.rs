//! The disk, and what happens when it fails.

use limits::Payer;
use store::StoreError;
use tokio::time::Instant;

use super::DocumentTask;
use super::suspended::Cause;
use crate::clock::now_ms;
use crate::document::{Applied, Document};
use crate::hub::caller::Caller;
use crate::hub::command::Unavailable;
use crate::hub::outbox::ConnectionKey;
use crate::metrics::Refusal;

/// Said to those who come back after that.
const SLOW_SENDER: &str =
    "changes of yours to this document took too long; it takes none of yours for a while, try again later";

impl DocumentTask {
    /// Makes the chunks of a batch durable.
    pub(super) async fn append(&mut self, document: &mut Document, applied: &mut Applied) -> Result<(), StoreError> {
        let bytes = applied.chunks.len() as u64;
        let started = Instant::now();
        self.hub.in_store(self.pipeline.log.append_batch(document, applied, now_ms())).await?;
        let metrics = &self.hub.inner.metrics;
        metrics.append_seconds.record(started.elapsed());
        metrics.changes.increment(applied.change_count as u64);
        metrics.bytes_stored.increment(bytes);
        Ok(())
    }

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
