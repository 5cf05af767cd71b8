//! Durable replacement of a file: after a crash, either the old or the new content is in place.
//!
//! The new content is written to a temporary file (`<file>.new`), synced, and renamed over the old file. Then the folder is
//! synced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, FileId, LockError, parent_folder, with_suffix};

/// Atomically replaces the content of the file at `path`, or creates it. Durable on return. Follows symbolic links.
///
/// # Errors
/// When the disk fails. The old content is in place then, unless syncing the folder, the last step, failed: either content
/// may be in place after a crash.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = disk.resolve(path)?;
    match NewFile::write(disk, &path, bytes)?.commit(disk, &path) {
        Ok(_) => Ok(()),
        Err(ReplaceError::Unchanged(error) | ReplaceError::Indeterminate(error)) => Err(error),
    }
}

/// A temporary file with the new content of another file: durable, but not renamed over it yet.
pub(crate) struct NewFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
}

/// Why a file was not replaced.
#[derive(Debug)]
pub(crate) enum ReplaceError {
    /// The old file is in place, unchanged.
    Unchanged(io::Error),
    /// The old or the new file may be in place after a crash.
    Indeterminate(io::Error),
}

impl From<io::Error> for ReplaceError {
    fn from(error: io::Error) -> Self {
        Self::Unchanged(error)
    }
}

fn temporary_path(target: &Path) -> PathBuf {
    with_suffix(target, ".new")
}

impl NewFile {
    /// Durably writes `bytes` to the temporary file of `target`.
    pub(crate) fn write(disk: &dyn Disk, target: &Path, bytes: &[u8]) -> io::Result<Self> {
        Self::remove_stale(disk, target);
        let path = temporary_path(target);
        let file = disk.create(&path, Some(target)).inspect_err(|error| {
            // `create` may fail after it has created the file.
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

    /// Removes the temporary file that a crash has left behind.
    pub(crate) fn remove_stale(disk: &dyn Disk, target: &Path) {
        // Usually there is none. If it cannot be removed, the next `create` fails.
        let _ = disk.remove(&temporary_path(target));
    }

    /// Locks the file, like the open file of a document, and returns its identity.
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

    /// Durably renames the file over `target`.
    pub(crate) fn commit(self, disk: &dyn Disk, target: &Path) -> Result<Arc<dyn DiskFile>, ReplaceError> {
        let file = Arc::clone(&self.file);
        if let Err(error) = disk.rename(&self.path, target) {
            // A failed rename may have taken effect. It has not if the temporary file still exists.
            return Err(if self.discard(disk) {
                ReplaceError::Unchanged(error)
            } else {
                ReplaceError::Indeterminate(error)
            });
        }
        disk.sync_dir(parent_folder(target)).map_err(ReplaceError::Indeterminate)?;
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
    fn content_is_synced_before_the_rename() {
        let disk = disk_with_old_file();
        replace(&disk, Path::new(PATH), b"new").expect("replaced");
        assert_eq!(disk.calls(), [Op::Remove, Op::Create, Op::Write, Op::Sync, Op::Rename, Op::SyncDir]);
        assert_eq!(disk.crash(|_| 0).content(PATH).expect("there"), b"new");
    }

    #[test]
    fn crash_at_any_step_leaves_the_old_or_new_file() {
        for step in 0..=6 {
            for choice in [|_| 0, |most| most, |most: usize| most.min(1)] {
                let disk = disk_with_old_file();
                disk.fail_all_after(step);
                let replaced = replace(&disk, Path::new(PATH), b"new");
                let crashed = disk.crash(choice);
                let found = crashed.content(PATH).expect("there");
                assert!(found == b"new" || (found == b"old" && replaced.is_err()), "step {step}: {found:?}");
                replace(&crashed, Path::new(PATH), b"later").expect("the next change succeeds");
                assert_eq!(crashed.content(PATH).expect("there"), b"later", "step {step}");
                assert_eq!(crashed.paths(), [Path::new(PATH)], "step {step}: no temporary file remains");
            }
        }
    }

    #[test]
    fn failed_step_leaves_the_old_file_unchanged() {
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
    fn partially_written_file_is_removed() {
        let disk = disk_with_old_file();
        disk.short_write(1, io::ErrorKind::StorageFull);
        replace(&disk, Path::new(PATH), b"new").expect_err("the disk is full");
        assert_eq!((disk.content(PATH).expect("there"), disk.paths().len()), (b"old".to_vec(), 1));
    }
}
