//! Durable storage of documents. A [`Store`] knows a document only as an id and bytes, and returns `Ok` from a write only once
//! the bytes are on disk.
//!
//! | module | contents |
//! |---|---|
//! | [`file`](mod@file) | [`FileStore`], used in production: one append-only log per document, in Automerge's own format |
//! | `memory` | `MemoryStore`, for tests (feature `testing`) |
//! | `conformance` | the guarantees of a [`Store`] as a test suite (feature `testing`) |
//! | [`check`] | checks a document file without changing it |
//! | [`disk`] | the file system calls of the file store, as a trait |
//! | `faults` | a simulated disk that fails and crashes on command (feature `testing`) |

pub mod check;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod disk;
mod error;
mod external_change;
#[cfg(any(test, feature = "testing"))]
pub mod faults;
pub mod file;
mod file_mode;
mod integrity;
mod lock_file;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
mod peer_records;
mod replace;

use std::fmt;
use std::path::PathBuf;

use automerge::Automerge;
pub use error::{Location, OpenError, SnapshotError, StoreError};
pub use external_change::{ExternalChange, ExternalChangeKind};
pub use file::{FileStore, OpenFileLimits, StateFile};
pub use file_mode::{FileMode, InvalidFileMode};
use futures_util::future::BoxFuture;
pub use integrity::{Damage, MissingContent, TornTail};
#[cfg(any(test, feature = "testing"))]
pub use memory::MemoryStore;
pub use peer_records::PeerRecord;
use primitives::DocumentId;
pub use replace::replace;

/// Durable storage of documents.
///
/// Loads and appends of one document take effect one after the other, in the order in which their futures are first
/// polled. Calls for different documents do not wait for each other. Dropping a future does not cancel a call that has
/// begun: the bytes of a dropped append may be stored.
pub trait Store: Send + Sync + 'static {
    /// Loads the durable content of a document: whole Automerge chunks that load without loss. `None` if nothing was ever
    /// stored.
    ///
    /// The first load opens the document: it repairs a torn tail, and fails on other damage. A later load returns the content
    /// that is durable by then. Call it after a failed [`append`](Self::append) to return to a known state.
    ///
    /// # Errors
    /// When the document cannot be opened or read.
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>>;

    /// Reads the stored bytes of a document without checking them, for a document that cannot be opened. `None` if nothing is
    /// stored.
    ///
    /// # Errors
    /// When the disk fails.
    fn raw(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let loaded = self.load(id);
        Box::pin(async move { Ok(loaded.await?.map(|loaded| loaded.bytes)) })
    }

    /// Appends `bytes` to a document, and creates the document if necessary. After `Ok`, the bytes survive a power cut.
    ///
    /// `bytes` are whole chunks. All dependencies of their changes must be stored or among them: a change without its
    /// dependencies would make the document look damaged when it is next opened.
    ///
    /// # Errors
    /// When nothing of `bytes` was stored. After [`StoreError::NeedsRecovery`], the document accepts no writes until
    /// [`recover`](Self::recover).
    fn append(&self, id: &DocumentId, bytes: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>>;

    /// Replaces what was stored when this call began by `snapshot`, which must have the same heads. Concurrent appends are
    /// kept.
    ///
    /// A crash at any time leaves either the old or the new content.
    ///
    /// # Errors
    /// When the snapshot is invalid or a write failed. The old content is in place and accepts appends, except after
    /// [`StoreError::NeedsRecovery`].
    fn compact(&self, id: &DocumentId, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>>;

    /// Lists the stored documents and the default document, sorted by id.
    ///
    /// # Errors
    /// When the disk fails.
    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>>;

    /// Closes the file of an unused document. A document that needs recovery stays open, because only the store knows which
    /// part of it is durable.
    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()>;

    /// Durably and atomically replaces the document by `full_copy`, and accepts writes again.
    ///
    /// The copy must hold all acknowledged changes, and may hold more.
    ///
    /// # Errors
    /// When the copy is invalid or lacks changes, or a write failed.
    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>>;

    /// Loads the remembered peers of a document. Unreadable records are logged and ignored: losing them only makes the next
    /// sync slower.
    ///
    /// # Errors
    /// When the store cannot be used.
    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>>;

    /// Replaces the remembered peers of a document. Atomic but not durable: a crash may undo it.
    ///
    /// # Errors
    /// When a write failed.
    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Loads the lines about the authors of a document's changes, in the order in which they were appended. A partial last
    /// line is omitted.
    ///
    /// # Errors
    /// When the disk fails.
    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>>;

    /// Appends whole lines about the authors of a document's changes. After `Ok`, they survive a power cut.
    ///
    /// # Errors
    /// When a write failed. A retry may store the lines twice.
    fn append_authors(&self, id: &DocumentId, lines: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Loads the access rights of all documents.
    ///
    /// # Errors
    /// When the disk fails.
    fn load_access(&self) -> BoxFuture<'_, Result<AccessRecords, StoreError>>;

    /// Atomically and durably replaces the access rights of a document.
    ///
    /// # Errors
    /// When a write failed.
    fn save_access(&self, id: &DocumentId, record: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Permanently removes the content of a document, which must be closed. Keeps its access rights and the authors of its
    /// changes.
    ///
    /// # Errors
    /// When the disk fails. A part may have been removed.
    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The documents that are unavailable. Returns at once, without reading the disk.
    fn health(&self) -> Health;

    /// Checks that writes succeed, by writing a small file.
    ///
    /// # Errors
    /// When a write would fail.
    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The stored access rights of each document. The store does not interpret them.
pub type AccessRecords = Vec<(DocumentId, Vec<u8>)>;

/// A loaded document.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The whole content: a chain of whole chunks.
    pub bytes: Vec<u8>,
    /// The document in these bytes, if the store has loaded it to check the bytes.
    pub document: Option<Automerge>,
    /// Length in bytes of the leading document chunk; 0 if the first chunk is of another kind.
    pub snapshot_len: u64,
    /// The repair, if this load opened the document and truncated a torn tail.
    pub repair: Option<Repair>,
}

impl Loaded {
    /// Lengths of snapshot and log.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        Lengths { snapshot: self.snapshot_len, log: self.bytes.len() as u64 - self.snapshot_len }
    }
}

/// Size of a stored document. Callers decide by it when to compact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Bytes of the leading document chunk.
    pub snapshot: u64,
    /// Bytes of the chunks after it.
    pub log: u64,
}

/// A torn tail that was truncated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Position of the tail, and why it is invalid.
    pub torn_tail: TornTail,
    /// File to which the truncated bytes were copied.
    pub saved_to: PathBuf,
}

/// The documents that are unavailable. Contains no paths, so that it can be shown to clients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Unavailable documents, sorted by id.
    pub unavailable: Vec<(DocumentId, UnavailableReason)>,
}

impl Health {
    /// Whether no document is known to be unavailable.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.unavailable.is_empty()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ok() {
            return f.write_str("ok");
        }
        for (index, (id, reason)) in self.unavailable.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}document {id} {reason}")?;
        }
        Ok(())
    }
}

/// Why a document is unavailable, in part or entirely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnavailableReason {
    /// A failed write could not be rolled back. Ends with [`Store::recover`].
    NeedsRecovery,
    /// The file cannot be opened: it is damaged, or not a document. Ends when the operator replaces it by a good one.
    Quarantined,
    /// Another program changed the file while it was open. Ends when the original file is back in its place.
    ExternalChange,
}

impl fmt::Display for UnavailableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeedsRecovery => "cannot be written: a write failed and could not be rolled back",
            Self::Quarantined => "cannot be opened: its file is damaged, or not a document",
            Self::ExternalChange => "takes no changes: its file was deleted, moved or replaced",
        })
    }
}
