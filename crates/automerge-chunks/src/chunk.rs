//! Automerge's container format: files and the payloads of sync messages are chains of chunks.
//!
//! ```text
//! 85 6f 4a 83 | checksum (4) | type (1) | length (LEB128) | body
//! ```
//!
//! The checksum is the first 4 bytes of SHA-256 over type, length and body. A compressed change (type 2) carries the
//! checksum of the change that it inflates to. Source: <https://automerge.org/automerge-binary-format-spec/>.
//!
//! The library's lenient readers (`load_incremental`, `OnPartialLoad::Ignore`) silently drop what they cannot read.
//! Call [`scan`] first to know what a file or a message holds.

use std::io::Read;
use std::ops::Range;

use sha2::{Digest, Sha256};

/// The first four bytes of every chunk.
pub const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];

/// Length of magic, checksum and type in bytes. The body's length follows.
const FIXED_HEADER: usize = 9;

/// The kind of content of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkKind {
    /// A whole document with its history.
    Document,
    /// One change.
    Change,
    /// One change, deflated.
    CompressedChange,
    /// Several changes in columns.
    Bundle,
}

impl ChunkKind {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Document),
            1 => Some(Self::Change),
            2 => Some(Self::CompressedChange),
            3 => Some(Self::Bundle),
            _ => None,
        }
    }
}

/// The kind that the header of the chunk at the start of `bytes` claims, unchecked.
#[must_use]
pub fn kind(bytes: &[u8]) -> Option<ChunkKind> {
    bytes.get(FIXED_HEADER - 1).copied().and_then(ChunkKind::from_byte)
}

/// Splits off the chunk at the start of `bytes` by its header alone, unchecked. Returns it and the rest.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, length_bytes) = read_leb128(bytes.get(FIXED_HEADER..)?).ok()?;
    let end = usize::try_from(length).ok()?.checked_add(FIXED_HEADER + length_bytes)?;
    bytes.split_at_checked(end)
}

/// The claimed kind and the body of `bytes`, which are one chunk. Unchecked.
pub(super) fn body(bytes: &[u8]) -> Option<(ChunkKind, &[u8])> {
    let kind = kind(bytes)?;
    let (_, length_bytes) = read_leb128(&bytes[FIXED_HEADER..]).ok()?;
    Some((kind, &bytes[FIXED_HEADER + length_bytes..]))
}

/// A chunk with a valid header, length and checksum. (Only loading it shows whether its columns are valid.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The kind of content.
    pub kind: ChunkKind,
    /// The whole chunk, header included, as stored in a file.
    pub bytes: &'a [u8],
    body_start: usize,
    /// SHA-256 of type, length and (inflated) body: the change hash, for a change.
    hash: [u8; 32],
}

/// Why bytes are not a valid chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The chunk extends beyond the end of the input.
    #[error("the chunk is cut short")]
    Short,
    /// The magic bytes are missing.
    #[error("this is not the start of an Automerge chunk")]
    Magic,
    /// The type is unknown.
    #[error("the chunk is of the unknown type {0}")]
    Kind(u8),
    /// The length does not fit, or is not minimally encoded.
    #[error("the chunk's length is malformed")]
    Length,
    /// The checksum does not match the content.
    #[error("the chunk's checksum does not match its content")]
    Checksum,
    /// The compressed change cannot be inflated, or not within the caller's limit in bytes.
    #[error("the compressed change does not inflate within {0} bytes")]
    Inflate(u64),
}

impl<'a> Chunk<'a> {
    /// Parses the chunk at the start of `input`. Returns it and the rest.
    ///
    /// Inflates a compressed change, to at most `inflate_limit` bytes, to check it.
    ///
    /// # Errors
    /// When the input does not start with a whole, valid chunk.
    pub fn parse(input: &'a [u8], inflate_limit: u64) -> Result<(Self, &'a [u8]), ChunkError> {
        let magic = &input[..input.len().min(MAGIC.len())];
        if magic != &MAGIC[..magic.len()] {
            return Err(ChunkError::Magic);
        }
        if input.len() < FIXED_HEADER {
            return Err(ChunkError::Short);
        }
        let kind = ChunkKind::from_byte(input[8]).ok_or(ChunkError::Kind(input[8]))?;
        let (length, length_bytes) = read_leb128(&input[FIXED_HEADER..])?;
        let body_start = FIXED_HEADER + length_bytes;
        let end = usize::try_from(length).ok().and_then(|n| body_start.checked_add(n)).ok_or(ChunkError::Length)?;
        if end > input.len() {
            return Err(ChunkError::Short);
        }
        let digest = match kind {
            ChunkKind::CompressedChange => {
                let inflated = inflate(&input[body_start..end], inflate_limit)?;
                let mut hasher = Sha256::new();
                hasher.update([1]);
                hasher.update(leb128(inflated.len() as u64));
                hasher.update(&inflated);
                hasher.finalize()
            }
            _ => Sha256::digest(&input[8..end]),
        };
        if digest[..4] != input[4..8] {
            return Err(ChunkError::Checksum);
        }
        Ok((Self { kind, bytes: &input[..end], body_start, hash: digest.into() }, &input[end..]))
    }

    /// The part after the header.
    pub(super) fn body(&self) -> &'a [u8] {
        &self.bytes[self.body_start..]
    }

    /// The heads of this chunk: all its other changes are ancestors of them. `None` if only loading the chunk could
    /// tell.
    #[must_use]
    pub fn heads(&self) -> Option<Vec<[u8; 32]>> {
        match self.kind {
            ChunkKind::Change | ChunkKind::CompressedChange => Some(vec![self.hash]),
            ChunkKind::Document => document_heads(&self.bytes[self.body_start..]),
            ChunkKind::Bundle => None,
        }
    }
}

/// Parses the start of a document's body: length-prefixed actors, then heads.
fn document_heads(body: &[u8]) -> Option<Vec<[u8; 32]>> {
    let mut rest = body;
    let number = |rest: &mut &[u8]| {
        let (number, length) = read_leb128(rest).ok()?;
        *rest = &rest[length..];
        usize::try_from(number).ok()
    };
    for _ in 0..number(&mut rest)? {
        let length = number(&mut rest)?;
        rest = rest.get(length..)?;
    }
    let count = number(&mut rest)?;
    let (heads, _) = rest.split_at_checked(count.checked_mul(32)?)?;
    Some(heads.as_chunks::<32>().0.to_vec())
}

pub(super) fn inflate(body: &[u8], limit: u64) -> Result<Vec<u8>, ChunkError> {
    let mut inflated = Vec::new();
    flate2::read::DeflateDecoder::new(body)
        .take(limit.saturating_add(1))
        .read_to_end(&mut inflated)
        .map_err(|_| ChunkError::Inflate(limit))?;
    if inflated.len() as u64 > limit { Err(ChunkError::Inflate(limit)) } else { Ok(inflated) }
}

fn read_leb128(input: &[u8]) -> Result<(u64, usize), ChunkError> {
    let mut value = 0u64;
    for (index, byte) in input.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        if index == 9 && part > 1 {
            return Err(ChunkError::Length);
        }
        value |= part << (7 * index);
        if byte & 0x80 == 0 {
            // Overlong encodings would give one chunk two encodings.
            return if index > 0 && *byte == 0 { Err(ChunkError::Length) } else { Ok((value, index + 1)) };
        }
    }
    if input.len() < 10 { Err(ChunkError::Short) } else { Err(ChunkError::Length) }
}

fn leb128(mut value: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(10);
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// Result of a [`scan`] of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The valid chunks, in order and without gaps, from the start of the file.
    pub chunks: Vec<(ChunkKind, Range<usize>)>,
    /// How the scan ended.
    pub end: ScanEnd,
}

/// How a [`scan`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanEnd {
    /// At the end of the file: it is whole.
    Whole,
    /// At invalid bytes, without valid chunks after them: an interrupted append, which may be cut off.
    TornTail {
        /// Offset of the torn region: the length of the whole part.
        at: usize,
        /// Why the bytes are invalid.
        error: ChunkError,
    },
    /// At invalid bytes before valid chunks: damage. Nothing may be cut off, as the rest is valid.
    Damage {
        /// Offset of the invalid bytes.
        at: usize,
        /// Offset of the next valid chunk, or of bytes that look like one.
        next: usize,
        /// Why the bytes are invalid.
        error: ChunkError,
    },
}

impl Scan {
    /// Length of the whole part in bytes.
    #[must_use]
    pub fn whole_len(&self) -> usize {
        self.chunks.last().map_or(0, |(_, range)| range.end)
    }
}

/// Splits a file into chunks and verifies them.
///
/// `inflate_limit` bounds, in bytes, the inflated size of one compressed change.
#[must_use]
pub fn scan(bytes: &[u8], inflate_limit: u64) -> Scan {
    let mut chunks = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match Chunk::parse(&bytes[at..], inflate_limit) {
            Ok((chunk, _)) => {
                let range = at..at + chunk.bytes.len();
                at = range.end;
                chunks.push((chunk.kind, range));
            }
            Err(error) => {
                let end = match next_chunk(bytes, at + 1, inflate_limit).0 {
                    Some(next) => ScanEnd::Damage { at, next, error },
                    None => ScanEnd::TornTail { at, error },
                };
                return Scan { chunks, end };
            }
        }
    }
    Scan { chunks, end: ScanEnd::Whole }
}

/// Limit on hashing while searching an invalid region, as a multiple of its length.
const SEARCH: usize = 16;

/// Returns the offset of the next chunk, and how many bytes were hashed to find it.
///
/// A peer may have filled the region with headers that each claim the rest of the file. Once the limit is reached,
/// anything that looks like a chunk counts as one, so that nothing is cut off.
fn next_chunk(bytes: &[u8], from: usize, inflate_limit: u64) -> (Option<usize>, usize) {
    let allowed = bytes.len().saturating_sub(from).saturating_mul(SEARCH);
    let mut hashed = 0;
    for at in from..bytes.len().saturating_sub(FIXED_HEADER) {
        let Some(length) = claimed_length(&bytes[at..]) else { continue };
        if hashed + length > allowed {
            return (Some(at), hashed);
        }
        hashed += length;
        if Chunk::parse(&bytes[at..], inflate_limit).is_ok() {
            return (Some(at), hashed);
        }
    }
    (None, hashed)
}

/// The claimed length of bytes that look like a complete chunk.
fn claimed_length(input: &[u8]) -> Option<usize> {
    if !input.starts_with(&MAGIC) {
        return None;
    }
    ChunkKind::from_byte(*input.get(8)?)?;
    let (length, length_bytes) = read_leb128(input.get(FIXED_HEADER..)?).ok()?;
    let end = usize::try_from(length).ok()?.checked_add(FIXED_HEADER + length_bytes)?;
    (end <= input.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};

    use super::*;

    const LIMIT: u64 = 1 << 20;

    /// A document chunk, a plain change and a compressed change.
    fn file() -> Vec<u8> {
        let mut doc = AutoCommit::new();
        doc.put(ROOT, "name", "plan").expect("put");
        let mut bytes = doc.save();
        doc.put(ROOT, "small", 1).expect("put");
        bytes.extend(doc.save_incremental());
        doc.put(ROOT, "large", "x".repeat(2_000)).expect("put");
        doc.commit();
        bytes.extend_from_slice(&doc.get_last_local_change().expect("a change").bytes());
        bytes
    }

    #[test]
    fn whole_file_scans_to_its_end() {
        let bytes = file();
        let scan = scan(&bytes, LIMIT);
        let kinds: Vec<_> = scan.chunks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [ChunkKind::Document, ChunkKind::Change, ChunkKind::CompressedChange]);
        assert_eq!((scan.end.clone(), scan.whole_len()), (ScanEnd::Whole, bytes.len()));
    }

    #[test]
    fn truncated_file_has_a_torn_tail() {
        let bytes = file();
        let ends: Vec<_> = scan(&bytes, LIMIT).chunks.iter().map(|(_, range)| range.end).collect();
        for cut in 0..bytes.len() {
            let scan = scan(&bytes[..cut], LIMIT);
            let whole = ends.iter().copied().filter(|&end| end <= cut).max().unwrap_or(0);
            assert_eq!(scan.whole_len(), whole, "cut at {cut}");
            assert_eq!(matches!(scan.end, ScanEnd::TornTail { at, .. } if at == whole), cut != whole, "cut at {cut}");
        }
    }

    #[test]
    fn flipped_byte_is_damage_or_a_torn_tail() {
        let whole = file();
        let ranges: Vec<_> = scan(&whole, LIMIT).chunks.into_iter().map(|(_, range)| range).collect();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let index = ranges.iter().position(|range| range.contains(&at)).expect("in a chunk");
            match scan(&bytes, LIMIT).end {
                ScanEnd::Damage { at: bad, next, .. } => {
                    assert_eq!((bad, next), (ranges[index].start, ranges[index + 1].start), "byte {at}");
                }
                ScanEnd::TornTail { at: bad, .. } => assert_eq!((index, bad), (2, ranges[2].start), "byte {at}"),
                // The checksum does not cover the padding bits of a deflate stream.
                ScanEnd::Whole => {
                    let heads = |file: &[u8]| AutoCommit::load(file).expect("loads").get_heads();
                    assert_eq!((index, heads(&bytes)), (2, heads(&whole)), "the flip of byte {at} went unnoticed");
                }
            }
        }
    }

    #[test]
    fn heads_equal_those_of_the_library() {
        let mut doc = AutoCommit::new();
        doc.put(ROOT, "name", "plan").expect("put");
        let base = doc.clone();
        for fork in 0..3 {
            let mut fork = base.clone().with_actor(automerge::ActorId::from([fork]));
            fork.put(ROOT, "large", "x".repeat(2_000)).expect("put");
            fork.commit();
            let heads = fork.get_heads();
            let change = fork.get_change_by_hash(&heads[0]).expect("a change");
            for bytes in [change.raw_bytes().to_vec(), change.clone().bytes().to_vec()] {
                let (chunk, _) = Chunk::parse(&bytes, LIMIT).expect("a chunk");
                assert_eq!(chunk.heads(), Some(vec![change.hash().0]), "{:?}", chunk.kind);
            }
            doc.merge(&mut fork).expect("merged");
        }
        let bytes = doc.save();
        let (chunk, _) = Chunk::parse(&bytes, LIMIT).expect("a chunk");
        let heads: Vec<_> = doc.get_heads().iter().map(|head| head.0).collect();
        assert_eq!((heads.len(), chunk.heads()), (3, Some(heads)));
    }

    #[test]
    fn search_for_the_next_chunk_is_bounded() {
        let (count, head) = (2_000, FIXED_HEADER + 3);
        let length = count * head;
        let mut bytes = Vec::with_capacity(length);
        for index in 0..count {
            let rest = length - (index + 1) * head;
            bytes.extend(MAGIC);
            bytes.extend([0, 0, 0, 0, 1]);
            // Always three bytes long.
            let rest = u32::try_from(rest.max(1 << 14)).expect("small");
            bytes.extend([(rest & 0x7f) as u8 | 0x80, (rest >> 7 & 0x7f) as u8 | 0x80, (rest >> 14) as u8]);
        }
        bytes.resize(length + (1 << 14), 0);
        let (found, hashed) = next_chunk(&bytes, 1, LIMIT);
        assert!(hashed <= SEARCH * bytes.len(), "{hashed} bytes of {}", bytes.len());
        assert!(found.is_some(), "undecided regions are not cut off");
    }

    #[test]
    fn decompression_bomb_is_rejected() {
        let bytes = file();
        let (_, range) = scan(&bytes, LIMIT).chunks.pop().expect("three chunks");
        assert_eq!(Chunk::parse(&bytes[range], 1_000), Err(ChunkError::Inflate(1_000)));
    }

    #[test]
    fn false_lengths_are_rejected() {
        let mut huge = MAGIC.to_vec();
        huge.extend([0, 0, 0, 0, 1]);
        let with = |length: &[u8]| [huge.as_slice(), length].concat();
        assert_eq!(Chunk::parse(&with(&[0xff; 10]), LIMIT), Err(ChunkError::Length));
        assert_eq!(Chunk::parse(&with(&[0x80, 0x00]), LIMIT), Err(ChunkError::Length));
        assert_eq!(Chunk::parse(&with(&[0xff, 0xff, 0xff, 0x7f]), LIMIT), Err(ChunkError::Short));
    }
}
