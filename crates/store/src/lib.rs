//! Durable storage of documents. A [`Store`] knows a document only as an id and bytes, and returns `Ok` from a write only once
//! the bytes are on disk.
//!
//! | module | contents |
//! |---|---|
//! | [`file`](mod@file) | [`FileStore`], used in production: one append-only log per document, in Automerge's own format |
//! | `memory` | `MemoryStore`, for tests (feature `testing`) |
//! | `conformance` | the guarantees of a [`Store`] as a test suite (feature `testing`) |
//! | [`sql`] | `SqlStore`: documents in a database that several processes share |
//! | [`position`] | [`Position`], [`Batch`]: the log of a document that several processes write |
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
pub mod position;
mod replace;
pub mod sql;

use std::fmt;
use std::path::PathBuf;

use automerge::Automerge;
pub use error::{Location, OpenError, SnapshotError, StoreError};
pub use external_change::{ExternalChange, ExternalChangeKind};
pub use file::{FileContent, FileReader, FileStore, OpenFileLimits, StateFile};
pub use file_mode::{FileMode, InvalidFileMode};
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::BoxStream;
pub use integrity::{Damage, MissingContent, TornTail};
#[cfg(any(test, feature = "testing"))]
pub use memory::MemoryStore;
pub use peer_records::PeerRecord;
pub use position::{AccessChanged, After, Appended, Batch, BatchKind, Control, ControlKind, News, Position, Tip};
use primitives::DocumentId;
pub use replace::replace;

/// Durable storage of documents.
///
/// Loads and appends of one document take effect one after the other, in the order in which their futures are first
/// polled. Calls for different documents do not wait for each other. Dropping a future does not cancel a call that has
/// begun: the bytes of a dropped append may be stored.
pub trait Store: Send + Sync + 'static {
    /// Loads the durable content of a document: whole Automerge chunks that load without loss. `None` if nothing was ever
    /// stored. Without content if the log holds access records alone.
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
        Box::pin(async move { Ok(loaded.await?.map(|loaded| loaded.bytes).filter(|bytes| !bytes.is_empty())) })
    }

    /// Appends a batch to a document after the batch at `after`, and creates the document if necessary. After
    /// [`Appended::Stored`], the batch survives a power cut. A store that several processes write answers
    /// [`Appended::Behind`] if the log does not end at `after`: then nothing was stored, and the caller reads what it lacks with
    /// [`after`](Self::after) first. So a writer has read everything before.
    ///
    /// The chunks are whole. All dependencies of their changes must be stored or among them: a change without its dependencies
    /// would make the document look damaged when it is next opened. The author lines become durable before or together with
    /// the chunks.
    ///
    /// # Errors
    /// When no chunk of the batch was stored. After [`StoreError::NeedsRecovery`], the document accepts no writes until
    /// [`recover`](Self::recover).
    fn append(&self, id: &DocumentId, after: Position, batch: Batch) -> BoxFuture<'_, Result<Appended, StoreError>>;

    /// Reads the batches that were appended to a document after `at`. A store with a single writer always answers
    /// [`After::Same`].
    ///
    /// # Errors
    /// When the store cannot be read, or the log is damaged.
    fn after(&self, _id: &DocumentId, _at: Position) -> BoxFuture<'_, Result<After, StoreError>> {
        Box::pin(ready(Ok(After::Same)))
    }

    /// The positions of those of these documents that have a log. A store with a single writer answers none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn positions(&self, _ids: Vec<DocumentId>) -> BoxFuture<'_, Result<Vec<(DocumentId, Position)>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    /// Replaces the log up to `at` by `snapshot`, which must have the heads that the document had there. Later and concurrent
    /// appends are kept. A store with a single writer replaces what was stored when this call began.
    ///
    /// A crash at any time leaves either the old or the new content.
    ///
    /// # Errors
    /// When the snapshot is invalid or a write failed. The old content is in place and accepts appends, except after
    /// [`StoreError::NeedsRecovery`].
    fn compact(&self, id: &DocumentId, at: Position, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>>;

    /// Lists the stored documents and the default document, sorted by id.
    ///
    /// # Errors
    /// When the disk fails.
    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>>;

    /// Closes the file of an unused document. A document that needs recovery stays open, because only the store knows which
    /// part of it is durable.
    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()>;

    /// Durably and atomically makes the stored document that of `full_copy`, and accepts writes again.
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

    /// Loads the lines about the authors of a document's changes, in the order in which they were appended, also if the document was
    /// removed. A partial last line is omitted. [`Loaded`] has them together with the changes.
    ///
    /// # Errors
    /// When the disk fails.
    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>>;

    /// Loads the access records of all documents.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load_access(&self) -> BoxFuture<'_, Result<Vec<StoredAccess>, StoreError>>;

    /// Loads the access record of one document; `None` if it has none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load_access_of(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<StoredAccess>, StoreError>> {
        let (all, id) = (self.load_access(), id.clone());
        Box::pin(async move { Ok(all.await?.into_iter().find(|stored| stored.document == id)) })
    }

    /// Atomically and durably replaces the access record of a document, if its version is still `expected` (0: there is no
    /// record). In a store that several processes write, the change is a batch of the document's log as well: a process that
    /// has not read it cannot append to the document. A store with a single writer does not compare versions.
    ///
    /// # Errors
    /// When a write failed.
    fn change_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: Vec<u8>,
    ) -> BoxFuture<'_, Result<AccessChanged, StoreError>>;

    /// Whether several processes may write this store. The access records and logs that a process knows are then those that it has
    /// read last.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether a shared store cannot notify this process at the moment, so that [`News::LookAtAll`] comes several times a second.
    fn is_polling(&self) -> bool {
        false
    }

    /// The latest control revision, and the changes outside of documents since `revision`. A store with a single writer has none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn control_since(&self, revision: u64) -> BoxFuture<'_, Result<(u64, Vec<Control>), StoreError>> {
        Box::pin(ready(Ok((revision, Vec::new()))))
    }

    /// The news of other processes about this store. `None` if there is a single writer. Call it once.
    fn news(&self) -> Option<BoxStream<'static, News>> {
        None
    }

    /// Sends a message to the other processes that use this store. It may be lost.
    fn tell(&self, _message: Vec<u8>) {}

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

/// A stored access record. The store does not interpret it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccess {
    /// The document that it belongs to.
    pub document: DocumentId,
    /// Grows with each change. Always 0 in a store with a single writer.
    pub version: u64,
    /// The record, as it was passed to [`Store::change_access`].
    pub record: Vec<u8>,
}

/// A loaded document.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The whole content: a chain of whole chunks.
    pub bytes: Vec<u8>,
    /// The provenance of at least the changes in these bytes, as lines. Read together with them: a database may lose its last
    /// transactions between two reads.
    pub authors: Vec<u8>,
    /// The document in these bytes, if the store has loaded it to check the bytes.
    pub document: Option<Automerge>,
    /// Length in bytes of the leading document chunk; 0 if the first chunk is of another kind.
    pub snapshot_len: u64,
    /// The repair, if this load opened the document and truncated a torn tail.
    pub repair: Option<Repair>,
    /// Where the log ends. Always [`Position::START`] in a store with a single writer.
    pub position: Position,
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
