//! The one open log of a document.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use automerge::Automerge;

use super::trust;
use crate::content::{self, Content, Damage, Identity};
use crate::disk::{Disk, FileId, LockError, LogFile, folder_of};
use crate::replace::{NewFile, ReplaceError};
use crate::{Displacement, Lengths, Repair};

/// A document's open file, and how much of it is known to be durable.
///
/// That is kept in memory and never read back from the file: after a failed fsync the operating system may show bytes
/// that never reached the disk.
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// The name under which the file was asked for: a symbolic link may lead from it to `path`.
    name: PathBuf,
    /// Which file it is.
    id: FileId,
    /// Which file stands at `path` instead, should a rename that failed have happened.
    perhaps: Option<FileId>,
    /// What had happened to the file when it was last looked at.
    displaced: Option<Displacement>,
    /// `None`: it is opened for each use (see [`super::pool`]).
    file: Option<Arc<dyn LogFile>>,
    /// The last handle, which somebody else (a compaction) may still have: the lock of the file is its.
    last: Option<Weak<dyn LogFile>>,
    /// Whether something was written since the file was opened.
    written: bool,
    durable: u64,
    snapshot: u64,
    refused: bool,
    /// What opening the file has read; kept for the first load, as long as it is all that is in the file.
    /// (Boxed, as it is mostly not there, and large.)
    document: Option<Box<Automerge>>,
}

/// A log that was just opened.
pub(super) struct Opened {
    pub(super) log: Log,
    pub(super) repaired: Option<Repair>,
}

/// Why a file was not opened.
pub(super) enum NotOpened {
    Io(io::Error),
    /// Somebody has the same file under another name.
    Locked,
    Damaged(Damage),
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<LockError> for NotOpened {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held(_) => Self::Locked,
            LockError::Io(error) => Self::Io(error),
        }
    }
}

/// Why an append was not stored.
#[derive(Debug)]
pub(super) enum NotAppended {
    /// It failed; the log is as it was, or refused from now on.
    Failed(io::Error),
    /// An earlier failure could not be taken back.
    Refused,
    /// The file is no longer what stands at its path. Nothing was written.
    Displaced(Displacement),
}

impl Log {
    /// Opens and locks a document's file, repairing a torn tail. `None` if there is no such file. `name` may be a symbolic link
    /// that leads to `path`.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        path: &Path,
        name: &Path,
        identity: Identity,
    ) -> Result<Option<Opened>, NotOpened> {
        let file = match disk.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                NewFile::remove_stale(&**disk, path);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        file.lock()?;
        if disk.look(path)?.file != file.id()? {
            // Whoever had it locked has just put another one in its place.
            return Err(io::Error::other("it was replaced while it was opened; try again").into());
        }
        NewFile::remove_stale(&**disk, path);
        let mut bytes = file.read(0..file.len()?)?;
        let content = Content::of_file(&bytes, identity).map_err(NotOpened::Damaged)?;
        let repaired = match content.torn {
            None => None,
            Some(torn) => {
                let tail = bytes.split_off(bytes.len() - torn.len as usize);
                Some(super::repair::cut(&**disk, path, &*file, torn, &tail)?)
            }
        };
        // A process that was killed between write and fsync leaves bytes that are only in the operating system's
        // memory. Whoever reads them here is about to show them to others.
        let file = if trust::is_withdrawn(&**disk, path) {
            let new = NewFile::write(&**disk, path, &bytes)?;
            new.lock()?;
            let file = match new.publish(&**disk, path) {
                Ok(file) => file,
                Err(ReplaceError::Kept(error) | ReplaceError::Unknown(error)) => return Err(error.into()),
            };
            trust::restore(&**disk, path);
            file
        } else {
            file.sync()
                .and_then(|()| disk.sync_dir(folder_of(path)))
                .inspect_err(|_| trust::withdraw(&**disk, path))?;
            file
        };
        let log = Self {
            disk: Arc::clone(disk),
            path: path.to_owned(),
            name: name.to_owned(),
            id: file.id()?,
            perhaps: None,
            displaced: None,
            file: Some(file),
            last: None,
            written: false,
            durable: content.whole_len,
            snapshot: content.snapshot_len,
            refused: false,
            document: Some(Box::new(content.document)),
        };
        Ok(Some(Opened { log, repaired }))
    }

    /// Creates a document's file with this content, all at once: a crash leaves no half of it.
    pub(super) fn create(disk: &Arc<dyn Disk>, path: &Path, name: &Path, bytes: &[u8]) -> io::Result<Self> {
        let new = NewFile::write(&**disk, path, bytes)?;
        let id = new.lock()?;
        let file = match new.publish(&**disk, path) {
            Ok(file) => file,
            Err(ReplaceError::Kept(error)) => return Err(error),
            Err(ReplaceError::Unknown(error)) => {
                // Nothing was there before, so nothing is lost by taking it back. Should that fail too, the next
                // opening makes what it finds durable before it shows it to anybody.
                let _ = disk.remove(path);
                return Err(error);
            }
        };
        Ok(Self {
            disk: Arc::clone(disk),
            path: path.to_owned(),
            name: name.to_owned(),
            id,
            perhaps: None,
            displaced: None,
            file: Some(file),
            last: None,
            written: true,
            durable: bytes.len() as u64,
            snapshot: content::snapshot_len(bytes),
            refused: false,
            document: None,
        })
    }

    /// What is durable.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        self.file()?.read(0..self.durable)
    }

    /// Whether the file is open.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Whether something was written since the file was opened.
    pub(super) fn was_written(&self) -> bool {
        self.written
    }

    /// Closes the file; the next use opens it. One whose content is known only here stays open. Says whether it is closed.
    pub(super) fn close_file(&mut self) -> bool {
        if self.refused || !self.find_displacement().is_ok_and(|displaced| displaced.is_none()) {
            return false;
        }
        if let Some(file) = self.file.take() {
            self.last = Some(Arc::downgrade(&file));
        }
        self.written = false;
        true
    }

    fn file(&mut self) -> io::Result<Arc<dyn LogFile>> {
        let open = self.file.clone().or_else(|| self.last.as_ref()?.upgrade());
        if let Some(file) = open {
            return Ok(file);
        }
        let file = self.disk.open(&self.path)?;
        file.lock().map_err(not_locked)?;
        let found = file.id()?;
        if found != self.id || file.len()? < self.durable {
            let message = "the file is not what was stored: something else has changed or replaced it";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.last = Some(Arc::downgrade(&file));
        Ok(file)
    }

    /// The same, to be kept open.
    fn opened(&mut self) -> io::Result<Arc<dyn LogFile>> {
        let file = self.file()?;
        self.file = Some(Arc::clone(&file));
        self.written = true;
        Ok(file)
    }

    /// Looks whether the file still stands at its path, as long as it was left. One that does not would be gone with the
    /// process, with all that is written to it.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(super) fn find_displacement(&mut self) -> io::Result<Option<Displacement>> {
        use io::ErrorKind::{NotADirectory, NotFound};
        self.displaced = match self.disk.look(&self.name) {
            Ok(seen) if seen.file != self.id && self.perhaps != Some(seen.file) => Some(Displacement::Replaced),
            // After a failed write it may have any length.
            Ok(seen) if seen.len != self.durable && !self.refused => {
                Some(Displacement::Changed { found: seen.len, left: self.durable })
            }
            Ok(_) => None,
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Some(Displacement::Gone),
            Err(error) => return Err(error),
        };
        Ok(self.displaced)
    }

    /// What had happened to the file when it was last looked at.
    pub(super) fn displaced(&self) -> Option<Displacement> {
        self.displaced
    }

    /// The document as it is in the file, if it was read to open it and nobody has taken it yet.
    pub(super) fn take_document(&mut self) -> Option<Automerge> {
        self.document.take().map(|document| *document)
    }

    /// A look at the same.
    pub(super) fn document(&self) -> Option<&Automerge> {
        self.document.as_deref()
    }

    pub(super) fn lengths(&self) -> Lengths {
        Lengths { snapshot: self.snapshot, log: self.durable - self.snapshot }
    }

    /// Whether a failed write could not be taken back.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Adds chunks: one write, one fdatasync.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<Lengths, NotAppended> {
        if self.refused {
            return Err(NotAppended::Refused);
        }
        if let Some(how) = self.find_displacement().map_err(NotAppended::Failed)? {
            return Err(NotAppended::Displaced(how));
        }
        self.document = None;
        let file = self.opened().map_err(NotAppended::Failed)?;
        match file.write(self.durable, bytes).and_then(|()| file.sync()) {
            Ok(()) => {
                self.durable += bytes.len() as u64;
                Ok(self.lengths())
            }
            Err(error) => {
                self.roll_back(&*file);
                Err(NotAppended::Failed(error))
            }
        }
    }

    /// After a failed write: back to the last length known to be durable.
    fn roll_back(&mut self, file: &dyn LogFile) {
        let taken_back = file.truncate(self.durable).and_then(|()| file.sync());
        if let Err(error) = taken_back {
            tracing::error!(
                file = %self.path.display(), %error,
                "a failed write could not be taken back; the document takes no changes until it has been rewritten"
            );
            self.refuse();
        }
    }

    fn refuse(&mut self) {
        self.refused = true;
        trust::withdraw(&*self.disk, &self.path);
    }

    /// The file, and how much of it is durable: what a new file has to hold to take its place.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn durable_part(&mut self) -> io::Result<(Arc<dyn LogFile>, u64)> {
        Ok((self.file()?, self.durable))
    }

    /// Puts `new`, which holds `content` and lacks what was appended after `covered`, in the place of the file.
    pub(super) fn replace(&mut self, new: NewFile, snapshot: u64, covered: u64) -> Result<Lengths, ReplaceError> {
        let added = self.file().and_then(|file| file.read(covered..self.durable)).and_then(|tail| new.extend(&tail));
        match added {
            Ok(length) => self.replace_by(new, length, snapshot),
            Err(error) => {
                new.discard(&*self.disk);
                Err(ReplaceError::Kept(error))
            }
        }
    }

    /// Puts `new`, which holds all that there is, in the place of the file.
    pub(super) fn replace_all(&mut self, new: NewFile, snapshot: u64) -> Result<Lengths, ReplaceError> {
        let length = new.len();
        self.replace_by(new, length, snapshot)
    }

    fn replace_by(&mut self, new: NewFile, length: u64, snapshot: u64) -> Result<Lengths, ReplaceError> {
        self.document = None;
        // What somebody else has put in its place is not ours to replace.
        let in_place = self.find_displacement().and_then(|displaced| match displaced {
            Some(how) => Err(io::Error::other(how.to_string())),
            None => new.lock(),
        });
        let id = match in_place {
            Ok(id) => id,
            Err(error) => {
                new.discard(&*self.disk);
                return Err(ReplaceError::Kept(error));
            }
        };
        // If the rename fails halfway, either file may stand at the path, and this is the only one whose durable part is known: it
        // stays open. (A file that cannot be opened is one that a copy replaces after a failure.)
        if self.file.is_none() {
            self.file = self.file().ok();
        }
        match new.publish(&*self.disk, &self.path) {
            Ok(file) => {
                (self.file, self.last, self.durable, self.snapshot) = (Some(file), None, length, snapshot);
                (self.id, self.perhaps, self.written) = (id, None, true);
                if std::mem::take(&mut self.refused) {
                    trust::restore(&*self.disk, &self.path);
                }
                Ok(self.lengths())
            }
            Err(error) => {
                if let ReplaceError::Unknown(error) = &error {
                    self.perhaps = Some(id);
                    tracing::error!(
                        file = %self.path.display(), %error,
                        "it is not known which file a crash would leave; the document takes no changes until it has been rewritten"
                    );
                    self.refuse();
                }
                Err(error)
            }
        }
    }
}

fn not_locked(error: LockError) -> io::Error {
    match error {
        LockError::Held(_) => io::Error::new(io::ErrorKind::WouldBlock, "the file is in use under another name"),
        LockError::Io(error) => error,
    }
}
