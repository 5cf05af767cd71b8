//! The file store: one append-only log per document, in Automerge's own format.
//!
//! A file is a chain of whole chunks. Any Automerge binding can open it, and a copy of it is a backup. Other files may exist
//! next to it:
//!
//! | file | contents |
//! |---|---|
//! | `<file>.lock` | lock of the process that has the file open |
//! | `<file>.new` | unfinished replacement, removed when the file is next opened |
//! | `<file>.torn-<offset>` | bytes that a repair truncated |
//! | `<file>.unsynced` | marks a file that must be rewritten when it is next opened, because the disk failed |

mod access;
mod authors;
mod default_document;
mod document;
mod documents_folder;
mod entry;
mod health;
mod log;
mod open_files;
mod peers;
mod reader;
mod repair;
mod rewrite;
mod state_file;
#[cfg(test)]
mod tests;
mod unsynced_marker;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use documents_folder::LockedFolder;
use entry::{DocumentEntry, LogGuard};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log::Log;
use offload::{ShortWait, block_in_place, can_block_in_place, run_blocking};
pub use open_files::OpenFileLimits;
use open_files::OpenFilePool;
use parking_lot::Mutex;
use primitives::DocumentId;
pub use reader::{FileContent, FileReader};
pub use state_file::StateFile;
pub(super) use state_file::is_named_as_document;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use super::disk::{Disk, LockGuard, with_suffix};
use super::integrity::IdSource;
use super::{
    AccessChanged, Appended, Batch, Health, Lengths, Loaded, OpenError, PeerRecord, Position, Store, StoreError,
    StoredAccess, UnavailableReason,
};

/// Extension of document files.
const EXTENSION: &str = ".automerge";
/// Name of the lock file in the folder of the documents.
const FOLDER_LOCK: &str = ".lock";

/// The lock file of a file that a process has open as its default document.
fn lock_path(path: &Path) -> PathBuf {
    with_suffix(path, ".lock")
}

/// Stores documents in files.
///
/// The default document is the file that a [`StateFile`] opened. All others are `<documentId>.automerge` in a separate folder,
/// which is created with the first of them. The store locks the file and the folder until it is dropped and its last call has
/// ended.
pub struct FileStore {
    inner: Arc<Inner>,
}

/// Shared by the store and its running calls.
struct Inner {
    disk: Arc<dyn Disk>,
    default_id: DocumentId,
    /// File of the default document, with symbolic links resolved.
    state: PathBuf,
    /// The path that was requested for it.
    requested_state: PathBuf,
    state_id_source: IdSource,
    _state_lock: LockGuard,
    /// Folder of all other documents.
    documents: PathBuf,
    /// `None` until the folder exists.
    locked_folder: Mutex<Option<LockedFolder>>,
    /// Documents that are open or in use.
    entries: Mutex<HashMap<DocumentId, Arc<DocumentEntry>>>,
    unavailable: Mutex<BTreeMap<DocumentId, UnavailableReason>>,
    /// Serializes [`Store::probe`].
    probing: Mutex<()>,
    short_writes: ShortWait,
    open_files: OpenFilePool,
    /// One permit per call that opens files. A call may hold a document's log while it waits for a permit. A call with a permit
    /// never waits for a log.
    call_permits: Arc<Semaphore>,
    /// One permit per compaction that has its files open. A compaction waits for a log while it holds a permit, so these are
    /// separate from `call_permits`.
    compaction_permits: Arc<Semaphore>,
}

impl FileStore {
    /// Opens the store: `state` is the document `default_id`, and `documents` is the folder of all others.
    ///
    /// Blocks for a moment; call it before serving.
    ///
    /// # Errors
    /// When the folder is in use by another process, is not a folder, or cannot be written.
    pub fn open(state: StateFile, default_id: DocumentId, documents: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::open_with_limits(state, default_id, documents, OpenFileLimits::default())
    }

    /// Like [`open`](Self::open), with other limits on open files.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_with_limits(
        state: StateFile,
        default_id: DocumentId,
        documents: impl Into<PathBuf>,
        limits: OpenFileLimits,
    ) -> Result<Self, OpenError> {
        let documents = documents.into();
        let entry = DocumentEntry { log: Arc::new(AsyncMutex::new(state.log)), ..DocumentEntry::default() };
        let inner = Inner {
            disk: state.disk,
            entries: Mutex::new(HashMap::from([(default_id.clone(), Arc::new(entry))])),
            default_id,
            state: state.path,
            requested_state: state.requested_path,
            state_id_source: state.id_source,
            _state_lock: state.lock,
            documents,
            locked_folder: Mutex::default(),
            unavailable: Mutex::default(),
            probing: Mutex::default(),
            short_writes: ShortWait::default(),
            open_files: OpenFilePool::new(limits.kept_open),
            call_permits: Arc::new(Semaphore::new(limits.concurrent_calls)),
            compaction_permits: Arc::new(Semaphore::new(limits.concurrent_calls)),
        };
        if inner.lock_folder()? {
            inner.warn_of_second_default_document()?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs `work` on the log of a document on a thread that may block, after all earlier calls for the document.
    async fn with_log<T: Send + 'static>(
        &self,
        id: DocumentId,
        work: impl FnOnce(&Inner, &DocumentId, &mut Option<Log>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let entry = inner.entry(&id);
        let log = Arc::clone(&entry.log).lock_owned().await;
        let permit = inner.call_permit().await;
        run_blocking(move || {
            let result = inner.run_on_log(&id, entry, log, work);
            drop(permit);
            result
        })
        .await
    }

    /// Like [`with_log`](Self::with_log), for work that takes a fraction of a millisecond on most disks. Where possible, the
    /// work runs on the calling thread, as a switch to another thread and back would double its duration. `opens_files`: the
    /// work opens other files than the log.
    async fn with_log_in_place<T: Send + 'static>(
        &self,
        id: DocumentId,
        opens_files: bool,
        work: impl FnOnce(&Inner, &DocumentId, &mut Option<Log>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if !can_block_in_place() {
            return self.with_log(id, work).await;
        }
        let entry = self.inner.entry(&id);
        let log = Arc::clone(&entry.log).lock_owned().await;
        let opens_files = opens_files || !log.as_ref().is_some_and(Log::is_open);
        let permit = if opens_files { self.inner.call_permit().await } else { None };
        let work = || self.inner.run_on_log(&id, entry, log, work);
        // Opening and creating files takes longer than a write.
        let result = if opens_files { block_in_place(work) } else { self.inner.short_writes.run(work) };
        drop(permit);
        result
    }

    /// Runs `work`, which opens files but no log, on a thread that may block.
    async fn with_call_permit<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> T {
        let inner = Arc::clone(&self.inner);
        let permit = inner.call_permit().await;
        run_blocking(move || {
            let result = work(&inner);
            drop(permit);
            result
        })
        .await
    }
}

impl Inner {
    /// Waits for a permit to open files. Always `Some`, as the semaphore is never closed.
    async fn call_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.call_permits).acquire_owned().await.ok()
    }
}

impl Store for FileStore {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        self.with_log(id.clone(), Inner::load).boxed()
    }

    fn raw(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.with_log(id.clone(), |inner, id, _| inner.read_file(id)).boxed()
    }

    fn append(&self, id: &DocumentId, _: Position, batch: Batch) -> BoxFuture<'_, Result<Appended, StoreError>> {
        let Batch { chunks, authors, .. } = batch;
        // The authors have a file of their own.
        let opens_files = !authors.is_empty();
        let append = move |inner: &Inner, id: &DocumentId, log: &mut Option<Log>| {
            if opens_files {
                inner.append_authors(id, &authors)?;
            }
            let lengths = inner.append(id, log, &chunks)?;
            Ok(Appended::Stored { at: Position::START, lengths })
        };
        self.with_log_in_place(id.clone(), opens_files, append).boxed()
    }

    fn compact(&self, id: &DocumentId, _: Position, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        rewrite::compact(Arc::clone(&self.inner), id.clone(), snapshot).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        self.with_call_permit(Inner::list).boxed()
    }

    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        async move {
            let entry = inner.entry(&id);
            // A running rewrite is about to replace the file.
            let rewrite = Arc::clone(&entry.rewrite).lock_owned().await;
            let mut log: LogGuard = Arc::clone(&entry.log).lock_owned().await;
            // Only the open log knows the durable part of a document that needs recovery, and only its handle leads to a file
            // that another program removed.
            let must_stay_open = |log: &mut Log| {
                log.needs_recovery() || log.check_external_change().is_ok_and(|change| change.is_some())
            };
            if !log.as_mut().is_some_and(must_stay_open) {
                *log = None;
                inner.open_files.remove(&id);
            }
            inner.update_health(&id, log.as_ref());
            drop((log, rewrite));
            inner.remove_entry_if_closed(&id, entry);
        }
        .boxed()
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        rewrite::recover(Arc::clone(&self.inner), id.clone(), full_copy).boxed()
    }

    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>> {
        let id = id.clone();
        self.with_call_permit(move |inner| Ok(peers::load(&*inner.disk, &inner.peers_file(&id)))).boxed()
    }

    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        // With the log, because two concurrent saves would write to the same temporary file.
        self.with_log(id.clone(), move |inner, id, _| inner.save_peers(id, &records)).boxed()
    }

    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        self.with_log(id.clone(), |inner, id, _| inner.load_authors(id)).boxed()
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Vec<StoredAccess>, StoreError>> {
        let inner = Arc::clone(&self.inner);
        run_blocking(move || inner.load_access()).boxed()
    }

    fn load_access_of(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<StoredAccess>, StoreError>> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        run_blocking(move || inner.load_access_of(&id)).boxed()
    }

    fn change_access(
        &self,
        id: &DocumentId,
        _: u64,
        record: Vec<u8>,
    ) -> BoxFuture<'_, Result<AccessChanged, StoreError>> {
        let save = move |inner: &Inner, id: &DocumentId, _: &mut Option<Log>| {
            inner.save_access(id, &record)?;
            Ok(AccessChanged::Stored(0))
        };
        self.with_log(id.clone(), save).boxed()
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with_log(id.clone(), Inner::remove).boxed()
    }

    fn health(&self) -> Health {
        let unavailable = self.inner.unavailable.lock();
        Health { unavailable: unavailable.iter().map(|(id, reason)| (id.clone(), *reason)).collect() }
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let inner = Arc::clone(&self.inner);
        run_blocking(move || inner.probe()).boxed()
    }
}
