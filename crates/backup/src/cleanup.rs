//! Removes backups that are no longer kept, and files that no backup needs.
//!
//! Several programs may back up to one target at the same time. No file that one of them needs is removed by another:
//!
//! - A backup sets its mark first, and reads the list of files and the last manifest afterwards. It reuses only files that this
//!   manifest names.
//! - A removal deletes manifests first, and looks for marks afterwards. While there is a mark of another backup, it removes no files.
//!   So each other backup either began early enough for its mark to be seen, or sees no deleted manifest.
//! - A new file has a path of its own below the name of its backup, and is never written again.

use crate::manifest::{BACKUPS, MANIFEST, path_in};
use crate::marker::Marker;
use crate::retention::{roots, unused};
use crate::saved::{Finished, read_manifest};
use crate::{BackupName, BackupTarget, Retention, SavedError};

/// What was removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// Backups that are no longer kept.
    pub backups: Vec<BackupName>,
    /// Number of files, without manifests.
    pub files: usize,
}

/// Applies the retention at `now`, in seconds since 1970. If it fails, the next one does the rest.
pub(crate) async fn clean_up(
    target: &BackupTarget,
    retention: Retention,
    marker: &Marker,
    now: i64,
) -> Result<Cleanup, SavedError> {
    let finished = Finished::among(&target.list(BACKUPS).await?);
    let expired = retention.expired(&finished.names, now);
    for name in &expired {
        target.delete(&path_in(name, MANIFEST)).await?;
    }
    let mut cleanup = Cleanup { backups: expired, files: 0 };
    if marker.is_another_running(target).await? {
        return Ok(cleanup);
    }
    // Again, for backups that were finished meanwhile.
    let files = target.list(BACKUPS).await?;
    let Finished { names: kept, bases } = Finished::among(&files);
    let mut manifests = Vec::new();
    for name in roots(&kept, &bases) {
        manifests.push(read_manifest(target, name).await?);
    }
    for path in unused(files.iter().map(|file| file.path.as_str()), &kept, &manifests) {
        target.delete(path).await?;
        cleanup.files += 1;
    }
    Ok(cleanup)
}
