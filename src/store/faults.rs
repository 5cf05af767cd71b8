//! A disk in memory that fails on command, and forgets in a crash what was not synced. For tests.
//!
//! It is as unhelpful as disks are: after a failed sync the unsynced bytes can still be read, but no later sync makes
//! them durable; a crash keeps any part of what was not synced, possibly as zeros; and names are durable only once
//! their folder was synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, LockError, LockGuard, LogFile, folder_of};

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
    faults: Vec<Fault>,
    calls: usize,
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
    op: Option<Op>,
    skip: usize,
    kind: io::ErrorKind,
    /// How many bytes a failing write writes all the same.
    short: usize,
    once: bool,
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
        self.state().faults.push(Fault { op: Some(op), skip, kind, short: 0, once: true });
    }

    /// Lets one write fail, after it has written `bytes` of what it should.
    pub fn short_write(&self, bytes: usize, kind: io::ErrorKind) {
        self.state().faults.push(Fault { op: Some(Op::Write), skip: 0, kind, short: bytes, once: true });
    }

    /// Lets one call of any kind fail, after `skip` more that succeed.
    pub fn fail_any(&self, skip: usize, kind: io::ErrorKind) {
        self.state().faults.push(Fault { op: None, skip, kind, short: 0, once: true });
    }

    /// Lets every call of `op` fail, until [`heal`](Self::heal).
    pub fn break_op(&self, op: Op, kind: io::ErrorKind) {
        self.state().faults.push(Fault { op: Some(op), skip: 0, kind, short: 0, once: false });
    }

    /// Lets every call fail, after `skip` more that succeed: the power is about to go.
    pub fn break_after(&self, skip: usize) {
        self.state().faults.push(Fault { op: None, skip, kind: io::ErrorKind::Other, short: 0, once: false });
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

    /// How many calls there were so far, failed ones included.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a call, and lets it fail if it is to; with how much of a write happens all the same.
    fn call(&mut self, op: Op) -> Result<(), (io::Error, usize)> {
        self.calls += 1;
        let mut failed = None;
        self.faults.retain_mut(|fault| {
            if failed.is_some() || fault.op.is_some_and(|wanted| wanted != op) {
                return true;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return true;
            }
            failed = Some((io::Error::from(fault.kind), fault.short));
            !fault.once
        });
        failed.map_or(Ok(()), Err)
    }

    fn try_call(&mut self, op: Op) -> io::Result<()> {
        self.call(op).map_err(|(error, _)| error)
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
}

impl FaultyDisk {
    fn handle(&self, file: usize) -> Arc<dyn LogFile> {
        Arc::new(FaultyFile { disk: self.clone(), file })
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state();
        state.try_call(Op::Open)?;
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(file))
    }

    fn create(&self, path: &Path, _like: Option<&Path>) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state();
        state.try_call(Op::Create)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !state.folders.contains(folder_of(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = state.files.len();
        state.files.push(Content::default());
        state.change_name(folder_of(path), NameChange::Create(path.to_owned(), file));
        Ok(self.handle(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.try_call(Op::Rename)?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(folder_of(to), NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.try_call(Op::Remove)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(folder_of(path), NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.try_call(Op::CreateDir)?;
        state.folders.insert(path.to_owned());
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.try_call(Op::SyncDir)?;
        if state.lies {
            return Ok(());
        }
        let State { pending, durable_names, .. } = &mut *state;
        pending.retain(|PendingName { folder, change, .. }| {
            if folder == path {
                change.apply(durable_names);
            }
            folder != path
        });
        Ok(())
    }

    fn files(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut state = self.state();
        state.try_call(Op::List)?;
        if !state.folders.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.iter().filter(|(path, _)| folder_of(path) == dir);
        let named = inside.filter_map(|(path, &file)| Some((path.file_name()?.to_str()?.to_owned(), file)));
        Ok(named.map(|(name, file)| (name, state.files[file].bytes.len() as u64)).collect())
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        let mut state = self.state();
        state.try_call(Op::Lock).map_err(LockError::Io)?;
        if !state.folders.contains(folder_of(path)) {
            return Err(LockError::Io(io::ErrorKind::NotFound.into()));
        }
        if !state.locks.insert(path.to_owned()) {
            return Err(LockError::Held(Some(std::process::id())));
        }
        Ok(Box::new(FaultyLock { disk: self.clone(), path: path.to_owned() }))
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

impl LogFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].bytes.len() as u64)
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut state = self.disk.state();
        state.try_call(Op::Read)?;
        let found = state.files[self.file].bytes.get(range.start as usize..range.end as usize);
        found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let (written, result) = match state.call(Op::Write) {
            Ok(()) => (bytes.len(), Ok(())),
            Err((error, short)) => (short.min(bytes.len()), Err(error)),
        };
        let content = &mut state.files[self.file];
        let (start, end) = (offset as usize, offset as usize + written);
        content.bytes.resize(content.bytes.len().max(end), 0);
        content.bytes[start..end].copy_from_slice(&bytes[..written]);
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let result = state.try_call(Op::Sync);
        let lies = state.lies;
        let content = &mut state.files[self.file];
        let sound = content.lost_from.unwrap_or(content.bytes.len()).min(content.bytes.len());
        match result {
            Ok(()) if lies => {}
            Ok(()) => content.durable = content.bytes[..sound].to_vec(),
            // What was durable stays so, and where nothing was to be synced nothing is lost.
            Err(_) if sound > content.durable.len() => content.lost_from = Some(content.durable.len()),
            Err(_) => {}
        }
        result
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.try_call(Op::Truncate)?;
        let content = &mut state.files[self.file];
        content.bytes.truncate(len as usize);
        content.lost_from = content.lost_from.filter(|&lost| lost < content.bytes.len());
        Ok(())
    }
}
