//! Removes backups that are no longer kept, and files that no backup needs.
//!
//! Several programs may back up to one target at the same time. No file that one of them needs is removed by another:
//!
//! - A backup sets its mark first, and reads the list of files and the last manifest afterwards. It reuses only files that this
//!   manifest names.
//! - A removal deletes manifests first, and looks for marks afterwards. While there is a mark of another backup, it removes no files.
//!   So each other backup either began early enough for its mark to be seen, or sees no deleted manifest.
//! - A new file has a path of its own below the name of its backup, and is never written again. A removal lists the files before it
//!   looks for marks, and the manifests afterwards. So a listed file of another backup has a mark, or a manifest, or is left over:
//!   the mark exists before the file, and stays until the manifest is there.

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
    let files = target.list(BACKUPS).await?;
    if marker.is_another_running(target).await? {
        return Ok(cleanup);
    }
    // Again, for backups that were finished meanwhile.
    let Finished { names: kept, bases } = Finished::among(&target.list(BACKUPS).await?);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use primitives::DocumentId;
    use store::FileMode;

    use super::*;
    use crate::manifest::{CHECKSUM, DocumentEntry, FileEntry, Manifest, Piece, sha256};
    use crate::{BackupLocation, list_backups};

    /// A backup of another server.
    struct Other {
        folder: PathBuf,
        name: BackupName,
    }

    impl Other {
        fn put(&self, path: &str, bytes: &[u8]) {
            let path = self.folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            fs::write(path, bytes).expect("written");
        }

        /// It sets its mark, and stores a file.
        fn begin(&self) {
            self.put("running/other", b"");
            self.put(&path_in(&self.name, "state.automerge"), b"content");
        }

        /// It stores its manifest, and removes its mark.
        fn finish(&self) {
            let (path, sha256) = (path_in(&self.name, "state.automerge"), sha256(b"content"));
            let piece = Piece { path, len: 7, sha256: sha256.clone() };
            let content = Some(FileEntry { len: 7, sha256, pieces: vec![piece] });
            let id = DocumentId::from_random([1; 16]);
            let entry = DocumentEntry { content, ..DocumentEntry::empty(id.clone()) };
            let mut manifest = Manifest::new(Some(id));
            manifest.documents.push(entry);
            let (bytes, checksum) = manifest.to_files().expect("JSON");
            self.put(&path_in(&self.name, CHECKSUM), &checksum);
            self.put(&path_in(&self.name, MANIFEST), &bytes);
            fs::remove_file(self.folder.join("running/other")).expect("removed");
        }

        fn has_its_file(&self) -> bool {
            self.folder.join(path_in(&self.name, "state.automerge")).exists()
        }
    }

    /// Cleans up while another backup begins before the `begin`th listing, and is finished before the `finish`th.
    async fn meanwhile(folder: &Path, begin: usize, finish: usize) -> Other {
        let make = || Other { folder: folder.to_owned(), name: BackupName::new(1_796_056_800_000, 7) };
        let location = BackupLocation::Folder(folder.to_owned());
        let mut target = BackupTarget::open(&location, FileMode::PRIVATE).expect("opens");
        // What an interrupted backup has left.
        target.put(&path_in(&BackupName::new(0, 0), "state.automerge"), b"left".to_vec()).await.expect("stored");
        let marker = Marker::set(&target).await.expect("set");
        let (other, listings) = (make(), AtomicUsize::new(0));
        target.before_list(move || {
            let number = listings.fetch_add(1, Ordering::SeqCst);
            if number == begin {
                other.begin();
            }
            if number == finish {
                other.finish();
            }
        });
        clean_up(&target, Retention::default(), &marker, 1_796_056_900).await.expect("cleaned up");
        make()
    }

    #[tokio::test]
    async fn running_and_finished_backups_keep_their_files() {
        const LISTINGS: usize = 4;
        for begin in 0..LISTINGS {
            for finish in begin..=LISTINGS {
                let folder = tempfile::tempdir().expect("a folder");
                let other = meanwhile(folder.path(), begin, finish).await;
                assert!(other.has_its_file(), "begun before listing {begin}, finished before {finish}");
            }
        }
    }

    #[tokio::test]
    async fn leftovers_are_removed_when_no_backup_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        meanwhile(folder.path(), usize::MAX, usize::MAX).await;
        let target = BackupTarget::open(&BackupLocation::Folder(folder.path().to_owned()), FileMode::PRIVATE);
        let target = target.expect("opens");
        assert_eq!(target.list(BACKUPS).await.expect("lists"), []);
        assert_eq!(list_backups(&target).await.expect("lists"), []);
    }
}
