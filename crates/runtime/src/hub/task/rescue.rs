//! What happens when a step of a commit fails: the document is read again, the batch is undone or tried item by item, and senders
//! are told.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use store::StoreError;
use sync_engine::{BadMessage, carries_chunks, decode_message};
use tokio::time::{Instant, sleep};

use super::DocumentTask;
use super::commit::Sender;
use super::suspended::Cause;
use crate::document::{Applied, Document, Item, Outcome, Prepared};
use crate::hub::command::{EditFailure, Unavailable};
use crate::hub::quarantine::Blamed;
use crate::metrics::Refusal;

/// Said to those who brought what took too long.
const TOO_SLOW: &str = "the changes took too long to apply, and were not stored; send them in smaller messages";

impl DocumentTask {
    /// Applying took longer than its budget: nothing of it is stored. What the batch held is tried one by one, to find whose
    /// changes are slow; theirs are not taken for a while, and if that happens to several, nobody's.
    pub(super) async fn overrun(
        &mut self,
        document: &mut Document,
        applied: Applied,
        items: Vec<Item>,
        senders: Vec<Sender>,
        taken: Duration,
    ) {
        self.reload(document).await;
        if items.len() > 1 {
            tracing::warn!(document = %self.id, ?taken, "a batch took too long; what it held is tried one by one");
            return self.try_one_by_one(document, items, senders).await;
        }
        let sender = senders.first().and_then(|sender| match sender {
            Sender::Peer(key) => self.subscribers.peers.get(key),
            Sender::Caller { .. } => None,
        });
        let payer = sender.and_then(|member| member.peer.caller.payer());
        let is_known = payer.is_some();
        let now = Instant::now();
        self.hub.inner.metrics.refuse(Refusal::TooSlow);
        let cause = match self.hub.inner.quarantines.begin(&self.id, payer, now) {
            Blamed::Sender(lasts) => {
                tracing::error!(document = %self.id, ?taken, ?lasts, "changes took too long; their sender's are not taken for a while");
                if is_known { Cause::Quarantine } else { Cause::Passing { until: now + lasts } }
            }
            Blamed::Document(lasts) => {
                tracing::error!(document = %self.id, ?taken, ?lasts, "changes took too long; the document takes none for a while");
                Cause::Quarantine
            }
        };
        let unavailable = Unavailable::Quarantined(self.id.clone());
        self.undo(document, applied, senders, cause, || unavailable.clone().into(), TOO_SLOW);
    }

    /// Nothing of a batch was stored, and the document was read again: tells those who brought changes.
    fn undo(
        &mut self,
        document: &mut Document,
        mut applied: Applied,
        senders: Vec<Sender>,
        cause: Cause,
        failure: impl Fn() -> EditFailure,
        message: &str,
    ) {
        let outcomes = std::mem::take(&mut applied.outcomes);
        for ((sender, outcome), brought) in senders.into_iter().zip(outcomes).zip(&applied.contributed_changes) {
            match (sender, outcome) {
                (Sender::Caller { reply, .. }, Outcome::Edited(Ok(_))) => {
                    let _ = reply.send(Err(failure()));
                }
                (Sender::Peer(key), Outcome::Synced) if *brought => {
                    self.refuse_for_now(document, key, cause, message);
                }
                (sender, outcome) => self.answer(document, sender, outcome),
            }
        }
        if !self.pipeline.log.is_lost() {
            self.deliver(|ready| document.engine.receive_acknowledgements(applied, ready));
        }
    }

    /// Applying ruined the document in memory: it is dropped, and what the batch held is tried one by one, so that only
    /// the sender of the culprit is refused.
    pub(super) async fn recover(
        &mut self,
        document: &mut Document,
        error: &BadMessage,
        items: Vec<Item>,
        mut senders: Vec<Sender>,
    ) {
        let why = error.to_string();
        tracing::error!(document = %self.id, why, "a batch would have ruined the document; it is reloaded");
        self.reload_after_ruin(document).await;
        if items.len() > 1 {
            return self.try_one_by_one(document, items, senders).await;
        }
        match senders.pop() {
            Some(Sender::Peer(key)) => self.dismiss(document, key, error),
            Some(Sender::Caller { reply, .. }) => {
                let _ = reply.send(Err(EditFailure::Panicked));
            }
            None => {}
        }
    }

    async fn try_one_by_one(&mut self, document: &mut Document, items: Vec<Item>, senders: Vec<Sender>) {
        for (item, sender) in items.into_iter().zip(senders) {
            // Who was found out is not asked again.
            let brings = matches!(&item, Item::Sync { bytes, .. } if carries_chunks(bytes));
            let is_over = |key| self.is_leaving(key) || (brings && self.rescue.suspended.contains_key(&key));
            if matches!(&sender, Sender::Peer(key) if is_over(*key)) {
                continue;
            }
            let started = Instant::now();
            let prepared = vec![self.prepare_alone(document, &item)];
            Box::pin(self.commit(document, vec![item], prepared, vec![sender], started.elapsed())).await;
        }
    }

    /// Takes an item apart once more. It was taken with the limits of any message before, and not only of ordinary ones.
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

    /// Something panicked where nothing should. Callers who were waiting are told that nothing is known of their edits;
    /// what is durable is read again, and peers begin anew.
    pub(super) async fn recover_from_panic(&mut self, document: &mut Document) -> ControlFlow<()> {
        tracing::error!(document = %self.id, "something failed that should not; the document is reloaded");
        self.reload_after_ruin(document).await;
        self.pipeline.turn = None;
        self.part_all_gone(document);
        if self.usage.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The same after something has ruined what is in memory; not at once if that happens again and again, as to read a
    /// document is a lot of work. Readers go on meanwhile with what was published last.
    pub(super) async fn reload_after_ruin(&mut self, document: &mut Document) {
        let now = Instant::now();
        self.rescue.ruined.failed(now);
        let pause = self.rescue.ruined.pause(now);
        if !pause.is_zero() {
            self.hub.inner.metrics.reloads_put_off.increment(1);
            tracing::warn!(document = %self.id, ?pause, "the document has had to be read again often; waiting");
            // Others have their turn meanwhile.
            let had_turn = self.pipeline.turn.take().is_some();
            sleep(pause).await;
            if had_turn {
                self.pipeline.turn = self.hub.document_turn().await;
            }
        }
        self.reload(document).await;
        if !self.pipeline.log.is_lost() {
            self.begin_anew(document);
        }
    }

    /// After a reload peers have to be asked for what they have, and told what they may have missed.
    pub(super) fn begin_anew(&mut self, document: &mut Document) {
        let told = catch_unwind(AssertUnwindSafe(|| self.deliver(|ready| document.engine.generate_due(ready))));
        if told.is_err() {
            tracing::error!(document = %self.id, "the Automerge library failed while peers were asked for what they have");
        }
    }

    /// Drops what is in memory and reads what is durable.
    pub(super) async fn reload(&mut self, document: &mut Document) {
        self.hub.inner.metrics.reloads.increment(1);
        Box::pin(self.pipeline.log.reload(document)).await;
        self.tell_news(document);
    }

    /// Mends what an earlier failure broke, if anything. False: nothing may be added at the moment.
    pub(super) async fn mend(&mut self, document: &mut Document) -> bool {
        if self.pipeline.log.is_put_off() {
            self.hub.inner.metrics.reloads_put_off.increment(1);
        }
        let sound = self.pipeline.log.mend(document).await;
        self.tell_news(document);
        sound
    }

    /// Tells those who look at rows what reading the document again has brought to light.
    pub(super) fn tell_news(&mut self, document: &Document) {
        let news = self.pipeline.log.take_news();
        if document.shown().is_some() {
            self.subscribers.watchers.tell(&news);
        }
    }

    /// What is durable cannot be read at the moment, so nothing can be added to it.
    pub(super) fn refuse_batch(&mut self, document: &mut Document, senders: Vec<Sender>) {
        const MESSAGE: &str = "the server cannot read the document at the moment; nothing was stored, try again later";
        self.hub.inner.metrics.refuse(Refusal::Storage);
        for sender in senders {
            match sender {
                Sender::Caller { reply, .. } => {
                    let _ = reply.send(Err(EditFailure::Storage { full: false, message: MESSAGE }));
                }
                Sender::Peer(key) => self.refuse_for_now(document, key, Cause::Storage, MESSAGE),
            }
        }
    }

    /// The append failed: senders of changes are told that these were not stored, and the document is reloaded.
    pub(super) async fn append_failed(
        &mut self,
        document: &mut Document,
        applied: Applied,
        senders: Vec<Sender>,
        error: &StoreError,
    ) {
        tracing::error!(document = %self.id, %error, "changes could not be stored");
        self.hub.inner.metrics.refuse(Refusal::Storage);
        self.rescue.failing.failed(Instant::now());
        self.reload(document).await;
        self.undo(document, applied, senders, Cause::Storage, || EditFailure::from(error), error.public_message());
    }

    /// More documents come to be than may: this one does not.
    pub(super) async fn refuse_to_make(&mut self, document: &mut Document, applied: Applied, senders: Vec<Sender>) {
        let unavailable = if self.hub.inner.draining.is_cancelled() {
            Unavailable::Stopping
        } else {
            tracing::warn!(document = %self.id, "not created: more documents are created than may be in a minute");
            self.hub.inner.metrics.refuse(Refusal::TooManyNewDocuments);
            Unavailable::TooManyNew
        };
        self.reload(document).await;
        let cause = Cause::passing();
        self.undo(document, applied, senders, cause, || unavailable.clone().into(), &unavailable.to_string());
    }
}
