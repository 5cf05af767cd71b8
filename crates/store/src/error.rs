//! Errors of the store. Their texts tell the operator what to do.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use primitives::DocumentId;

use super::ExternalChange;
use super::disk::LockError;
use super::integrity::Damage;
use super::sql::DatabaseError;

/// Why a call on a store failed. The text is for the log and may contain paths;
/// [`public_message`](Self::public_message) is for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full. The call stored nothing.
    #[error("document {id} was not written, because the disk is full: free some space")]
    Full {
        /// The document.
        id: DocumentId,
        /// Error of the disk.
        source: io::Error,
    },
    /// A write failed. The call stored nothing.
    #[error("document {id} was not written: {source}")]
    Write {
        /// The document.
        id: DocumentId,
        /// Error of the disk.
        source: io::Error,
    },
    /// This or an earlier write failed, and rolling it back failed as well. The document accepts no writes until
    /// [`Store::recover`](super::Store::recover).
    #[error(
        "document {id} takes no changes until a full copy of it has been written: a failed write could not be rolled back"
    )]
    NeedsRecovery {
        /// The document.
        id: DocumentId,
    },
    /// Another program changed the file, or the folder of the documents, while the store had it open. The call stored nothing.
    #[error("document {id} was not written: {change}")]
    ExternalChange {
        /// The document.
        id: DocumentId,
        /// The change by another program.
        change: ExternalChange,
    },
    /// Other processes kept appending to the document. The call stored nothing.
    #[error("document {id} was not written: other processes keep writing to it")]
    Contended {
        /// The document.
        id: DocumentId,
    },
    /// A call on the database failed.
    #[error(transparent)]
    Database(DatabaseError),
    /// A read failed.
    #[error("document {id} could not be read: {source}")]
    Read {
        /// The document.
        id: DocumentId,
        /// Error of the disk.
        source: io::Error,
    },
    /// The document, or the folder of the documents, could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A snapshot or a full copy is invalid. The old content is in place.
    #[error("document {id} keeps its old content: {reason}")]
    InvalidSnapshot {
        /// The document.
        id: DocumentId,
        /// Why the new content is rejected.
        reason: SnapshotError,
    },
    /// A folder of the store cannot be written or listed.
    #[error("{location}: {source}")]
    Folder {
        /// The folder, or a file in it.
        location: Location,
        /// Error of the disk.
        source: io::Error,
    },
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Snapshot { id, why } => Self::InvalidSnapshot { id, reason: why },
            error => Self::Database(error),
        }
    }
}

impl StoreError {
    /// Message for clients: the consequence for them, without paths of the server.
    #[must_use]
    pub fn public_message(&self) -> &'static str {
        match self {
            Self::Full { .. } => "the server's disk is full; the change was not stored",
            Self::Write { .. } | Self::NeedsRecovery { .. } | Self::Folder { .. } => {
                "the server cannot write at the moment; the change was not stored"
            }
            Self::ExternalChange { .. } | Self::Open(OpenError::ExternalChange(_)) => {
                "the document's file was moved or replaced on the server; the change was not stored"
            }
            Self::Database(error) => error.public_message(),
            Self::Contended { .. } => "too many change the document at once; the change was not stored, try again",
            Self::InvalidSnapshot { .. } => "the server refused the new copy of the document and keeps the old one",
            Self::Read { .. } | Self::Open(_) => {
                "the server cannot open the document; its operator finds the reason in the log"
            }
        }
    }

    /// Whether the failed call may have stored its data.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Database(DatabaseError::OutcomeUnknown { .. }))
    }

    /// Whether there is no room left to write.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full { .. } => true,
            Self::Database(error) => matches!(error, DatabaseError::Full(_)),
            _ => false,
        }
    }

    /// Whether the file is intact, but opening it would take more memory than one document may use.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Open(OpenError::Damaged { damage: Damage::TooManyActors(_), .. }))
    }

    /// The error of a failed write: [`Full`](Self::Full) or [`Write`](Self::Write).
    pub(super) fn write(id: &DocumentId, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { id: id.clone(), source },
            _ => Self::Write { id: id.clone(), source },
        }
    }

    /// Converts errors of opening a file into those of a write, for calls that open the file in order to write.
    pub(super) fn while_writing(self, id: &DocumentId) -> Self {
        match self {
            Self::Open(OpenError::Io { location, source }) => {
                Self::write(id, io::Error::new(source.kind(), OpenError::Io { location, source }))
            }
            Self::Open(OpenError::ExternalChange(change)) => Self::ExternalChange { id: id.clone(), change },
            other => other,
        }
    }
}

/// Why a snapshot or a full copy must not replace the stored content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The new content cannot be loaded.
    #[error("the new content cannot be loaded: {0}")]
    Unloadable(Damage),
    /// The new content holds other changes than the stored one, probably because of an append after the snapshot was made.
    #[error("the new content does not hold the same changes")]
    DifferentHeads,
    /// Nothing is stored under this id, so there is nothing to replace.
    #[error("nothing is stored under this id")]
    NothingStored,
}

/// A file or folder of the store, and the command-line flag that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The file of the default document (`--state`).
    State(PathBuf),
    /// The folder of all other documents (`--documents`), or a file in it.
    Documents(PathBuf),
}

impl Location {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::State(path) | Self::Documents(path) => path,
        }
    }

    /// The setting that selects another location.
    fn alternative(&self) -> &'static str {
        match self {
            Self::State(_) => "another file with --state",
            Self::Documents(_) => "another folder with --documents",
        }
    }

    /// The alternative to a restore from a backup.
    fn restore_alternative(&self) -> &'static str {
        match self {
            Self::State(_) => ", or move it away to begin a new plan",
            Self::Documents(_) => "",
        }
    }

    fn expected_kind(&self) -> &'static str {
        match self {
            Self::State(_) => "a regular file",
            Self::Documents(_) => "of the right kind (further documents are regular files in a folder)",
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path().display())
    }
}

/// Why a document's file, or the folder of the documents, was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this process, has locked it.
    #[error("{location} is in use by {}; stop it, or give {}", holder(*.pid), .location.alternative())]
    Locked {
        /// The locked file or folder.
        location: Location,
        /// Process id of the holder, if known.
        pid: Option<u32>,
    },
    /// The same file is open under another name.
    #[error("{location} is in use under another name (a hard link, or another mount of the same file), by another process or this one; stop it, or give {}", .location.alternative())]
    LockedElsewhere {
        /// The locked file.
        location: Location,
    },
    /// Another program changed the folder of the documents while the store had it open.
    #[error(transparent)]
    ExternalChange(#[from] ExternalChange),
    /// The folder of the file does not exist.
    #[error("the folder for {location} does not exist; create it, or give {}", .location.alternative())]
    FolderMissing {
        /// The file.
        location: Location,
    },
    /// A folder in the place of a file, or the other way round.
    #[error("{location} is not {}; give {}", .location.expected_kind(), .location.alternative())]
    WrongKind {
        /// The file or folder.
        location: Location,
    },
    /// Missing permission, or a read-only file system.
    #[error("{location} cannot be written ({source}); make it and its folder writable for this user, or give {}", .location.alternative())]
    NotWritable {
        /// The file or folder.
        location: Location,
        /// Error of the disk.
        source: io::Error,
    },
    /// The file has another format.
    #[error("{location} is not an Automerge document, and was left as it is; give {} (legacy JSON data is brought in with `happierwork import`)", .location.alternative())]
    NotAutomerge {
        /// The file.
        location: Location,
    },
    /// The file has damage that truncation cannot repair.
    #[error("{location} was not opened, and was left as it is: {damage}. Restore it from a backup{} (details: `happierwork check {}`)", .location.restore_alternative(), .location.path().display())]
    Damaged {
        /// The file.
        location: Location,
        /// The damage.
        damage: Damage,
    },
    /// The disk failed.
    #[error("{location} could not be opened: {source}")]
    Io {
        /// The file or folder.
        location: Location,
        /// Error of the disk.
        source: io::Error,
    },
}

impl OpenError {
    /// Classifies an error of the disk by what the operator can do about it.
    pub(super) fn io(location: Location, source: io::Error) -> Self {
        use io::ErrorKind::{IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
        match source.kind() {
            PermissionDenied | ReadOnlyFilesystem => Self::NotWritable { location, source },
            IsADirectory | NotADirectory => Self::WrongKind { location },
            _ => Self::Io { location, source },
        }
    }

    pub(super) fn damage(location: Location, damage: Damage) -> Self {
        match damage {
            Damage::NotAutomerge => Self::NotAutomerge { location },
            damage => Self::Damaged { location, damage },
        }
    }

    pub(super) fn lock(location: Location, error: LockError) -> Self {
        match error {
            LockError::Held(pid) => Self::Locked { location, pid },
            LockError::Io(source) if source.kind() == io::ErrorKind::NotFound => Self::FolderMissing { location },
            LockError::Io(source) => Self::io(location, source),
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
