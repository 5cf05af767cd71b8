//! Durability. A [`Store`] knows documents only as ids and bytes, and says `Ok` only when the bytes are on disk.
//!
//! | file | holds |
//! |---|---|
//! | [`file`](mod@file) | the embedded default: one append-only log per document, in Automerge's own format |
//! | `memory` | an in-memory store for tests (feature `testing`) |
//! | `conformance` | what every implementation must do, as a suite to run against it (feature `testing`) |
//! | [`check`] | is this file whole, and what would be cut? |
//! | [`disk`] | what the file store asks of an operating system |
//! | [`sql`] | documents in a database that several nodes share |
//! | [`position`] | where the log of a document stands |
//! | `faults` | a disk in memory that fails and crashes on command (feature `testing`) |

pub mod check;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod content;
pub mod disk;
mod displaced;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod faults;
pub mod file;
mod lock_file;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
mod mode;
mod peers;
pub mod position;
mod replace;
#[cfg(any(feature = "postgres", feature = "sqlite", feature = "mysql"))]
pub mod sql;

use std::fmt;
use std::path::PathBuf;

use automerge::Automerge;
pub use content::{Damage, Loss, Torn};
pub use displaced::{Displaced, Displacement};
pub use error::{OpenError, Place, SnapshotError, StoreError};
pub use file::{FileStore, OpenFiles, StateFile};
use futures_util::future::BoxFuture;
#[cfg(any(test, feature = "testing"))]
pub use memory::MemoryStore;
pub use mode::{FileMode, InvalidFileMode};
pub use peers::PeerRecord;
pub use position::{AccessChanged, After, Appended, Batch, BatchKind, Control, ControlKind, News, Position, Tip};
use primitives::DocumentId;
pub use replace::replace;

/// Where documents are kept.
///
/// Loads and appends of one document take effect one after the other, in the order in which their futures are first
/// polled; calls about different documents do not wait for each other. Dropping a future does not undo what it has begun: an
/// append whose future was dropped may be stored.
pub trait Store: Send + Sync + 'static {
    /// What is known to be durable of a document: whole Automerge chunks, loadable without loss. `None` if nothing of
    /// it was ever stored.
    ///
    /// The first load opens the document, which repairs a torn tail and refuses damage. A later one returns what is
    /// durable by then: how a caller gets back to solid ground after a failed [`append`](Self::append).
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>>;

    /// What stands in the store of a document that cannot be opened, as it is. `None` if there is nothing.
    fn raw(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let loaded = self.load(id);
        Box::pin(async move { Ok(loaded.await?.map(|loaded| loaded.bytes)) })
    }

    /// Adds `bytes` to a document, which comes to exist if it did not. When this says `Ok`, they survive a power cut.
    ///
    /// `bytes` are one or more whole chunks, whose dependencies are all in the document or among them: a change that
    /// still waits for another would make the document look damaged when it is next opened. On an error nothing of
    /// them is part of the document; after [`StoreError::Refused`] nothing will be until [`recover`](Self::recover).
    fn append(&self, id: &DocumentId, bytes: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>>;

    /// Replaces what was stored when this call began by `snapshot`, which must have the very same heads; else it is
    /// refused. Appends may go on meanwhile and are kept.
    ///
    /// A crash at any instant leaves the old or the new. After an error other than [`StoreError::Refused`] the old is
    /// in place, and the document can be appended to.
    fn compact(&self, id: &DocumentId, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>>;

    /// The documents of which something is stored, in the order of their ids, and the default document.
    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>>;

    /// Lets go of a document that nobody uses: its file handle, not its content. A refused document stays open, since
    /// what is durable of it is known only here.
    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()>;

    /// Ends the refusal of a document: writes `full_copy` as the whole document, durably and atomically.
    ///
    /// The copy must hold everything that was ever acknowledged; it may hold more.
    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>>;

    /// The remembered peers of a document. An unreadable record is logged and counts as none: losing it loses
    /// nothing but speed.
    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>>;

    /// Remembers these peers of a document instead of the ones before. Atomic, but not durable: a crash may lose it.
    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Who brought which change of a document in: the lines that were appended, whole ones.
    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>>;

    /// Adds lines to them. When this says `Ok`, they survive a power cut.
    fn append_authors(&self, id: &DocumentId, lines: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Who may do what with each document of which that was ever saved.
    fn load_access(&self) -> BoxFuture<'_, Result<Records, StoreError>>;

    /// Keeps this as who may do what with a document, instead of what was kept before. Atomic and durable.
    fn save_access(&self, id: &DocumentId, record: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes a document's content, for good; who brought what in, and who may do what, is kept. The document must be
    /// closed.
    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Which documents are out of service. Answers at once, from memory.
    fn health(&self) -> Health;

    /// Whether a write would succeed now, tried out on a small file of its own.
    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Something that is kept beside documents: by document.
pub type Records = Vec<(DocumentId, Vec<u8>)>;

/// A document as it is stored.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// All of it: a chain of whole chunks.
    pub bytes: Vec<u8>,
    /// The document in these bytes, if the store had to read it to know that they are whole.
    pub document: Option<Automerge>,
    /// How many of the bytes are a leading document chunk; 0 if the first chunk is of another kind.
    pub snapshot_len: u64,
    /// What was cut off when this load opened the document.
    pub repaired: Option<Repair>,
}

impl Loaded {
    /// Snapshot and log of this document.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        Lengths { snapshot: self.snapshot_len, log: self.bytes.len() as u64 - self.snapshot_len }
    }
}

/// How large a document is in the store: what a caller decides by when to compact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Bytes of the leading document chunk.
    pub snapshot: u64,
    /// Bytes of the chunks after it.
    pub log: u64,
}

/// A torn tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// What was wrong with it, and where.
    pub torn: Torn,
    /// Where the cut bytes were kept.
    pub kept: PathBuf,
}

/// Which documents are out of service. Names no paths, so that it can be shown to anybody who asks for readiness.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// The documents out of service, in the order of their ids.
    pub refused: Vec<(DocumentId, Refusal)>,
}

impl Health {
    /// Whether every document can be written, as far as is known.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.refused.is_empty()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ok() {
            return f.write_str("ok");
        }
        for (index, (id, refusal)) in self.refused.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}document {id} {refusal}")?;
        }
        Ok(())
    }
}

/// Why a document is out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A write failed and could not be taken back. Ends with [`Store::recover`].
    Unwritable,
    /// The file could not be opened: damaged, or not a document. Ends when somebody puts a good one in its place.
    Quarantined,
    /// The file was deleted, moved or replaced while it was open. Ends when the file is back in its place.
    Displaced,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unwritable => "cannot be written: a write failed and could not be taken back",
            Self::Quarantined => "cannot be opened: its file is damaged, or not a document",
            Self::Displaced => "takes no changes: its file was deleted, moved or replaced",
        })
    }
}
