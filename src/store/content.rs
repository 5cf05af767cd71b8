//! What a file's bytes amount to: whole, torn, damaged, or no Automerge document at all.
//!
//! Pure. The opening of a log and `happierwork check` judge by this alone, so they cannot disagree.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, ChangeHash, ReadDoc};

use crate::format::chunk::{Chunk, ChunkError, ChunkKind, Scan, ScanEnd, scan};

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
    /// The only chunk is bad: cutting it would leave nothing.
    #[error("its first chunk is bad ({0})")]
    FirstChunk(ChunkError),
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
    /// Changes are there whose predecessors are not.
    #[error("{0} changes are missing that others build on")]
    MissingDependencies(usize),
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
    /// Judges the bytes of a file.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Damage> {
        let Scan { chunks, end } = scan(bytes, INFLATE_LIMIT);
        let whole = chunks.last().map_or(0, |(_, range)| range.end);
        let torn = match end {
            ScanEnd::Whole => None,
            ScanEnd::Damage { at, next, error } => {
                return Err(Damage::Chunk { at: at as u64, next: next as u64, error });
            }
            // Only the start of a chunk can be what a crash left of the first write; anything else at the start of a
            // file was never ours to cut.
            ScanEnd::TornTail { at: 0, error: ChunkError::Magic } => return Err(Damage::NotAutomerge),
            ScanEnd::TornTail { at: 0, error } if error != ChunkError::Short => return Err(Damage::FirstChunk(error)),
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

/// The strict load: an error when anything in `bytes` would be left out.
fn load(bytes: &[u8]) -> Result<Automerge, Damage> {
    let loaded = catch_unwind(AssertUnwindSafe(|| Automerge::load(bytes)))
        .map_err(|_| Damage::Unloadable("it panicked".to_owned()))?
        .map_err(|error| Damage::Unloadable(error.to_string()))?;
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
