//! The commit of a batch: prepare, apply, append, publish, and an answer to each sender.
//!
//! No effect of a batch is visible before it is durable. Failures are handled in [`recovery`](super::recovery) and
//! [`quarantine`](super::quarantine).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use automerge::ChangeHash;
use limits::Payer;
use plan::Done;
use store::{Lengths, StoreError};
use sync_engine::{Incoming, carries_chunks};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Id, Instrument};

use super::catch_up::Retry;
use super::family::{NotCreated, merge_failure};
use super::pending_requests::OTHER_SERVERS_DELAY;
use super::{DocumentTask, PERMIT_THRESHOLD};
use crate::clock::now_ms;
use crate::document::{Applied, Document, EditRefused, Item, Outcome, Prepared};
use crate::document_log::Append;
use crate::hub::access::Right;
use crate::hub::command::{Command, EditFailure};
use crate::hub::mailbox_quota::MailboxPermit;
use crate::hub::outbox::ConnectionKey;
use crate::hub::requester::Requester;
use crate::metrics::RefusalReason;
use crate::traces;

/// Maximum number of commands in a batch.
const MAX_BATCH: usize = 1_024;
/// Maximum size of the sync messages in a batch, in bytes. The last message may exceed it.
const MAX_BATCH_BYTES: usize = 8 << 20;
/// Maximum estimated memory of a batch while it is applied, in bytes. The last message may exceed it.
const MAX_BATCH_MEMORY: u64 = 64 << 20;
/// Number of operations in a batch that have to be applied within the ordinary budget.
const ORDINARY_OPERATIONS: u64 = 1_000_000;
/// Additional time for each further operation: about five times its actual cost.
const TIME_PER_OPERATION: Duration = Duration::from_micros(20);
/// Size of the sync messages in a batch, in bytes, from which on applying them takes long: some hundred changes.
const LARGE_BATCH: usize = 32 << 10;

/// The source of an item, which gets the answer.
pub(super) enum ItemSource {
    Peer(ConnectionKey),
    Edit {
        requester: Requester,
        /// The precondition of a merge: the heads of the document.
        heads: Option<Vec<ChangeHash>>,
        /// The span of the request.
        request: Option<Id>,
        reply: oneshot::Sender<Result<Done, EditFailure>>,
    },
}

impl ItemSource {
    fn request(&self) -> Option<Id> {
        match self {
            Self::Edit { request, .. } => request.clone(),
            Self::Peer(_) => None,
        }
    }
}

/// A batch: its items, and the work after it was published.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    /// For each item, the message if it was decoded before.
    pub(super) incoming: Vec<Option<Box<Incoming>>>,
    pub(super) prepared: Vec<Prepared>,
    pub(super) senders: Vec<ItemSource>,
    pub(super) new_peers: Vec<ConnectionKey>,
    /// The user who creates the document with this batch.
    pub(super) creator: Option<Arc<str>>,
    pub(super) requesting_peers: Vec<ConnectionKey>,
    pub(super) drained: Vec<ConnectionKey>,
    pub(super) commands: usize,
    /// Size of the sync messages, in bytes.
    pub(super) bytes: usize,
    /// Time spent on decoding them.
    pub(super) elapsed: Duration,
    /// Estimated memory that they take while they are applied, in bytes.
    pub(super) memory_estimate: u64,
    /// The messages' shares of their connections' quotas, released at the end of the batch.
    pub(super) mailbox_permits: Vec<MailboxPermit>,
}

impl Batch {
    /// Takes the prepared items and their sources. The others stay in the batch.
    fn take_prepared(&mut self) -> (Vec<Item>, Vec<Prepared>, Vec<ItemSource>) {
        let prepared = std::mem::take(&mut self.prepared);
        let (items, senders) = (self.items.split_off(prepared.len()), self.senders.split_off(prepared.len()));
        self.incoming.drain(..prepared.len());
        self.memory_estimate = 0;
        (std::mem::replace(&mut self.items, items), prepared, std::mem::replace(&mut self.senders, senders))
    }

    fn is_full(&self) -> bool {
        self.commands >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES || self.memory_estimate >= MAX_BATCH_MEMORY
    }
}

/// The payer that is charged for a document that an edit creates.
fn payer_of(senders: &[ItemSource]) -> Option<Payer> {
    senders.iter().find_map(|sender| match sender {
        ItemSource::Edit { requester, .. } => requester.payer(),
        ItemSource::Peer(_) => None,
    })
}

/// Whether changes or invalid messages of peers were part of a batch.
fn includes_peer_changes(applied: &Applied, senders: &[ItemSource]) -> bool {
    let contributed = applied.contributed_changes.iter().zip(&applied.outcomes);
    senders.iter().zip(contributed).any(|(sender, (contributed, outcome))| {
        matches!(sender, ItemSource::Peer(_)) && (*contributed || matches!(outcome, Outcome::Refused(_)))
    })
}

impl DocumentTask {
    /// Runs one batch: the next portion of a large message, if it is due, `first`, and the queued commands.
    pub(super) async fn batch(&mut self, document: &mut Document, first: Option<Command>) -> ControlFlow<()> {
        let mut batch = Batch::default();
        self.admit_peerings(document, &mut batch);
        if self.pipeline.portions.is_due(first.is_some()) {
            self.add_portion(document, &mut batch);
        }
        while let Some(command) = self.pipeline.portions.pop_released() {
            batch.commands += 1;
            self.handle_command(document, command, &mut batch);
        }
        let mut next = first.or_else(|| self.next_waiting(&batch));
        if next.is_none() {
            self.prepare(document, &mut batch);
        }
        // Commands that arrive while messages are decoded still join the batch: storing and publishing them together
        // costs much less, and delays none of them.
        while next.is_some() {
            while let Some(command) = next {
                batch.commands += 1;
                self.handle_command(document, command, &mut batch);
                next = self.next_waiting(&batch);
            }
            self.prepare(document, &mut batch);
            if self.pipeline.permit.is_none() && batch.memory_estimate >= PERMIT_THRESHOLD {
                self.pipeline.permit = self.hub.acquire_document_permit().await;
            }
            next = self.next_waiting(&batch);
        }
        self.hub.inner.metrics.batch_size.record(f64::from(batch.commands.try_into().unwrap_or(u32::MAX)));

        while !batch.items.is_empty() {
            self.pipeline.large_batch = batch.bytes >= LARGE_BATCH || batch.items.iter().any(Item::is_large);
            let (items, prepared, senders) = batch.take_prepared();
            self.pipeline.rewinds = 0;
            let span = traces::commit(&self.id, senders.iter().filter_map(ItemSource::request));
            let elapsed = std::mem::take(&mut batch.elapsed);
            self.commit(document, items, prepared, senders, elapsed).instrument(span).await;
            // Items that exceeded the memory limit of one commit.
            self.prepare(document, &mut batch);
        }
        self.pipeline.permit = None;
        self.pipeline.portions.pause();
        let Batch { new_peers, requesting_peers, drained, mailbox_permits, .. } = batch;
        drop(mailbox_permits);
        // The document in memory may contain changes that were not stored. They must not be sent.
        let may_send = !self.pipeline.log.needs_reload();
        let role_changed = std::mem::take(&mut self.subscribers.role_changed);
        for key in new_peers.into_iter().chain(role_changed).filter(|_| may_send) {
            self.send_first_message(document, key);
        }
        if !document.engine.exists() {
            let now = Instant::now();
            let delay = if self.hub.inner.store.is_shared() { OTHER_SERVERS_DELAY } else { Duration::ZERO };
            for key in requesting_peers {
                let relays = self.subscribers.peers.get(&key).is_some_and(|subscription| subscription.peer.relays);
                self.creation.pending_requests.add_request(key, relays, delay, now);
            }
        }
        for key in drained.into_iter().filter(|_| may_send) {
            self.handle_drained(document, key);
        }
        self.remove_disconnected(document);
        self.answer_pending_requests(document);
        self.record_existence(document);
        if self.usage.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Returns the next queued command, unless the batch is full.
    pub(super) fn next_waiting(&mut self, batch: &Batch) -> Option<Command> {
        if batch.is_full() { None } else { self.mailbox.try_recv().ok() }
    }

    /// Prepares the items of the batch, up to the memory limit of one commit.
    pub(super) fn prepare(&mut self, document: &Document, batch: &mut Batch) {
        let Batch { items, incoming, prepared, bytes, elapsed, memory_estimate, .. } = batch;
        let started = Instant::now();
        self.pipeline.preparing.run(*bytes >= LARGE_BATCH, || {
            for (item, incoming) in items.iter().zip(incoming).skip(prepared.len()) {
                if *memory_estimate >= MAX_BATCH_MEMORY {
                    break;
                }
                let ready = match (item.clone(), incoming.take()) {
                    (Item::Sync { peer, bytes }, Some(incoming)) => {
                        document.engine.prepare_sync(peer, bytes, *incoming)
                    }
                    (item, _) => document.engine.prepare(item),
                };
                *memory_estimate += ready.memory_estimate();
                prepared.push(ready);
            }
        });
        *elapsed += started.elapsed();
    }

    /// Applies items, makes their changes durable, and publishes them.
    pub(super) async fn commit(
        &mut self,
        document: &mut Document,
        items: Vec<Item>,
        mut prepared: Vec<Prepared>,
        senders: Vec<ItemSource>,
        mut elapsed: Duration,
    ) {
        let mut work = (items, senders);
        // A loop and not a recursion, because other processes may append first many times.
        loop {
            let (items, senders) = work;
            match self.commit_once(document, items, prepared, senders, elapsed).await {
                None => return,
                Some(again) => work = again,
            }
            prepared = work.0.iter().map(|item| self.prepare_alone(document, item)).collect();
            elapsed = Duration::ZERO;
        }
    }

    /// Returns the items if they must be applied again, because the log had moved on.
    async fn commit_once(
        &mut self,
        document: &mut Document,
        mut items: Vec<Item>,
        mut prepared: Vec<Prepared>,
        mut senders: Vec<ItemSource>,
        elapsed: Duration,
    ) -> Option<(Vec<Item>, Vec<ItemSource>)> {
        // A new batch is a reason to check whether the disk works again.
        if !self.recover_log(document).await {
            self.refuse_batch(document, senders);
            return None;
        }
        let charged = match self.creator_of(document, &items) {
            Some(payer) if Box::pin(self.wait_for_creation_rate(payer.as_ref())).await => Some(payer),
            _ => None,
        };
        self.drop_forbidden_items(document, &mut items, &mut prepared, &mut senders);
        self.update_plan(document);
        let relatives = match Box::pin(self.relatives(document, &prepared, &senders)).await {
            Ok(relatives) => relatives,
            Err(error) => {
                tracing::error!(document = %self.id, %error, "cannot read the documents of the family");
                self.refuse_batch(document, senders);
                return None;
            }
        };
        let Lengths { snapshot, log } = self.pipeline.log.lengths();
        document.engine.set_stored(snapshot + log);
        let large = self.pipeline.large_batch;
        let existed = document.engine.exists();
        let operations: u64 = prepared.iter().map(Prepared::operations).sum();
        let extra = operations.saturating_sub(ORDINARY_OPERATIONS);
        let budget = self.hub.inner.settings.apply_budget
            + TIME_PER_OPERATION.saturating_mul(u32::try_from(extra).unwrap_or(u32::MAX));
        let started = Instant::now();
        let span = traces::apply(operations);
        let apply = || span.in_scope(|| document.engine.apply_in_family(prepared, &relatives));
        let mut applied = self.pipeline.applying.run(large, apply);
        let elapsed = elapsed + started.elapsed();
        if let Some(error) = applied.poisoned() {
            Box::pin(self.recover_from_corruption(document, error, items, senders)).await;
            return None;
        }
        if elapsed >= budget && includes_peer_changes(&applied, &senders) {
            Box::pin(self.refuse_slow_batch(document, applied, items, senders, elapsed)).await;
            return None;
        }
        if !applied.chunks.is_empty() {
            if !existed
                && charged.is_none()
                && !self.hub.inner.creation_rate_limit.try_acquire(payer_of(&senders).as_ref())
            {
                Box::pin(self.refuse_creation(document, applied, senders)).await;
                return None;
            }
            let creation_permit =
                if existed { None } else { Box::pin(self.acquire_creation_permit(senders.first())).await };
            if !existed && creation_permit.is_none() {
                Box::pin(self.refuse_creation(document, applied, senders)).await;
                return None;
            }
            if !existed {
                match Box::pin(self.record_owner(document, &mut applied, &senders)).await {
                    Ok(true) => {}
                    Ok(false) => {
                        drop(creation_permit);
                        return Box::pin(self.rewind_for_creation(document, applied, items, senders)).await;
                    }
                    Err(NotCreated::Refused(failure)) => {
                        Box::pin(self.refuse_scenario(document, applied, senders, failure)).await;
                        return None;
                    }
                    Err(NotCreated::Store(error)) => {
                        Box::pin(self.append_failed(document, applied, senders, &error)).await;
                        return None;
                    }
                }
            }
            match self.append(document, &mut applied).await {
                Ok(Append::Stored) => {}
                Ok(Append::Behind) => {
                    let has_edits = items.iter().any(|item| !matches!(item, Item::Sync { .. }));
                    match Box::pin(self.append_after_others(document, &mut applied, has_edits)).await {
                        Ok(Retry::Append) => {}
                        Ok(Retry::Items) => {
                            // The items need the permit again if they still create the document.
                            drop(creation_permit);
                            return Some((items, senders));
                        }
                        Err(error) => {
                            Box::pin(self.append_failed(document, applied, senders, &error)).await;
                            return None;
                        }
                    }
                }
                Err(error) => {
                    Box::pin(self.append_failed(document, applied, senders, &error)).await;
                    return None;
                }
            }
            drop(creation_permit);
            self.pipeline.retries = 0;
            self.recovery.append_gate.reset();
            let metrics = Arc::clone(&self.hub.inner.metrics);
            self.pipeline.log.compact_if_due(document, move || metrics.compactions.increment(1));
            self.record_fullness(document);
        } else if let Some(payer) = charged {
            self.hub.inner.creation_rate_limit.release(payer.as_ref());
        }
        let outcomes = std::mem::take(&mut applied.outcomes);
        self.publish(document, applied).instrument(traces::publish()).await;
        // Answers come last, so that a client that learns of its edit also finds it. (A socket still writes the
        // answer first: it waits for it before it reads its outbox.)
        for (sender, outcome) in senders.into_iter().zip(outcomes) {
            self.answer(document, sender, outcome);
        }
        None
    }

    /// Appends the changes of a batch to the log.
    pub(super) async fn append(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
    ) -> Result<Append, StoreError> {
        let bytes = applied.chunks.len() as u64;
        let (started, now) = (Instant::now(), now_ms());
        let span = traces::append(applied.change_count, bytes);
        let appending = self.hub.in_store(self.pipeline.log.append_batch(document, applied, now));
        let appended = appending.instrument(span).await?;
        if appended == Append::Behind {
            return Ok(appended);
        }
        // No client gets the changes before, so none can merge them before.
        Box::pin(self.note_in_family(applied, now)).await;
        let metrics = &self.hub.inner.metrics;
        metrics.append_seconds.record(started.elapsed());
        metrics.changes.increment(applied.change_count as u64);
        metrics.bytes_stored.increment(bytes);
        Ok(Append::Stored)
    }

    /// The payer that is charged for the document, if it does not exist and a peer sends changes that may create it.
    /// Changes of peers without the right to write are ignored and create nothing.
    pub(super) fn creator_of(&self, document: &Document, items: &[Item]) -> Option<Option<Payer>> {
        if document.engine.exists() {
            return None;
        }
        let mut creators = items.iter().filter_map(|item| match item {
            Item::Sync { peer, bytes } if carries_chunks(bytes) => self.subscribers.peers.get(peer),
            _ => None,
        });
        creators
            .find(|subscription| subscription.right >= Right::Write)
            .map(|subscription| subscription.peer.requester.payer())
    }

    /// Answers the source of an item with its outcome.
    pub(super) fn answer(&mut self, document: &mut Document, sender: ItemSource, outcome: Outcome) {
        match (sender, outcome) {
            (ItemSource::Edit { reply, .. }, Outcome::Edited(result)) => {
                match result {
                    Err(EditRefused::Full(_)) => self.hub.inner.metrics.record_refusal(RefusalReason::DocumentFull),
                    Err(_) => self.hub.inner.metrics.record_refusal(RefusalReason::InvalidEdit),
                    Ok(_) => {}
                }
                let _ = reply.send(result.map_err(EditFailure::from));
            }
            (ItemSource::Edit { reply, .. }, Outcome::Synced) => {
                let _ = reply.send(Ok(Done { changed: true }));
            }
            (ItemSource::Edit { reply, .. }, Outcome::Refused(error)) => {
                self.hub.inner.metrics.record_refusal(RefusalReason::InvalidEdit);
                let _ = reply.send(Err(merge_failure(error)));
            }
            (ItemSource::Peer(key), Outcome::Refused(error)) => {
                self.creation.pending_requests.withdraw_announcement(key);
                self.refuse_peer(document, key, &error);
            }
            _ => {}
        }
    }
}
