//! The file of the default document, opened before its id is known.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use automerge::Automerge;
use primitives::DocumentId;

use super::log::{Log, LogOpenError, OpenedLog};
use super::{EXTENSION, FOLDER_LOCK, lock_path};
use crate::disk::{Disk, LockGuard, RealDisk, parent_folder};
use crate::integrity::IdSource;
use crate::{Lengths, Location, OpenError, Repair};

/// The file of the default document: locked, opened and, if necessary, repaired.
///
/// The store does not know where a document contains its id. So opening a store takes two steps: open this file and find the
/// id in [`document`](Self::document) (or choose one), then open the store with both.
pub struct StateFile {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
    /// The requested path. A symbolic link may lead from it to `path`.
    pub(super) requested_path: PathBuf,
    pub(super) lock: LockGuard,
    pub(super) log: Option<Log>,
    pub(super) id_source: IdSource,
    repair: Option<Repair>,
}

impl StateFile {
    /// Opens the file at `path`. The file need not exist, but its folder must.
    ///
    /// An empty file is an error: the store never leaves one, but an interrupted copy does.
    ///
    /// # Errors
    /// When the file is in use, not an Automerge document, empty, damaged, or cannot be read and written. It is unchanged then.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealDisk::default()), path)
    }

    /// Like [`open`](Self::open), on this disk.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_on(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, OpenError> {
        Self::open_as(disk, path, IdSource::Caller)
    }

    /// Like [`open_on`](Self::open_on), for a document whose only known id is in the file. A torn tail is not truncated if the
    /// rest lacks the id: the document would get another URL.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_with_embedded_id(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, OpenError> {
        Self::open_as(disk, path, IdSource::Document)
    }

    /// Creates the folder of the file at `path`, and its parent folders, if they do not exist.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn create_folder(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
        create_folders(disk, parent_folder(path))
            .map_err(|error| OpenError::io(Location::State(path.to_owned()), error))
    }

    fn open_as(disk: Arc<dyn Disk>, path: &Path, id_source: IdSource) -> Result<Self, OpenError> {
        let location = || Location::State(path.to_owned());
        let requested_path = path.to_owned();
        let path = disk.resolve(path).map_err(|error| OpenError::io(location(), error))?;
        let lock = disk.lock(&lock_path(&path)).map_err(|error| OpenError::lock(location(), error))?;
        if is_named_as_document(&path) {
            // A store that has locked the folder may have the file open. A store that locks the folder later checks the lock of
            // this file.
            let folder_lock = parent_folder(&path).join(FOLDER_LOCK);
            disk.check_unlocked(&folder_lock).map_err(|error| OpenError::lock(location(), error))?;
        }
        let (log, repair) = match Log::open(&disk, &path, &requested_path, id_source) {
            Ok(Some(OpenedLog { log, repair })) => (Some(log), repair),
            Ok(None) => (None, None),
            Err(LogOpenError::Io(error)) => return Err(OpenError::io(location(), error)),
            Err(LogOpenError::Locked) => return Err(OpenError::LockedElsewhere { location: location() }),
            Err(LogOpenError::Damaged(damage)) => return Err(OpenError::damage(location(), damage)),
        };
        if log.is_none() {
            // Together with creating the lock file, this shows that the file can be created here.
            disk.sync_dir(parent_folder(&path)).map_err(|error| OpenError::io(location(), error))?;
        }
        Ok(Self { disk, path, requested_path, lock, log, id_source, repair })
    }

    /// Path of the file, with symbolic links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The document in the file. `None` if the file does not exist.
    #[must_use]
    pub fn document(&self) -> Option<&Automerge> {
        self.log.as_ref().and_then(Log::document)
    }

    /// Takes the document in the file. The first load from the store then has to load it again.
    pub fn take_document(&mut self) -> Option<Automerge> {
        self.log.as_mut().and_then(Log::take_document)
    }

    /// Lengths of snapshot and log.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        self.log.as_ref().map_or(Lengths { snapshot: 0, log: 0 }, Log::lengths)
    }

    /// The repair, if opening the file truncated a torn tail.
    #[must_use]
    pub fn repair(&self) -> Option<&Repair> {
        self.repair.as_ref()
    }
}

/// Durably creates a folder and its parent folders.
fn create_folders(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    match disk.list_files(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // The folder exists; or it is not a folder, which opening the file will report.
        _ => return Ok(()),
    }
    let parent = parent_folder(folder);
    create_folders(disk, parent)?;
    disk.create_dir(folder)?;
    disk.sync_dir(parent)
}

/// Whether a store with this folder would use the file as one of its documents.
pub(crate) fn is_named_as_document(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(EXTENSION)).is_some_and(|id| id.parse::<DocumentId>().is_ok())
}
