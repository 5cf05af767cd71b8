//! Durable replacement of a file: after a crash, either the old or the new content is in place.
//!
//! The new content is written beside the old file (`<file>.new`), synced, and renamed over it; then the folder is synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, FileId, LockError, LogFile, beside, folder_of};

/// Replaces the content of the file at `path`, or creates it. Durable when this returns. Follows symbolic links.
///
/// # Errors
/// When the disk fails. The old content is in place then, unless the last step failed, the sync of the folder: after a
/// crash either content may be there.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = disk.resolve(path)?;
    match NewFile::write(disk, &path, bytes)?.publish(disk, &path) {
        Ok(_) => Ok(()),
        Err(ReplaceError::Kept(error) | ReplaceError::Unknown(error)) => Err(error),
    }
}

/// The new content of a file, durable beside it, and not in its place yet.
pub(crate) struct NewFile {
    path: PathBuf,
    file: Arc<dyn LogFile>,
    len: u64,
}

/// Why a file was not replaced.
#[derive(Debug)]
pub(crate) enum ReplaceError {
    /// The old file is in place, unchanged.
    Kept(io::Error),
    /// Either file may be in place after a crash.
    Unknown(io::Error),
}

impl From<io::Error> for ReplaceError {
    fn from(error: io::Error) -> Self {
        Self::Kept(error)
    }
}

fn path_beside(target: &Path) -> PathBuf {
    beside(target, ".new")
}

impl NewFile {
    /// Writes `bytes` beside `target`, durably.
    pub(crate) fn write(disk: &dyn Disk, target: &Path, bytes: &[u8]) -> io::Result<Self> {
        Self::remove_stale(disk, target);
        let path = path_beside(target);
        let file = disk.create(&path, Some(target)).inspect_err(|error| {
            // `create` may fail after it has made the file.
            if error.kind() != io::ErrorKind::AlreadyExists {
                Self::remove_stale(disk, target);
            }
        })?;
        let new = Self { path, file, len: bytes.len() as u64 };
        match new.file.write(0, bytes).and_then(|()| new.file.sync()) {
            Ok(()) => Ok(new),
            Err(error) => {
                new.discard(disk);
                Err(error)
            }
        }
    }

    /// Removes what a crash left of an earlier attempt.
    pub(crate) fn remove_stale(disk: &dyn Disk, target: &Path) {
        // Usually there is none. If it cannot be removed, creating the next one fails.
        let _ = disk.remove(&path_beside(target));
    }

    /// Locks the file, as the open file of a document is locked, and returns its identity.
    pub(crate) fn lock(&self) -> io::Result<FileId> {
        match self.file.lock() {
            Ok(()) => self.file.id(),
            Err(LockError::Held(_)) => Err(io::ErrorKind::WouldBlock.into()),
            Err(LockError::Io(error)) => Err(error),
        }
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads the content back.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        self.file.read(0..self.len)
    }

    /// Appends bytes, durably. Returns the new length of the file.
    pub(crate) fn extend(&self, bytes: &[u8]) -> io::Result<u64> {
        if !bytes.is_empty() {
            self.file.write(self.len, bytes)?;
            self.file.sync()?;
        }
        Ok(self.len + bytes.len() as u64)
    }

    /// Removes the file. Returns whether it was still there.
    pub(crate) fn discard(self, disk: &dyn Disk) -> bool {
        disk.remove(&self.path).is_ok()
    }

    /// Renames the file over `target`, durably.
    pub(crate) fn publish(self, disk: &dyn Disk, target: &Path) -> Result<Arc<dyn LogFile>, ReplaceError> {
        let file = Arc::clone(&self.file);
        if let Err(error) = disk.rename(&self.path, target) {
            // A failed rename may have taken effect. It has not if the new file still has its own name.
            return Err(if self.discard(disk) { ReplaceError::Kept(error) } else { ReplaceError::Unknown(error) });
        }
        disk.sync_dir(folder_of(target)).map_err(ReplaceError::Unknown)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{FaultyDisk, Op};

    const PATH: &str = "home/keys.json";

    fn disk_with_old_file() -> FaultyDisk {
        let disk = FaultyDisk::new(&["home"]);
        disk.put(PATH, b"old");
        disk
    }

    #[test]
    fn content_is_durable_before_its_name() {
        let disk = disk_with_old_file();
        replace(&disk, Path::new(PATH), b"new").expect("replaced");
        assert_eq!(disk.calls(), [Op::Remove, Op::Create, Op::Write, Op::Sync, Op::Rename, Op::SyncDir]);
        assert_eq!(disk.crash(|_| 0).content(PATH).expect("there"), b"new");
    }

    #[test]
    fn crash_at_any_step_leaves_the_old_or_the_new_file() {
        for step in 0..=6 {
            for choice in [|_| 0, |most| most, |most: usize| most.min(1)] {
                let disk = disk_with_old_file();
                disk.break_after(step);
                let replaced = replace(&disk, Path::new(PATH), b"new");
                let crashed = disk.crash(choice);
                let found = crashed.content(PATH).expect("there");
                assert!(found == b"new" || (found == b"old" && replaced.is_err()), "step {step}: {found:?}");
                replace(&crashed, Path::new(PATH), b"later").expect("the next change succeeds");
                assert_eq!(crashed.content(PATH).expect("there"), b"later", "step {step}");
                assert_eq!(crashed.paths(), [Path::new(PATH)], "step {step}: nothing is left behind");
            }
        }
    }

    #[test]
    fn failed_step_leaves_the_old_file_alone() {
        for op in [Op::Create, Op::Write, Op::Sync, Op::Rename] {
            let disk = disk_with_old_file();
            disk.fail(op, 0, io::ErrorKind::StorageFull);
            let error = replace(&disk, Path::new(PATH), b"new").expect_err("the disk is full");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(disk.content(PATH).expect("there"), b"old", "{op:?}");
            assert_eq!(disk.paths(), [Path::new(PATH)], "{op:?}");
        }
    }

    #[test]
    fn half_written_file_is_removed() {
        let disk = disk_with_old_file();
        disk.short_write(1, io::ErrorKind::StorageFull);
        replace(&disk, Path::new(PATH), b"new").expect_err("the disk is full");
        assert_eq!((disk.content(PATH).expect("there"), disk.paths().len()), (b"old".to_vec(), 1));
    }
}
