//! The task that owns one document: takes batches, makes them durable, publishes them.

mod arrivals;
mod durability;
mod ephemerals;
mod history;
mod lifecycle;
mod members;
mod people;
mod portions;
mod publish;
mod suspended;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arrivals::Arrivals;
use ephemerals::Sources;
use futures_util::FutureExt;
use lifecycle::UPKEEP;
use limits::Payer;
use offload::Habit;
use plan::Done;
use portions::Portions;
use primitives::DocumentId;
use store::Lengths;
use suspended::{Cause, Suspended};
use sync_engine::{Incoming, carries_chunks, names_heads};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Hub;
use super::access::{Denied, Right};
use super::allowance::Allowed;
use super::caller::Caller;
use super::command::{Command, EditFailure, SyncPeer, Unavailable};
use super::outbox::{ConnectionKey, RemoteHeads, Waiter};
use super::remembered::Remembered;
use super::shown::Shown;
use super::waits::{AwaitedDocument, Wait};
use super::watchers::Watchers;
use crate::back_off::Damper;
use crate::document::{Applied, AuthoredEdit, Document, EditRefused, Item, Outcome, Prepared};
use crate::document_log::DocumentLog;
use crate::memory_budget::{OutOfMemory, Share};
use crate::metrics::Refusal;

/// Commands taken as one batch.
const MAX_BATCH: usize = 1_024;
/// Bytes of sync messages taken as one batch (the last may go beyond).
const MAX_BATCH_BYTES: usize = 8 << 20;
/// About what a batch may take of the memory while it is applied (the last message may go beyond).
const MAX_BATCH_WEIGHT: u64 = 64 << 20;
/// What takes so much waits for its turn.
pub(super) const HEAVY: u64 = 8 << 20;
/// Bytes of sync messages from which on applying them takes long: some hundred changes.
const LARGE_BATCH: usize = 32 << 10;
/// Bytes of a stored document from which on it takes long to make somebody's first message: all of it.
const LARGE_DOCUMENT: u64 = 64 << 10;
/// Operations in one message that have to be applied within the budget of a batch.
const ORDINARY_OPERATIONS: u64 = 1_000_000;
/// How much longer a batch may take for each operation beyond that: some five times what it takes.
const TIME_PER_OPERATION: Duration = Duration::from_micros(20);

/// The task of one document.
pub(super) struct DocumentTask {
    hub: Hub,
    id: DocumentId,
    waiter: Waiter,
    mailbox: mpsc::Receiver<Command>,
    shown: Arc<Shown>,
    peers: HashMap<ConnectionKey, Member>,
    /// Peers whose changes are not accepted for now.
    suspended: Suspended,
    /// Peers who came while the document could not be opened; and whether they only ask for it.
    turned_away: BTreeMap<ConnectionKey, (SyncPeer, bool)>,
    watchers: Watchers,
    remembered: Remembered,
    /// Who has sent ephemeral messages under which name.
    sources: Sources,
    /// What was last heard of storages that somebody watches.
    storages: HashMap<Arc<str>, Arc<RemoteHeads>>,
    last_use: Instant,
    last_look: Instant,
    exists: bool,
    /// It has used most of a limit, and that has been said.
    nearly_full: bool,
    /// Its place among the documents that do not exist and are waited for.
    awaited: Option<AwaitedDocument>,
    /// Peers that are not told yet that they do not wait for this document, and why.
    refused: HashMap<ConnectionKey, (SyncPeer, Arc<str>)>,
    /// Announced changes and unanswered requests, while the document does not exist.
    arrivals: Arrivals,
    /// The store has been told that it is not needed any more.
    unloaded: bool,
    log: DocumentLog,
    /// How often changes could not be stored.
    failing: Damper,
    /// How often the document in memory was ruined.
    ruined: Damper,
    /// The batch under way holds much.
    large_batch: bool,
    /// Somebody new has come since the last publishing.
    newcomers: bool,
    /// Peers who may do something else now, and are to be told so.
    moved: Vec<ConnectionKey>,
    /// Connections that are gone, and not dealt with yet.
    gone: Vec<ConnectionKey>,
    /// The task is to end.
    stop: bool,
    /// The turn to do what takes much memory, while a batch has it.
    turn: Option<OwnedSemaphorePermit>,
    preparing: Habit,
    applying: Habit,
    publishing: Habit,
    /// Large messages that are being applied.
    portions: Portions,
    history: history::Keeper,
    /// Who is logged in on legacy sockets, in the document that they show.
    people: Option<Box<people::People>>,
}

/// A connection that syncs this document.
struct Member {
    peer: SyncPeer,
    right: Right,
    /// Its outbox was full when it had to be told that the document does not exist.
    owes_unavailable: bool,
    /// It has sent an ephemeral message, and so there is somebody who reads them.
    listens: bool,
    /// What the lists of its last message take, which stay until the next.
    lists: Share,
    /// Held while the document does not exist and this peer does not bring it.
    wait: Option<Wait>,
}

/// Who waits for an item of a batch.
enum Sender {
    Peer(ConnectionKey),
    Caller { caller: Caller, reply: oneshot::Sender<Result<Done, EditFailure>> },
}

/// A batch, sorted: what goes through the document, and what happens after it was published.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    /// Of each item: the message, if it was taken apart before it came.
    incoming: Vec<Option<Box<Incoming>>>,
    prepared: Vec<Prepared>,
    senders: Vec<Sender>,
    greeted: Vec<ConnectionKey>,
    /// Who makes the document, if it comes to be by this.
    maker: Option<Arc<str>>,
    requesters: Vec<ConnectionKey>,
    drained: Vec<ConnectionKey>,
    commands: usize,
    /// Bytes of sync messages.
    bytes: usize,
    /// How long it took to take them apart.
    taken: Duration,
    /// About what they take while they are applied.
    weight: u64,
    /// What the messages' connections get back when the batch is done.
    allowed: Vec<Allowed>,
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
    let brought = applied.brought_changes.iter().zip(&applied.outcomes);
    senders.iter().zip(brought).any(|(sender, (brought, outcome))| {
        matches!(sender, Sender::Peer(_)) && (*brought || matches!(outcome, Outcome::Refused(_)))
    })
}

impl DocumentTask {
    pub(super) fn new(hub: Hub, id: DocumentId, mailbox: mpsc::Receiver<Command>, shown: Arc<Shown>) -> Self {
        let waiter = Waiter::Document(id.clone());
        let watchers = Watchers::new(hub.inner.settings.rows, waiter.clone());
        let log = DocumentLog::new(
            Arc::clone(&hub.inner.store),
            id.clone(),
            hub.inner.settings.actors.clone(),
            Lengths { snapshot: 0, log: 0 },
        );
        let settings = &hub.inner.settings;
        let shows_legacy = settings.announcer.is_some() && settings.default_document.as_ref() == Some(&id);
        let people = shows_legacy.then(Box::default);
        Self {
            hub,
            id,
            waiter,
            mailbox,
            shown,
            peers: HashMap::new(),
            suspended: Suspended::new(),
            turned_away: BTreeMap::new(),
            watchers,
            remembered: Remembered::default(),
            sources: Sources::default(),
            storages: HashMap::new(),
            last_use: Instant::now(),
            last_look: Instant::now(),
            exists: false,
            nearly_full: false,
            awaited: None,
            refused: HashMap::new(),
            arrivals: Arrivals::default(),
            unloaded: false,
            log,
            failing: Damper::default(),
            ruined: Damper::default(),
            large_batch: false,
            newcomers: false,
            moved: Vec::new(),
            gone: Vec::new(),
            stop: false,
            turn: None,
            preparing: Habit::default(),
            applying: Habit::default(),
            publishing: Habit::default(),
            portions: Portions::default(),
            history: history::Keeper::default(),
            people,
        }
    }

    /// Opens the document and runs it until it is idle or the server stops.
    pub(super) async fn run(mut self) {
        // What is rare is boxed: a task keeps room for all that it may have to wait for, in every document that is open.
        let mut document = loop {
            match Box::pin(self.open()).await {
                Ok(document) => break document,
                Err(unavailable) => {
                    if Box::pin(self.refuse_all(unavailable)).await.is_break() {
                        return;
                    }
                }
            }
        };
        self.make_up(&mut document);
        self.note_existence(&document);
        self.note_fullness(&mut document);
        self.people_changed();
        self.hub.inner.metrics.documents_open.increment(1.0);
        let mut upkeep = Instant::now() + self.upkeep_interval(&document);
        loop {
            let wake = [self.people_due(), self.arrivals.next()].into_iter().flatten().fold(upkeep, Instant::min);
            let flow = tokio::select! {
                biased;
                command = self.mailbox.recv() => match command {
                    Some(command) => self.batch_caught(&mut document, Some(command)).await,
                    None => ControlFlow::Break(()),
                },
                () = self.portions.ready(), if self.portions.are_waiting() => self.batch_caught(&mut document, None).await,
                () = sleep_until(wake) => ControlFlow::Continue(()),
            };
            if flow.is_break() {
                break;
            }
            let now = Instant::now();
            self.tell_people_if_due(now);
            if self.arrivals.next().is_some_and(|next| next <= now) {
                self.settle_arrivals(&document);
            }
            if now >= upkeep {
                let kept = AssertUnwindSafe(Box::pin(self.upkeep(&mut document))).catch_unwind().await;
                let flow = match kept {
                    Ok(flow) => flow,
                    Err(_) => Box::pin(self.recover_from_panic(&mut document)).await,
                };
                if flow.is_break() {
                    break;
                }
                upkeep = now + UPKEEP;
            }
            upkeep = upkeep.min(now + self.upkeep_interval(&document));
        }
        self.hub.inner.metrics.documents_open.decrement(1.0);
        if self.nearly_full {
            self.hub.inner.metrics.documents_nearly_full.decrement(1.0);
        }
        Box::pin(self.close()).await;
    }

    async fn batch_caught(&mut self, document: &mut Document, first: Option<Command>) -> ControlFlow<()> {
        match AssertUnwindSafe(self.batch(document, first)).catch_unwind().await {
            Ok(flow) => flow,
            Err(_) => Box::pin(self.recover_from_panic(document)).await,
        }
    }

    /// Takes what waits as one batch: the next portion of a large message, if it is due, and commands, `first` before others that
    /// have just come.
    async fn batch(&mut self, document: &mut Document, first: Option<Command>) -> ControlFlow<()> {
        let mut batch = Batch::default();
        if self.portions.are_due(first.is_some()) {
            self.add_portion(document, &mut batch);
        }
        while let Some(command) = self.portions.release() {
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
            if self.turn.is_none() && batch.weight >= HEAVY {
                self.turn = self.hub.document_turn().await;
            }
            next = self.waiting(&batch);
        }
        self.hub.inner.metrics.batch_size.record(f64::from(batch.commands.try_into().unwrap_or(u32::MAX)));

        while !batch.items.is_empty() {
            self.large_batch = batch.bytes >= LARGE_BATCH || batch.items.iter().any(Item::is_large);
            let (items, prepared, senders) = batch.take_prepared();
            self.commit(document, items, prepared, senders, std::mem::take(&mut batch.taken)).await;
            // What was too heavy to be taken apart together with it.
            self.prepare(document, &mut batch);
        }
        self.turn = None;
        self.portions.pause();
        let Batch { greeted, requesters, drained, allowed, .. } = batch;
        drop(allowed);
        // What is in memory may hold what could not be stored: nothing of it is shown.
        let may_show = !self.log.is_lost();
        let moved = std::mem::take(&mut self.moved);
        for key in greeted.into_iter().chain(moved).filter(|_| may_show) {
            self.greet(document, key);
        }
        if !document.engine.exists() {
            let now = Instant::now();
            requesters.into_iter().for_each(|key| self.arrivals.owe(key, now));
        }
        for key in drained.into_iter().filter(|_| may_show) {
            self.drained(document, key);
        }
        self.part_all_gone(document);
        self.settle_arrivals(document);
        self.note_existence(document);
        if self.stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn waiting(&mut self, batch: &Batch) -> Option<Command> {
        if batch.is_full() { None } else { self.mailbox.try_recv().ok() }
    }

    fn prepare(&mut self, document: &Document, batch: &mut Batch) {
        let Batch { items, incoming, prepared, bytes, taken, weight, .. } = batch;
        let started = Instant::now();
        self.preparing.run(*bytes >= LARGE_BATCH, || {
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
                *weight += ready.weight();
                prepared.push(ready);
            }
        });
        *taken += started.elapsed();
    }

    fn sort(&mut self, document: &mut Document, command: Command, batch: &mut Batch) {
        if !matches!(command, Command::Leave(_)) {
            self.last_use = Instant::now();
        }
        let Some(command) = self.portions.hold(command) else { return };
        match command {
            Command::Greet(peer) if self.denies(document, &peer) => self.hub.turn_down(&self.id, &peer, false, None),
            Command::Greet(peer) => {
                let key = peer.key;
                // It has not said yet whether it has the document: its first message tells.
                if self.admit(document, peer) && self.note_arrival(document, key, true) {
                    batch.greeted.push(key);
                }
            }
            Command::Sync { peer, bytes, incoming, request, allowed } => {
                let key = peer.key;
                // There may be more of what was refused.
                if peer.outbox.is_closed() || peer.refusals.drops(&self.id, carries_chunks(&bytes)) {
                    return;
                }
                if self.denies(document, &peer) {
                    return self.hub.turn_down(&self.id, &peer, request, Some(&bytes));
                }
                if !self.admit(document, peer) || !self.note_arrival(document, key, names_heads(&bytes)) {
                    return;
                }
                if request && !document.engine.exists() {
                    document.engine.wait_for_document(key);
                    batch.requesters.push(key);
                } else if !request {
                    // Who sends `sync` has the document: one that was asked for before has been made there since.
                    document.engine.stop_waiting(key);
                }
                if carries_chunks(&bytes) && !self.takes_changes(document, key, &mut batch.maker) {
                    return;
                }
                if !self.makes_room(document, key, &bytes) {
                    return;
                }
                let incoming = match incoming {
                    Some(incoming) if document.engine.exists() && Portions::are_for(&incoming) => {
                        return self.portions.begin(key, bytes, *incoming, allowed);
                    }
                    incoming => incoming,
                };
                batch.bytes += bytes.len();
                batch.allowed.extend(allowed);
                batch.items.push(Item::Sync { peer: key, bytes });
                batch.incoming.push(incoming);
                batch.senders.push(Sender::Peer(key));
            }
            Command::Edit { caller, reply, .. } if self.is_caller_quarantined(&caller) => {
                self.hub.inner.metrics.refuse(Refusal::TooSlow);
                let _ = reply.send(Err(Unavailable::Quarantined(self.id.clone()).into()));
            }
            Command::Edit { edit, author, caller, reply } => {
                batch.items.push(Item::Edit { edit: AuthoredEdit { edit: *edit, author }, by: caller.bringer() });
                batch.incoming.push(None);
                batch.senders.push(Sender::Caller { caller, reply });
            }
            Command::Ephemeral { from, message } => {
                self.hears(from);
                self.relay(from, &message);
            }
            Command::People => self.people_changed(),
            Command::RemoteHeads { from, heads } => self.hear_of_storage(from, heads),
            Command::WatchStorages { peer, storages } => self.tell_of_storages(document, peer, &storages),
            // What they may do may have changed while this waited, and who has lost it been told before they came.
            Command::Watch { caller, reply, .. } if self.hub.right(&caller, &self.id) < Right::Read => {
                let _ = reply.send(Err(Denied::Missing(self.id.clone()).into()));
            }
            Command::Watch { caller, key, outbox, reply } => {
                let view = self.show(document);
                if view.is_ok() {
                    self.watchers.insert(key, caller, outbox);
                }
                let _ = reply.send(view);
            }
            Command::Open { reply } => {
                let _ = reply.send(self.show(document));
            }
            Command::Recheck => self.recheck(document),
            Command::OpenHistory { reply } => self.open_history(document, reply),
            Command::HistoryMade(history) => self.history_made(document, history),
            Command::HistoryPage { query, reply } => self.history_page(document, &query, reply),
            Command::Attribution { changes, reply } => self.attribution(document, &changes, reply),
            Command::Past { heads, reply } => self.past(document, heads, reply),
            Command::Postpone(peer) => {
                let key = peer.key;
                if !self.denies(document, &peer) && self.admit(document, peer) {
                    self.refuse_for_now(document, key, Cause::passing(), &OutOfMemory.to_string());
                }
            }
            Command::Leave(key) => {
                self.portions.forget(key);
                self.gone.push(key);
            }
            Command::Drained(key) => batch.drained.push(key),
            Command::Stop => self.stop = true,
        }
    }

    /// Applies, makes durable, publishes. Nothing is told to anybody in between.
    async fn commit(
        &mut self,
        document: &mut Document,
        mut items: Vec<Item>,
        mut prepared: Vec<Prepared>,
        mut senders: Vec<Sender>,
        taken: Duration,
    ) {
        // Whoever brings something is a reason to look whether the disk is well again.
        if !self.mend(document).await {
            return self.refuse_batch(document, senders);
        }
        let counted = match self.maker(document, &items) {
            Some(payer) if Box::pin(self.wait_to_create(payer.as_ref())).await => Some(payer),
            _ => None,
        };
        self.leave_out_forbidden(document, &mut items, &mut prepared, &mut senders);
        let Lengths { snapshot, log } = self.log.lengths();
        document.engine.set_stored(snapshot + log);
        let large = self.large_batch;
        let existed = document.engine.exists();
        let operations: u64 = prepared.iter().map(Prepared::operations).sum();
        let extra = operations.saturating_sub(ORDINARY_OPERATIONS);
        let budget = self.hub.inner.settings.apply_budget
            + TIME_PER_OPERATION.saturating_mul(u32::try_from(extra).unwrap_or(u32::MAX));
        let started = Instant::now();
        let mut applied = self.applying.run(large, || document.engine.apply_prepared(prepared));
        let taken = taken + started.elapsed();
        if let Some(error) = applied.spoiled() {
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
            if !existed && let Err(error) = Box::pin(self.give_to_maker(document, &applied, &senders)).await {
                return Box::pin(self.append_failed(document, applied, senders, &error)).await;
            }
            if let Err(error) = self.append(document, &mut applied).await {
                return Box::pin(self.append_failed(document, applied, senders, &error)).await;
            }
            drop(creating);
            self.failing.works();
            let metrics = Arc::clone(&self.hub.inner.metrics);
            self.log.compact_if_due(document, move || metrics.compactions.increment(1));
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

    /// Who is charged for the document that is about to be made, if it does not exist and a peer brings changes that may make
    /// it. What a peer brings that may not write is left out, and makes nothing.
    fn maker(&self, document: &Document, items: &[Item]) -> Option<Option<Payer>> {
        if document.engine.exists() {
            return None;
        }
        let mut makers = items.iter().filter_map(|item| match item {
            Item::Sync { peer, bytes } if carries_chunks(bytes) => self.peers.get(peer),
            _ => None,
        });
        makers.find(|member| member.right >= Right::Write).map(|member| member.peer.caller.payer())
    }

    fn answer(&mut self, document: &mut Document, sender: Sender, outcome: Outcome) {
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
                self.arrivals.settle(key);
                self.dismiss(document, key, &error);
            }
            _ => {}
        }
    }
}
