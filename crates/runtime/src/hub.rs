//! Runs documents: one task each, opened on demand, closed when idle.
//!
//! A document's task owns the document. It takes what waits in its bounded mailbox as one batch, applies all of it,
//! appends the new changes in one write and one fsync, and then publishes. While the disk works the next batch gathers,
//! so load makes batches larger instead of making latency pile up.
//!
//! Opening is single flight: a task is put into the table before it has read anything, and whoever comes meanwhile
//! waits in its mailbox. No protocol is known here: connections translate (see the server).

mod access;
mod allowance;
mod announcer;
mod caller;
mod command;
mod hints;
mod history;
mod new_documents;
mod news;
mod outbox;
mod ownership;
mod quarantine;
mod readiness;
mod refusals;
mod remembered;
mod remote_storages;
mod shown;
mod slots;
mod syncing;
mod task;
mod text;
mod turns;
mod unopened;
mod waits;
mod watchers;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::Access;
pub use access::{AccessError, AccessRecord, Deletion, Denied, Right};
pub use allowance::Allowance;
pub use announcer::{Announcer, RenderPeople};
use auth::Role;
pub use caller::Caller;
use command::Command;
pub use command::{Attributed, EditFailure, ReadFailure, SyncPeer, Unavailable};
pub use history::ReadPast;
use history::Readers;
use new_documents::NewDocuments;
pub use outbox::{
    ConnectionKey, Ephemeral, Farewell, FarewellKind, Outbox, OutboxReceiver, Outgoing, RemoteHeads, Waiter, outbox,
};
use plan::{Author, Done, Edit, Plan, Renderings, SharedView, read_view};
use primitives::DocumentId;
use quarantine::Quarantines;
use readiness::Readiness;
pub use refusals::Refusals;
use remote_storages::WatchedStorages;
use slots::Slot;
use store::{OpenError, Store, StoreError, UnavailableReason};
use sync_engine::MessageLimits;
pub use text::Text;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use turns::Turns;
use unopened::Unopened;
pub use waits::WaitLimit;
use waits::Waits;
pub use watchers::RenderRows;

use super::document_log::Actors;
use super::memory_budget::Memory;
use super::metrics::Metrics;

/// How long a batch of sync messages may take to be taken apart and applied. To load
/// 100,000 changes takes 0.4 s and to apply them 1.2 s (12 us each), so an honest first sync of that size is far from this.
pub const APPLY_BUDGET: Duration = Duration::from_secs(30);

/// How documents are run.
#[derive(Clone)]
pub struct HubSettings {
    /// How rows are rendered for those who are served.
    pub renderings: Renderings,
    /// How row changes are told to legacy sockets.
    pub rows: RenderRows,
    /// How logins on legacy sockets are told to peers of the default document; None: they are not.
    pub announcer: Option<Arc<Announcer>>,
    /// What one sync message may hold.
    pub limits: MessageLimits,
    /// What takes longer to apply is not stored: see [`APPLY_BUDGET`].
    pub apply_budget: Duration,
    /// A document that nobody uses for so long is unloaded.
    pub idle_after: Duration,
    /// Documents that do not exist and are waited for, by all connections together.
    pub max_pending: usize,
    /// The same for one connection.
    pub max_pending_per_connection: usize,
    /// Documents that may be created per minute; 0 disables the limit.
    pub new_documents_per_minute: u32,
    /// Documents that may be created at once after a quiet time.
    pub new_documents_at_once: u32,
    /// Bytes that large messages may take, all connections together; 0: any number.
    pub message_memory: u64,
    /// What documents are written under.
    pub actors: Actors,
    /// The document that tokens name `default`.
    pub default_document: Option<DocumentId>,
    /// Who may make documents, where users are known; None: nobody.
    pub may_create: Option<Role>,
}

/// All documents of one server. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    settings: HubSettings,
    metrics: Arc<Metrics>,
    access: Access,
    documents: Mutex<HashMap<DocumentId, Slot>>,
    storages: WatchedStorages,
    tasks: TaskTracker,
    next_connection: AtomicU64,
    waits: Waits,
    quarantines: Quarantines,
    unopened: Unopened,
    new_documents: NewDocuments,
    memory: Memory,
    /// Turns of connections to take apart large messages.
    turns: Turns,
    /// Turns of messages that hold a whole document and take more than ordinary ones, from when they are taken apart until they
    /// are applied: one at a time.
    whole_documents: Turns,
    /// Turns to make the files of a new document.
    creations: Turns,
    /// Turns of documents to take apart and apply what takes much memory: these do not wait for the messages of strangers.
    document_turns: Arc<Semaphore>,
    readers: Readers,
    readiness: Readiness,
    /// The latest change outside of documents that was taken over from the store.
    control_revision: AsyncMutex<u64>,
    /// Cancelled at the start of a shutdown: nothing waits any more for permission to create a document.
    draining: CancellationToken,
    stopping: AtomicBool,
    /// Documents that wait for the store.
    writing: AtomicUsize,
}

impl Hub {
    /// Documents in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: HubSettings, metrics: Arc<Metrics>) -> Self {
        let waits = Waits::new(settings.max_pending_per_connection, settings.max_pending);
        let new_documents = NewDocuments::new(settings.new_documents_per_minute, settings.new_documents_at_once);
        let memory = Memory::new(settings.message_memory);
        let access = Access::new(Arc::clone(&store), settings.default_document.clone(), settings.may_create);
        let inner = Inner {
            store,
            settings,
            metrics,
            access,
            documents: Mutex::default(),
            storages: WatchedStorages::default(),
            tasks: TaskTracker::new(),
            next_connection: AtomicU64::new(1),
            waits,
            quarantines: Quarantines::default(),
            unopened: Unopened::default(),
            new_documents,
            memory,
            turns: Turns::new(turns()),
            whole_documents: Turns::new(1),
            creations: Turns::new(1),
            document_turns: Arc::new(Semaphore::new(turns())),
            readers: Readers::new(turns()),
            readiness: Readiness::default(),
            control_revision: AsyncMutex::new(0),
            draining: CancellationToken::new(),
            stopping: AtomicBool::new(false),
            writing: AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What is counted here.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.inner.metrics
    }

    /// What large messages take.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    /// A document waits for its turn to take apart and apply what takes much memory.
    async fn document_turn(&self) -> Option<OwnedSemaphorePermit> {
        // None never happens: turns do not end.
        Arc::clone(&self.inner.document_turns).acquire_owned().await.ok()
    }

    /// The store under all this.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// A key for a new connection, never given before.
    #[must_use]
    pub fn new_connection(&self) -> ConnectionKey {
        ConnectionKey(self.inner.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Reads who may do what with documents. To be done before anybody is served.
    ///
    /// # Errors
    /// When that cannot be read: nobody knows who may read what then.
    pub async fn load_access(&self) -> Result<(), AccessError> {
        self.inner.access.load().await
    }

    /// What somebody may do with a document, if it exists.
    #[must_use]
    pub fn right(&self, caller: &Caller, id: &DocumentId) -> Right {
        self.inner.access.right(caller, id)
    }

    /// The published state of a document; None when the document does not exist, for this caller. Never waits for the disk
    /// once the document is open.
    ///
    /// # Errors
    /// When the document exists but cannot be opened.
    pub async fn view(&self, caller: &Caller, id: &DocumentId) -> Result<Option<SharedView>, Unavailable> {
        if self.right(caller, id) < Right::Read {
            return Ok(None);
        }
        let slot = self.slot(id)?;
        let view = match slot.shown.get() {
            Some(view) => view,
            None => {
                let view = self.opened(id).await?;
                // That may have taken a while.
                if self.right(caller, id) < Right::Read {
                    return Ok(None);
                }
                view
            }
        };
        let exists = !read_view(&view).heads().is_empty();
        Ok(exists.then_some(view))
    }

    async fn opened(&self, id: &DocumentId) -> Result<SharedView, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Open { reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopping)?
    }

    /// What a document says about itself, for those who only want that.
    ///
    /// # Errors
    /// When the document exists but cannot be opened.
    pub async fn plan(&self, caller: &Caller, id: &DocumentId) -> Result<Option<Plan>, Unavailable> {
        Ok(self.view(caller, id).await?.map(|view| read_view(&view).plan().clone()))
    }

    /// Makes an edit, and returns when it is durable and published: later reads see it.
    ///
    /// # Errors
    /// When it is not acceptable, or could not be made durable.
    pub async fn edit(
        &self,
        caller: &Caller,
        id: &DocumentId,
        edit: Edit,
        author: Author,
    ) -> Result<Done, EditFailure> {
        self.inner.access.check_edit(caller, id, &edit)?;
        let (reply, answer) = oneshot::channel();
        let caller = caller.clone();
        self.send(id, Command::Edit { edit: Box::new(edit), author, caller, reply }).await?;
        answer.await.map_err(|_| match self.inner.stopping.load(Ordering::Relaxed) {
            true => Unavailable::Stopping.into(),
            false => EditFailure::Unknown,
        })?
    }

    /// Tells a connection about every change of a document's rows from now on. Returns the view.
    ///
    /// # Errors
    /// When the document cannot be opened.
    pub async fn watch(
        &self,
        caller: &Caller,
        id: &DocumentId,
        key: ConnectionKey,
        outbox: Outbox,
    ) -> Result<SharedView, Unavailable> {
        if self.right(caller, id) < Right::Read {
            return Err(Unavailable::Denied(Denied::Missing(id.clone())));
        }
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Watch { caller: caller.clone(), key, outbox, reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopping)?
    }

    /// Tells peers of the default document who is logged in on a surface that is not theirs.
    pub async fn announce(&self, names: Vec<String>) {
        if let (Some(announcer), Some(id)) = (&self.inner.settings.announcer, &self.inner.settings.default_document) {
            announcer.set_names(names);
            self.send_if_open(id, Command::People).await;
        }
    }

    /// A connection is gone from these documents.
    pub async fn leave(&self, key: ConnectionKey, documents: impl IntoIterator<Item = DocumentId>) {
        self.inner.storages.forget(key);
        for id in documents {
            self.send_if_open(&id, Command::Leave(key)).await;
        }
    }

    /// The socket of a connection takes messages again that found no place in its outbox: the document generates one that covers
    /// everything since.
    pub async fn drained(&self, key: ConnectionKey, document: &DocumentId) {
        self.send_if_open(document, Command::Drained(key)).await;
    }

    /// All documents of which something is stored, as far as this caller may read them.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<DocumentId>, StoreError> {
        let mut ids = self.inner.store.list().await?;
        ids.retain(|id| self.right(caller, id) >= Right::Read);
        Ok(ids)
    }

    /// The whole document as a file that any Automerge binding opens; None when it does not exist.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn export(&self, caller: &Caller, id: &DocumentId) -> Result<Option<Vec<u8>>, StoreError> {
        if self.right(caller, id) < Right::Read {
            return Ok(None);
        }
        match self.inner.store.load(id).await {
            Err(error) if error.is_too_large() => self.inner.store.raw(id).await,
            loaded => Ok(loaded?.map(|loaded| loaded.bytes)),
        }
    }

    /// Whether changes can be made durable now, or could be a second ago.
    ///
    /// # Errors
    /// When they cannot.
    pub async fn ready(&self) -> Result<(), String> {
        if self.inner.stopping.load(Ordering::Relaxed) {
            return Err("the server is shutting down".to_owned());
        }
        let health = self.inner.store.health();
        // `readiness` below checks again whether files are in their places.
        if health.unavailable.iter().any(|(_, reason)| *reason != UnavailableReason::ExternalChange) {
            return Err(health.to_string());
        }
        let slow = self.inner.quarantines.all(Instant::now());
        let slow =
            slow.iter().map(|id| format!("document {id} takes no changes for a while: changes to it took too long"));
        let unreadable = self.inner.unopened.unreadable();
        let unreadable = unreadable.iter().map(|id| format!("document {id} cannot be opened: it cannot be read"));
        let sick: Vec<String> = slow.chain(unreadable).collect();
        if !sick.is_empty() {
            return Err(sick.join("; "));
        }
        self.inner.readiness.of(&self.inner.store).await.map_err(|error| match &*error {
            StoreError::Full { .. } => "the disk is full".to_owned(),
            StoreError::Folder { source, .. } if source.kind() == ErrorKind::StorageFull => {
                "the disk is full".to_owned()
            }
            StoreError::ExternalChange { .. } | StoreError::Open(OpenError::ExternalChange(_)) => {
                "files of documents were moved, deleted or replaced; which, and what to do, is in the log".to_owned()
            }
            _ => "nothing can be written to the disk; the reason is in the log".to_owned(),
        })
    }

    /// Whether documents wait for the store.
    #[must_use]
    pub fn waits_for_store(&self) -> bool {
        self.inner.writing.load(Ordering::Relaxed) > 0
    }

    /// Waits for the store, and is counted while it does.
    async fn in_store<T>(&self, work: impl Future<Output = T>) -> T {
        let _writing = Writing::begin(&self.inner.writing);
        work.await
    }

    /// Begins a shutdown: documents that wait for permission to be created are refused. What is stored stays available until
    /// [`Hub::stop`].
    pub fn drain(&self) {
        self.inner.draining.cancel();
    }

    /// Writes what there is to write and ends all tasks. Connections must be closed before.
    pub async fn stop(&self) {
        self.drain();
        self.inner.stopping.store(true, Ordering::SeqCst);
        let slots: Vec<Slot> = self.documents().values().cloned().collect();
        for slot in slots {
            let _ = slot.commands.send(Command::Stop).await;
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

/// One document waits for the store, until this is dropped.
struct Writing<'a>(&'a AtomicUsize);

impl<'a> Writing<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many documents may take apart and apply what takes much memory, and time, at once: one processor stays for all
/// others.
fn turns() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().saturating_sub(1).max(1))
}
