//! The hub: one task per document, opened on demand and closed when idle.
//!
//! A document's task owns the document. It takes the commands of its bounded mailbox as one batch, applies it,
//! appends the new changes in one write and one fsync, and then publishes. The next batch gathers meanwhile, so load
//! makes batches larger instead of adding latency.
//!
//! The hub knows no wire protocol: connections translate between their protocol and the hub's messages.

mod access;
mod cluster_messages;
mod command;
mod creation_rate_limit;
mod denied_requests;
mod fair_permits;
mod families;
mod followers;
mod hints;
mod history;
mod imports;
mod legacy_presence;
mod mailbox_quota;
mod news;
mod open_failures;
mod outbox;
mod ownership;
mod peer_records;
mod peerings;
mod pending_documents;
mod published_view;
mod quarantine;
mod readiness;
mod recent_changes;
mod refusals;
mod registry;
mod requester;
mod scenarios;
mod successors;
mod sync;
mod task;
mod text;
mod watched_storages;
mod watchers;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use access::Access;
pub use access::{AccessError, AccessRecord, Deletion, Denied, Right};
use auth::Role;
use cluster_messages::SurfaceMessages;
use command::Command;
pub use command::{Attributed, EditFailure, ReadFailure, SyncPeer, Unavailable};
use creation_rate_limit::CreationRateLimit;
use denied_requests::DeniedRequests;
use fair_permits::FairPermits;
use families::Families;
pub use followers::{Changes, Follower};
use history::HistoryReaders;
pub use history::PastGuard;
pub use legacy_presence::{LegacyPresence, RenderPresence};
use limits::Quota;
pub use mailbox_quota::MailboxQuota;
use open_failures::OpenFailures;
pub use outbox::{
    CloseKind, CloseReason, ConnectionKey, DrainListener, Ephemeral, Outbox, OutboxReceiver, Outgoing, RemoteHeads,
    outbox,
};
use parking_lot::Mutex;
use peerings::Peerings;
use pending_documents::PendingDocuments;
pub use pending_documents::PendingLimit;
use plan::{Author, Done, Edit, Plan, Renderings, SharedView, read_view};
use primitives::DocumentId;
use quarantine::Quarantines;
use readiness::Readiness;
use recent_changes::RecentChanges;
pub use recent_changes::{InvalidPosition, RecentChange, RecentFollower, RecentPosition};
pub use refusals::Refusals;
use registry::{DocumentHandle, DocumentRegistry};
pub use requester::Requester;
pub use scenarios::Copies;
use store::{OpenError, Store, StoreError, UnavailableReason};
use sync_engine::MessageLimits;
pub use text::Text;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;
use watched_storages::WatchedStorages;
pub use watchers::RenderRows;

use super::document_log::ActorSource;
use super::memory_budget::MemoryBudget;
use super::metrics::Metrics;

/// Default of [`HubSettings::apply_budget`]. Far from any honest batch: to load 100,000 changes takes 0.4 s, and to
/// apply them 1.2 s (12 µs each).
pub const APPLY_BUDGET: Duration = Duration::from_secs(30);

/// Configuration of a [`Hub`].
#[derive(Clone)]
pub struct HubSettings {
    /// The forms in which views keep rendered rows.
    pub renderings: Renderings,
    /// Renders row changes for legacy sockets.
    pub rows: RenderRows,
    /// Announces the users of legacy sockets to the sync peers of the default document. `None` disables it.
    pub legacy_presence: Option<Arc<LegacyPresence>>,
    /// Limits on the content of one sync message.
    pub limits: MessageLimits,
    /// Maximum time to decode and apply a batch. A batch that takes longer is not stored.
    pub apply_budget: Duration,
    /// Time without use after which a document is unloaded.
    pub idle_after: Duration,
    /// Maximum number of missing documents that clients wait for, over all connections.
    pub max_pending: usize,
    /// Maximum number of missing documents that one connection waits for.
    pub max_pending_per_connection: usize,
    /// Documents that may be created per minute; 0 disables the limit.
    pub new_documents_per_minute: u32,
    /// Documents that may be created in a burst.
    pub new_documents_at_once: u32,
    /// Memory budget of large messages, in bytes, over all connections; 0 disables the limit.
    pub message_memory: u64,
    /// Source of the actor ids that documents are written under.
    pub actors: ActorSource,
    /// The document that tokens name `default`.
    pub default_document: Option<DocumentId>,
    /// Least role of users who may create documents. `None` denies it to all users.
    pub may_create: Option<Role>,
}

/// All documents of one server. Clones share them.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    settings: HubSettings,
    metrics: Arc<Metrics>,
    access: Access,
    families: Families,
    denied_requests: DeniedRequests,
    registry: Mutex<DocumentRegistry>,
    storages: WatchedStorages,
    peerings: Peerings,
    tasks: TaskTracker,
    next_connection: AtomicU64,
    pending_documents: PendingDocuments,
    quarantines: Quarantines,
    open_failures: OpenFailures,
    creation_rate_limit: CreationRateLimit,
    memory_budget: MemoryBudget,
    /// Permits of connections to decode large messages.
    decode_permits: FairPermits,
    /// The permit of a message that holds a whole document and exceeds the ordinary limits: one at a time, from
    /// decoding until it is applied.
    whole_document_permits: FairPermits,
    /// The permit to create the files of a new document.
    creation_permits: FairPermits,
    /// Permits of documents for batches that take much memory. They are separate from `decode_permits`, so documents
    /// do not wait for messages of other clients.
    document_permits: Arc<Semaphore>,
    history_readers: HistoryReaders,
    recent_changes: RecentChanges,
    /// The latest control revision whose changes were taken over from the store.
    control_revision: AsyncMutex<u64>,
    /// Time of the last news from a shared store.
    store_answered: Mutex<Option<Instant>>,
    surface_messages: SurfaceMessages,
    readiness: Readiness,
    /// Cancelled at the start of a shutdown. Documents then no longer wait for permission to be created.
    draining: CancellationToken,
    stopping: AtomicBool,
    /// Number of documents that wait for the store.
    writing: AtomicUsize,
}

impl Hub {
    /// Creates a hub for the documents in `store`. Call [`load_access`](Self::load_access) before it serves clients.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: HubSettings, metrics: Arc<Metrics>) -> Self {
        let pending_documents = PendingDocuments::new(settings.max_pending_per_connection, settings.max_pending);
        let creation_rate_limit =
            CreationRateLimit::new(settings.new_documents_per_minute, settings.new_documents_at_once);
        let memory_budget = MemoryBudget::new(settings.message_memory);
        let access = Access::new(Arc::clone(&store), settings.default_document.clone(), settings.may_create);
        let inner = Inner {
            store,
            settings,
            metrics,
            access,
            families: Families::default(),
            denied_requests: DeniedRequests::default(),
            registry: Mutex::default(),
            storages: WatchedStorages::default(),
            peerings: Peerings::default(),
            tasks: TaskTracker::new(),
            next_connection: AtomicU64::new(1),
            pending_documents,
            quarantines: Quarantines::default(),
            open_failures: OpenFailures::default(),
            creation_rate_limit,
            memory_budget,
            decode_permits: FairPermits::new(parallelism()),
            whole_document_permits: FairPermits::new(1),
            creation_permits: FairPermits::new(1),
            document_permits: Arc::new(Semaphore::new(parallelism())),
            history_readers: HistoryReaders::new(parallelism()),
            recent_changes: RecentChanges::default(),
            control_revision: AsyncMutex::new(0),
            store_answered: Mutex::default(),
            surface_messages: SurfaceMessages::default(),
            readiness: Readiness::default(),
            draining: CancellationToken::new(),
            stopping: AtomicBool::new(false),
            writing: AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The server's metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.inner.metrics
    }

    /// How many documents `requester` may create now. `None` if there is no limit.
    #[must_use]
    pub fn new_document_quota(&self, requester: &Requester) -> Option<Quota> {
        self.inner.creation_rate_limit.quota(requester.payer().as_ref())
    }

    /// The memory budget of large messages.
    #[must_use]
    pub fn memory_budget(&self) -> &MemoryBudget {
        &self.inner.memory_budget
    }

    /// Waits for a permit to decode and apply a batch that takes much memory.
    async fn acquire_document_permit(&self) -> Option<OwnedSemaphorePermit> {
        // `None` cannot occur: the semaphore is never closed.
        Arc::clone(&self.inner.document_permits).acquire_owned().await.ok()
    }

    /// The store of the documents.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Returns a unique key for a new connection.
    #[must_use]
    pub fn new_connection(&self) -> ConnectionKey {
        ConnectionKey(self.inner.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Loads the access records of all documents. Call it before clients are served.
    ///
    /// # Errors
    /// When a record cannot be read: the rights of users are unknown then.
    pub async fn load_access(&self) -> Result<(), AccessError> {
        self.inner.access.load().await
    }

    /// The right of `requester` on a document that exists.
    #[must_use]
    pub fn right(&self, requester: &Requester, id: &DocumentId) -> Right {
        self.inner.access.right(requester, id)
    }

    /// The published view of a document. `None` if the document does not exist, or `requester` may not read it. Never
    /// waits for the disk once the document is open.
    ///
    /// # Errors
    /// When the document exists but cannot be opened.
    pub async fn view(&self, requester: &Requester, id: &DocumentId) -> Result<Option<SharedView>, Unavailable> {
        if self.right(requester, id) < Right::Read {
            return Ok(None);
        }
        let handle = self.handle(id)?;
        let view = match handle.published_view.get() {
            Some(view) => view,
            None => {
                let view = self.open_view(id).await?;
                // The right may have changed while the document was opened.
                if self.right(requester, id) < Right::Read {
                    return Ok(None);
                }
                view
            }
        };
        let exists = !read_view(&view).heads().is_empty();
        Ok(exists.then_some(view))
    }

    async fn open_view(&self, id: &DocumentId) -> Result<SharedView, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Open { reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopping)?
    }

    /// The plan's own properties: name, currency, unit.
    ///
    /// # Errors
    /// When the document exists but cannot be opened.
    pub async fn plan(&self, requester: &Requester, id: &DocumentId) -> Result<Option<Plan>, Unavailable> {
        Ok(self.view(requester, id).await?.map(|view| read_view(&view).plan().clone()))
    }

    /// Applies an edit. It is durable and published when this returns, so later reads see it.
    ///
    /// # Errors
    /// When the edit is rejected, or could not be stored.
    pub async fn edit(
        &self,
        requester: &Requester,
        id: &DocumentId,
        edit: Edit,
        author: Author,
    ) -> Result<Done, EditFailure> {
        self.inner.access.check_edit(requester, id, &edit)?;
        let _turn = self.turn_of(requester, &edit).await;
        let (reply, answer) = oneshot::channel();
        let requester = requester.clone();
        self.send(id, Command::Edit { edit: Box::new(edit), author, requester, request: Span::current().id(), reply })
            .await?;
        answer.await.map_err(|_| match self.inner.stopping.load(Ordering::Relaxed) {
            true => Unavailable::Stopping.into(),
            false => EditFailure::Unknown,
        })?
    }

    /// Subscribes a connection to the row changes of a document, and returns the view. The frames go to `outbox`.
    ///
    /// # Errors
    /// When the document does not exist for `requester`, or cannot be opened.
    pub async fn watch(
        &self,
        requester: &Requester,
        id: &DocumentId,
        key: ConnectionKey,
        outbox: Outbox,
    ) -> Result<SharedView, Unavailable> {
        if self.right(requester, id) < Right::Read {
            return Err(Unavailable::Denied(Denied::Missing(id.clone())));
        }
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Watch { requester: requester.clone(), key, outbox, reply }).await?;
        answer.await.map_err(|_| match self.inner.stopping.load(Ordering::Relaxed) {
            true => Unavailable::Stopping,
            false => Unavailable::Store(format!("document {id}: opening it failed; try again")),
        })?
    }

    /// Sets the names of users that are logged in on legacy sockets, and announces them to the sync peers of the
    /// default document.
    pub async fn set_legacy_presence(&self, names: Vec<String>) {
        if let (Some(legacy_presence), Some(id)) =
            (&self.inner.settings.legacy_presence, &self.inner.settings.default_document)
        {
            legacy_presence.set_names(names);
            self.send_if_open(id, Command::LegacyPresenceChanged).await;
        }
    }

    /// Removes a closed connection from these documents.
    pub async fn leave(&self, key: ConnectionKey, documents: impl IntoIterator<Item = DocumentId>) {
        self.inner.storages.remove_connection(key);
        for id in documents {
            self.inner.denied_requests.remove(&id, key);
            self.send_if_open(&id, Command::Leave(key)).await;
        }
    }

    /// Tells a document that the outbox of a connection has room again. The document sends what it held back, as one
    /// message.
    pub async fn notify_drained(&self, key: ConnectionKey, document: &DocumentId) {
        self.send_if_open(document, Command::Drained(key)).await;
    }

    /// All stored documents that `requester` may read.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn list(&self, requester: &Requester) -> Result<Vec<DocumentId>, StoreError> {
        let mut ids = self.inner.store.list().await?;
        ids.retain(|id| self.right(requester, id) >= Right::Read);
        Ok(ids)
    }

    /// The whole document as an Automerge file. `None` if the document does not exist, or `requester` may not read
    /// it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn export(&self, requester: &Requester, id: &DocumentId) -> Result<Option<Vec<u8>>, StoreError> {
        if self.right(requester, id) < Right::Read {
            return Ok(None);
        }
        match self.inner.store.load(id).await {
            Err(error) if error.is_too_large() => self.inner.store.raw(id).await,
            loaded => Ok(loaded?.map(|loaded| loaded.bytes).filter(|bytes| !bytes.is_empty())),
        }
    }

    /// Whether changes can currently be stored. The answer is at most a second old.
    ///
    /// # Errors
    /// When they cannot. The text is the reason, for operators.
    pub async fn ready(&self) -> Result<(), String> {
        if self.inner.stopping.load(Ordering::Relaxed) {
            return Err("the server is shutting down".to_owned());
        }
        let health = self.inner.store.health();
        self.retry_unavailable(&health);
        // A displaced file may return: the store checks for it again.
        if health.unavailable.iter().any(|(_, reason)| *reason != UnavailableReason::ExternalChange) {
            return Err(health.to_string());
        }
        let slow = self.inner.quarantines.quarantined_documents(Instant::now());
        let slow = slow.iter().map(|id| format!("document {id} is quarantined: changes to it took too long"));
        let unreadable = self.inner.open_failures.unreadable();
        let unreadable = unreadable.iter().map(|id| format!("document {id} cannot be opened: its file is unreadable"));
        let problems: Vec<String> = slow.chain(unreadable).collect();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        self.inner.readiness.check(&self.inner.store).await.map_err(|error| match &*error {
            StoreError::Full { .. } => "the disk is full".to_owned(),
            StoreError::Folder { source, .. } if source.kind() == ErrorKind::StorageFull => {
                "the disk is full".to_owned()
            }
            StoreError::ExternalChange { .. } | StoreError::Open(OpenError::ExternalChange(_)) => {
                "files of documents were moved, deleted or replaced; see the log".to_owned()
            }
            StoreError::Database(_) => "the database is not available; see the log".to_owned(),
            _ => "the disk is not writable; see the log".to_owned(),
        })
    }

    /// Whether any document waits for the store.
    #[must_use]
    pub fn waits_for_store(&self) -> bool {
        self.inner.writing.load(Ordering::Relaxed) > 0
    }

    /// Awaits `work` on the store, and counts the document as waiting meanwhile.
    async fn in_store<T>(&self, work: impl Future<Output = T>) -> T {
        let _wait = StoreWait::begin(&self.inner.writing);
        work.await
    }

    /// Starts a shutdown: documents that wait for permission to be created are refused. Stored documents stay
    /// available until [`Hub::stop`].
    pub fn drain(&self) {
        self.inner.draining.cancel();
    }

    /// Ends all document tasks after they have stored their last batch. Close the connections first.
    pub async fn stop(&self) {
        self.drain();
        self.inner.stopping.store(true, Ordering::SeqCst);
        let handles: Vec<DocumentHandle> = self.registry().values().cloned().collect();
        for handle in handles {
            let _ = handle.commands.send(Command::Stop).await;
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

/// Counts a document that waits for the store, until it is dropped.
struct StoreWait<'a>(&'a AtomicUsize);

impl<'a> StoreWait<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for StoreWait<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Number of batches that take much time and memory at once: all processors but one, which stays free for other work.
fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().saturating_sub(1).max(1))
}
