//! A marker file that records that a file's content may not be durable: `<file>.unsynced`.
//!
//! After a failed fsync, the unsynced bytes can still be read, and the next fsync may report success without having written
//! them. The process that saw the failure knows this, but a new process would not. So a marker is left next to the file, and
//! the file is rewritten before anything is appended to it. The marker need not be durable: a power cut also discards the
//! unsynced bytes.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, with_suffix};

fn marker_path(path: &Path) -> PathBuf {
    with_suffix(path, ".unsynced")
}

/// Marks a file as one that must be rewritten before anything is appended to it. Logs an error if that fails.
pub(super) fn set(disk: &dyn Disk, path: &Path) {
    if let Err(error) = disk.create(&marker_path(path), None)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        tracing::error!(file = %path.display(), %error, "could not mark the file as not safely on disk");
    }
}

/// Whether a file is marked. Also `true` if the disk fails: an unnecessary rewrite does no harm.
pub(super) fn is_set(disk: &dyn Disk, path: &Path) -> bool {
    !matches!(disk.open(&marker_path(path)), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Removes the marker after the file was rewritten.
pub(super) fn clear(disk: &dyn Disk, path: &Path) {
    // A remaining marker only causes an unnecessary rewrite.
    let _ = disk.remove(&marker_path(path));
}
