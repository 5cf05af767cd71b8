//! What can go wrong in a store, in words for the person who has to deal with it.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use primitives::DocumentId;

use super::Displaced;
use super::content::Damage;
use super::disk::LockError;

/// Why a call on a store failed. The text is for the log and may name files; for others, see
/// [`public_message`](Self::public_message).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room left. Nothing of the call was stored.
    #[error("document {id} was not written, because the disk is full: free some space")]
    Full {
        /// The document.
        id: DocumentId,
        /// What the disk said.
        source: io::Error,
    },
    /// A write failed. Nothing of the call was stored.
    #[error("document {id} was not written: {source}")]
    Write {
        /// The document.
        id: DocumentId,
        /// What the disk said.
        source: io::Error,
    },
    /// A write failed, now or earlier, in a way that could not be taken back.
    #[error(
        "document {id} takes no changes until a full copy of it has been written: a failed write could not be taken back"
    )]
    Refused {
        /// The document.
        id: DocumentId,
    },
    /// The file, or the folder of the documents, was deleted, moved or replaced while it was open. Nothing of the call was
    /// stored.
    #[error("document {id} was not written: {displaced}")]
    Displaced {
        /// The document.
        id: DocumentId,
        /// What happened.
        displaced: Displaced,
    },
    /// Reading failed.
    #[error("document {id} could not be read: {source}")]
    Read {
        /// The document.
        id: DocumentId,
        /// What the disk said.
        source: io::Error,
    },
    /// The document, or the folder of the documents, could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A snapshot or a full copy is not what it must be. The old content is in place.
    #[error("document {id} keeps its old content: {why}")]
    Snapshot {
        /// The document.
        id: DocumentId,
        /// What is wrong with it.
        why: SnapshotError,
    },
    /// The store as a whole cannot be written or listed.
    #[error("{place}: {source}")]
    Folder {
        /// Where.
        place: Place,
        /// What the disk said.
        source: io::Error,
    },
}

impl StoreError {
    /// What a client may be told: what it means for them, without files and folders of the server.
    #[must_use]
    pub fn public_message(&self) -> &'static str {
        match self {
            Self::Full { .. } => "the server's disk is full; the change was not stored",
            Self::Write { .. } | Self::Refused { .. } | Self::Folder { .. } => {
                "the server cannot write at the moment; the change was not stored"
            }
            Self::Displaced { .. } | Self::Open(OpenError::Displaced(_)) => {
                "the document's file was moved or replaced on the server; the change was not stored"
            }
            Self::Snapshot { .. } => "the server refused the new copy of the document and keeps the old one",
            Self::Read { .. } | Self::Open(_) => {
                "the server cannot open the document; its operator finds the reason in the log"
            }
        }
    }

    /// Whether the file is whole, and to open it would take more memory than one document may.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Open(OpenError::Damaged { damage: Damage::TooManyActors(_), .. }))
    }

    /// A failed write, told apart by whether there was room.
    pub(super) fn write(id: &DocumentId, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { id: id.clone(), source },
            _ => Self::Write { id: id.clone(), source },
        }
    }

    /// An error of a call that writes: if the disk failed before there was anything to write to, it is a failed write all the
    /// same.
    pub(super) fn while_writing(self, id: &DocumentId) -> Self {
        match self {
            Self::Open(OpenError::Io { place, source }) => {
                Self::write(id, io::Error::new(source.kind(), OpenError::Io { place, source }))
            }
            Self::Open(OpenError::Displaced(displaced)) => Self::Displaced { id: id.clone(), displaced },
            other => other,
        }
    }
}

/// Why new content may not take the place of the old.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be loaded, so it is no replacement for anything.
    #[error("the new one cannot be loaded: {0}")]
    Unloadable(Damage),
    /// It holds other changes than those stored: most likely something was appended after it was made.
    #[error("the new one does not hold the same changes")]
    OtherHeads,
    /// There is nothing that it could be a snapshot of.
    #[error("nothing is stored under this id")]
    NothingStored,
}

/// A file or folder, and the flag by which it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file of the default document.
    State(PathBuf),
    /// The folder of further documents, or a file in it.
    Documents(PathBuf),
}

impl Place {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::State(path) | Self::Documents(path) => path,
        }
    }

    /// What to give instead.
    fn other(&self) -> &'static str {
        match self {
            Self::State(_) => "another file with --state",
            Self::Documents(_) => "another folder with --documents",
        }
    }
}

impl Place {
    /// What to do instead of a restore.
    fn or_anew(&self) -> &'static str {
        match self {
            Self::State(_) => ", or move it away to begin a new plan",
            Self::Documents(_) => "",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path().display())
    }
}

/// Why a document's file, or the folder of the documents, was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{place} is in use by {}; stop it, or give {}", holder(*.pid), .place.other())]
    Locked {
        /// What is locked.
        place: Place,
        /// The holder, if it said so.
        pid: Option<u32>,
    },
    /// Another process has the same file under another name, or this one has.
    #[error("{place} is in use under another name (a hard link, or another mount of the same file), by another process or this one; stop it, or give {}", .place.other())]
    LockedElsewhere {
        /// What is locked.
        place: Place,
    },
    /// It was open, and is no longer what stands at its path.
    #[error(transparent)]
    Displaced(#[from] Displaced),
    /// There is no folder to put the file in.
    #[error("the folder for {place} does not exist; create it, or give {}", .place.other())]
    FolderMissing {
        /// The file.
        place: Place,
    },
    /// A folder where a file is needed, or the other way round.
    #[error("{place} is not {}; give {}", .place.kind(), .place.other())]
    WrongKind {
        /// What is there.
        place: Place,
    },
    /// No permission, or a read-only file system.
    #[error("{place} cannot be written ({source}); make it and its folder writable for this user, or give {}", .place.other())]
    NotWritable {
        /// What cannot be written.
        place: Place,
        /// What the disk said.
        source: io::Error,
    },
    /// Another kind of file. It is never touched.
    #[error("{place} is not an Automerge document, and was left as it is; give {} (legacy JSON data is brought in with `happierwork import`)", .place.other())]
    NotAutomerge {
        /// The file.
        place: Place,
    },
    /// Damage that no cut would mend.
    #[error("{place} was not opened, and was left as it is: {damage}. Restore it from a backup{} (details: `happierwork check {}`)", .place.or_anew(), .place.path().display())]
    Damaged {
        /// The file.
        place: Place,
        /// What is wrong.
        damage: Damage,
    },
    /// The disk failed.
    #[error("{place} could not be opened: {source}")]
    Io {
        /// What was to be opened.
        place: Place,
        /// What the disk said.
        source: io::Error,
    },
}

impl Place {
    fn kind(&self) -> &'static str {
        match self {
            Self::State(_) => "a regular file",
            Self::Documents(_) => "of the right kind (further documents are regular files in a folder)",
        }
    }
}

impl OpenError {
    /// An error of the disk, told by what the person can do about it.
    pub(super) fn io(place: Place, source: io::Error) -> Self {
        use io::ErrorKind::{IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
        match source.kind() {
            PermissionDenied | ReadOnlyFilesystem => Self::NotWritable { place, source },
            IsADirectory | NotADirectory => Self::WrongKind { place },
            _ => Self::Io { place, source },
        }
    }

    pub(super) fn damage(place: Place, damage: Damage) -> Self {
        match damage {
            Damage::NotAutomerge => Self::NotAutomerge { place },
            damage => Self::Damaged { place, damage },
        }
    }

    pub(super) fn lock(place: Place, error: LockError) -> Self {
        match error {
            LockError::Held(pid) => Self::Locked { place, pid },
            LockError::Io(source) if source.kind() == io::ErrorKind::NotFound => Self::FolderMissing { place },
            LockError::Io(source) => Self::io(place, source),
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
