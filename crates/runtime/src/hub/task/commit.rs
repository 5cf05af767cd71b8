//! The commit of a batch: prepare, apply, append, publish, and a verdict for each sender.
//!
//! Nothing of a batch is visible to anyone before it is durable. What happens when a step fails is in [`rescue`](super::rescue) and
//! [`quarantine`](super::quarantine).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use limits::Payer;
use plan::Done;
use store::{Lengths, StoreError};
use sync_engine::{Incoming, carries_chunks};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::catch_up::Retry;
use super::{DocumentTask, HEAVY};
use crate::clock::now_ms;
use crate::document::{Applied, Document, EditRefused, Item, Outcome, Prepared};
use crate::document_log::Append;
use crate::hub::access::Right;
use crate::hub::allowance::Allowed;
use crate::hub::caller::Caller;
use crate::hub::command::{Command, EditFailure};
use crate::hub::outbox::ConnectionKey;
use crate::metrics::Refusal;

/// Commands taken as one batch.
const MAX_BATCH: usize = 1_024;
/// Bytes of sync messages taken as one batch (the last may go beyond).
const MAX_BATCH_BYTES: usize = 8 << 20;
/// About what a batch may take of the memory while it is applied (the last message may go beyond).
const MAX_BATCH_WEIGHT: u64 = 64 << 20;
/// Operations in one message that have to be applied within the budget of a batch.
const ORDINARY_OPERATIONS: u64 = 1_000_000;
/// How much longer a batch may take for each operation beyond that: some five times what it takes.
const TIME_PER_OPERATION: Duration = Duration::from_micros(20);
/// Bytes of sync messages from which on applying them takes long: some hundred changes.
const LARGE_BATCH: usize = 32 << 10;

/// Who waits for an item of a batch.
pub(super) enum Sender {
    Peer(ConnectionKey),
    Caller { caller: Caller, reply: oneshot::Sender<Result<Done, EditFailure>> },
}

/// A batch, sorted: what goes through the document, and what happens after it was published.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    /// Of each item: the message, if it was taken apart before it came.
    pub(super) incoming: Vec<Option<Box<Incoming>>>,
    pub(super) prepared: Vec<Prepared>,
    pub(super) senders: Vec<Sender>,
    pub(super) greeted: Vec<ConnectionKey>,
    /// Who makes the document, if it comes to be by this.
    pub(super) maker: Option<Arc<str>>,
    pub(super) requesters: Vec<ConnectionKey>,
    pub(super) drained: Vec<ConnectionKey>,
    pub(super) commands: usize,
    /// Bytes of sync messages.
    pub(super) bytes: usize,
    /// How long it took to take them apart.
    pub(super) taken: Duration,
    /// About what they take while they are applied.
    pub(super) weight: u64,
    /// What the messages' connections get back when the batch is done.
    pub(super) allowed: Vec<Allowed>,
}

impl Batch {
    /// What was taken apart, and who waits for it; the rest stays.
    fn take_prepared(&mut self) -> (Vec<Item>, Vec<Prepared>, Vec<Sender>) {
        let prepared = std::mem::take(&mut self.prepared);
        let (items, senders) = (self.items.split_off(prepared.len()), self.senders.split_off(prepared.len()));
        self.incoming.drain(..prepared.len());
        self.weight = 0;
        (std::mem::replace(&mut self.items, items), prepared, std::mem::replace(&mut self.senders, senders))
    }

    fn is_full(&self) -> bool {
        self.commands >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES || self.weight >= MAX_BATCH_WEIGHT
    }
}

/// Who is charged for a document that a caller makes.
fn payer_of(senders: &[Sender]) -> Option<Payer> {
    senders.iter().find_map(|sender| match sender {
        Sender::Caller { caller, .. } => caller.payer(),
        Sender::Peer(_) => None,
    })
}

/// Whether peers had a part in how long a batch took.
fn blames_peers(applied: &Applied, senders: &[Sender]) -> bool {
    let brought = applied.contributed_changes.iter().zip(&applied.outcomes);
    senders.iter().zip(brought).any(|(sender, (brought, outcome))| {
        matches!(sender, Sender::Peer(_)) && (*brought || matches!(outcome, Outcome::Refused(_)))
    })
}

impl DocumentTask {
    /// Takes what waits as one batch: the next portion of a large message, if it is due, and commands, `first` before others that
    /// have just come.
    pub(super) async fn batch(&mut self, document: &mut Document, first: Option<Command>) -> ControlFlow<()> {
        let mut batch = Batch::default();
        if self.pipeline.portions.are_due(first.is_some()) {
            self.add_portion(document, &mut batch);
        }
        while let Some(command) = self.pipeline.portions.release() {
            batch.commands += 1;
            self.sort(document, command, &mut batch);
        }
        let mut next = first.or_else(|| self.waiting(&batch));
        if next.is_none() {
            self.prepare(document, &mut batch);
        }
        // What comes while messages are taken apart still belongs to the batch: applying, storing and telling it
        // together costs much less, and nothing of it would be done earlier on its own.
        while next.is_some() {
            while let Some(command) = next {
                batch.commands += 1;
                self.sort(document, command, &mut batch);
                next = self.waiting(&batch);
            }
            self.prepare(document, &mut batch);
            if self.pipeline.turn.is_none() && batch.weight >= HEAVY {
                self.pipeline.turn = self.hub.document_turn().await;
            }
            next = self.waiting(&batch);
        }
        self.hub.inner.metrics.batch_size.record(f64::from(batch.commands.try_into().unwrap_or(u32::MAX)));

        while !batch.items.is_empty() {
            self.pipeline.large_batch = batch.bytes >= LARGE_BATCH || batch.items.iter().any(Item::is_large);
            let (items, prepared, senders) = batch.take_prepared();
            self.commit(document, items, prepared, senders, std::mem::take(&mut batch.taken)).await;
            // What was too heavy to be taken apart together with it.
            self.prepare(document, &mut batch);
        }
        self.pipeline.turn = None;
        self.pipeline.portions.pause();
        let Batch { greeted, requesters, drained, allowed, .. } = batch;
        drop(allowed);
        // What is in memory may hold what could not be stored: nothing of it is shown.
        let may_show = !self.pipeline.log.is_lost();
        let moved = std::mem::take(&mut self.subscribers.moved);
        for key in greeted.into_iter().chain(moved).filter(|_| may_show) {
            self.greet(document, key);
        }
        if !document.engine.exists() {
            let now = Instant::now();
            requesters.into_iter().for_each(|key| self.creation.arrivals.owe(key, now));
        }
        for key in drained.into_iter().filter(|_| may_show) {
            self.drained(document, key);
        }
        self.part_all_gone(document);
        self.settle_arrivals(document);
        self.note_existence(document);
        if self.usage.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub(super) fn waiting(&mut self, batch: &Batch) -> Option<Command> {
        if batch.is_full() { None } else { self.mailbox.try_recv().ok() }
    }

    pub(super) fn prepare(&mut self, document: &Document, batch: &mut Batch) {
        let Batch { items, incoming, prepared, bytes, taken, weight, .. } = batch;
        let started = Instant::now();
        self.pipeline.preparing.run(*bytes >= LARGE_BATCH, || {
            for (item, incoming) in items.iter().zip(incoming).skip(prepared.len()) {
                if *weight >= MAX_BATCH_WEIGHT {
                    break;
                }
                let ready = match (item.clone(), incoming.take()) {
                    (Item::Sync { peer, bytes }, Some(incoming)) => {
                        document.engine.prepare_sync(peer, bytes, *incoming)
                    }
                    (item, _) => document.engine.prepare(item),
                };
                *weight += ready.memory_estimate();
                prepared.push(ready);
            }
        });
        *taken += started.elapsed();
    }

    /// Applies, makes durable, publishes. Nothing is told to anybody in between.
    pub(super) async fn commit(
        &mut self,
        document: &mut Document,
        mut items: Vec<Item>,
        mut prepared: Vec<Prepared>,
        mut senders: Vec<Sender>,
        taken: Duration,
    ) {
        // New changes are a reason to check whether the disk works again.
        if !self.mend(document).await {
            return self.refuse_batch(document, senders);
        }
        let counted = match self.maker(document, &items) {
            Some(payer) if Box::pin(self.wait_to_create(payer.as_ref())).await => Some(payer),
            _ => None,
        };
        self.leave_out_forbidden(document, &mut items, &mut prepared, &mut senders);
        let Lengths { snapshot, log } = self.pipeline.log.lengths();
        document.engine.set_stored(snapshot + log);
        let large = self.pipeline.large_batch;
        let existed = document.engine.exists();
        let operations: u64 = prepared.iter().map(Prepared::operations).sum();
        let extra = operations.saturating_sub(ORDINARY_OPERATIONS);
        let budget = self.hub.inner.settings.apply_budget
            + TIME_PER_OPERATION.saturating_mul(u32::try_from(extra).unwrap_or(u32::MAX));
        let started = Instant::now();
        let mut applied = self.pipeline.applying.run(large, || document.engine.apply_prepared(prepared));
        let taken = taken + started.elapsed();
        if let Some(error) = applied.poisoned() {
            return Box::pin(self.recover(document, error, items, senders)).await;
        }
        if taken >= budget && blames_peers(&applied, &senders) {
            return Box::pin(self.overrun(document, applied, items, senders, taken)).await;
        }
        if !applied.chunks.is_empty() {
            if !existed && counted.is_none() && !self.hub.inner.new_documents.take(payer_of(&senders).as_ref()) {
                return Box::pin(self.refuse_to_make(document, applied, senders)).await;
            }
            let creating = if existed { None } else { Box::pin(self.turn_to_create(senders.first())).await };
            if !existed && creating.is_none() {
                return Box::pin(self.refuse_to_make(document, applied, senders)).await;
            }
            if !existed {
                match Box::pin(self.give_to_maker(document, &applied, &senders)).await {
                    Ok(true) => {}
                    Ok(false) => return Box::pin(self.read_log_and_commit_again(document, applied, items, senders)).await,
                    Err(error) => return Box::pin(self.append_failed(document, applied, senders, &error)).await,
                }
            }
            match self.append(document, &mut applied).await {
                Ok(Append::Stored) => {}
                Ok(Append::Behind) => {
                    let has_edits = items.iter().any(|item| matches!(item, Item::Edit { .. }));
                    match Box::pin(self.append_after_others(document, &mut applied, has_edits)).await {
                        Ok(Retry::Append) => {}
                        Ok(Retry::Items) => return Box::pin(self.commit_again(document, items, senders)).await,
                        Err(error) => return Box::pin(self.append_failed(document, applied, senders, &error)).await,
                    }
                }
                Err(error) => return Box::pin(self.append_failed(document, applied, senders, &error)).await,
            }
            drop(creating);
            self.rescue.failing.works();
            let metrics = Arc::clone(&self.hub.inner.metrics);
            self.pipeline.log.compact_if_due(document, move || metrics.compactions.increment(1));
            self.note_fullness(document);
        } else if let Some(payer) = counted {
            self.hub.inner.new_documents.give_back(payer.as_ref());
        }
        let outcomes = std::mem::take(&mut applied.outcomes);
        self.publish(document, applied).await;
        // Last, so that a caller who is told that its edit was made finds it made. (On a socket its answer comes first all
        // the same: the connection waits for it before it looks into its outbox.)
        for (sender, outcome) in senders.into_iter().zip(outcomes) {
            self.answer(document, sender, outcome);
        }
    }

    /// Makes the chunks of a batch durable.
    pub(super) async fn append(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
    ) -> Result<Append, StoreError> {
        let bytes = applied.chunks.len() as u64;
        let started = Instant::now();
        let appended = self.hub.in_store(self.pipeline.log.append_batch(document, applied, now_ms())).await?;
        if appended == Append::Behind {
            return Ok(appended);
        }
        let metrics = &self.hub.inner.metrics;
        metrics.append_seconds.record(started.elapsed());
        metrics.changes.increment(applied.change_count as u64);
        metrics.bytes_stored.increment(bytes);
        Ok(Append::Stored)
    }

    /// Who is charged for the document that is about to be made, if it does not exist and a peer brings changes that may make
    /// it. What a peer brings that may not write is left out, and makes nothing.
    pub(super) fn maker(&self, document: &Document, items: &[Item]) -> Option<Option<Payer>> {
        if document.engine.exists() {
            return None;
        }
        let mut makers = items.iter().filter_map(|item| match item {
            Item::Sync { peer, bytes } if carries_chunks(bytes) => self.subscribers.peers.get(peer),
            _ => None,
        });
        makers.find(|member| member.right >= Right::Write).map(|member| member.peer.caller.payer())
    }

    pub(super) fn answer(&mut self, document: &mut Document, sender: Sender, outcome: Outcome) {
        match (sender, outcome) {
            (Sender::Caller { reply, .. }, Outcome::Edited(result)) => {
                match result {
                    Err(EditRefused::Full(_)) => self.hub.inner.metrics.refuse(Refusal::DocumentFull),
                    Err(_) => self.hub.inner.metrics.refuse(Refusal::InvalidEdit),
                    Ok(_) => {}
                }
                let _ = reply.send(result.map_err(EditFailure::from));
            }
            (Sender::Peer(key), Outcome::Refused(error)) => {
                self.creation.arrivals.settle(key);
                self.dismiss(document, key, &error);
            }
            _ => {}
        }
    }
}
