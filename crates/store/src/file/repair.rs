//! Truncates the torn tail of a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, parent_folder, with_suffix};
use crate::{Repair, TornTail};

/// Truncates the tail, after copying it durably to a file of its own: `<file>.torn-<offset>`.
///
/// # Errors
/// When the disk fails.
pub(super) fn truncate(
    disk: &dyn Disk,
    path: &Path,
    file: &dyn DiskFile,
    torn_tail: TornTail,
    tail: &[u8],
) -> io::Result<Repair> {
    let (saved_to, copy) = create_copy(disk, path, torn_tail.at)?;
    copy.write(0, tail)?;
    copy.sync()?;
    disk.sync_dir(parent_folder(path))?;
    file.truncate(torn_tail.at)?;
    file.sync()?;
    tracing::warn!(
        file = %path.display(), kept = %saved_to.display(),
        "the file ended in the middle of a write; its last {torn_tail} were truncated, and copied to another file"
    );
    Ok(Repair { torn_tail, saved_to })
}

/// Creates a file for the tail under a name that no earlier repair has used.
fn create_copy(disk: &dyn Disk, path: &Path, offset: u64) -> io::Result<(PathBuf, Arc<dyn DiskFile>)> {
    let mut copy = with_suffix(path, &format!(".torn-{offset}"));
    for number in 2u32.. {
        match disk.create(&copy, Some(path)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                copy = with_suffix(path, &format!(".torn-{offset}-{number}"));
            }
            other => return Ok((copy, other?)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
