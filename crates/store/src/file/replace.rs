//! A new file in the place of an old one, so that a crash leaves either.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, FileId, LockError, LogFile, beside, folder_of};

/// A file that is written beside another, durable, and not yet in its place.
pub(super) struct NewFile {
    path: PathBuf,
    file: Arc<dyn LogFile>,
    len: u64,
}

/// Why the old file was not replaced.
#[derive(Debug)]
pub(super) enum NotReplaced {
    /// The old file is in place, as it was.
    Kept(io::Error),
    /// It is not known which of the two a crash would leave.
    Unknown(io::Error),
}

impl From<io::Error> for NotReplaced {
    fn from(error: io::Error) -> Self {
        Self::Kept(error)
    }
}

fn path_beside(target: &Path) -> PathBuf {
    beside(target, ".new")
}

impl NewFile {
    /// Writes `bytes` beside `target`, durably.
    pub(super) fn write(disk: &dyn Disk, target: &Path, bytes: &[u8]) -> io::Result<Self> {
        Self::remove_stale(disk, target);
        let path = path_beside(target);
        let file = disk.create(&path, Some(target))?;
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
    pub(super) fn remove_stale(disk: &dyn Disk, target: &Path) {
        // Usually there is nothing; and if it cannot be removed, creating the next one says so.
        let _ = disk.remove(&path_beside(target));
    }

    /// Locks it, as the file of a document is locked while it is open. Says which file it is.
    pub(super) fn lock(&self) -> io::Result<FileId> {
        match self.file.lock() {
            Ok(()) => self.file.id(),
            Err(LockError::Held(_)) => Err(io::ErrorKind::WouldBlock.into()),
            Err(LockError::Io(error)) => Err(error),
        }
    }

    /// How long it is.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What is in it, read back.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        self.file.read(0..self.len)
    }

    /// Adds bytes at the end, durably; returns the length of the file.
    pub(super) fn extend(&self, bytes: &[u8]) -> io::Result<u64> {
        if !bytes.is_empty() {
            self.file.write(self.len, bytes)?;
            self.file.sync()?;
        }
        Ok(self.len + bytes.len() as u64)
    }

    /// Gives it up. Says whether it was still there.
    pub(super) fn discard(self, disk: &dyn Disk) -> bool {
        disk.remove(&self.path).is_ok()
    }

    /// Puts it in the place of `target`, durably.
    pub(super) fn publish(self, disk: &dyn Disk, target: &Path) -> Result<Arc<dyn LogFile>, NotReplaced> {
        let file = Arc::clone(&self.file);
        if let Err(error) = disk.rename(&self.path, target) {
            // A failed rename may have happened after all. If the new file is still under its own name, it has not.
            return Err(if self.discard(disk) { NotReplaced::Kept(error) } else { NotReplaced::Unknown(error) });
        }
        disk.sync_dir(folder_of(target)).map_err(NotReplaced::Unknown)?;
        Ok(file)
    }
}
