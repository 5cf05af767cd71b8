//! The task that owns one document: takes batches, makes them durable, publishes them.

mod arrivals;
mod catch_up;
mod commands;
mod commit;
mod ephemerals;
mod history;
mod lifecycle;
mod members;
mod people;
mod portions;
mod publish;
mod quarantine;
mod rescue;
mod suspended;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrivals::Arrivals;
use ephemerals::Sources;
use futures_util::FutureExt;
use lifecycle::UPKEEP;
use offload::AdaptiveOffload;
use portions::Portions;
use primitives::DocumentId;
use store::{Lengths, Position};
use suspended::Suspended;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

use super::Hub;
use super::access::Right;
use super::command::{Command, SyncPeer};
use super::outbox::{ConnectionKey, RemoteHeads, Waiter};
use super::remembered::Remembered;
use super::hints::Hints;
use super::shown::Shown;
use super::slots::Slot;
use super::waits::{AwaitedDocument, Wait};
use super::watchers::Watchers;
use crate::back_off::Damper;
use crate::document::Document;
use crate::document_log::DocumentLog;
use crate::memory_budget::Share;

/// What takes so much waits for its turn.
pub(super) const HEAVY: u64 = 8 << 20;
/// Bytes of a stored document from which on it takes long to make somebody's first message: all of it.
const LARGE_DOCUMENT: u64 = 64 << 10;

/// The task of one document.
pub(super) struct DocumentTask {
    hub: Hub,
    id: DocumentId,
    /// This task, as the one to be told when an outbox has drained.
    waiter: Waiter,
    mailbox: mpsc::Receiver<Command>,
    shown: Arc<Shown>,
    hints: Arc<Hints>,
    /// Sync states of returning peers.
    remembered: Remembered,
    subscribers: Subscribers,
    pipeline: Pipeline,
    rescue: Rescue,
    presence: Presence,
    creation: Creation,
    usage: Usage,
    history: history::Keeper,
}

/// The connections that follow this document.
struct Subscribers {
    /// Sync peers.
    peers: HashMap<ConnectionKey, Member>,
    /// Connections that are told about rows.
    watchers: Watchers,
    /// A peer has joined since the last publishing.
    newcomers: bool,
    /// Peers whose rights have changed: they are told with their next message, which is due.
    moved: Vec<ConnectionKey>,
    /// Connections that have closed and are not removed yet.
    gone: Vec<ConnectionKey>,
    /// Peers that came while the document could not be opened; and whether they only ask for it.
    turned_away: BTreeMap<ConnectionKey, (SyncPeer, bool)>,
    /// Peers that are to be told, once their outbox has room, that they do not wait for this document, and why.
    refused: HashMap<ConnectionKey, (SyncPeer, Arc<str>)>,
}

/// What a batch passes through: prepare, apply, append, publish.
struct Pipeline {
    log: DocumentLog,
    /// Whether these steps took long the last time.
    preparing: AdaptiveOffload,
    applying: AdaptiveOffload,
    publishing: AdaptiveOffload,
    /// The current batch is large.
    large_batch: bool,
    /// The permit for work that takes much memory, while a batch has it.
    turn: Option<OwnedSemaphorePermit>,
    /// Large messages that are applied in portions.
    portions: Portions,
}

/// What has failed, and how often.
struct Rescue {
    /// Peers whose changes are not accepted for now.
    suspended: Suspended,
    /// Back-off after failed appends.
    failing: Damper,
    /// Back-off after the document in memory was corrupted.
    ruined: Damper,
}

/// Who is here, and what peers tell each other without storing it.
struct Presence {
    /// Users of another surface, in the document that it shows.
    people: Option<Box<people::People>>,
    /// Which user sends ephemeral messages under which peer id.
    sources: Sources,
    /// The last known heads of storages that peers watch.
    storages: HashMap<Arc<str>, Arc<RemoteHeads>>,
}

/// A document that may not exist yet.
#[derive(Default)]
struct Creation {
    exists: bool,
    /// Announced changes and unanswered requests, while the document does not exist.
    arrivals: Arrivals,
    /// Its place among the documents that do not exist and are waited for.
    awaited: Option<AwaitedDocument>,
}

/// Whether the document is still needed.
struct Usage {
    last_use: Instant,
    last_look: Instant,
    /// The document has used most of a limit, and that has been logged.
    nearly_full: bool,
    /// The store has been told that the document is not needed any more.
    unloaded: bool,
    /// The task is to end.
    stop: bool,
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

impl DocumentTask {
    pub(super) fn new(hub: Hub, id: DocumentId, mailbox: mpsc::Receiver<Command>, slot: &Slot) -> Self {
        let waiter = Waiter::Document(id.clone());
        let watchers = Watchers::new(hub.inner.settings.rows, waiter.clone());
        let log = DocumentLog::new(
            Arc::clone(&hub.inner.store),
            id.clone(),
            hub.inner.settings.actors.clone(),
            Position::START,
            Lengths { snapshot: 0, log: 0 },
        );
        let settings = &hub.inner.settings;
        let shows_legacy = settings.announcer.is_some() && settings.default_document.as_ref() == Some(&id);
        let people = shows_legacy.then(Box::default);
        let now = Instant::now();
        Self {
            hub,
            id,
            waiter,
            mailbox,
            shown: Arc::clone(&slot.shown),
            hints: Arc::clone(&slot.hints),
            remembered: Remembered::default(),
            subscribers: Subscribers {
                peers: HashMap::new(),
                watchers,
                newcomers: false,
                moved: Vec::new(),
                gone: Vec::new(),
                turned_away: BTreeMap::new(),
                refused: HashMap::new(),
            },
            pipeline: Pipeline {
                log,
                preparing: AdaptiveOffload::default(),
                applying: AdaptiveOffload::default(),
                publishing: AdaptiveOffload::default(),
                large_batch: false,
                turn: None,
                portions: Portions::default(),
            },
            rescue: Rescue { suspended: Suspended::new(), failing: Damper::default(), ruined: Damper::default() },
            presence: Presence { people, sources: Sources::default(), storages: HashMap::new() },
            creation: Creation::default(),
            usage: Usage { last_use: now, last_look: now, nearly_full: false, unloaded: false, stop: false },
            history: history::Keeper::default(),
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
            let wake =
                [self.people_due(), self.creation.arrivals.next()].into_iter().flatten().fold(upkeep, Instant::min);
            let flow = tokio::select! {
                biased;
                command = self.mailbox.recv() => match command {
                    Some(command) => self.batch_caught(&mut document, Some(command)).await,
                    None => ControlFlow::Break(()),
                },
                () = self.pipeline.portions.ready(), if self.pipeline.portions.are_waiting() => self.batch_caught(&mut document, None).await,
                () = self.hints.arrived() => self.hints_caught(&mut document).await,
                () = sleep_until(wake) => ControlFlow::Continue(()),
            };
            if flow.is_break() {
                break;
            }
            let now = Instant::now();
            self.tell_people_if_due(now);
            if self.creation.arrivals.next().is_some_and(|next| next <= now) {
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
        if self.usage.nearly_full {
            self.hub.inner.metrics.documents_nearly_full.decrement(1.0);
        }
        Box::pin(self.close()).await;
    }

    async fn hints_caught(&mut self, document: &mut Document) -> ControlFlow<()> {
        match AssertUnwindSafe(Box::pin(self.take_hints(document))).catch_unwind().await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => Box::pin(self.recover_from_panic(document)).await,
        }
    }

    async fn batch_caught(&mut self, document: &mut Document, first: Option<Command>) -> ControlFlow<()> {
        match AssertUnwindSafe(self.batch(document, first)).catch_unwind().await {
            Ok(flow) => flow,
            Err(_) => Box::pin(self.recover_from_panic(document)).await,
        }
    }
}
