//! Recovery when a step of a commit fails: the document is reloaded, the batch is retried item by item or rejected,
//! and its senders are told.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use store::StoreError;
use sync_engine::{BadMessage, carries_chunks, decode_message};
use tokio::time::{Instant, sleep};

use super::DocumentTask;
use super::commit::ItemSource;
use super::suspension::SuspensionCause;
use crate::document::{Applied, Document, Item, Outcome, Prepared};
use crate::hub::command::{EditFailure, Unavailable};
use crate::hub::quarantine::QuarantineScope;
use crate::metrics::RefusalReason;

/// Sent to the senders of changes that took too long.
const TOO_SLOW: &str = "the changes took too long to apply and were not stored; send them in smaller messages";

impl DocumentTask {
    /// Handles a batch that exceeded its time budget. None of it was stored. Its items are retried one by one to find
    /// the slow sender, which is quarantined. If several senders are slow, the document is.
    pub(super) async fn refuse_slow_batch(
        &mut self,
        document: &mut Document,
        applied: Applied,
        items: Vec<Item>,
        senders: Vec<ItemSource>,
        elapsed: Duration,
    ) {
        self.reload(document).await;
        if items.len() > 1 {
            tracing::warn!(document = %self.id, ?elapsed, "a batch took too long; retrying its items one by one");
            return self.retry_individually(document, items, senders).await;
        }
        let sender = senders.first().and_then(|sender| match sender {
            ItemSource::Peer(key) => self.subscribers.peers.get(key),
            ItemSource::Edit { .. } => None,
        });
        let payer = sender.and_then(|subscription| subscription.peer.requester.payer());
        let is_identified = payer.is_some();
        let now = Instant::now();
        self.hub.inner.metrics.record_refusal(RefusalReason::TooSlow);
        let cause = match self.hub.inner.quarantines.start(&self.id, payer, now) {
            QuarantineScope::Sender(duration) => {
                tracing::error!(document = %self.id, ?elapsed, ?duration, "changes took too long; their sender is quarantined");
                if is_identified {
                    SuspensionCause::Quarantine
                } else {
                    SuspensionCause::Temporary { until: now + duration }
                }
            }
            QuarantineScope::Document(duration) => {
                tracing::error!(document = %self.id, ?elapsed, ?duration, "changes took too long; the document is quarantined");
                SuspensionCause::Quarantine
            }
        };
        let unavailable = Unavailable::Quarantined(self.id.clone());
        self.report_not_stored(document, applied, senders, cause, || unavailable.clone().into(), TOO_SLOW);
    }

    /// Tells the senders of changes that their batch was not stored.
    fn report_not_stored(
        &mut self,
        document: &mut Document,
        mut applied: Applied,
        senders: Vec<ItemSource>,
        cause: SuspensionCause,
        failure: impl Fn() -> EditFailure,
        message: &str,
    ) {
        let outcomes = std::mem::take(&mut applied.outcomes);
        for ((sender, outcome), has_contributed) in senders.into_iter().zip(outcomes).zip(&applied.contributed_changes)
        {
            match (sender, outcome) {
                (ItemSource::Edit { reply, .. }, Outcome::Edited(Ok(_)) | Outcome::Synced) => {
                    let _ = reply.send(Err(failure()));
                }
                (ItemSource::Peer(key), Outcome::Synced) if *has_contributed => {
                    self.refuse_temporarily(document, key, cause, message);
                }
                (sender, outcome) => self.answer(document, sender, outcome),
            }
        }
        if !self.pipeline.log.needs_reload() {
            self.deliver(|ready| document.engine.receive_acknowledgements(applied, ready));
        }
    }

    /// Handles a batch that corrupted the document in memory. The document is reloaded, and the items are retried one
    /// by one, so that only the sender of the culprit is rejected.
    pub(super) async fn recover_from_corruption(
        &mut self,
        document: &mut Document,
        error: &BadMessage,
        items: Vec<Item>,
        mut senders: Vec<ItemSource>,
    ) {
        let why = error.to_string();
        tracing::error!(document = %self.id, why, "a batch corrupted the document in memory; reloading it");
        self.reload_after_corruption(document).await;
        if items.len() > 1 {
            return self.retry_individually(document, items, senders).await;
        }
        match senders.pop() {
            Some(ItemSource::Peer(key)) => self.refuse_peer(document, key, error),
            Some(ItemSource::Edit { reply, .. }) => {
                let _ = reply.send(Err(EditFailure::Panicked));
            }
            None => {}
        }
    }

    async fn retry_individually(&mut self, document: &mut Document, items: Vec<Item>, senders: Vec<ItemSource>) {
        for (item, sender) in items.into_iter().zip(senders) {
            // Peers that were rejected meanwhile are skipped.
            let has_changes = matches!(&item, Item::Sync { bytes, .. } if carries_chunks(bytes));
            let was_rejected =
                |key| self.is_leaving(key) || (has_changes && self.recovery.suspended.contains_key(&key));
            if matches!(&sender, ItemSource::Peer(key) if was_rejected(*key)) {
                continue;
            }
            let started = Instant::now();
            let prepared = vec![self.prepare_alone(document, &item)];
            Box::pin(self.commit(document, vec![item], prepared, vec![sender], started.elapsed())).await;
        }
    }

    /// Decodes an item again, with the limits for whole documents: it may have been accepted under those.
    pub(super) fn prepare_alone(&self, document: &Document, item: &Item) -> Prepared {
        match item {
            Item::Sync { peer, bytes } if carries_chunks(bytes) => {
                match decode_message(bytes, &self.hub.inner.settings.limits) {
                    Ok(incoming) => document.engine.prepare_sync(*peer, bytes.clone(), incoming),
                    Err(_) => document.engine.prepare(item.clone()),
                }
            }
            item => document.engine.prepare(item.clone()),
        }
    }

    /// Handles an unexpected panic. Waiting callers get [`EditFailure::Unknown`], the document is reloaded, and peers
    /// start their sync again.
    pub(super) async fn recover_from_panic(&mut self, document: &mut Document) -> ControlFlow<()> {
        tracing::error!(document = %self.id, "the document task panicked; reloading the document");
        self.reload_after_corruption(document).await;
        self.pipeline.permit = None;
        self.remove_disconnected(document);
        if self.usage.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Reloads a corrupted document, with back-off if that happens repeatedly, since a reload is expensive. Readers
    /// keep the last published view meanwhile.
    pub(super) async fn reload_after_corruption(&mut self, document: &mut Document) {
        let now = Instant::now();
        self.recovery.reload_gate.record_failure(now);
        let delay = self.recovery.reload_gate.delay(now);
        if !delay.is_zero() {
            self.hub.inner.metrics.reloads_put_off.increment(1);
            tracing::warn!(document = %self.id, ?delay, "delaying the reload after repeated failures");
            // Other documents may use the permit meanwhile.
            let had_permit = self.pipeline.permit.take().is_some();
            sleep(delay).await;
            if had_permit {
                self.pipeline.permit = self.hub.acquire_document_permit().await;
            }
        }
        self.reload(document).await;
        if !self.pipeline.log.needs_reload() {
            self.restart_sync(document);
        }
    }

    /// After a reload, asks peers for their changes, and sends them changes that they may have missed.
    pub(super) fn restart_sync(&mut self, document: &mut Document) {
        let sent = catch_unwind(AssertUnwindSafe(|| self.deliver(|ready| document.engine.generate_due(ready))));
        if sent.is_err() {
            tracing::error!(document = %self.id, "the Automerge library panicked while generating messages after a reload");
        }
    }

    /// Replaces the document in memory by the stored one.
    pub(super) async fn reload(&mut self, document: &mut Document) {
        self.hub.inner.metrics.reloads.increment(1);
        Box::pin(self.pipeline.log.reload(document)).await;
        self.after_reload(document).await;
    }

    /// Completes a reload: sends watchers the changes that they have missed, and takes over the access record.
    async fn after_reload(&mut self, document: &mut Document) {
        self.hub.inner.metrics.healed_changes.increment(self.pipeline.log.take_healed_changes() as u64);
        self.notify_watchers_of_reload(document);
        if !self.pipeline.log.needs_reload()
            && let Err(error) = self.refresh_access(document).await
        {
            tracing::error!(document = %self.id, %error, "cannot read the access record");
            self.pipeline.log.require_reload();
        }
        if !self.pipeline.log.needs_reload() {
            self.notify_followers(document);
        }
    }

    /// Recovers from an earlier failure of the log, if there was one. Returns false if nothing can be appended now.
    pub(super) async fn recover_log(&mut self, document: &mut Document) -> bool {
        if self.pipeline.log.is_backing_off() {
            self.hub.inner.metrics.reloads_put_off.increment(1);
        }
        let was_stale = self.pipeline.log.needs_reload();
        let recovered = self.pipeline.log.recover(document).await;
        if !(recovered && was_stale) {
            return recovered;
        }
        self.after_reload(document).await;
        if self.pipeline.log.needs_reload() {
            return false;
        }
        // Other processes may have appended meanwhile, and the next batch may hold nothing for the peers that waited.
        self.restart_sync(document);
        true
    }

    /// Sends watchers the row changes that became visible through a reload.
    pub(super) fn notify_watchers_of_reload(&mut self, document: &Document) {
        let changes = self.pipeline.log.take_reload_changes();
        if document.existing_view().is_some() {
            self.subscribers.watchers.notify(&changes);
        }
    }

    /// Rejects a batch while the stored document cannot be read.
    pub(super) fn refuse_batch(&mut self, document: &mut Document, senders: Vec<ItemSource>) {
        const MESSAGE: &str = "the document is temporarily unreadable; nothing was stored, try again later";
        self.hub.inner.metrics.record_refusal(RefusalReason::Storage);
        for sender in senders {
            match sender {
                ItemSource::Edit { reply, .. } => {
                    let _ = reply.send(Err(EditFailure::Storage { full: false, message: MESSAGE }));
                }
                ItemSource::Peer(key) => self.refuse_temporarily(document, key, SuspensionCause::Storage, MESSAGE),
            }
        }
    }

    /// Handles a failed append: tells the senders of changes that nothing was stored, and reloads the document.
    pub(super) async fn append_failed(
        &mut self,
        document: &mut Document,
        applied: Applied,
        senders: Vec<ItemSource>,
        error: &StoreError,
    ) {
        tracing::error!(document = %self.id, %error, "cannot store changes");
        self.hub.inner.metrics.record_refusal(RefusalReason::Storage);
        self.recovery.append_gate.record_failure(Instant::now());
        self.reload(document).await;
        self.report_not_stored(
            document,
            applied,
            senders,
            SuspensionCause::Storage,
            || EditFailure::from(error),
            error.public_message(),
        );
    }

    /// Rejects a batch that would create a document, over the rate limit or during shutdown.
    pub(super) async fn refuse_creation(
        &mut self,
        document: &mut Document,
        applied: Applied,
        senders: Vec<ItemSource>,
    ) {
        let unavailable = if self.hub.inner.draining.is_cancelled() {
            Unavailable::Stopping
        } else {
            tracing::warn!(document = %self.id, "document not created: over the rate limit of new documents");
            self.hub.inner.metrics.record_refusal(RefusalReason::TooManyNewDocuments);
            Unavailable::TooManyNew
        };
        self.reload(document).await;
        let cause = SuspensionCause::temporary();
        self.report_not_stored(
            document,
            applied,
            senders,
            cause,
            || unavailable.clone().into(),
            &unavailable.to_string(),
        );
    }
}
