//! What a file's bytes amount to: whole, torn, damaged, or no Automerge document at all.
//!
//! Pure. The opening of a log and `happierwork check` judge by this alone, so they cannot disagree.

use std::collections::HashSet;
use std::fmt;

use automerge::legacy::ObjectId;
use automerge::{Automerge, ChangeHash, ObjId, ROOT, ReadDoc, Value};
use automerge_chunks::chunk::{Chunk, ChunkError, ChunkKind, Scan, ScanEnd, scan};
use automerge_chunks::load::{self, LogLoadError};
use primitives::{DOCUMENT_ID, POSITIONS};

/// A file holds what was accepted (and so inflated) before, and loading it inflates it again. A bound here could not
/// save anything; it could only make a good chunk look torn.
const INFLATE_LIMIT: u64 = u64::MAX;

/// An append that was cut off: bytes at the end of a file that are no chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// Where it starts: the length of the whole part before it.
    pub at: u64,
    /// How many bytes it has.
    pub len: u64,
    /// What is wrong with it.
    pub error: ChunkError,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at byte {} ({})", self.len, self.at, self.error)
    }
}

/// What is wrong with a file that no cut would mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The first bytes are not Automerge's: most likely another kind of file.
    #[error("it is not an Automerge document")]
    NotAutomerge,
    /// The file exists and has no content. The store creates a file together with its first chunk, so this is not what a
    /// crash of ours leaves.
    #[error("it is empty, as an interrupted copy leaves it")]
    Empty,
    /// Not even the first chunk is whole: nothing of the document could be loaded. The store writes the first chunk
    /// together with the file, so this is not what a crash of ours leaves.
    #[error("it holds no whole chunk, as an interrupted copy leaves it ({0})")]
    FirstChunk(ChunkError),
    /// The tail is torn, and the chunks before it are not enough to be the document.
    #[error("its end is cut off or damaged, {torn}, and what is left before that {loss}")]
    Remnant {
        /// What a repair would cut.
        torn: Torn,
        /// What the document would be without.
        loss: Loss,
    },
    /// A bad chunk before good ones.
    #[error("it is damaged at byte {at} ({error}), with good data again from byte {next} on")]
    Chunk {
        /// Where the bad region starts.
        at: u64,
        /// Where the next good chunk starts.
        next: u64,
        /// What is wrong with it.
        error: ChunkError,
    },
    /// Every chunk is whole, but Automerge cannot read what is in them.
    #[error("Automerge cannot load it ({0})")]
    Unloadable(String),
    /// It is whole, and to open it would take more memory than one document may: it is not built.
    #[error("{0}; it is only served as it is in the file (export.automerge)")]
    TooManyActors(String),
    /// Changes are there whose predecessors are not.
    #[error("{0} changes are missing that others build on")]
    MissingDependencies(usize),
}

/// What a document would lack if its torn tail were cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The root map is empty.
    Everything,
    /// The document does not carry its id, and would be served under a new URL.
    Identity,
    /// A plan without a single position, now or before.
    Positions,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everything => "is empty",
            Self::Identity => "does not carry the document's id",
            Self::Positions => "has no positions",
        })
    }
}

/// How the id of the document in a file is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// The document carries it: a file that does not is served under a new id.
    Carried,
    /// The caller knows it, for instance from the file's name.
    Known,
}

/// What the scan and the loading of a file's bytes found.
pub(super) struct Content {
    /// The whole part, loaded.
    pub(super) document: Automerge,
    pub(super) chunks: usize,
    pub(super) whole_len: u64,
    pub(super) snapshot_len: u64,
    pub(super) torn: Option<Torn>,
}

impl Content {
    /// Judges the content of a file that exists: an error unless it can be opened, after cutting a torn tail.
    ///
    /// A torn tail is mostly a write that a crash interrupted, and may be cut. After an interrupted copy it is a part of
    /// the document; both look the same. So a cut must leave a document: its root, its id and, in a plan, positions
    /// (or that there were some, in its history).
    pub(super) fn of_file(bytes: &[u8], identity: Identity) -> Result<Self, Damage> {
        if bytes.is_empty() {
            return Err(Damage::Empty);
        }
        let content = Self::of(bytes)?;
        match content.torn.clone().zip(loss(&content.document, identity)) {
            Some((torn, loss)) => Err(Damage::Remnant { torn, loss }),
            None => Ok(content),
        }
    }

    /// Judges a chain of chunks, which may be empty.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Damage> {
        let Scan { chunks, end } = scan(bytes, INFLATE_LIMIT);
        let whole = chunks.last().map_or(0, |(_, range)| range.end);
        let torn = match end {
            ScanEnd::Whole => None,
            ScanEnd::Damage { at, next, error } => {
                return Err(Damage::Chunk { at: at as u64, next: next as u64, error });
            }
            // A repair keeps what is before the tail: here, nothing.
            ScanEnd::TornTail { at: 0, error: ChunkError::Magic } => return Err(Damage::NotAutomerge),
            ScanEnd::TornTail { at: 0, error } => return Err(Damage::FirstChunk(error)),
            ScanEnd::TornTail { at, error } => Some(Torn { at: at as u64, len: (bytes.len() - at) as u64, error }),
        };
        Ok(Self {
            document: load(&bytes[..whole])?,
            chunks: chunks.len(),
            whole_len: whole as u64,
            snapshot_len: match chunks.first() {
                Some((ChunkKind::Document, range)) => range.end as u64,
                _ => 0,
            },
            torn,
        })
    }

    /// Judges bytes that must be whole, such as a snapshot.
    pub(super) fn whole(bytes: &[u8]) -> Result<Self, Damage> {
        let content = Self::of(bytes)?;
        match content.torn {
            Some(torn) => Err(Damage::Unloadable(format!("torn: {torn}"))),
            None => Ok(content),
        }
    }

    /// Whether both hold the same changes.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        // Automerge keeps heads sorted.
        self.document.get_heads() == other.document.get_heads()
    }

    /// The same about a log that is not loaded for it, only scanned: a log can be much slower to load than a snapshot.
    pub(super) fn same_as_log(&self, log: &[u8]) -> Result<bool, Damage> {
        let mut heads = HashSet::new();
        let mut rest = log;
        while !rest.is_empty() {
            let (chunk, after) = Chunk::parse(rest, INFLATE_LIMIT)
                .map_err(|error| Damage::Unloadable(format!("at byte {}: {error}", log.len() - rest.len())))?;
            let Some(of_chunk) = chunk.heads() else {
                return Ok(self.same_as(&Self::whole(log)?));
            };
            heads.extend(of_chunk.into_iter().map(ChangeHash));
            rest = after;
        }
        // Every change of the log is one of these or before one of them; and every change here is before one of the
        // heads here. A head here that is not among them would be one that the log has not got.
        let document = &self.document;
        Ok(heads.iter().all(|head| document.get_change_meta_by_hash(head).is_some())
            && document.get_heads().iter().all(|head| heads.contains(head)))
    }

    /// Whether every change of `other` is here too.
    pub(super) fn contains(&self, other: &Self) -> bool {
        other.document.get_heads().iter().all(|head| self.document.get_change_by_hash(head).is_some())
    }
}

/// What a document lacks that every document of its kind has.
fn loss(document: &Automerge, identity: Identity) -> Option<Loss> {
    if document.keys(ROOT).next().is_none() {
        return Some(Loss::Everything);
    }
    let carries_id = matches!(document.get(ROOT, DOCUMENT_ID), Ok(Some(_)));
    if identity == Identity::Carried && !carries_id {
        return Some(Loss::Identity);
    }
    // Two clients that began a plan apart have made a map each; all of them count.
    let maps = document.get_all(ROOT, POSITIONS).unwrap_or_default().into_iter();
    let maps: Vec<ObjId> =
        maps.filter(|(value, _)| matches!(value, Value::Object(_))).map(|(_, object)| object).collect();
    let is_plan = carries_id || !maps.is_empty();
    (is_plan && !ever_had_positions(document, &maps)).then_some(Loss::Positions)
}

/// Whether there is a position, or was one: a plan from which all have been deleted is whole.
fn ever_had_positions(document: &Automerge, maps: &[ObjId]) -> bool {
    if maps.iter().any(|map| document.length(map) > 0) {
        return true;
    }
    let is_in_a_map = |object: &ObjectId| match object {
        ObjectId::Root => false,
        ObjectId::Id(id) => maps.iter().any(|map| match map {
            ObjId::Id(counter, actor, _) => *counter == id.counter() && actor == id.actor(),
            ObjId::Root => false,
        }),
    };
    let changes = document.get_changes(&[]);
    changes.iter().any(|change| change.decode().operations.iter().any(|operation| is_in_a_map(&operation.obj)))
}

/// The strict load: an error when anything in `bytes` would be left out.
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

/// How many of the bytes are a leading document chunk.
pub(super) fn snapshot_len(bytes: &[u8]) -> u64 {
    match Chunk::parse(bytes, INFLATE_LIMIT) {
        Ok((Chunk { kind: ChunkKind::Document, bytes, .. }, _)) => bytes.len() as u64,
        _ => 0,
    }
}

/// Whether these are whole chunks and nothing else.
pub(super) fn are_chunks(bytes: &[u8]) -> bool {
    scan(bytes, INFLATE_LIMIT).end == ScanEnd::Whole
}
