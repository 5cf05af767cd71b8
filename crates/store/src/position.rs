//! Where the log of a document stands, and the batches it consists of.
//!
//! A document's log is a sequence of batches. Each has a number and a hash over itself and all batches before it, so that a
//! position names one history and no other. A writer may append only the batch after the last one it has read.
//!
//! ```
//! use store::{Batch, Position};
//!
//! let first = Batch::changes(b"chunk".to_vec(), Vec::new());
//! let at = Position::START.next(&first);
//! assert_eq!(at.seq, 1);
//! assert_ne!(at, Position::START.next(&Batch::changes(b"other".to_vec(), Vec::new())));
//! ```

use std::fmt;

use primitives::DocumentId;
use sha2::{Digest, Sha256};

use super::Lengths;

/// Hash over a batch and all batches before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Tip([u8; Tip::LEN]);

impl Tip {
    /// Bytes of a tip.
    pub const LEN: usize = 16;
    /// The tip of an empty log.
    pub const ZERO: Self = Self([0; Self::LEN]);

    /// The tip of a log that ends in `batch`, after a log with this tip: the first 16 bytes of
    /// `SHA-256(this tip | kind | length of chunks as u64, little endian | chunks | authors)`.
    #[must_use]
    pub fn next(self, batch: &Batch) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update([batch.kind as u8]);
        hash.update((batch.chunks.len() as u64).to_le_bytes());
        hash.update(&batch.chunks);
        hash.update(&batch.authors);
        let mut tip = [0; Self::LEN];
        tip.copy_from_slice(&hash.finalize()[..Self::LEN]);
        Self(tip)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl From<[u8; Tip::LEN]> for Tip {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Tip {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(bytes.try_into()?))
    }
}

impl fmt::Display for Tip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Tip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where a document's log stands: the number of its last batch, and a hash chain over all batches up to it.
///
/// Two logs with the same position hold the same batches. The default is [`START`](Self::START).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Position {
    /// Number of the last batch. The first batch has number 1.
    pub seq: u64,
    /// Hash over all batches up to it.
    pub tip: Tip,
}

impl Position {
    /// The position of an empty log.
    pub const START: Self = Self { seq: 0, tip: Tip::ZERO };

    /// The position after `batch` is appended at this one.
    #[must_use]
    pub fn next(self, batch: &Batch) -> Self {
        Self { seq: self.seq + 1, tip: self.tip.next(batch) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.tip)
    }
}

/// Kind of a batch. The numbers are stored and hashed, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BatchKind {
    /// Automerge chunks.
    Changes = 0,
    /// A new access record of the document.
    Access = 1,
    /// The document was removed. No batch follows.
    Deletion = 2,
}

impl BatchKind {
    /// The kind with this number. `None` for kinds of later versions.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Changes),
            1 => Some(Self::Access),
            2 => Some(Self::Deletion),
            _ => None,
        }
    }
}

/// One entry of a document's log. It becomes durable as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Kind of the batch.
    pub kind: BatchKind,
    /// Whole Automerge chunks; the bytes of the JSON record if this is an access batch.
    pub chunks: Vec<u8>,
    /// Lines that name the author of each change in `chunks`, each with its line break.
    pub authors: Vec<u8>,
}

impl Batch {
    /// A batch of changes.
    #[must_use]
    pub const fn changes(chunks: Vec<u8>, authors: Vec<u8>) -> Self {
        Self { kind: BatchKind::Changes, chunks, authors }
    }

    /// A batch that sets the access record of the document.
    #[must_use]
    pub const fn access(record: Vec<u8>) -> Self {
        Self { kind: BatchKind::Access, chunks: record, authors: Vec::new() }
    }

    /// The batch that ends the log of a removed document.
    #[must_use]
    pub const fn deletion() -> Self {
        Self { kind: BatchKind::Deletion, chunks: Vec::new(), authors: Vec::new() }
    }

    /// Whether the batch changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kind == BatchKind::Changes && self.chunks.is_empty() && self.authors.is_empty()
    }
}

/// Outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The batch is durable.
    Stored {
        /// Position of the batch.
        at: Position,
        /// Size of the document with it.
        lengths: Lengths,
    },
    /// The log does not end where the caller said. Nothing was stored: read what follows, then append again.
    Behind,
}

/// The continuation of a log after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The log ends at the position.
    Same,
    /// The batches that follow, in order, without a gap.
    Batches(Vec<(Position, Batch)>),
    /// Load the document again: the position is far behind or not in the log, because its batches were compacted, or the
    /// document was removed or replaced.
    Reload,
}

/// Outcome of a change of an access record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessChanged {
    /// The record is durable, and this is its version.
    Stored(u64),
    /// The stored record has another version than the caller expected. Nothing was stored.
    Behind,
}

/// A change outside of the documents, in the order of its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Kind of the change.
    pub kind: ControlKind,
    /// Which one: a document id, an account name or a token id.
    pub key: String,
}

/// Kind of a [`Control`]. The numbers are stored and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlKind {
    /// The access record of a document.
    Access,
    /// An account.
    Account,
    /// A revoked token.
    Revocation,
    /// Written by a later version: read everything again.
    Unknown(i64),
}

impl ControlKind {
    /// The stored number.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Access => 0,
            Self::Account => 1,
            Self::Revocation => 2,
            Self::Unknown(number) => number,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Access,
            1 => Self::Account,
            2 => Self::Revocation,
            number => Self::Unknown(number),
        }
    }
}

/// A message of one node to the others. It is a hint: it may be lost, doubled or late, so positions and revisions decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A batch was appended to a document.
    Moved {
        /// The document.
        id: DocumentId,
        /// Position of the batch.
        at: Position,
        /// The batch, if it was small enough to be sent. Valid only if `at` is the position after the receiver's own,
        /// that is, if `own.next(&batch) == at`.
        batch: Option<Batch>,
    },
    /// Controls up to this revision exist.
    Control(u64),
    /// A message between nodes that is not stored, such as the presence of a client.
    Ephemeral(Vec<u8>),
    /// Hints may have been lost: compare the positions of all open documents and the control revision.
    LookAtAll,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tips_are_the_documented_hash() {
        let batch = Batch::changes(b"chunks".to_vec(), b"authors".to_vec());
        let by_hand = Sha256::digest([&[0; 16][..], &[0], &6_u64.to_le_bytes(), b"chunks", b"authors"].concat());
        assert_eq!(Position::START.next(&batch), Position { seq: 1, tip: Tip::try_from(&by_hand[..16]).unwrap() });
    }

    #[test]
    fn tips_depend_on_every_part_and_on_the_past() {
        let tip = |kind, chunks: &[u8], authors: &[u8]| {
            Tip::ZERO.next(&Batch { kind, chunks: chunks.to_vec(), authors: authors.to_vec() })
        };
        let base = tip(BatchKind::Changes, b"ab", b"c");
        assert_ne!(base, tip(BatchKind::Access, b"ab", b"c"), "kind");
        assert_ne!(base, tip(BatchKind::Changes, b"a", b"bc"), "boundary");
        assert_ne!(base, tip(BatchKind::Changes, b"ab", b"d"), "authors");
        let batch = Batch::changes(b"ab".to_vec(), b"c".to_vec());
        assert_ne!(base, base.next(&batch), "past");
    }

    #[test]
    fn kinds_keep_their_numbers() {
        for kind in [BatchKind::Changes, BatchKind::Access, BatchKind::Deletion] {
            assert_eq!(BatchKind::from_number(kind as u8), Some(kind));
        }
        assert_eq!(BatchKind::from_number(3), None);
        for number in 0..5 {
            assert_eq!(ControlKind::from_number(number).number(), number);
        }
        assert_eq!(ControlKind::from_number(3), ControlKind::Unknown(3));
    }

    #[test]
    fn positions_print_number_and_hash() {
        assert_eq!(Position::START.to_string(), format!("0:{}", "0".repeat(32)));
    }
}
