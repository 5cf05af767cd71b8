//! Runs documents: one task each, opened on demand, closed when idle.
//!
//! A document's task owns the document. It takes what waits in its bounded mailbox as one batch, applies all of it,
//! appends the new changes in one write and one fsync, and then publishes. While the disk works the next batch gathers,
//! so load makes batches larger instead of making latency pile up.
//!
//! Opening is single flight: a task is put into the table before it has read anything, and whoever comes meanwhile
//! waits in its mailbox. No protocol is known here: connections translate (see [`crate::server`]).

mod access;
mod allowance;
mod announcer;
mod caller;
mod command;
mod history;
mod outbox;
mod quarantine;
mod readiness;
mod remembered;
mod remote_storages;
mod room;
mod shown;
mod task;
mod text;
mod unopened;
mod watchers;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use access::Access;
pub use access::{AccessError, AccessRecord, Deletion, Denied, Right};
pub use allowance::Allowance;
pub use announcer::{Announcer, RenderPeople};
pub use caller::Caller;
use command::Command;
pub use command::{EditFailure, ReadFailure, SyncPeer, Unavailable};
pub use history::ReadPast;
use history::Readers;
pub use outbox::{
    ConnectionKey, Ephemeral, Farewell, FarewellKind, Outbox, OutboxReceiver, Outgoing, RemoteHeads, Waiter, outbox,
};
use quarantine::Quarantines;
use readiness::Readiness;
use remote_storages::WatchedStorages;
pub use room::{RenderPresence, Room};
use shown::Shown;
use task::DocumentTask;
pub use text::Text;
use unopened::Unopened;
pub use watchers::RenderRows;

use crate::auth::Role;
use crate::document::{
    Author, BadMessage, Done, Edit, Incoming, MessageLimits, Plan, Renderings, SharedView, answer_of_none,
    carries_chunks, read_view, take_apart,
};
use crate::document_log::Actors;
use crate::format::DocumentId;
use crate::heavy::heavily;
use crate::memory::{Memory, Share};
use crate::metrics::{Metrics, Refusal};
use crate::store::{Store, StoreError};
use crate::token_bucket::TokenBucket;

/// Bytes of a sync message from which on it is taken apart before it comes to its document.
const SIZEABLE: usize = 1 << 10;
/// The same, from which on that waits for its turn: what is compressed is a thousandth of what it holds at the least.
const MAYBE_HEAVY: usize = 8 << 10;
/// Commands that may wait for a document; a connection that sends more waits itself.
const MAILBOX: usize = 1_024;

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
    /// How presence is told to legacy sockets.
    pub presence: RenderPresence,
    /// How logins on legacy sockets are told to peers of the default document; None: they are not.
    pub announcer: Option<Arc<Announcer>>,
    /// What one sync message may hold.
    pub limits: MessageLimits,
    /// What takes longer to apply is not stored: see [`APPLY_BUDGET`].
    pub apply_budget: Duration,
    /// A document that nobody uses for so long is unloaded.
    pub idle_after: Duration,
    /// Documents that do not exist but are waited for: at most so many.
    pub max_pending: usize,
    /// Documents that may come to be in a minute; 0: any number.
    pub new_documents_per_minute: u32,
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
    room: Room,
    storages: WatchedStorages,
    tasks: TaskTracker,
    next_connection: AtomicU64,
    pending: AtomicUsize,
    quarantines: Quarantines,
    unopened: Unopened,
    new_documents: Mutex<TokenBucket>,
    memory: Memory,
    turns: Semaphore,
    readers: Readers,
    readiness: Readiness,
    stopping: AtomicBool,
}

#[derive(Clone)]
struct Slot {
    commands: mpsc::Sender<Command>,
    shown: Arc<Shown>,
    /// Somebody waits for room in the mailbox to say that rights may have changed.
    recheck_waits: Arc<AtomicBool>,
}

impl Hub {
    /// Documents in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: HubSettings, metrics: Arc<Metrics>) -> Self {
        let room = Room::new(settings.presence);
        let new = f64::from(settings.new_documents_per_minute);
        let memory = Memory::new(settings.message_memory);
        let access = Access::new(Arc::clone(&store), settings.default_document.clone(), settings.may_create);
        let inner = Inner {
            store,
            settings,
            metrics,
            access,
            documents: Mutex::default(),
            room,
            storages: WatchedStorages::default(),
            tasks: TaskTracker::new(),
            next_connection: AtomicU64::new(1),
            pending: AtomicUsize::new(0),
            quarantines: Quarantines::default(),
            unopened: Unopened::default(),
            new_documents: Mutex::new(TokenBucket::new(new / 60.0, new, Instant::now())),
            memory,
            turns: Semaphore::new(turns()),
            readers: Readers::new(turns()),
            readiness: Readiness::default(),
            stopping: AtomicBool::new(false),
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

    /// Waits for its turn to take apart and apply what takes much memory.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // None never happens: turns do not end.
        self.inner.turns.acquire().await.ok()
    }

    /// The room of the legacy sockets.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.inner.room
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

    /// Makes an edit, and returns when it is durable and published: whoever reads then finds it.
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

    /// Begins to sync a document with a peer who has said nothing about it yet: it gets the first message.
    ///
    /// # Errors
    /// When the server stops.
    pub async fn greet(&self, id: &DocumentId, peer: SyncPeer) -> Result<(), Unavailable> {
        if self.is_nothing_to(&peer, id) {
            self.turn_down(id, &peer, false, None);
            return Ok(());
        }
        self.send(id, Command::Greet(peer)).await
    }

    /// Passes on a sync message, as soon as not too much of this connection waits already. `request`: the peer has not got
    /// the document, and wants to know if we have not either. `share`: what the message takes of the memory.
    ///
    /// One of some size is taken apart here, by whoever brought it: what is not what it seems to be costs its sender time, and
    /// not the document.
    ///
    /// # Errors
    /// When the server stops, the message is bad, or there is no room for it.
    pub async fn sync(
        &self,
        id: &DocumentId,
        peer: SyncPeer,
        bytes: Bytes,
        request: bool,
        mut share: Share,
    ) -> Result<(), Farewell> {
        if self.is_nothing_to(&peer, id) {
            self.turn_down(id, &peer, request, Some(&bytes));
            return Ok(());
        }
        let incoming = if bytes.len() >= SIZEABLE && carries_chunks(&bytes) {
            Some(Box::new(self.take_apart(id, &peer, &bytes, &mut share).await?))
        } else {
            None
        };
        let allowed = peer.allowance.take(bytes.len(), share).await;
        Ok(self.send(id, Command::Sync { peer, bytes, incoming, request, allowed }).await?)
    }

    /// Whether somebody may not even read a document, be it there or not. It is not looked for then: how long that takes, and
    /// whether it can be opened, would tell them.
    fn is_nothing_to(&self, peer: &SyncPeer, id: &DocumentId) -> bool {
        let access = &self.inner.access;
        access.right(&peer.caller, id) < Right::Read && access.right_before(&peer.caller, id) < Right::Read
    }

    /// Answers who may not even know of a document as if it did not exist, until they bring something: that is not taken,
    /// and they are told so.
    fn turn_down(&self, id: &DocumentId, peer: &SyncPeer, request: bool, message: Option<&[u8]>) {
        let brings = message.is_some_and(carries_chunks);
        if !request && !brings && !self.inner.access.is_deleted(id) {
            let waiter = Waiter::Document(id.clone());
            if let (Some(data), Some(place)) = (answer_of_none(message), peer.outbox.place(&waiter)) {
                place.fill(Outgoing::Sync { document: id.clone(), data });
            }
            return;
        }
        self.inner.metrics.refuse(Refusal::Denied);
        peer.tell_unavailable(id, &Denied::Missing(id.clone()).into());
    }

    async fn take_apart(
        &self,
        id: &DocumentId,
        peer: &SyncPeer,
        bytes: &Bytes,
        share: &mut Share,
    ) -> Result<Incoming, Farewell> {
        let Inner { settings, metrics, .. } = &*self.inner;
        let incoming = if bytes.len() >= MAYBE_HEAVY {
            let _turn = self.turn().await;
            heavily(|| take_apart(bytes, &settings.limits))
        } else {
            take_apart(bytes, &settings.limits)
        };
        let incoming = incoming.map_err(|error| self.refused(id, peer.key, &error))?;
        share.hold(incoming.weight).map_err(|error| {
            metrics.refuse(Refusal::Memory);
            Farewell::from(Unavailable::from(error))
        })?;
        Ok(incoming)
    }

    /// A peer sent something bad: it is counted and logged. Returns what ends its connection.
    fn refused(&self, id: &DocumentId, peer: ConnectionKey, error: &BadMessage) -> Farewell {
        let (refusal, kind) = match error {
            // Not the peer's fault, and not for ever.
            BadMessage::Full(_) => (Refusal::DocumentFull, FarewellKind::TryAgainLater),
            _ => (Refusal::BadSyncMessage, FarewellKind::BadMessage),
        };
        self.inner.metrics.refuse(refusal);
        // As a text, which the log quotes: parts of it may be the peer's.
        tracing::warn!(document = %id, connection = peer.0, error = error.to_string(), "refused a sync message");
        Farewell { kind, message: format!("document {id}: {error}") }
    }

    /// Passes on an ephemeral message to the document's other peers, if the document is not too busy.
    pub fn ephemeral(&self, from: ConnectionKey, message: Ephemeral) {
        let id = message.document.clone();
        self.offer_if_open(&id, Command::Ephemeral { from, message: Arc::new(message) });
    }

    /// Passes on what a peer knows of another storage's heads, if anybody wants to know and the document is not too busy.
    pub fn remote_heads(&self, from: ConnectionKey, heads: RemoteHeads) {
        if !self.inner.storages.is_watched(&heads.storage) {
            return;
        }
        let id = heads.document.clone();
        self.offer_if_open(&id, Command::RemoteHeads { from, heads: Arc::new(heads) });
    }

    /// A peer wants to know (or no longer) what these storages have of the documents that it syncs. Returns how many
    /// it may not watch as there are too many.
    ///
    /// # Errors
    /// When the server stops.
    pub async fn watch_storages(
        &self,
        peer: ConnectionKey,
        add: Vec<Arc<str>>,
        remove: &[Arc<str>],
        documents: &[DocumentId],
    ) -> Result<usize, Unavailable> {
        self.inner.storages.unwatch(peer, remove);
        let (added, refused) = self.inner.storages.watch(peer, add);
        if !added.is_empty() {
            for id in documents {
                self.send_if_open(id, Command::WatchStorages { peer, storages: added.clone() }).await?;
            }
        }
        Ok(refused)
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

    /// A legacy socket takes a name, or (None) gives its name up. All of them are told if that changes who is here, or
    /// `always`; peers of the default document if it does.
    pub async fn rename(&self, key: ConnectionKey, name: Option<String>, always: bool) {
        if self.inner.room.rename(key, name, always) {
            self.people_changed().await;
        }
    }

    async fn people_changed(&self) {
        if let Some(id) = &self.inner.settings.default_document {
            // Refused only when the server stops.
            let _ = self.send_if_open(id, Command::People).await;
        }
    }

    /// A connection is gone from these documents, and from the room.
    pub async fn leave(&self, key: ConnectionKey, documents: impl IntoIterator<Item = DocumentId>) {
        if self.inner.room.leave(key) {
            self.people_changed().await;
        }
        self.inner.storages.forget(key);
        for id in documents {
            // Only refused when the server stops: then nobody is a peer any more.
            let _ = self.send_if_open(&id, Command::Leave(key)).await;
        }
    }

    /// The socket of a connection has drained: those who noted that it was behind go on.
    pub async fn drained(&self, key: ConnectionKey, waiters: Vec<Waiter>) {
        for waiter in waiters {
            match waiter {
                Waiter::Room => self.inner.room.drained(key),
                Waiter::Document(id) => {
                    let _ = self.send_if_open(&id, Command::Drained(key)).await;
                }
            }
        }
    }

    /// Who may do what with a document, beside what tokens say.
    ///
    /// # Errors
    /// When that is not for this caller to know, or there is no such document.
    pub async fn access_record(&self, caller: &Caller, id: &DocumentId) -> Result<Arc<AccessRecord>, EditFailure> {
        self.inner.access.check_owner(caller, id)?;
        self.must_exist(caller, id).await?;
        Ok(self.inner.access.record(id).unwrap_or_default())
    }

    /// Lets a user do something with a document; None: only what their token says. It counts at once.
    ///
    /// # Errors
    /// When that is not for this caller to say, or could not be made durable.
    pub async fn set_role(
        &self,
        caller: &Caller,
        id: &DocumentId,
        user: &Arc<str>,
        role: Option<Role>,
    ) -> Result<(), EditFailure> {
        self.inner.access.check_owner(caller, id)?;
        self.must_exist(caller, id).await?;
        let (hub, caller, id, user) = (self.clone(), caller.clone(), id.clone(), Arc::clone(user));
        self.to_the_end(async move {
            let set = hub.inner.access.set_role(&caller, &id, &user, role).await;
            set.map_err(|error| EditFailure::from(&error))??;
            hub.recheck_document(&id);
            Ok(())
        })
        .await
    }

    /// Deletes a document: nobody reaches it any more, and nobody brings it back. Its content stays on the disk until
    /// [`Hub::remove_deleted`]. `now`: milliseconds since 1970.
    ///
    /// # Errors
    /// When this caller may not, or it could not be made durable.
    pub async fn delete(&self, caller: &Caller, id: &DocumentId, now: i64) -> Result<(), EditFailure> {
        self.inner.access.check_owner(caller, id)?;
        self.inner.access.check_deletable(id)?;
        self.must_exist(caller, id).await?;
        let deletion = Deletion { by: caller.user(), at: now, removed: false };
        let (hub, id) = (self.clone(), id.clone());
        self.to_the_end(async move {
            let by = deletion.by.clone();
            let delete = |record: &mut AccessRecord| record.deleted = Some(deletion);
            hub.inner.access.change(&id, delete).await.map_err(|error| EditFailure::from(&error))?;
            tracing::info!(document = %id, by = by.as_deref(), "deleted");
            hub.recheck_document(&id);
            Ok(())
        })
        .await
    }

    /// Does something that must not end in the middle, also if whoever has asked for it goes away meanwhile.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EditFailure>> + Send + 'static,
    ) -> Result<T, EditFailure> {
        self.inner.tasks.spawn(work).await.unwrap_or(Err(EditFailure::Unknown))
    }

    /// Removes the content of documents that were deleted before a moment (milliseconds since 1970). That they were, and who
    /// may do what, is kept. Returns which.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove_deleted(&self, before: i64) -> Result<Vec<DocumentId>, StoreError> {
        let ids = self.inner.access.deleted_before(before);
        for id in &ids {
            // Nobody uses it; somebody may have asked in vain a moment ago.
            self.close(id).await;
            self.inner.store.remove(id).await?;
            let removed = |record: &mut AccessRecord| {
                if let Some(deletion) = &mut record.deleted {
                    deletion.removed = true;
                }
            };
            self.inner.access.change(id, removed).await?;
            tracing::info!(document = %id, "removed: it was deleted long enough ago");
        }
        Ok(ids)
    }

    /// Ends the task of a document, if there is one, and lets go of its file.
    async fn close(&self, id: &DocumentId) {
        let slot = self.documents().get(id).cloned();
        if let Some(slot) = slot {
            let _ = slot.commands.send(Command::Stop).await;
            slot.commands.closed().await;
            self.forget(id, &slot);
        }
        self.inner.store.close(id).await;
    }

    async fn must_exist(&self, caller: &Caller, id: &DocumentId) -> Result<(), EditFailure> {
        match self.view(caller, id).await? {
            Some(_) => Ok(()),
            None => Err(Denied::Missing(id.clone()).into()),
        }
    }

    /// What anybody may do with this document has changed, or may have.
    fn recheck_document(&self, id: &DocumentId) {
        let slot = self.documents().get(id).cloned();
        slot.into_iter().for_each(|slot| self.recheck(slot));
    }

    /// What many may do has changed, or may have. Waits for no document: whoever calls this has others to look after.
    pub fn recheck_all(&self) {
        let open: Vec<Slot> = self.documents().values().cloned().collect();
        open.into_iter().for_each(|slot| self.recheck(slot));
    }

    /// A document that is busy is told as soon as its mailbox has room. Until then nobody writes what they may not: that is
    /// asked again for each message.
    fn recheck(&self, slot: Slot) {
        if let Err(mpsc::error::TrySendError::Full(command)) = slot.commands.try_send(Command::Recheck)
            && !slot.recheck_waits.swap(true, Ordering::SeqCst)
        {
            self.inner.tasks.spawn(async move {
                // Refused only when the task ends; the next one asks anew whoever comes.
                if let Ok(room) = slot.commands.reserve().await {
                    // Before it is sent: what changes from here on is told once more.
                    slot.recheck_waits.store(false, Ordering::SeqCst);
                    room.send(command);
                }
            });
        }
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
        Ok(self.inner.store.load(id).await?.map(|loaded| loaded.bytes))
    }

    /// Whether changes can be made durable now, or could be a second ago; in words for whoever asks.
    ///
    /// # Errors
    /// When they cannot.
    pub async fn ready(&self) -> Result<(), String> {
        if self.inner.stopping.load(Ordering::Relaxed) {
            return Err("the server is shutting down".to_owned());
        }
        let health = self.inner.store.health();
        if !health.is_ok() {
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
            _ => "nothing can be written to the disk; the reason is in the log".to_owned(),
        })
    }

    /// Writes what there is to write and ends all tasks. Connections must be closed before.
    pub async fn stop(&self) {
        self.inner.stopping.store(true, Ordering::SeqCst);
        let slots: Vec<Slot> = self.documents().values().cloned().collect();
        for slot in slots {
            let _ = slot.commands.send(Command::Stop).await;
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Sends to a document's task, which is started if there is none.
    async fn send(&self, id: &DocumentId, mut command: Command) -> Result<(), Unavailable> {
        loop {
            let slot = self.slot(id)?;
            match slot.commands.send(command).await {
                Ok(()) => return Ok(()),
                // Unloaded between the look-up and the sending: the next one is in the table, or made.
                Err(mpsc::error::SendError(returned)) => {
                    command = returned;
                    self.forget(id, &slot);
                    // A runtime that is being torn down ends every task that is begun: this one must let it.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// The same for what only makes sense for a document that is open.
    async fn send_if_open(&self, id: &DocumentId, command: Command) -> Result<(), Unavailable> {
        let slot = self.documents().get(id).cloned();
        if let Some(slot) = slot {
            let _ = slot.commands.send(command).await;
        }
        Ok(())
    }

    /// The same for what may be lost: nobody waits for a place in the mailbox with it.
    fn offer_if_open(&self, id: &DocumentId, command: Command) {
        let slot = self.documents().get(id).cloned();
        if let Some(slot) = slot {
            let _ = slot.commands.try_send(command);
        }
    }

    fn slot(&self, id: &DocumentId) -> Result<Slot, Unavailable> {
        let mut documents = self.documents();
        if let Some(slot) = documents.get(id) {
            return Ok(slot.clone());
        }
        if self.inner.stopping.load(Ordering::SeqCst) {
            return Err(Unavailable::Stopping);
        }
        let (commands, mailbox) = mpsc::channel(MAILBOX);
        let slot = Slot { commands, shown: Arc::default(), recheck_waits: Arc::default() };
        documents.insert(id.clone(), slot.clone());
        let task = DocumentTask::new(self.clone(), id.clone(), mailbox, Arc::clone(&slot.shown));
        self.inner.tasks.spawn(task.run());
        Ok(slot)
    }

    /// Takes a task out of the table, unless another one has taken its place.
    fn forget(&self, id: &DocumentId, slot: &Slot) {
        let mut documents = self.documents();
        if documents.get(id).is_some_and(|current| current.commands.same_channel(&slot.commands)) {
            documents.remove(id);
        }
    }

    /// Takes a task out of the table if nothing waits for it. False: there is something to do.
    fn forget_if_idle(&self, id: &DocumentId, mailbox: &mut mpsc::Receiver<Command>) -> bool {
        let mut documents = self.documents();
        if !mailbox.is_empty() {
            return false;
        }
        documents.remove(id);
        mailbox.close();
        true
    }

    /// Whether one more document may come to be now; it is counted if so.
    fn may_make_document(&self) -> bool {
        let mut bucket = self.inner.new_documents.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(1.0, Instant::now).is_ok()
    }

    fn documents(&self) -> MutexGuard<'_, HashMap<DocumentId, Slot>> {
        self.inner.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many documents may take apart and apply what takes much memory, and time, at once: one processor stays for all
/// others.
fn turns() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().saturating_sub(1).max(1))
}
