//! Cutting a torn tail off a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Repair;
use crate::content::Torn;
use crate::disk::{Disk, LogFile, beside, folder_of};

/// Cuts `tail` off, after it is safe in a file of its own: `<file>.torn-<offset>`.
pub(super) fn cut(disk: &dyn Disk, path: &Path, file: &dyn LogFile, torn: Torn, tail: &[u8]) -> io::Result<Repair> {
    let (kept, copy) = free_name(disk, path, torn.at)?;
    copy.write(0, tail)?;
    copy.sync()?;
    disk.sync_dir(folder_of(path))?;
    file.truncate(torn.at)?;
    file.sync()?;
    tracing::warn!(
        file = %path.display(), kept = %kept.display(),
        "the file ended in the middle of a write; its last {torn} were cut off, and kept beside it"
    );
    Ok(Repair { torn, kept })
}

/// A name that no earlier repair has used: what was kept is never overwritten.
fn free_name(disk: &dyn Disk, path: &Path, offset: u64) -> io::Result<(PathBuf, Arc<dyn LogFile>)> {
    let mut kept = beside(path, &format!(".torn-{offset}"));
    for number in 2u32.. {
        match disk.create(&kept, Some(path)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                kept = beside(path, &format!(".torn-{offset}-{number}"));
            }
            other => return Ok((kept, other?)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
