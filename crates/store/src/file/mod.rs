//! The embedded default: one append-only log per document, in Automerge's own format.
//!
//! A file is a chain of whole chunks, so any binding of Automerge opens it and a copy of it is a backup. Beside a file
//! may stand `….lock` (who has it open), `….new` (a rewrite that was not finished: removed at the next opening) and
//! `….torn-<offset>` (what a repair cut off) and `….unsynced` (the disk failed: to be written anew when next opened).

mod access;
mod authors;
mod log;
mod peers;
mod pool;
mod repair;
mod rewrite;
mod state;
#[cfg(test)]
mod tests;
mod trust;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use log::{Log, NotAppended, NotOpened, Opened};
use offload::{ShortWait, block_in_place, can_block_in_place, run_blocking};
use parking_lot::Mutex;
pub use pool::OpenFiles;
use pool::Pool;
use primitives::DocumentId;
pub use state::StateFile;
pub(super) use state::is_named_as_document;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::content::{self, Identity};
use super::disk::{Disk, FileId, LockGuard, beside, folder_of};
use super::{
    Displaced, Displacement, Health, Lengths, Loaded, OpenError, PeerRecord, Place, Records, Refusal, Repair, Store,
    StoreError,
};

const EXTENSION: &str = ".automerge";
/// Of the files that are kept open, how many are looked at for one that can be closed.
const CANDIDATES: usize = 8;
/// Locked by whoever has a folder of documents.
const FOLDER_LOCK: &str = ".lock";

/// Locked by whoever has a file as its default document.
fn lock_of(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// Documents in files of this computer.
///
/// The default document is the file that a [`StateFile`] opened; further ones are `<documentId>.automerge` in a folder
/// of their own, which is made when it is first needed. Each place is locked for this process until the store is
/// dropped and its last call has ended.
pub struct FileStore {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    default_id: DocumentId,
    state: PathBuf,
    /// The path that was given for it, from which a symbolic link may lead there.
    state_name: PathBuf,
    state_identity: Identity,
    _state_lock: LockGuard,
    documents: PathBuf,
    /// With the folder that was locked: another may be put in its place.
    documents_lock: Mutex<Option<(LockGuard, FileId)>>,
    slots: Mutex<HashMap<DocumentId, Arc<Slot>>>,
    refused: Mutex<BTreeMap<DocumentId, Refusal>>,
    probing: Mutex<()>,
    writing: ShortWait,
    pool: Pool,
    /// A permit for each call that opens files. Whoever waits for one may hold a document's log, and whoever has one waits
    /// for no log.
    calls: Arc<Semaphore>,
    /// A permit for each compaction that has its files open. It waits for a log while it has one: so they are others.
    rewrites: Arc<Semaphore>,
}

/// The place of one document. Its locks are taken in the order of its fields.
#[derive(Default)]
struct Slot {
    /// Held while the file is replaced or closed.
    rewriting: Arc<AsyncMutex<()>>,
    /// Held by every call that touches the file: single flight for opening, one after the other for the rest.
    log: Arc<AsyncMutex<Option<Log>>>,
}

type LogCell = OwnedMutexGuard<Option<Log>>;

impl FileStore {
    /// Opens the store: `state` is the document `default_id`, and `documents` the folder of all others.
    ///
    /// Blocks for a moment; call it before serving.
    ///
    /// # Errors
    /// When the folder is in use by another process, is no folder, or cannot be written.
    pub fn open(state: StateFile, default_id: DocumentId, documents: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::open_within(state, default_id, documents, OpenFiles::default())
    }

    /// The same with another number of open files.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_within(
        state: StateFile,
        default_id: DocumentId,
        documents: impl Into<PathBuf>,
        open_files: OpenFiles,
    ) -> Result<Self, OpenError> {
        let documents = documents.into();
        let slot = Slot { log: Arc::new(AsyncMutex::new(state.log)), ..Slot::default() };
        let inner = Inner {
            disk: state.disk,
            slots: Mutex::new(HashMap::from([(default_id.clone(), Arc::new(slot))])),
            default_id,
            state: state.path,
            state_name: state.name,
            state_identity: state.identity,
            _state_lock: state.lock,
            documents,
            documents_lock: Mutex::default(),
            refused: Mutex::default(),
            probing: Mutex::default(),
            writing: ShortWait::default(),
            pool: Pool::new(open_files.kept),
            calls: Arc::new(Semaphore::new(open_files.at_once)),
            rewrites: Arc::new(Semaphore::new(open_files.at_once)),
        };
        if inner.enter_documents()? {
            let shadowed = format!("{}{EXTENSION}", inner.default_id);
            let files = inner.disk.files(&inner.documents).map_err(|error| inner.documents_error(error))?;
            if files.iter().any(|(name, _)| *name == shadowed) {
                tracing::warn!(
                    used = %inner.state.display(), ignored = %inner.documents.join(shadowed).display(),
                    "there are two files for the default document"
                );
            }
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs `work` on the log of a document, on a thread that may block, after all earlier calls about it.
    async fn with_log<T: Send + 'static>(
        &self,
        id: DocumentId,
        work: impl FnOnce(&Inner, &DocumentId, &mut Option<Log>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let slot = inner.slot(&id);
        let cell = Arc::clone(&slot.log).lock_owned().await;
        let call = inner.call().await;
        run_blocking(move || {
            let result = inner.work_on(&id, slot, cell, work);
            drop(call);
            result
        })
        .await
    }

    /// The same for what takes a fraction of a millisecond on most disks: where possible on the very thread that asks, as
    /// to wake another one and be woken by it would take as long again. `opens`: it opens other files than the log.
    async fn with_log_here<T: Send + 'static>(
        &self,
        id: DocumentId,
        opens: bool,
        work: impl FnOnce(&Inner, &DocumentId, &mut Option<Log>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if !can_block_in_place() {
            return self.with_log(id, work).await;
        }
        let slot = self.inner.slot(&id);
        let cell = Arc::clone(&slot.log).lock_owned().await;
        let opens = opens || !cell.as_ref().is_some_and(Log::is_open);
        let call = if opens { self.inner.call().await } else { None };
        let work = || self.inner.work_on(&id, slot, cell, work);
        // Opening and creating files takes longer than a write.
        let result = if opens { block_in_place(work) } else { self.inner.writing.run(work) };
        drop(call);
        result
    }

    /// Runs work that opens files of its own.
    async fn opening<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> T + Send + 'static) -> T {
        let inner = Arc::clone(&self.inner);
        let call = inner.call().await;
        run_blocking(move || {
            let result = work(&inner);
            drop(call);
            result
        })
        .await
    }
}

impl Inner {
    fn work_on<T>(
        &self,
        id: &DocumentId,
        slot: Arc<Slot>,
        mut cell: LogCell,
        work: impl FnOnce(&Self, &DocumentId, &mut Option<Log>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = work(self, id, &mut cell);
        self.bound_open_files(id, cell.as_mut());
        self.note_refusal(id, cell.as_ref());
        drop(cell);
        self.forget_if_closed(id, slot);
        result
    }

    /// The right to open files. (`None` never comes: the right is not abolished.)
    async fn call(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.calls).acquire_owned().await.ok()
    }

    /// Decides whether a document's file stays open after a use.
    fn bound_open_files(&self, id: &DocumentId, log: Option<&mut Log>) {
        // The default document's lock is that of its file.
        if *id == self.default_id {
            return;
        }
        match log {
            Some(log) if log.is_open() => {
                let keeps = (log.was_written() || self.pool.has(id)) && self.make_room(id);
                if !keeps && log.close_file() {
                    self.pool.leave(id);
                }
            }
            _ => self.pool.leave(id),
        }
    }

    /// Keeps the file of a document open, if need be instead of another one's that nobody is using.
    fn make_room(&self, id: &DocumentId) -> bool {
        if self.pool.used(id) {
            return true;
        }
        for other in self.pool.oldest(CANDIDATES) {
            let slot = self.slots.lock().get(&other).cloned();
            let closed = slot
                .as_ref()
                .is_none_or(|slot| slot.log.try_lock().is_ok_and(|mut log| log.as_mut().is_none_or(Log::close_file)));
            if closed {
                self.pool.leave(&other);
            }
            if let Some(slot) = slot {
                self.forget_if_closed(&other, slot);
            }
            if closed && self.pool.used(id) {
                return true;
            }
        }
        false
    }

    fn slot(&self, id: &DocumentId) -> Arc<Slot> {
        Arc::clone(self.slots.lock().entry(id.clone()).or_default())
    }

    /// Removes the slot of a document that is not open, unless another call has it: ids that were only asked for
    /// must not add up.
    fn forget_if_closed(&self, id: &DocumentId, slot: Arc<Slot>) {
        let mut slots = self.slots.lock();
        // The map's and this one; new ones are only made under the lock that is held here.
        if Arc::strong_count(&slot) == 2 && slot.log.try_lock().is_ok_and(|log| log.is_none()) {
            slots.remove(id);
        }
    }

    fn note_refusal(&self, id: &DocumentId, log: Option<&Log>) {
        // What could not be opened was noted where that was found out.
        let Some(log) = log else { return };
        let refusal = match log.displaced() {
            _ if log.is_refused() => Some(Refusal::Unwritable),
            Some(_) => Some(Refusal::Displaced),
            None => None,
        };
        let before = {
            let mut refused = self.refused.lock();
            match refusal {
                Some(refusal) => refused.insert(id.clone(), refusal),
                None => refused.remove(id),
            }
        };
        match log.displaced() {
            Some(how) if refusal == Some(Refusal::Displaced) && before != refusal => {
                tracing::error!(document = %id, "{}", Displaced { place: self.place(id), how });
            }
            None if before == Some(Refusal::Displaced) => {
                tracing::info!(document = %id, "the document's file is in its place again; it takes changes");
            }
            _ => {}
        }
    }

    fn place(&self, id: &DocumentId) -> Place {
        if *id == self.default_id {
            Place::State(self.state.clone())
        } else {
            Place::Documents(self.documents.join(format!("{id}{EXTENSION}")))
        }
    }

    /// The path under which the file of a document was asked for.
    fn name(&self, id: &DocumentId) -> PathBuf {
        if *id == self.default_id { self.state_name.clone() } else { self.place(id).path().to_owned() }
    }

    fn displaced(&self, id: &DocumentId, how: Displacement) -> StoreError {
        StoreError::Displaced { id: id.clone(), displaced: Displaced { place: self.place(id), how } }
    }

    fn documents_error(&self, error: io::Error) -> OpenError {
        OpenError::io(Place::Documents(self.documents.clone()), error)
    }

    /// Locks the folder of the documents, if it is there. Says whether it is.
    fn enter_documents(&self) -> Result<bool, OpenError> {
        let mut lock = self.documents_lock.lock();
        if let Some((_, folder)) = &*lock {
            return self.is_in_place(*folder).map(|()| true);
        }
        match self.disk.files(&self.documents) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| self.documents_error(error))?,
        };
        let place = Place::Documents(self.documents.clone());
        let guard = self.disk.lock(&self.documents.join(FOLDER_LOCK)).map_err(|error| OpenError::lock(place, error))?;
        let folder = self.disk.look(&self.documents).map_err(|error| self.documents_error(error))?.file;
        *lock = Some((guard, folder));
        Ok(true)
    }

    /// Looks whether the folder of the documents that was locked still stands at its path.
    fn is_in_place(&self, folder: FileId) -> Result<(), OpenError> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let how = match self.disk.look(&self.documents) {
            Ok(seen) if seen.file == folder => return Ok(()),
            Ok(_) => Displacement::Replaced,
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Displacement::Gone,
            Err(error) => return Err(self.documents_error(error)),
        };
        Err(Displaced { place: Place::Documents(self.documents.clone()), how }.into())
    }

    /// Locks the folder of the documents, after making it if it is not there.
    fn make_documents(&self) -> Result<(), OpenError> {
        if !self.enter_documents()? {
            self.disk.create_dir(&self.documents).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => OpenError::FolderMissing { place: Place::Documents(self.documents.clone()) },
                _ => self.documents_error(error),
            })?;
            self.disk.sync_dir(folder_of(&self.documents)).map_err(|error| self.documents_error(error))?;
            self.enter_documents()?;
        }
        Ok(())
    }

    /// Opens the log of a document, if it is not open and there is one. Says what was cut off it.
    fn ensure_open(&self, id: &DocumentId, cell: &mut Option<Log>) -> Result<Option<Repair>, StoreError> {
        if cell.is_some() || (*id != self.default_id && !self.enter_documents()?) {
            return Ok(None);
        }
        let place = self.place(id);
        if *id != self.default_id
            && let Err(error) = self.disk.is_free(&lock_of(place.path()))
        {
            return Err(OpenError::lock(place, error).into());
        }
        // By now the default document's id is known, too; what matters is whether the next start would find it.
        let identity = if *id == self.default_id { self.state_identity } else { Identity::Known };
        match Log::open(&self.disk, place.path(), &self.name(id), identity) {
            Ok(None) => {
                self.refused.lock().remove(id);
                Ok(None)
            }
            Ok(Some(Opened { log, repaired })) => {
                *cell = Some(log);
                self.refused.lock().remove(id);
                Ok(repaired)
            }
            Err(NotOpened::Io(error)) => Err(OpenError::io(place, error).into()),
            Err(NotOpened::Locked) => Err(OpenError::LockedElsewhere { place }.into()),
            Err(NotOpened::Damaged(damage)) => {
                let error = OpenError::damage(place, damage);
                tracing::error!(document = %id, %error, "a document is quarantined");
                self.refused.lock().insert(id.clone(), Refusal::Quarantined);
                Err(error.into())
            }
        }
    }

    fn load(&self, id: &DocumentId, cell: &mut Option<Log>) -> Result<Option<Loaded>, StoreError> {
        let repaired = self.ensure_open(id, cell)?;
        let Some(log) = cell.as_mut() else { return Ok(None) };
        let bytes = log.read().map_err(|source| StoreError::Read { id: id.clone(), source })?;
        let (document, snapshot_len) = (log.take_document(), log.lengths().snapshot);
        Ok(Some(Loaded { bytes, document, snapshot_len, repaired }))
    }

    fn append(&self, id: &DocumentId, cell: &mut Option<Log>, bytes: &[u8]) -> Result<Lengths, StoreError> {
        self.try_to_append(id, cell, bytes).map_err(|error| error.while_writing(id))
    }

    fn try_to_append(&self, id: &DocumentId, cell: &mut Option<Log>, bytes: &[u8]) -> Result<Lengths, StoreError> {
        debug_assert!(content::are_chunks(bytes), "only whole chunks are appended");
        self.ensure_open(id, cell)?;
        if bytes.is_empty() {
            return Ok(cell.as_ref().map_or(Lengths { snapshot: 0, log: 0 }, Log::lengths));
        }
        if let Some(log) = cell {
            return log.append(bytes).map_err(|error| match error {
                NotAppended::Failed(source) => StoreError::write(id, source),
                NotAppended::Refused => StoreError::Refused { id: id.clone() },
                NotAppended::Displaced(how) => self.displaced(id, how),
            });
        }
        if *id != self.default_id {
            self.make_documents()?;
        }
        let place = self.place(id);
        let log = Log::create(&self.disk, place.path(), &self.name(id), bytes);
        let log = log.map_err(|error| StoreError::write(id, error))?;
        Ok(cell.insert(log).lengths())
    }

    fn remove(&self, id: &DocumentId, cell: &mut Option<Log>) -> Result<(), StoreError> {
        *cell = None;
        self.refused.lock().remove(id);
        let path = self.place(id).path().to_owned();
        let peers = self.peers_file(id);
        let failed = |error| StoreError::write(id, error);
        let mut files = vec![path.clone(), peers.clone()];
        // What crashes have left and repairs have kept of it, too.
        for path in [&path, &peers] {
            files.extend(self.left_beside(path).map_err(failed)?);
        }
        for path in files {
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        self.disk.sync_dir(folder_of(&path)).map_err(failed)
    }

    /// Files beside another one in which some of it may be.
    fn left_beside(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let files = match self.disk.files(folder_of(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
        let is_one = |rest: &str| rest == ".new" || rest == ".unsynced" || rest.starts_with(".torn-");
        let left = files.iter().map(|(file, _)| file).filter(|file| file.strip_prefix(name).is_some_and(is_one));
        Ok(left.map(|file| path.with_file_name(file)).collect())
    }

    fn list(&self) -> Result<Vec<DocumentId>, StoreError> {
        if let Some((_, folder)) = &*self.documents_lock.lock() {
            // One that was moved away is not an empty one.
            self.is_in_place(*folder)?;
        }
        let files = match self.disk.files(&self.documents) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(|error| StoreError::from(self.documents_error(error)))?,
        };
        // An empty one is listed as well: it was a document, and cannot be opened.
        let names = files.iter().map(|(name, _)| name);
        let mut ids: BTreeSet<DocumentId> =
            names.filter_map(|name| name.strip_suffix(EXTENSION)?.parse().ok()).collect();
        ids.insert(self.default_id.clone());
        Ok(ids.into_iter().collect())
    }

    fn probe(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.probing.lock();
        self.find_displaced()?;
        self.try_writing(&beside(&self.state, ".probe"))
            .map_err(|source| StoreError::Folder { place: Place::State(self.state.clone()), source })?;
        if self.enter_documents()? {
            self.try_writing(&self.documents.join(".probe"))
                .map_err(|source| StoreError::Folder { place: Place::Documents(self.documents.clone()), source })?;
        }
        Ok(())
    }

    /// Looks whether the files that are open still stand at their paths. (A document that is being worked with looks for itself.)
    fn find_displaced(&self) -> Result<(), StoreError> {
        let slots: Vec<_> = self.slots.lock().iter().map(|(id, slot)| (id.clone(), Arc::clone(slot))).collect();
        let mut result = Ok(());
        for (id, slot) in slots {
            if let Ok(mut cell) = slot.log.try_lock()
                && let Some(log) = cell.as_mut()
            {
                let found = match log.find_displacement() {
                    Ok(None) => Ok(()),
                    Ok(Some(how)) => Err(self.displaced(&id, how)),
                    Err(source) => Err(StoreError::Folder { place: self.place(&id), source }),
                };
                self.note_refusal(&id, Some(log));
                result = result.and(found);
            }
            self.forget_if_closed(&id, slot);
        }
        result
    }

    fn try_writing(&self, path: &Path) -> io::Result<()> {
        // One that a crash left behind.
        let _ = self.disk.remove(path);
        let file = self.disk.create(path, None)?;
        // As much as a batch of changes: a disk with only a few bytes left is full.
        let written = file.write(0, &[0; 4096]).and_then(|()| file.sync());
        let removed = self.disk.remove(path);
        written.and(removed).and_then(|()| self.disk.sync_dir(folder_of(path)))
    }
}

impl Store for FileStore {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        self.with_log(id.clone(), Inner::load).boxed()
    }

    fn raw(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.with_log(id.clone(), |inner, id, _| {
            let read = |path: &Path| {
                let file = inner.disk.open(path)?;
                file.read(0..file.len()?)
            };
            match read(inner.place(id).path()) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(StoreError::Read { id: id.clone(), source }),
            }
        })
        .boxed()
    }

    fn append(&self, id: &DocumentId, bytes: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        self.with_log_here(id.clone(), false, move |inner, id, cell| inner.append(id, cell, &bytes)).boxed()
    }

    fn compact(&self, id: &DocumentId, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        rewrite::compact(Arc::clone(&self.inner), id.clone(), snapshot).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        self.opening(Inner::list).boxed()
    }

    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        async move {
            let slot = inner.slot(&id);
            // A rewrite in progress is about to replace the file that is to be closed.
            let rewriting = Arc::clone(&slot.rewriting).lock_owned().await;
            let mut cell: LogCell = Arc::clone(&slot.log).lock_owned().await;
            // What is durable of a refused document is known only here, and a file without a name is gone with its handle.
            let keep = |log: &mut Log| log.is_refused() || log.find_displacement().is_ok_and(|how| how.is_some());
            if !cell.as_mut().is_some_and(keep) {
                *cell = None;
                inner.pool.leave(&id);
            }
            inner.note_refusal(&id, cell.as_ref());
            drop((cell, rewriting));
            inner.forget_if_closed(&id, slot);
        }
        .boxed()
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        rewrite::recover(Arc::clone(&self.inner), id.clone(), full_copy).boxed()
    }

    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>> {
        let id = id.clone();
        self.opening(move |inner| Ok(peers::load(&*inner.disk, &inner.peers_file(&id)))).boxed()
    }

    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        // Through the document's own queue: two saves at once would write into each other's file.
        self.with_log(id.clone(), move |inner, id, _| inner.save_peers(id, &records)).boxed()
    }

    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        self.with_log(id.clone(), |inner, id, _| inner.load_authors(id)).boxed()
    }

    fn append_authors(&self, id: &DocumentId, lines: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with_log_here(id.clone(), true, move |inner, id, _| inner.append_authors(id, &lines)).boxed()
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Records, StoreError>> {
        let inner = Arc::clone(&self.inner);
        run_blocking(move || inner.load_access()).boxed()
    }

    fn save_access(&self, id: &DocumentId, record: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with_log(id.clone(), move |inner, id, _| inner.save_access(id, &record)).boxed()
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with_log(id.clone(), Inner::remove).boxed()
    }

    fn health(&self) -> Health {
        Health { refused: self.inner.refused.lock().iter().map(|(id, refusal)| (id.clone(), *refusal)).collect() }
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let inner = Arc::clone(&self.inner);
        run_blocking(move || inner.probe()).boxed()
    }
}
