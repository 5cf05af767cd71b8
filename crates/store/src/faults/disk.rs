//! The file system calls of the simulated disk.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::schedule::Effect;
use super::state::{NameChange, SimulatedFile, State};
use super::{FaultyDisk, Op};
use crate::disk::{Disk, DiskFile, FileId, FileStat, LockError, LockGuard, parent_folder};

/// Device number of files; the inode number is the index of the file.
const FILE_DEVICE: u64 = 0;
/// Device number of folders. All folders have the same identity.
const FOLDER_DEVICE: u64 = 1;

fn file_id(file: usize) -> FileId {
    FileId::new(FILE_DEVICE, file as u64)
}

impl FaultyDisk {
    fn new_handle(&self, state: &mut State, file: usize) -> Arc<dyn DiskFile> {
        state.open_handles += 1;
        Arc::new(Handle { disk: self.clone(), file, has_lock: AtomicBool::new(false) })
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state_for(Op::Open);
        let result = state.record_atomic_call(Op::Open)?;
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        result.map(|()| self.new_handle(&mut state, file))
    }

    fn create(&self, path: &Path, _template: Option<&Path>) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state_for(Op::Create);
        let result = state.record_atomic_call(Op::Create)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !state.folders.contains(parent_folder(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = state.files.len();
        state.files.push(SimulatedFile::default());
        state.change_name(parent_folder(path), NameChange::Create(path.to_owned(), file));
        result.map(|()| self.new_handle(&mut state, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state_for(Op::Rename);
        let result = state.record_atomic_call(Op::Rename)?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(parent_folder(to), NameChange::Rename(from.to_owned(), to.to_owned()));
        result
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state_for(Op::Remove);
        let result = state.record_atomic_call(Op::Remove)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(parent_folder(path), NameChange::Remove(path.to_owned()));
        result
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state_for(Op::CreateDir);
        let result = state.record_atomic_call(Op::CreateDir)?;
        state.folders.insert(path.to_owned());
        result
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state_for(Op::SyncDir);
        let result = state.record_atomic_call(Op::SyncDir)?;
        if !state.ignores_syncs {
            state.sync_names(path);
        }
        result
    }

    fn list_files(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state_for(Op::List);
        let result = state.record_atomic_call(Op::List)?;
        if !state.folders.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter(|path| parent_folder(path) == dir);
        result.map(|()| inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        let mut state = self.state_for(Op::Stat);
        let result = state.record_atomic_call(Op::Stat)?;
        let stat = match state.names.get(path) {
            Some(&file) => FileStat { file: file_id(file), len: state.files[file].bytes.len() as u64 },
            None if state.folders.contains(path) => FileStat { file: FileId::new(FOLDER_DEVICE, 0), len: 0 },
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        result.map(|()| stat)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        let mut state = self.state_for(Op::Lock);
        state.record_atomic_call(Op::Lock).and_then(|result| result).map_err(LockError::Io)?;
        if !state.folders.contains(parent_folder(path)) {
            return Err(LockError::Io(io::ErrorKind::NotFound.into()));
        }
        if !state.locks.insert(path.to_owned()) {
            return Err(LockError::Held(Some(std::process::id())));
        }
        Ok(Box::new(SimulatedLock { disk: self.clone(), path: path.to_owned() }))
    }

    fn check_unlocked(&self, path: &Path) -> Result<(), LockError> {
        let mut state = self.state_for(Op::Open);
        state.record_atomic_call(Op::Open).and_then(|result| result).map_err(LockError::Io)?;
        if state.locks.contains(path) { Err(LockError::Held(Some(std::process::id()))) } else { Ok(()) }
    }
}

/// A locked lock file.
struct SimulatedLock {
    disk: FaultyDisk,
    path: PathBuf,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

/// An open file.
struct Handle {
    disk: FaultyDisk,
    /// Index of the file.
    file: usize,
    /// Whether this handle holds the file's lock.
    has_lock: AtomicBool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        state.open_handles -= 1;
        if self.has_lock.load(Ordering::Relaxed) {
            state.locked_files.remove(&self.file);
        }
    }
}

impl DiskFile for Handle {
    fn id(&self) -> io::Result<FileId> {
        Ok(file_id(self.file))
    }

    fn lock(&self) -> Result<(), LockError> {
        let mut state = self.disk.state_for(Op::LockFile);
        state.record_atomic_call(Op::LockFile).and_then(|result| result).map_err(LockError::Io)?;
        if !self.has_lock.load(Ordering::Relaxed) && !state.locked_files.insert(self.file) {
            return Err(LockError::Held(None));
        }
        self.has_lock.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].bytes.len() as u64)
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut state = self.disk.state_for(Op::Read);
        let result = state.record_atomic_call(Op::Read)?;
        let found = state.files[self.file].bytes.get(range.start as usize..range.end as usize);
        result.and_then(|()| found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state_for(Op::Write);
        let (written, result) = match state.record_call(Op::Write) {
            Ok(()) => (bytes.len(), Ok(())),
            Err((error, effect)) => {
                let written = match effect {
                    Effect::None => 0,
                    Effect::Bytes(count) => count.min(bytes.len()),
                    Effect::Half => bytes.len() / 2,
                    Effect::Full => bytes.len(),
                };
                (written, Err(error))
            }
        };
        state.files[self.file].write(offset, &bytes[..written]);
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state_for(Op::Sync);
        let result = state.record_atomic_call(Op::Sync);
        let ignored = state.ignores_syncs;
        let file = &mut state.files[self.file];
        match &result {
            Ok(_) if ignored => {}
            Ok(_) => file.sync(),
            Err(_) => file.fail_sync(),
        }
        result?
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state_for(Op::Truncate);
        let result = state.record_atomic_call(Op::Truncate)?;
        state.files[self.file].truncate(len);
        result
    }
}
