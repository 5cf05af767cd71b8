//! Takes over the batches that other processes have appended to the document's log.

use store::{Batch as StoredBatch, Position, StoreError};

use super::DocumentTask;
use super::commit::ItemSource;
use crate::document::{Applied, Document, Item};
use crate::document_log::{Append, CaughtUp};
use crate::hub::hints::Waiting;

/// How often one batch may find that the log has moved on. Each time another batch was stored, so the system makes progress.
const MAX_ATTEMPTS: u32 = 100;

/// The next step for a batch that could not be appended because the log had moved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// Append the rest of the batch.
    Append,
    /// The batch was dropped. Apply its items again.
    Items,
}

impl DocumentTask {
    /// Absorbs the batches of other processes into the document and into a batch that is applied and not stored.
    async fn absorb_others(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
        has_edits: bool,
    ) -> Result<Retry, StoreError> {
        self.hub.inner.metrics.appends_behind.increment(1);
        // An edit was checked against the earlier document: whether its position exists, and its precondition.
        if has_edits {
            return self.rewind_batch(document, applied).await;
        }
        match self.pipeline.log.catch_up(document, applied).await? {
            // Items that were checked before the rights changed must be checked again.
            CaughtUp::Absorbed { access_changed: false } => Ok(Retry::Append),
            CaughtUp::Absorbed { access_changed: true } | CaughtUp::MustRewind => {
                self.rewind_batch(document, applied).await
            }
        }
    }

    /// Appends a batch after the batches that other processes have appended first, however often that happens.
    pub(super) async fn append_after_others(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
        has_edits: bool,
    ) -> Result<Retry, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            if self.absorb_others(document, applied, has_edits).await? == Retry::Items {
                return Ok(Retry::Items);
            }
            // Another process may have stored all of it.
            if applied.chunks.is_empty() || self.append(document, applied).await? == Append::Stored {
                return Ok(Retry::Append);
            }
        }
        Err(StoreError::Contended { id: self.id.clone() })
    }

    /// Another process is creating the document: reads its log. Returns the items, which must be applied again.
    pub(super) async fn rewind_for_creation(
        &mut self,
        document: &mut Document,
        applied: Applied,
        items: Vec<Item>,
        senders: Vec<ItemSource>,
    ) -> Option<(Vec<Item>, Vec<ItemSource>)> {
        match self.rewind(document).await {
            Ok(()) => Some((items, senders)),
            Err(error) => {
                self.append_failed(document, applied, senders, &error).await;
                None
            }
        }
    }

    /// Drops a batch that is applied and not stored, and reads the batches of others. If the log turns out to contain the batch,
    /// only its outcomes are left.
    async fn rewind_batch(&mut self, document: &mut Document, applied: &mut Applied) -> Result<Retry, StoreError> {
        self.rewind(document).await?;
        if self.pipeline.log.needs_reload() || !document.engine.has_changes_of(applied) {
            return Ok(Retry::Items);
        }
        // The answer to its append was lost, and so was the row that would have shown the result.
        applied.note_stored();
        Ok(Retry::Append)
    }

    /// Drops applied batches that are not stored, reads the log and the access record, and publishes the batches of others.
    async fn rewind(&mut self, document: &mut Document) -> Result<(), StoreError> {
        self.pipeline.rewinds += 1;
        if self.pipeline.rewinds > MAX_ATTEMPTS {
            return Err(StoreError::Contended { id: self.id.clone() });
        }
        match self.pipeline.log.rewind(document).await? {
            Some(applied) => {
                if let Err(error) = self.refresh_access(document).await {
                    // The batches that were read are not published.
                    self.pipeline.log.require_reload();
                    return Err(error);
                }
                self.publish(document, applied).await;
            }
            None => {
                self.reload(document).await;
                if !self.pipeline.log.needs_reload() {
                    self.restart_sync(document);
                }
            }
        }
        Ok(())
    }

    /// Reads the access record of the document again, and applies it to the subscribers.
    pub(super) async fn refresh_access(&mut self, document: &mut Document) -> Result<(), StoreError> {
        if self.hub.inner.access.refresh(&self.id).await? {
            self.recheck(document);
            // The rights in the scenarios have changed as well, and clients that were denied may wait.
            self.hub.recheck_document(&self.id);
        }
        Ok(())
    }

    /// Takes over the batches of others, as far as hints announce them.
    pub(super) async fn take_hints(&mut self, document: &mut Document) {
        let Waiting { batches, latest, end: stored_end, .. } = self.hints.take();
        // The position of a stale document is unknown. Its recovery reads the log.
        if self.pipeline.log.needs_reload() {
            return;
        }
        let mut end = self.pipeline.log.position();
        let mut following = Vec::new();
        let mut missed = false;
        for (at, batch) in batches {
            if at == end.next(&batch) {
                end = at;
                following.push((at, batch));
            } else {
                missed |= at.seq > end.seq;
            }
        }
        missed |= latest.is_some_and(|latest: Position| latest.seq > end.seq);
        // An end before the known one was read earlier, or the store has lost the batches after it.
        let is_elsewhere = stored_end.is_some_and(|stored| stored != end);
        if is_elsewhere && !missed {
            self.hub.inner.metrics.hints_missed.increment(1);
        }
        missed |= is_elsewhere;
        if following.is_empty() && !missed {
            return;
        }
        if let Err(error) = self.catch_up_with(document, &following, missed).await {
            tracing::warn!(document = %self.id, %error, "changes of other servers could not be read; they will be again");
        }
        self.pipeline.rewinds = 0;
        self.record_existence(document);
        self.answer_pending_requests(document);
    }

    /// Absorbs the batches that follow the known end of the log, and, if more exist, those that the store has after them.
    async fn catch_up_with(
        &mut self,
        document: &mut Document,
        following: &[(Position, StoredBatch)],
        missed: bool,
    ) -> Result<(), StoreError> {
        let mut applied = Applied::default();
        let mut access_changed = false;
        let mut caught_up = Ok(CaughtUp::Absorbed { access_changed });
        if !following.is_empty() {
            caught_up = Ok(self.pipeline.log.absorb(document, following, &mut applied));
        }
        if missed && let Ok(CaughtUp::Absorbed { access_changed: changed }) = caught_up {
            access_changed = changed;
            caught_up = self.pipeline.log.catch_up(document, &mut applied).await;
        }
        match caught_up {
            Ok(CaughtUp::MustRewind) => return self.rewind(document).await,
            Ok(CaughtUp::Absorbed { access_changed: changed }) => access_changed |= changed,
            Err(_) => {}
        }
        if access_changed && let Err(error) = self.refresh_access(document).await {
            // The position belongs to an unknown record.
            self.pipeline.log.require_reload();
            return Err(error);
        }
        if applied.has_changes() {
            self.publish(document, applied).await;
        }
        caught_up.map(drop)
    }
}
