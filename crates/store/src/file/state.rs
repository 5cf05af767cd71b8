//! The file of the default document, before anybody knows its id.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use automerge::Automerge;
use primitives::DocumentId;

use super::log::{Log, NotOpened, Opened};
use super::{EXTENSION, FOLDER_LOCK, lock_of};
use crate::content::Identity;
use crate::disk::{Disk, LockGuard, RealDisk, folder_of};
use crate::{Lengths, OpenError, Place, Repair};

/// The locked, opened and (where needed) repaired file of the default document.
///
/// The store does not know where a document keeps its id, so opening takes two steps: read this, look for the id in
/// [`document`](Self::document) (or choose one), then open the store with both.
pub struct StateFile {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
    /// The path that was given, from which a symbolic link may lead to `path`.
    pub(super) name: PathBuf,
    pub(super) lock: LockGuard,
    pub(super) log: Option<Log>,
    pub(super) identity: Identity,
    repaired: Option<Repair>,
}

impl StateFile {
    /// Opens the file at `path`. It may be missing, but its folder must exist.
    ///
    /// An existing file without content is refused: the store never leaves one, an interrupted copy does.
    ///
    /// # Errors
    /// When it is in use, not an Automerge document, empty, damaged, or cannot be read and written. It is then as it was.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealDisk::default()), path)
    }

    /// The same on another disk than this computer's.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_on(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, OpenError> {
        Self::open_as(disk, path, Identity::Known)
    }

    /// Opens a file whose document is known by the id that it carries. A torn tail without which it would not carry one is
    /// not cut: the document would come back under another URL.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_carrying_id(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, OpenError> {
        Self::open_as(disk, path, Identity::Carried)
    }

    /// Makes the folder of the file at `path`, and those that it is in, if they are missing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn make_folder(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
        make_folders(disk, folder_of(path)).map_err(|error| OpenError::io(Place::State(path.to_owned()), error))
    }

    fn open_as(disk: Arc<dyn Disk>, path: &Path, identity: Identity) -> Result<Self, OpenError> {
        let place = || Place::State(path.to_owned());
        let name = path.to_owned();
        let path = disk.resolve(path).map_err(|error| OpenError::io(place(), error))?;
        let lock = disk.lock(&lock_of(&path)).map_err(|error| OpenError::lock(place(), error))?;
        if is_named_as_document(&path) {
            // Whoever has the folder may have it open. (Who locks the folder later finds it locked here.)
            let folder_lock = folder_of(&path).join(FOLDER_LOCK);
            disk.is_free(&folder_lock).map_err(|error| OpenError::lock(place(), error))?;
        }
        let (log, repaired) = match Log::open(&disk, &path, &name, identity) {
            Ok(Some(Opened { log, repaired })) => (Some(log), repaired),
            Ok(None) => (None, None),
            Err(NotOpened::Io(error)) => return Err(OpenError::io(place(), error)),
            Err(NotOpened::Locked) => return Err(OpenError::LockedElsewhere { place: place() }),
            Err(NotOpened::Damaged(damage)) => return Err(OpenError::damage(place(), damage)),
        };
        if log.is_none() {
            // Taken together with the lock file: what is missing can be created here.
            disk.sync_dir(folder_of(&path)).map_err(|error| OpenError::io(place(), error))?;
        }
        Ok(Self { disk, path, name, lock, log, identity, repaired })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; None if there is nothing yet.
    #[must_use]
    pub fn document(&self) -> Option<&Automerge> {
        self.log.as_ref().and_then(Log::document)
    }

    /// The same, to be kept. (The store, which would give it to the first who loads the document, reads it again then.)
    pub fn take_document(&mut self) -> Option<Automerge> {
        self.log.as_mut().and_then(Log::take_document)
    }

    /// How large the snapshot and the log in it are.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        self.log.as_ref().map_or(Lengths { snapshot: 0, log: 0 }, Log::lengths)
    }

    /// What was cut off when it was opened.
    #[must_use]
    pub fn repaired(&self) -> Option<&Repair> {
        self.repaired.as_ref()
    }
}

/// Makes a folder and those that it is in, durably.
fn make_folders(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    match disk.files(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // There, or not a folder: opening the file in it says so.
        _ => return Ok(()),
    }
    let parent = folder_of(folder);
    make_folders(disk, parent)?;
    disk.create_dir(folder)?;
    disk.sync_dir(parent)
}

/// Whether a store that has its folder would take the file for one of its documents.
pub(crate) fn is_named_as_document(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(EXTENSION)).is_some_and(|id| id.parse::<DocumentId>().is_ok())
}
