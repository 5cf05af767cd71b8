//! Takes over the batches that other processes have appended to the document's log.

use std::time::Duration;

use store::{Batch, Position, StoreError};

use super::DocumentTask;
use super::commit::ItemSource;
use crate::document::{Applied, Document, Item};
use crate::document_log::{Append, CaughtUp};
use crate::hub::hints::Waiting;

/// How often one batch may find that the log has moved on. Each time another batch was stored, so nothing is stuck.
const MAX_ATTEMPTS: u32 = 100;

/// What becomes of a batch that could not be appended because the log had moved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// What is left of it is appended now.
    Append,
    /// It is no longer applied: its items must be applied again.
    Items,
}

impl DocumentTask {
    /// Absorbs what was appended meanwhile into the document and into a batch that is applied and not stored.
    async fn absorb_others(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
        has_edits: bool,
    ) -> Result<Retry, StoreError> {
        self.hub.inner.metrics.appends_behind.increment(1);
        // An edit was checked against the document as it was: whether its position exists, and its precondition.
        if has_edits {
            return self.rewind(document).await;
        }
        match self.pipeline.log.catch_up(document, applied).await? {
            // What was checked before the rights changed must be checked again.
            CaughtUp::Absorbed { access_changed: true } | CaughtUp::MustRewind => self.rewind(document).await,
            CaughtUp::Absorbed { access_changed: false } => Ok(Retry::Append),
        }
    }

    /// Appends a batch after those that other processes have appended first, however often that happens.
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

    /// A user at another process is making the document: reads what there is, and applies the items again.
    pub(super) async fn rewind_and_commit(
        &mut self,
        document: &mut Document,
        applied: Applied,
        items: Vec<Item>,
        senders: Vec<ItemSource>,
    ) {
        match self.rewind(document).await {
            Ok(_) => self.commit_again(document, items, senders).await,
            Err(error) => self.append_failed(document, applied, senders, &error).await,
        }
    }

    /// Drops what is applied and not stored, reads the log, and publishes what others have stored.
    async fn rewind(&mut self, document: &mut Document) -> Result<Retry, StoreError> {
        match self.pipeline.log.rewind(document).await? {
            Some(applied) => {
                self.refresh_access(document).await?;
                self.publish(document, applied).await;
            }
            None => {
                self.reload(document).await;
                if !self.pipeline.log.needs_reload() {
                    self.restart_sync(document);
                }
            }
        }
        Ok(Retry::Items)
    }

    /// Applies the items of a batch once more.
    pub(super) async fn commit_again(&mut self, document: &mut Document, items: Vec<Item>, senders: Vec<ItemSource>) {
        self.pipeline.retries += 1;
        if self.pipeline.retries > MAX_ATTEMPTS {
            tracing::error!(document = %self.id, "other servers keep changing the document; a batch is refused");
            self.pipeline.retries = 0;
            return self.refuse_batch(document, senders);
        }
        let prepared = items.iter().map(|item| self.prepare_alone(document, item)).collect();
        Box::pin(self.commit(document, items, prepared, senders, Duration::ZERO)).await;
    }

    /// Reads the access record of the document again, and applies it to the subscribers.
    pub(super) async fn refresh_access(&mut self, document: &mut Document) -> Result<(), StoreError> {
        if self.hub.inner.access.refresh(&self.id).await? {
            self.recheck(document);
        }
        Ok(())
    }

    /// Takes over what hints say that others have appended.
    pub(super) async fn take_hints(&mut self, document: &mut Document) {
        let Waiting { batches, latest, .. } = self.hints.take();
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
        if following.is_empty() && !missed {
            return;
        }
        if let Err(error) = self.take_over(document, &following, missed).await {
            tracing::warn!(document = %self.id, %error, "cannot read the changes of other servers; the document is reloaded");
            self.pipeline.log.require_reload();
        }
        self.record_existence(document);
        self.answer_pending_requests(document);
    }

    /// Absorbs and publishes the batches that follow the known end of the log, and, if any were `missed`, those after them.
    ///
    /// # Errors
    /// When the store cannot be read: then the document must be reloaded.
    async fn take_over(
        &mut self,
        document: &mut Document,
        following: &[(Position, Batch)],
        missed: bool,
    ) -> Result<(), StoreError> {
        let mut applied = Applied::default();
        let mut caught_up = self.pipeline.log.absorb(document, following, &mut applied);
        let has_new_record = |caught_up: &CaughtUp| matches!(caught_up, CaughtUp::Absorbed { access_changed: true });
        let mut access_changed = has_new_record(&caught_up);
        if missed && matches!(caught_up, CaughtUp::Absorbed { .. }) {
            caught_up = self.pipeline.log.catch_up(document, &mut applied).await?;
            access_changed |= has_new_record(&caught_up);
        }
        if matches!(caught_up, CaughtUp::MustRewind) {
            self.rewind(document).await?;
            return Ok(());
        }
        if access_changed {
            self.refresh_access(document).await?;
        }
        if applied.has_changes() {
            self.publish(document, applied).await;
        }
        Ok(())
    }
}
