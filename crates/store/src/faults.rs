//! A disk in memory that fails on command, and forgets in a crash what was not synced. For tests.
//!
//! It is as unhelpful as disks are: after a failed sync the unsynced bytes can still be read, but no later sync makes
//! them durable; a crash keeps any part of what was not synced, possibly as zeros; and names are durable only once
//! their folder was synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::disk::{Disk, FileId, LockError, LockGuard, LogFile, Seen, folder_of};

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the operations of a disk, as their names say")]
pub enum Op {
    Open,
    Create,
    Read,
    Write,
    Sync,
    Truncate,
    Rename,
    Remove,
    CreateDir,
    SyncDir,
    List,
    Lock,
    Look,
    LockFile,
}

/// A way in which a disk fails. For tests that try each of them at every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// One call fails, and nothing of it happens.
    Fails,
    /// One call does what it should, and says that it failed.
    FailsAfterwards,
    /// One write ends in the middle.
    ShortWrite,
    /// There is no room for one call.
    Full,
    /// From one call on there is no room.
    StaysFull,
    /// From one call on everything fails.
    Dies,
}

impl Trouble {
    /// Each of them.
    pub const ALL: [Self; 6] =
        [Self::Fails, Self::FailsAfterwards, Self::ShortWrite, Self::Full, Self::StaysFull, Self::Dies];

    /// Whether it makes calls of this kind fail.
    #[must_use]
    pub fn strikes(self, op: Op) -> bool {
        match self {
            Self::Fails | Self::Dies => true,
            Self::FailsAfterwards => !matches!(op, Op::Open | Op::Read | Op::List | Op::Lock | Op::Look | Op::LockFile),
            Self::ShortWrite => op == Op::Write,
            Self::StaysFull => matches!(op, Op::Create | Op::Write | Op::Rename | Op::CreateDir | Op::Lock),
            // Some file systems look for the room only when they have to write it down.
            Self::Full => Self::StaysFull.strikes(op) || op == Op::Sync,
        }
    }
}

/// The disk; clones are handles on the same one.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names since their folder was synced, in order.
    pending: Vec<PendingName>,
    folders: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    /// Files that are locked themselves, by one of their handles.
    locked_files: BTreeSet<usize>,
    /// Handles that are open.
    open: usize,
    faults: Vec<Fault>,
    holds: Vec<Hold>,
    calls: Vec<Op>,
    failed: Vec<Op>,
    lies: bool,
}

struct PendingName {
    folder: PathBuf,
    change: NameChange,
    /// On a disk that lies but keeps the order of what it is told: the file that the name leads to, and its length then.
    after: Option<(usize, usize)>,
}

#[derive(Clone)]
enum NameChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// From here on the bytes were lost by a failed sync.
    lost_from: Option<usize>,
}

struct Fault {
    of: Calls,
    skip: usize,
    kind: io::ErrorKind,
    done: Done,
    once: bool,
}

/// Which calls.
#[derive(Clone, Copy)]
enum Calls {
    All,
    Of(Op),
    In(Trouble),
}

/// How much of a call that fails happens all the same.
#[derive(Clone, Copy)]
enum Done {
    Nothing,
    /// So many bytes of a write.
    Bytes(usize),
    /// Half of a write.
    Half,
    All,
}

struct Hold {
    op: Op,
    reached: oneshot::Sender<()>,
    released: mpsc::Receiver<()>,
}

/// A call that does not come back until this is dropped.
pub struct Held {
    reached: oneshot::Receiver<()>,
    _release: mpsc::Sender<()>,
}

impl Held {
    /// Waits until somebody makes the call.
    ///
    /// # Panics
    /// When the disk is gone before.
    pub async fn reached(&mut self) {
        (&mut self.reached).await.expect("the disk is there");
    }
}

impl FaultyDisk {
    /// An empty disk that does not fail yet, with these folders.
    #[must_use]
    pub fn new(folders: &[&str]) -> Self {
        let disk = Self::default();
        disk.state().folders = folders.iter().map(PathBuf::from).collect();
        disk
    }

    /// Lets one call of `op` fail, after `skip` more that succeed.
    pub fn fail(&self, op: Op, skip: usize, kind: io::ErrorKind) {
        self.add(Fault { of: Calls::Of(op), skip, kind, done: Done::Nothing, once: true });
    }

    /// Lets one write fail, after it has written `bytes` of what it should.
    pub fn short_write(&self, bytes: usize, kind: io::ErrorKind) {
        self.add(Fault { of: Calls::Of(Op::Write), skip: 0, kind, done: Done::Bytes(bytes), once: true });
    }

    /// Lets one call of any kind fail, after `skip` more that succeed.
    pub fn fail_any(&self, skip: usize, kind: io::ErrorKind) {
        self.add(Fault { of: Calls::All, skip, kind, done: Done::Nothing, once: true });
    }

    /// Lets every call of `op` fail, until [`heal`](Self::heal).
    pub fn break_op(&self, op: Op, kind: io::ErrorKind) {
        self.add(Fault { of: Calls::Of(op), skip: 0, kind, done: Done::Nothing, once: false });
    }

    /// Lets every call fail, after `skip` more that succeed: the power is about to go.
    pub fn break_after(&self, skip: usize) {
        self.trouble(Trouble::Dies, skip);
    }

    /// Begins after `skip` more calls of those that it [`strikes`](Trouble::strikes).
    pub fn trouble(&self, trouble: Trouble, skip: usize) {
        let (kind, done, once) = match trouble {
            Trouble::Fails => (io::ErrorKind::Other, Done::Nothing, true),
            Trouble::FailsAfterwards => (io::ErrorKind::Other, Done::All, true),
            Trouble::ShortWrite => (io::ErrorKind::Other, Done::Half, true),
            Trouble::Full => (io::ErrorKind::StorageFull, Done::Nothing, true),
            Trouble::StaysFull => (io::ErrorKind::StorageFull, Done::Half, false),
            Trouble::Dies => (io::ErrorKind::Other, Done::Nothing, false),
        };
        self.add(Fault { of: Calls::In(trouble), skip, kind, done, once });
    }

    fn add(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Lets the next call of `op` wait until what this returns is dropped.
    #[must_use]
    pub fn hold(&self, op: Op) -> Held {
        let (reached, is_reached) = oneshot::channel();
        let (release, released) = mpsc::channel();
        self.state().holds.push(Hold { op, reached, released });
        Held { reached: is_reached, _release: release }
    }

    /// Ends all faults, those that have not happened yet included.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// From now on nothing is synced that is said to be. A crash then loses the end of what the disk was told: of what
    /// was written to a file, and of the names; a new name is never there without what was in its file by then.
    pub fn lie(&self) {
        self.state().lies = true;
    }

    /// The calls so far, failed ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<Op> {
        self.state().calls.clone()
    }

    /// Those of them that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<Op> {
        self.state().failed.clone()
    }

    /// How many handles of files are open.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        self.state().open
    }

    /// The content of a file, if there is one.
    #[must_use]
    pub fn content(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path.as_ref()).map(|&file| state.files[file].bytes.clone())
    }

    /// Puts a file there, durably.
    pub fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.files.len();
        state.files.push(Content { bytes: bytes.to_vec(), durable: bytes.to_vec(), lost_from: None });
        state.names.insert(path.as_ref().to_owned(), file);
        state.durable_names.insert(path.as_ref().to_owned(), file);
    }

    /// All files, by their paths.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// The disk as it is found after a power cut. Where the outcome is open, `choose(n)` decides by a number up to
    /// `n`, inclusive.
    #[must_use]
    pub fn crash(&self, mut choose: impl FnMut(usize) -> usize) -> Self {
        let state = self.state();
        let mut names = state.durable_names.clone();
        let survived = choose(state.pending.len());
        let mut written = vec![0; state.files.len()];
        for PendingName { change, after, .. } in &state.pending[..survived] {
            change.apply(&mut names);
            if let Some((file, length)) = *after {
                written[file] = length.max(written[file]);
            }
        }
        let mut files = Vec::new();
        for (content, written) in state.files.iter().zip(written) {
            let bytes = content.after_crash(written, &mut choose);
            files.push(Content { durable: bytes.clone(), bytes, lost_from: None });
        }
        let folders = state.folders.clone();
        let state = State { files, durable_names: names.clone(), names, folders, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The same for a call, which may have to wait.
    fn state_for(&self, op: Op) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let hold = state.holds.iter().position(|hold| hold.op == op).map(|at| state.holds.remove(at));
        let Some(hold) = hold else { return state };
        drop(state);
        // Nobody needs to wait for it, and the other end may be gone.
        let _ = hold.reached.send(());
        let _ = hold.released.recv();
        self.state()
    }
}

impl State {
    /// Notes a call, and lets it fail if it is to; with how much of it happens all the same.
    fn call(&mut self, op: Op) -> Result<(), (io::Error, Done)> {
        self.calls.push(op);
        let mut failed = None;
        self.faults.retain_mut(|fault| {
            let strikes = match fault.of {
                Calls::All => true,
                Calls::Of(wanted) => wanted == op,
                Calls::In(trouble) => trouble.strikes(op),
            };
            if failed.is_some() || !strikes {
                return true;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return true;
            }
            failed = Some((io::Error::from(fault.kind), fault.done));
            !fault.once
        });
        failed.map_or(Ok(()), |failed| {
            self.failed.push(op);
            Err(failed)
        })
    }

    /// The same for a call that happens or does not. What is to be said when it has happened.
    fn try_call(&mut self, op: Op) -> io::Result<io::Result<()>> {
        match self.call(op) {
            Ok(()) => Ok(Ok(())),
            Err((error, Done::All)) => Ok(Err(error)),
            Err((error, _)) => Err(error),
        }
    }

    fn change_name(&mut self, folder: &Path, change: NameChange) {
        change.apply(&mut self.names);
        let file = match &change {
            NameChange::Create(path, _) | NameChange::Rename(_, path) => self.names.get(path),
            NameChange::Remove(_) => None,
        };
        let after = file.filter(|_| self.lies).map(|&file| (file, self.files[file].bytes.len()));
        self.pending.push(PendingName { folder: folder.to_owned(), change, after });
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Content {
    /// Of which at least the first `written` bytes were on the disk.
    fn after_crash(&self, written: usize, choose: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
        if !self.bytes.starts_with(&self.durable) {
            // It was cut, or overwritten, and that was not synced.
            return if choose(1) == 0 { self.durable.clone() } else { self.bytes.clone() };
        }
        let durable = self.durable.len().max(written.min(self.bytes.len()));
        let kept = durable + choose(self.bytes.len() - durable);
        let mut bytes = self.bytes[..kept].to_vec();
        // The new length may be on disk without what was to be there.
        let zeroed = bytes.len() - choose(kept - durable);
        bytes[zeroed..].fill(0);
        bytes
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    file: usize,
    /// Whether this handle holds the file's lock.
    locks: AtomicBool,
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        state.open -= 1;
        if self.locks.load(Ordering::Relaxed) {
            state.locked_files.remove(&self.file);
        }
    }
}

impl FaultyDisk {
    fn handle(&self, state: &mut State, file: usize) -> Arc<dyn LogFile> {
        state.open += 1;
        Arc::new(FaultyFile { disk: self.clone(), file, locks: AtomicBool::new(false) })
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state_for(Op::Open);
        let said = state.try_call(Op::Open)?;
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        said.map(|()| self.handle(&mut state, file))
    }

    fn create(&self, path: &Path, _like: Option<&Path>) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state_for(Op::Create);
        let said = state.try_call(Op::Create)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !state.folders.contains(folder_of(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = state.files.len();
        state.files.push(Content::default());
        state.change_name(folder_of(path), NameChange::Create(path.to_owned(), file));
        said.map(|()| self.handle(&mut state, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state_for(Op::Rename);
        let said = state.try_call(Op::Rename)?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(folder_of(to), NameChange::Rename(from.to_owned(), to.to_owned()));
        said
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state_for(Op::Remove);
        let said = state.try_call(Op::Remove)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(folder_of(path), NameChange::Remove(path.to_owned()));
        said
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state_for(Op::CreateDir);
        let said = state.try_call(Op::CreateDir)?;
        state.folders.insert(path.to_owned());
        said
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state_for(Op::SyncDir);
        let said = state.try_call(Op::SyncDir)?;
        if state.lies {
            return said;
        }
        let State { pending, durable_names, .. } = &mut *state;
        pending.retain(|PendingName { folder, change, .. }| {
            if folder == path {
                change.apply(durable_names);
            }
            folder != path
        });
        said
    }

    fn files(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut state = self.state_for(Op::List);
        let said = state.try_call(Op::List)?;
        if !state.folders.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.iter().filter(|(path, _)| folder_of(path) == dir);
        let named = inside.filter_map(|(path, &file)| Some((path.file_name()?.to_str()?.to_owned(), file)));
        said.map(|()| named.map(|(name, file)| (name, state.files[file].bytes.len() as u64)).collect())
    }

    fn look(&self, path: &Path) -> io::Result<Seen> {
        let mut state = self.state_for(Op::Look);
        let said = state.try_call(Op::Look)?;
        let seen = match state.names.get(path) {
            Some(&file) => Seen { file: id_of(file), len: state.files[file].bytes.len() as u64 },
            None if state.folders.contains(path) => Seen { file: FileId::new(FOLDERS, 0), len: 0 },
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        said.map(|()| seen)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        let mut state = self.state_for(Op::Lock);
        state.try_call(Op::Lock).and_then(|said| said).map_err(LockError::Io)?;
        if !state.folders.contains(folder_of(path)) {
            return Err(LockError::Io(io::ErrorKind::NotFound.into()));
        }
        if !state.locks.insert(path.to_owned()) {
            return Err(LockError::Held(Some(std::process::id())));
        }
        Ok(Box::new(FaultyLock { disk: self.clone(), path: path.to_owned() }))
    }

    fn is_free(&self, path: &Path) -> Result<(), LockError> {
        let mut state = self.state_for(Op::Open);
        state.try_call(Op::Open).and_then(|said| said).map_err(LockError::Io)?;
        if state.locks.contains(path) { Err(LockError::Held(Some(std::process::id()))) } else { Ok(()) }
    }
}

struct FaultyLock {
    disk: FaultyDisk,
    path: PathBuf,
}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

/// The devices of files and of folders. (A folder is always the same one.)
const FILES: u64 = 0;
const FOLDERS: u64 = 1;

fn id_of(file: usize) -> FileId {
    FileId::new(FILES, file as u64)
}

impl LogFile for FaultyFile {
    fn id(&self) -> io::Result<FileId> {
        Ok(id_of(self.file))
    }

    fn lock(&self) -> Result<(), LockError> {
        let mut state = self.disk.state_for(Op::LockFile);
        state.try_call(Op::LockFile).and_then(|said| said).map_err(LockError::Io)?;
        if !self.locks.load(Ordering::Relaxed) && !state.locked_files.insert(self.file) {
            return Err(LockError::Held(None));
        }
        self.locks.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].bytes.len() as u64)
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut state = self.disk.state_for(Op::Read);
        let said = state.try_call(Op::Read)?;
        let found = state.files[self.file].bytes.get(range.start as usize..range.end as usize);
        said.and_then(|()| found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state_for(Op::Write);
        let (written, result) = match state.call(Op::Write) {
            Ok(()) => (bytes.len(), Ok(())),
            Err((error, done)) => {
                let written = match done {
                    Done::Nothing => 0,
                    Done::Bytes(count) => count.min(bytes.len()),
                    Done::Half => bytes.len() / 2,
                    Done::All => bytes.len(),
                };
                (written, Err(error))
            }
        };
        let content = &mut state.files[self.file];
        let (start, end) = (offset as usize, offset as usize + written);
        content.bytes.resize(content.bytes.len().max(end), 0);
        content.bytes[start..end].copy_from_slice(&bytes[..written]);
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state_for(Op::Sync);
        let result = state.try_call(Op::Sync);
        let lies = state.lies;
        let content = &mut state.files[self.file];
        let sound = content.lost_from.unwrap_or(content.bytes.len()).min(content.bytes.len());
        match &result {
            Ok(_) if lies => {}
            Ok(_) => content.durable = content.bytes[..sound].to_vec(),
            // What was durable stays so, and where nothing was to be synced nothing is lost.
            Err(_) if sound > content.durable.len() => content.lost_from = Some(content.durable.len()),
            Err(_) => {}
        }
        result?
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state_for(Op::Truncate);
        let said = state.try_call(Op::Truncate)?;
        let content = &mut state.files[self.file];
        content.bytes.truncate(len as usize);
        content.lost_from = content.lost_from.filter(|&lost| lost < content.bytes.len());
        said
    }
}
