//! The task that owns one document: it takes batches of commands, makes their changes durable, and publishes them.

mod catch_up;
mod commands;
mod commit;
mod ephemerals;
mod family;
mod history;
mod legacy_presence;
mod lifecycle;
mod peerings;
mod pending_requests;
mod portions;
mod publish;
mod quarantine;
mod recovery;
mod subscribers;
mod suspension;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use automerge::ChangeHash;
use ephemerals::EphemeralSources;
use futures_util::FutureExt;
use lifecycle::MAINTENANCE_INTERVAL;
use offload::AdaptiveOffload;
use peerings::PeeringState;
use pending_requests::PendingRequests;
use plan::read_view;
use portions::Portions;
use primitives::DocumentId;
use store::{Lengths, Position};
use suspension::SuspendedPeers;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

use super::Hub;
use super::access::Right;
use super::command::{Command, SyncPeer};
use super::families::Family;
use super::followers::Followers;
use super::hints::Hints;
use super::outbox::{ConnectionKey, DrainListener, RemoteHeads};
use super::peer_records::PeerRecords;
use super::pending_documents::{PendingDocument, PendingPermit};
use super::published_view::PublishedView;
use super::registry::DocumentHandle;
use super::watchers::Watchers;
use crate::document::Document;
use crate::document_log::DocumentLog;
use crate::memory_budget::Reservation;
use crate::retry_gate::RetryGate;

/// Estimated memory, in bytes, from which on a batch needs a permit.
pub(super) const PERMIT_THRESHOLD: u64 = 8 << 20;
/// Size of a stored document, in bytes, from which on its first message to a peer takes long: it holds the whole
/// document.
const LARGE_DOCUMENT: u64 = 64 << 10;

/// The task of one document.
pub(super) struct DocumentTask {
    hub: Hub,
    id: DocumentId,
    /// Registered in outboxes that are full, so that this task is notified when they have drained.
    drain_listener: DrainListener,
    mailbox: mpsc::Receiver<Command>,
    published_view: Arc<PublishedView>,
    hints: Arc<Hints>,
    followers: Followers,
    /// The heads that followers were told last.
    told_heads: Vec<ChangeHash>,
    /// The heads that returning peers share with the document.
    peer_records: PeerRecords,
    subscribers: Subscribers,
    pipeline: Pipeline,
    recovery: Recovery,
    presence: Presence,
    creation: Creation,
    usage: Usage,
    history: history::HistoryState,
    view: view::ViewState,
    /// The family that the document belongs to, once it was needed.
    family: Option<Arc<Family>>,
}

/// The connections that follow this document.
struct Subscribers {
    /// Sync peers.
    peers: HashMap<ConnectionKey, PeerSubscription>,
    /// Connections that receive row changes.
    watchers: Watchers,
    /// Whether a peer was added since the last publish.
    has_new_peers: bool,
    /// Peers whose rights have changed. They get a message with their new role after the batch.
    role_changed: Vec<ConnectionKey>,
    /// State of the connected peerings.
    peerings: PeeringState,
    /// Closed connections that are not removed yet.
    disconnected: Vec<ConnectionKey>,
    /// Peers that joined while the document could not be opened, with whether they only requested it.
    waiting_peers: BTreeMap<ConnectionKey, (SyncPeer, bool)>,
    /// Peers whose wait was refused, with the reason. They are told once their outbox has room.
    unsent_refusals: HashMap<ConnectionKey, (SyncPeer, Arc<str>)>,
}

/// The steps of a batch: prepare, apply, append, publish.
struct Pipeline {
    log: DocumentLog,
    /// How often the current batch was applied again because the log had moved on.
    rewinds: u32,
    /// These use the time of the last run to decide whether to offload the step.
    preparing: AdaptiveOffload,
    applying: AdaptiveOffload,
    publishing: AdaptiveOffload,
    /// Whether the current batch is large.
    large_batch: bool,
    /// The permit of a batch that takes much memory.
    permit: Option<OwnedSemaphorePermit>,
    /// How often the current batch was applied again because another process had appended first.
    retries: u32,
    /// Large messages that are applied in portions.
    portions: Portions,
}

/// The state of recovery from failures.
struct Recovery {
    /// Peers whose changes are temporarily rejected.
    suspended: SuspendedPeers,
    /// Back-off after failed appends.
    append_gate: RetryGate,
    /// Back-off after the document in memory was corrupted.
    reload_gate: RetryGate,
}

/// Unstored information that the task forwards between peers.
struct Presence {
    /// Presence of legacy users. `None` unless this is the document that legacy clients see.
    legacy: Option<Box<legacy_presence::PresenceBroadcast>>,
    /// The users and sessions that send ephemeral messages, by sender name.
    sources: EphemeralSources,
    /// The last known heads of watched storages.
    storages: HashMap<Arc<str>, Arc<RemoteHeads>>,
}

/// State of a document that may not exist yet.
#[derive(Default)]
struct Creation {
    exists: bool,
    /// Announcements and unanswered requests, while the document does not exist.
    pending_requests: PendingRequests,
    /// The document's permit to be waited for while it does not exist.
    pending_document: Option<PendingDocument>,
}

/// Decides when the document is unloaded.
struct Usage {
    last_use: Instant,
    last_read: Instant,
    /// Whether the document has used most of a limit, which was logged.
    nearly_full: bool,
    /// Values of the view that do not fit the schema, as counted in the metric.
    problems: usize,
    /// Whether the store has closed the file already.
    unloaded: bool,
    /// Whether the task ends after this batch.
    stop: bool,
}

/// The subscription of a sync peer.
struct PeerSubscription {
    peer: SyncPeer,
    right: Right,
    /// Whether the peer must be told that the document does not exist, once its outbox has room.
    missing_unsent: bool,
    /// Whether the peer has sent an ephemeral message, and so probably reads them.
    reads_ephemerals: bool,
    /// Memory of the lists in the peer's last message, which its sync state keeps until the next one.
    list_reservation: Reservation,
    /// Held while the document does not exist and this peer waits for it.
    pending_permit: Option<PendingPermit>,
}

impl DocumentTask {
    pub(super) fn new(hub: Hub, id: DocumentId, mailbox: mpsc::Receiver<Command>, handle: &DocumentHandle) -> Self {
        let drain_listener = DrainListener::Document(id.clone());
        let watchers = Watchers::new(hub.inner.settings.rows, drain_listener.clone());
        let log = DocumentLog::new(
            Arc::clone(&hub.inner.store),
            id.clone(),
            hub.inner.settings.actors.clone(),
            Position::START,
            Lengths { snapshot: 0, log: 0 },
        );
        let settings = &hub.inner.settings;
        let shows_legacy = settings.legacy_presence.is_some() && settings.default_document.as_ref() == Some(&id);
        let legacy = shows_legacy.then(Box::default);
        let now = Instant::now();
        Self {
            hub,
            id,
            drain_listener,
            mailbox,
            published_view: Arc::clone(&handle.published_view),
            hints: Arc::clone(&handle.hints),
            followers: handle.followers.clone(),
            told_heads: Vec::new(),
            peer_records: PeerRecords::default(),
            subscribers: Subscribers {
                peers: HashMap::new(),
                watchers,
                has_new_peers: false,
                role_changed: Vec::new(),
                peerings: PeeringState::default(),
                disconnected: Vec::new(),
                waiting_peers: BTreeMap::new(),
                unsent_refusals: HashMap::new(),
            },
            pipeline: Pipeline {
                log,
                rewinds: 0,
                preparing: AdaptiveOffload::default(),
                applying: AdaptiveOffload::default(),
                publishing: AdaptiveOffload::default(),
                large_batch: false,
                permit: None,
                retries: 0,
                portions: Portions::default(),
            },
            recovery: Recovery {
                suspended: SuspendedPeers::new(),
                append_gate: RetryGate::default(),
                reload_gate: RetryGate::default(),
            },
            presence: Presence { legacy, sources: EphemeralSources::default(), storages: HashMap::new() },
            creation: Creation::default(),
            usage: Usage {
                last_use: now,
                last_read: now,
                nearly_full: false,
                problems: 0,
                unloaded: false,
                stop: false,
            },
            history: history::HistoryState::default(),
            view: view::ViewState::default(),
            family: None,
        }
    }

    /// Opens the document, and runs until it is idle or the server shuts down.
    pub(super) async fn run(mut self) {
        // Rare futures are boxed: otherwise every open document would reserve memory for the largest of them.
        let mut document = loop {
            match Box::pin(self.open()).await {
                Ok(document) => break document,
                Err(unavailable) => {
                    if Box::pin(self.refuse_until_retry(unavailable)).await.is_break() {
                        return;
                    }
                }
            }
        };
        self.admit_waiting_peers(&mut document);
        self.record_existence(&document);
        self.record_fullness(&mut document);
        self.told_heads = document.engine.heads();
        self.update_presence();
        self.hub.inner.metrics.documents_open.increment(1.0);
        let mut next_maintenance = Instant::now() + self.maintenance_interval(&document);
        loop {
            let wake = [self.presence_due(), self.creation.pending_requests.next_deadline()]
                .into_iter()
                .flatten()
                .fold(next_maintenance, Instant::min);
            let flow = tokio::select! {
                biased;
                command = self.mailbox.recv() => match command {
                    Some(command) => self.run_batch(&mut document, Some(command)).await,
                    None => ControlFlow::Break(()),
                },
                () = self.pipeline.portions.wait_until_due(), if self.pipeline.portions.has_work() => self.run_batch(&mut document, None).await,
                () = self.hints.arrived() => self.take_hints_catching(&mut document).await,
                () = sleep_until(wake) => ControlFlow::Continue(()),
            };
            if flow.is_break() {
                break;
            }
            self.record_problems(document.existing_view().map_or(0, |view| read_view(view).problem_count()));
            let now = Instant::now();
            self.broadcast_presence_if_due(now);
            if self.creation.pending_requests.next_deadline().is_some_and(|next| next <= now) {
                self.answer_pending_requests(&document);
            }
            if now >= next_maintenance {
                let kept = AssertUnwindSafe(Box::pin(self.maintain(&mut document))).catch_unwind().await;
                let flow = match kept {
                    Ok(flow) => flow,
                    Err(_) => Box::pin(self.recover_from_panic(&mut document)).await,
                };
                if flow.is_break() {
                    break;
                }
                next_maintenance = now + MAINTENANCE_INTERVAL;
            }
            next_maintenance = next_maintenance.min(now + self.maintenance_interval(&document));
        }
        self.record_problems(0);
        self.hub.inner.metrics.documents_open.decrement(1.0);
        if self.usage.nearly_full {
            self.hub.inner.metrics.documents_nearly_full.decrement(1.0);
        }
        Box::pin(self.close()).await;
    }

    /// Takes over the batches that hints announce. Recovers from a panic.
    async fn take_hints_catching(&mut self, document: &mut Document) -> ControlFlow<()> {
        match AssertUnwindSafe(Box::pin(self.take_hints(document))).catch_unwind().await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => Box::pin(self.recover_from_panic(document)).await,
        }
    }

    async fn run_batch(&mut self, document: &mut Document, first: Option<Command>) -> ControlFlow<()> {
        match AssertUnwindSafe(self.batch(document, first)).catch_unwind().await {
            Ok(flow) => flow,
            Err(_) => Box::pin(self.recover_from_panic(document)).await,
        }
    }
}
