//! Checks the content of a document file: intact, with a torn tail, damaged, or not an Automerge document.
//!
//! Pure. Opening a log and `happierwork check` both use this module, so they always agree.

use std::collections::HashSet;
use std::fmt;

use automerge::legacy::ObjectId;
use automerge::{Automerge, ChangeHash, ObjId, ROOT, ReadDoc, Value};
use automerge_chunks::chunk::{Chunk, ChunkError, ChunkKind, Scan, ScanEnd, scan};
use automerge_chunks::load::{self, LogLoadError};
use primitives::{DOCUMENT_ID, POSITIONS};

/// No limit: the server inflated every stored chunk when it accepted it, and loading inflates it again. A limit would only make
/// a valid chunk look torn.
const INFLATE_LIMIT: u64 = u64::MAX;

/// Bytes at the end of a file that are not a valid chunk, usually because an append was interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// Offset of the tail in bytes: the length of the valid part before it.
    pub at: u64,
    /// Length of the tail in bytes.
    pub len: u64,
    /// Why the bytes are invalid.
    pub error: ChunkError,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at byte {} ({})", self.len, self.at, self.error)
    }
}

/// Damage of a file that truncation cannot repair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file does not start with Automerge's magic bytes: probably another file format.
    #[error("it is not an Automerge document")]
    NotAutomerge,
    /// The file is empty. The store creates a file together with its first chunk, so no crash of the server causes this.
    #[error("it is empty, as an interrupted copy leaves it")]
    Empty,
    /// The first chunk is incomplete, so nothing can be loaded. The store creates a file together with its first chunk, so no
    /// crash of the server causes this.
    #[error("it holds no whole chunk, as an interrupted copy leaves it ({0})")]
    FirstChunk(ChunkError),
    /// The tail is torn, and the chunks before it are not a complete document.
    #[error("its end is cut off or damaged, {torn_tail}, and the part before it {missing}")]
    Truncated {
        /// The part that a repair would truncate.
        torn_tail: TornTail,
        /// Content that the truncated document would lack.
        missing: MissingContent,
    },
    /// An invalid chunk before valid ones.
    #[error("it is damaged at byte {at} ({error}), with good data again from byte {next} on")]
    Chunk {
        /// Offset of the invalid region in bytes.
        at: u64,
        /// Offset of the next valid chunk in bytes.
        next: u64,
        /// Why the bytes are invalid.
        error: ChunkError,
    },
    /// All chunks are valid, but Automerge cannot load them.
    #[error("Automerge cannot load it ({0})")]
    Unloadable(String),
    /// The file is intact, but opening it would take more memory than one document may use.
    #[error("{0}; only the file itself is served (export.automerge)")]
    TooManyActors(String),
    /// Dependencies of some changes are missing. Contains their number.
    #[error("{0} changes are missing that others depend on")]
    MissingDependencies(usize),
}

/// Required content that a document would lack after its torn tail is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingContent {
    /// Everything: the root map is empty.
    Everything,
    /// The document's id: the document would be served under a new URL.
    DocumentId,
    /// The positions: a plan that has and had none.
    Positions,
}

impl fmt::Display for MissingContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everything => "is empty",
            Self::DocumentId => "does not carry the document's id",
            Self::Positions => "has no positions",
        })
    }
}

/// Where the id of the document in a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdSource {
    /// The document contains its id. Without one, it would be served under a new id.
    Document,
    /// The caller knows the id, for example from the file name.
    Caller,
}

/// A chain of chunks that was scanned and loaded.
pub(super) struct VerifiedContent {
    /// The document in the valid chunks.
    pub(super) document: Automerge,
    /// Number of valid chunks.
    pub(super) chunks: usize,
    /// Length in bytes of the valid chunks.
    pub(super) valid_len: u64,
    /// Length in bytes of a leading document chunk, else 0.
    pub(super) snapshot_len: u64,
    /// The bytes after the valid chunks.
    pub(super) torn_tail: Option<TornTail>,
}

impl VerifiedContent {
    /// Checks the content of a file. `Ok` if the file can be opened, after truncating a torn tail.
    ///
    /// Usually a crash interrupted an append, and the torn tail may be truncated. After an interrupted copy of the file, the
    /// tail is a part of the document, and looks the same. So the truncated document must be complete: it must have a root,
    /// its id and, in a plan, positions (or deleted ones in its history).
    ///
    /// # Errors
    /// When the file must not be opened.
    pub(super) fn from_file(bytes: &[u8], id_source: IdSource) -> Result<Self, Damage> {
        if bytes.is_empty() {
            return Err(Damage::Empty);
        }
        let content = Self::from_chunks(bytes)?;
        match content.torn_tail.clone().zip(missing_content(&content.document, id_source)) {
            Some((torn_tail, missing)) => Err(Damage::Truncated { torn_tail, missing }),
            None => Ok(content),
        }
    }

    /// Checks a chain of chunks, which may be empty.
    pub(super) fn from_chunks(bytes: &[u8]) -> Result<Self, Damage> {
        let Scan { chunks, end } = scan(bytes, INFLATE_LIMIT);
        let valid_len = chunks.last().map_or(0, |(_, range)| range.end);
        let torn_tail = match end {
            ScanEnd::Whole => None,
            ScanEnd::Damage { at, next, error } => {
                return Err(Damage::Chunk { at: at as u64, next: next as u64, error });
            }
            // A repair would keep nothing.
            ScanEnd::TornTail { at: 0, error: ChunkError::Magic } => return Err(Damage::NotAutomerge),
            ScanEnd::TornTail { at: 0, error } => return Err(Damage::FirstChunk(error)),
            ScanEnd::TornTail { at, error } => Some(TornTail { at: at as u64, len: (bytes.len() - at) as u64, error }),
        };
        Ok(Self {
            document: load(&bytes[..valid_len])?,
            chunks: chunks.len(),
            valid_len: valid_len as u64,
            snapshot_len: match chunks.first() {
                Some((ChunkKind::Document, range)) => range.end as u64,
                _ => 0,
            },
            torn_tail,
        })
    }

    /// Checks a chain of chunks that must not have a torn tail, such as a snapshot.
    pub(super) fn from_whole_chunks(bytes: &[u8]) -> Result<Self, Damage> {
        let content = Self::from_chunks(bytes)?;
        match content.torn_tail {
            Some(torn_tail) => Err(Damage::Unloadable(format!("torn: {torn_tail}"))),
            None => Ok(content),
        }
    }

    /// Whether both hold the same changes.
    pub(super) fn has_same_changes(&self, other: &Self) -> bool {
        // Automerge keeps heads sorted.
        self.document.get_heads() == other.document.get_heads()
    }

    /// Like [`has_same_changes`](Self::has_same_changes), for a log that is only scanned: loading a log can be much slower
    /// than loading a snapshot.
    pub(super) fn has_same_changes_as_log(&self, log: &[u8]) -> Result<bool, Damage> {
        let mut heads = HashSet::new();
        let mut rest = log;
        while !rest.is_empty() {
            let (chunk, after) = Chunk::parse(rest, INFLATE_LIMIT)
                .map_err(|error| Damage::Unloadable(format!("at byte {}: {error}", log.len() - rest.len())))?;
            let Some(chunk_heads) = chunk.heads() else {
                return Ok(self.has_same_changes(&Self::from_whole_chunks(log)?));
            };
            heads.extend(chunk_heads.into_iter().map(ChangeHash));
            rest = after;
        }
        // `heads` and their ancestors are all changes of the log. So this document holds them all if it holds `heads`, and the
        // log holds all changes of this document if `heads` includes the document's heads.
        let document = &self.document;
        Ok(heads.iter().all(|head| document.get_change_meta_by_hash(head).is_some())
            && document.get_heads().iter().all(|head| heads.contains(head)))
    }

    /// Whether this document holds every change of `other`.
    pub(super) fn contains_changes_of(&self, other: &Self) -> bool {
        other.document.get_heads().iter().all(|head| self.document.get_change_meta_by_hash(head).is_some())
    }
}

/// Content that every document has and this one lacks.
fn missing_content(document: &Automerge, id_source: IdSource) -> Option<MissingContent> {
    if document.keys(ROOT).next().is_none() {
        return Some(MissingContent::Everything);
    }
    let has_id = matches!(document.get(ROOT, DOCUMENT_ID), Ok(Some(_)));
    if id_source == IdSource::Document && !has_id {
        return Some(MissingContent::DocumentId);
    }
    // Clients that created the plan independently each made a map. All of them count.
    let maps = document.get_all(ROOT, POSITIONS).unwrap_or_default().into_iter();
    let maps: Vec<ObjId> =
        maps.filter(|(value, _)| matches!(value, Value::Object(_))).map(|(_, object)| object).collect();
    let is_plan = has_id || !maps.is_empty();
    (is_plan && !ever_had_positions(document, &maps)).then_some(MissingContent::Positions)
}

/// Whether the plan has a position, or had one: a plan without positions is complete if they were deleted.
fn ever_had_positions(document: &Automerge, maps: &[ObjId]) -> bool {
    if maps.iter().any(|map| document.length(map) > 0) {
        return true;
    }
    let is_in_map = |object: &ObjectId| match object {
        ObjectId::Root => false,
        ObjectId::Id(id) => maps.iter().any(|map| match map {
            ObjId::Id(counter, actor, _) => *counter == id.counter() && actor == id.actor(),
            ObjId::Root => false,
        }),
    };
    let changes = document.get_changes(&[]);
    changes.iter().any(|change| change.decode().operations.iter().any(|operation| is_in_map(&operation.obj)))
}

/// Loads `bytes` strictly: an error if Automerge would omit any of it.
fn load(bytes: &[u8]) -> Result<Automerge, Damage> {
    let loaded = load::load(bytes).map_err(|error| match error {
        LogLoadError::TooManyActors(_) => Damage::TooManyActors(error.to_string()),
        error => Damage::Unloadable(error.to_string()),
    })?;
    match loaded.get_missing_deps(&[]).len() {
        0 => Ok(loaded),
        missing => Err(Damage::MissingDependencies(missing)),
    }
}

/// Length in bytes of the leading document chunk; 0 if the first chunk is of another kind.
pub(super) fn snapshot_len(bytes: &[u8]) -> u64 {
    match Chunk::parse(bytes, INFLATE_LIMIT) {
        Ok((Chunk { kind: ChunkKind::Document, bytes, .. }, _)) => bytes.len() as u64,
        _ => 0,
    }
}

/// Whether `bytes` are whole chunks and nothing else.
pub(super) fn are_whole_chunks(bytes: &[u8]) -> bool {
    scan(bytes, INFLATE_LIMIT).end == ScanEnd::Whole
}
