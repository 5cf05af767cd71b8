//! The open log of a document.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use automerge::Automerge;

use super::unsynced_marker;
use crate::disk::{Disk, DiskFile, FileId, LockError, parent_folder};
use crate::integrity::{self, Damage, IdSource, VerifiedContent};
use crate::replace::{NewFile, ReplaceError};
use crate::{ExternalChangeKind, Lengths, Repair};

/// A document's log file, and how much of it is known to be durable.
///
/// The durable length is kept in memory and never derived from the file: after a failed fsync, the operating system may
/// return bytes that never reached the disk.
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    /// Path of the file, with symbolic links resolved.
    path: PathBuf,
    /// Path that the caller requested. A symbolic link may lead from it to `path`.
    requested_path: PathBuf,
    /// Identity of the file.
    id: FileId,
    /// Identity of the file that is at `path` if a rename that reported failure took effect.
    possible_id: Option<FileId>,
    /// Result of the last check for changes by other programs.
    external_change: Option<ExternalChangeKind>,
    /// The open file. `None`: opened for each use (see [`super::open_files`]).
    file: Option<Arc<dyn DiskFile>>,
    /// The last handle, which a compaction may still use. The file's lock belongs to that handle.
    last_handle: Option<Weak<dyn DiskFile>>,
    /// Whether the store has written to the file since it was opened.
    was_written: bool,
    /// Length in bytes that is known to be durable.
    durable_len: u64,
    /// Length in bytes of the leading snapshot.
    snapshot_len: u64,
    /// Whether a failed write could not be rolled back.
    needs_recovery: bool,
    /// The document that was loaded to check the file, until the first load takes it or the file changes. Boxed because it is
    /// large and usually absent.
    document: Option<Box<Automerge>>,
}

/// Result of opening a log.
pub(super) struct OpenedLog {
    pub(super) log: Log,
    pub(super) repair: Option<Repair>,
}

/// Why a log was not opened.
pub(super) enum LogOpenError {
    Io(io::Error),
    /// The same file is open under another name.
    Locked,
    Damaged(Damage),
}

impl From<io::Error> for LogOpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<LockError> for LogOpenError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held(_) => Self::Locked,
            LockError::Io(error) => Self::Io(error),
        }
    }
}

/// Why an append stored nothing.
#[derive(Debug)]
pub(super) enum AppendError {
    /// A write failed. Either it was rolled back, or the log needs recovery.
    Io(io::Error),
    /// An earlier failed write could not be rolled back.
    NeedsRecovery,
    /// Another program changed the file. Nothing was written.
    ExternalChange(ExternalChangeKind),
}

impl Log {
    /// Opens and locks a document's file, and repairs a torn tail. `None` if the file does not exist. `requested_path` may be
    /// a symbolic link that leads to `path`.
    ///
    /// # Errors
    /// When the file is damaged, locked or replaced meanwhile, or the disk fails.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
        requested_path: &Path,
        id_source: IdSource,
    ) -> Result<Option<OpenedLog>, LogOpenError> {
        let file = match disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                NewFile::remove_stale(&**disk, path);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        file.lock()?;
        if disk.stat(path)?.file != file.id()? {
            // The previous holder of the lock has just replaced the file.
            return Err(io::Error::other("it was replaced while it was opened; try again").into());
        }
        NewFile::remove_stale(&**disk, path);
        let mut bytes = file.read(0..file.len()?)?;
        let content = VerifiedContent::from_file(&bytes, id_source).map_err(LogOpenError::Damaged)?;
        let repair = match content.torn_tail {
            None => None,
            Some(torn_tail) => {
                let tail = bytes.split_off(bytes.len() - torn_tail.len as usize);
                Some(super::repair::truncate(&**disk, path, &*file, torn_tail, &tail)?)
            }
        };
        // A process that was killed between write and fsync leaves bytes that are not durable. They must be durable before
        // any client sees them.
        let file = if unsynced_marker::is_set(&**disk, path) {
            let new = NewFile::write(&**disk, path, &bytes)?;
            new.lock()?;
            let file = match new.commit(&**disk, path) {
                Ok(file) => file,
                Err(ReplaceError::Unchanged(error) | ReplaceError::Indeterminate(error)) => return Err(error.into()),
            };
            unsynced_marker::clear(&**disk, path);
            file
        } else {
            file.sync()
                .and_then(|()| disk.sync_dir(parent_folder(path)))
                .inspect_err(|_| unsynced_marker::set(&**disk, path))?;
            file
        };
        let log = Self {
            disk: Arc::clone(disk),
            path: path.to_owned(),
            requested_path: requested_path.to_owned(),
            id: file.id()?,
            possible_id: None,
            external_change: None,
            file: Some(file),
            last_handle: None,
            was_written: false,
            durable_len: content.valid_len,
            snapshot_len: content.snapshot_len,
            needs_recovery: false,
            document: Some(Box::new(content.document)),
        };
        Ok(Some(OpenedLog { log, repair }))
    }

    /// Atomically creates a document's file with this content.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn create(disk: &Arc<dyn Disk>, path: &Path, requested_path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let new = NewFile::write(&**disk, path, bytes)?;
        let id = new.lock()?;
        let file = match new.commit(&**disk, path) {
            Ok(file) => file,
            Err(ReplaceError::Unchanged(error)) => return Err(error),
            Err(ReplaceError::Indeterminate(error)) => {
                // There was no file before, so removing the new one loses nothing. If that fails as well, the next opening
                // makes the file durable before any client sees it.
                let _ = disk.remove(path);
                return Err(error);
            }
        };
        Ok(Self {
            disk: Arc::clone(disk),
            path: path.to_owned(),
            requested_path: requested_path.to_owned(),
            id,
            possible_id: None,
            external_change: None,
            file: Some(file),
            last_handle: None,
            was_written: true,
            durable_len: bytes.len() as u64,
            snapshot_len: integrity::snapshot_len(bytes),
            needs_recovery: false,
            document: None,
        })
    }

    /// Reads the durable content.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        self.file()?.read(0..self.durable_len)
    }

    /// Whether the file is open.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Whether the store has written to the file since it was opened.
    pub(super) fn was_written(&self) -> bool {
        self.was_written
    }

    /// Closes the file; the next use opens it again. Returns whether it is closed: a file stays open if only this handle leads
    /// to its durable content.
    pub(super) fn close_file(&mut self) -> bool {
        if self.must_stay_open() {
            return false;
        }
        if let Some(file) = self.file.take() {
            self.last_handle = Some(Arc::downgrade(&file));
        }
        self.was_written = false;
        true
    }

    fn must_stay_open(&mut self) -> bool {
        self.needs_recovery || !self.check_external_change().is_ok_and(|change| change.is_none())
    }

    fn file(&mut self) -> io::Result<Arc<dyn DiskFile>> {
        let open = self.file.clone().or_else(|| self.last_handle.as_ref()?.upgrade());
        if let Some(file) = open {
            return Ok(file);
        }
        let file = self.disk.open(&self.path)?;
        file.lock().map_err(lock_error)?;
        let found = file.id()?;
        if found != self.id || file.len()? < self.durable_len {
            let message = "the file is not the stored one: another program has changed or replaced it";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.last_handle = Some(Arc::downgrade(&file));
        Ok(file)
    }

    /// Like [`file`](Self::file), and keeps the file open.
    fn file_for_writing(&mut self) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.file()?;
        self.file = Some(Arc::clone(&file));
        self.was_written = true;
        Ok(file)
    }

    /// Checks that the file is still at its path and has the expected length. Otherwise, writes to it would be lost when the
    /// process ends.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn check_external_change(&mut self) -> io::Result<Option<ExternalChangeKind>> {
        use io::ErrorKind::{NotADirectory, NotFound};
        self.external_change = match self.disk.stat(&self.requested_path) {
            Ok(found) if found.file != self.id && self.possible_id != Some(found.file) => {
                Some(ExternalChangeKind::Replaced)
            }
            // After a failed write, the file may have any length.
            Ok(found) if found.len != self.durable_len && !self.needs_recovery => {
                Some(ExternalChangeKind::Modified { found: found.len, expected: self.durable_len })
            }
            Ok(_) => None,
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Some(ExternalChangeKind::Removed),
            Err(error) => return Err(error),
        };
        Ok(self.external_change)
    }

    /// Result of the last [`check_external_change`](Self::check_external_change).
    pub(super) fn external_change(&self) -> Option<ExternalChangeKind> {
        self.external_change
    }

    /// Takes the document that was loaded to check the file. `None` if it was taken, or the file has changed.
    pub(super) fn take_document(&mut self) -> Option<Automerge> {
        self.document.take().map(|document| *document)
    }

    /// The document that [`take_document`](Self::take_document) would return.
    pub(super) fn document(&self) -> Option<&Automerge> {
        self.document.as_deref()
    }

    pub(super) fn lengths(&self) -> Lengths {
        Lengths { snapshot: self.snapshot_len, log: self.durable_len - self.snapshot_len }
    }

    /// Whether a failed write could not be rolled back.
    pub(super) fn needs_recovery(&self) -> bool {
        self.needs_recovery
    }

    /// Appends chunks with one write and one fdatasync.
    ///
    /// # Errors
    /// When nothing was stored.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<Lengths, AppendError> {
        if self.needs_recovery {
            return Err(AppendError::NeedsRecovery);
        }
        if let Some(kind) = self.check_external_change().map_err(AppendError::Io)? {
            return Err(AppendError::ExternalChange(kind));
        }
        self.document = None;
        let file = self.file_for_writing().map_err(AppendError::Io)?;
        match file.write(self.durable_len, bytes).and_then(|()| file.sync()) {
            Ok(()) => {
                self.durable_len += bytes.len() as u64;
                Ok(self.lengths())
            }
            Err(error) => {
                self.roll_back(&*file);
                Err(AppendError::Io(error))
            }
        }
    }

    /// Truncates the file to the durable length after a failed write.
    fn roll_back(&mut self, file: &dyn DiskFile) {
        let rolled_back = file.truncate(self.durable_len).and_then(|()| file.sync());
        if let Err(error) = rolled_back {
            tracing::error!(
                file = %self.path.display(), %error,
                "a failed write could not be rolled back; the document takes no changes until it has been rewritten"
            );
            self.require_recovery();
        }
    }

    fn require_recovery(&mut self) {
        self.needs_recovery = true;
        unsynced_marker::set(&*self.disk, &self.path);
    }

    /// The file, and its durable length in bytes. A replacement of the file must hold this content.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn durable_part(&mut self) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        Ok((self.file()?, self.durable_len))
    }

    /// Replaces the file by `new`, which holds the first `covered` bytes of this log. Copies what was appended since.
    ///
    /// # Errors
    /// When the disk fails, or another program has changed the file.
    pub(super) fn replace(&mut self, new: NewFile, snapshot_len: u64, covered: u64) -> Result<Lengths, ReplaceError> {
        let copied =
            self.file().and_then(|file| file.read(covered..self.durable_len)).and_then(|tail| new.extend(&tail));
        match copied {
            Ok(len) => self.commit_replacement(new, len, snapshot_len),
            Err(error) => {
                new.discard(&*self.disk);
                Err(ReplaceError::Unchanged(error))
            }
        }
    }

    /// Replaces the file by `new`, which holds the whole document.
    ///
    /// # Errors
    /// When the disk fails, or another program has changed the file.
    pub(super) fn replace_all(&mut self, new: NewFile, snapshot_len: u64) -> Result<Lengths, ReplaceError> {
        let len = new.len();
        self.commit_replacement(new, len, snapshot_len)
    }

    fn commit_replacement(&mut self, new: NewFile, len: u64, snapshot_len: u64) -> Result<Lengths, ReplaceError> {
        self.document = None;
        // A file that another program put here must not be replaced.
        let locked = self.check_external_change().and_then(|change| match change {
            Some(kind) => Err(io::Error::other(kind.to_string())),
            None => new.lock(),
        });
        let id = match locked {
            Ok(id) => id,
            Err(error) => {
                new.discard(&*self.disk);
                return Err(ReplaceError::Unchanged(error));
            }
        };
        // After an indeterminate rename, either file may be at the path, and only this one has a known durable part: it must be
        // open. (A file that cannot be opened is replaced by a full copy after a failure.)
        if self.file.is_none() {
            self.file = self.file().ok();
        }
        match new.commit(&*self.disk, &self.path) {
            Ok(file) => {
                (self.file, self.last_handle) = (Some(file), None);
                (self.durable_len, self.snapshot_len) = (len, snapshot_len);
                (self.id, self.possible_id, self.was_written) = (id, None, true);
                if std::mem::take(&mut self.needs_recovery) {
                    unsynced_marker::clear(&*self.disk, &self.path);
                }
                Ok(self.lengths())
            }
            Err(error) => {
                if let ReplaceError::Indeterminate(error) = &error {
                    self.possible_id = Some(id);
                    tracing::error!(
                        file = %self.path.display(), %error,
                        "it is unknown which file a crash would leave; the document takes no changes until it has been rewritten"
                    );
                    self.require_recovery();
                }
                Err(error)
            }
        }
    }
}

fn lock_error(error: LockError) -> io::Error {
    match error {
        LockError::Held(_) => io::Error::new(io::ErrorKind::WouldBlock, "the file is in use under another name"),
        LockError::Io(error) => error,
    }
}
