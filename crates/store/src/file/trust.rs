//! Remembering that a file's bytes may exist only in the operating system's memory.
//!
//! After a failed fsync the unsynced bytes can still be read, and the next fsync may report success without having
//! written them. The process that saw the failure knows; one that is started after it would not. So it leaves a
//! marker beside the file. That need not be durable itself: a power cut empties the operating system's memory too.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, beside};

fn marker(path: &Path) -> PathBuf {
    beside(path, ".unsynced")
}

/// Marks a file as one that must be written anew before anything is added to it.
pub(super) fn withdraw(disk: &dyn Disk, path: &Path) {
    if let Err(error) = disk.create(&marker(path), None)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        tracing::error!(file = %path.display(), %error, "could not mark the file as not safely on disk");
    }
}

/// Whether a file is marked. If that cannot be found out, it is: writing it once more does no harm.
pub(super) fn is_withdrawn(disk: &dyn Disk, path: &Path) -> bool {
    !matches!(disk.open(&marker(path)), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Takes the mark off, after the file was written anew.
pub(super) fn restore(disk: &dyn Disk, path: &Path) {
    // If it stays, the file is only written once more than needed.
    let _ = disk.remove(&marker(path));
}
