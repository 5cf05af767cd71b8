//! The folder of all documents except the default one: its lock, and the files in it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use primitives::DocumentId;

use super::{EXTENSION, FOLDER_LOCK, Inner};
use crate::disk::{FileId, LockGuard, parent_folder};
use crate::{ExternalChange, ExternalChangeKind, Location, OpenError, StoreError};

/// The lock of the folder, and its identity, by which a replacement is detected.
pub(super) struct LockedFolder {
    _lock: LockGuard,
    id: FileId,
}

impl Inner {
    /// The file of a document.
    pub(super) fn location(&self, id: &DocumentId) -> Location {
        if *id == self.default_id {
            Location::State(self.state.clone())
        } else {
            Location::Documents(self.documents.join(format!("{id}{EXTENSION}")))
        }
    }

    /// The path that was requested for a document's file, before symbolic links were resolved.
    pub(super) fn requested_path(&self, id: &DocumentId) -> PathBuf {
        if *id == self.default_id { self.requested_state.clone() } else { self.location(id).path().to_owned() }
    }

    pub(super) fn folder_error(&self, error: io::Error) -> OpenError {
        OpenError::io(Location::Documents(self.documents.clone()), error)
    }

    /// Locks the folder if it exists. Returns whether it exists.
    pub(super) fn lock_folder(&self) -> Result<bool, OpenError> {
        let mut locked = self.locked_folder.lock();
        if let Some(folder) = &*locked {
            return self.check_folder_in_place(folder).map(|()| true);
        }
        match self.disk.list_files(&self.documents) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| self.folder_error(error))?,
        };
        let location = Location::Documents(self.documents.clone());
        let lock =
            self.disk.lock(&self.documents.join(FOLDER_LOCK)).map_err(|error| OpenError::lock(location, error))?;
        let id = self.disk.stat(&self.documents).map_err(|error| self.folder_error(error))?.file;
        *locked = Some(LockedFolder { _lock: lock, id });
        Ok(true)
    }

    /// Checks that the locked folder is still at its path.
    fn check_folder_in_place(&self, folder: &LockedFolder) -> Result<(), OpenError> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let kind = match self.disk.stat(&self.documents) {
            Ok(found) if found.file == folder.id => return Ok(()),
            Ok(_) => ExternalChangeKind::Replaced,
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => ExternalChangeKind::Removed,
            Err(error) => return Err(self.folder_error(error)),
        };
        Err(ExternalChange { location: Location::Documents(self.documents.clone()), kind }.into())
    }

    /// Locks the folder, and creates it first if necessary.
    pub(super) fn create_folder(&self) -> Result<(), OpenError> {
        if !self.lock_folder()? {
            self.disk.create_dir(&self.documents).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    OpenError::FolderMissing { location: Location::Documents(self.documents.clone()) }
                }
                _ => self.folder_error(error),
            })?;
            self.disk.sync_dir(parent_folder(&self.documents)).map_err(|error| self.folder_error(error))?;
            self.lock_folder()?;
        }
        Ok(())
    }

    /// Logs a warning if the folder contains a file with the id of the default document, which is not used.
    pub(super) fn warn_of_second_default_document(&self) -> Result<(), OpenError> {
        let ignored = format!("{}{EXTENSION}", self.default_id);
        let files = self.disk.list_files(&self.documents).map_err(|error| self.folder_error(error))?;
        if files.contains(&ignored) {
            tracing::warn!(
                used = %self.state.display(), ignored = %self.documents.join(ignored).display(),
                "there are two files for the default document"
            );
        }
        Ok(())
    }

    pub(super) fn list(&self) -> Result<Vec<DocumentId>, StoreError> {
        if let Some(folder) = &*self.locked_folder.lock() {
            // A folder that was moved away must not be listed as an empty one.
            self.check_folder_in_place(folder)?;
        }
        let files = match self.disk.list_files(&self.documents) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(|error| StoreError::from(self.folder_error(error)))?,
        };
        // Empty files are listed as well: they are damaged documents.
        let mut ids: BTreeSet<DocumentId> =
            files.iter().filter_map(|name| name.strip_suffix(EXTENSION)?.parse().ok()).collect();
        ids.insert(self.default_id.clone());
        Ok(ids.into_iter().collect())
    }

    /// Temporary files and backups next to a file, which may contain parts of it.
    pub(super) fn leftover_files(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let files = match self.disk.list_files(parent_folder(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
        let is_leftover = |suffix: &str| suffix == ".new" || suffix == ".unsynced" || suffix.starts_with(".torn-");
        let leftover = files.iter().filter(|file| file.strip_prefix(name).is_some_and(is_leftover));
        Ok(leftover.map(|file| path.with_file_name(file)).collect())
    }
}
