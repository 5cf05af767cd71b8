//! Checks the rows of a document. Pure.
//!
//! Every batch carries a hash over itself and all batches before it. When a document is read, rows that are missing, doubled,
//! changed by hand or restored from elsewhere are detected and named.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::position::{Batch, BatchKind, Position, Tip};

/// A stored row of the table `batch`.
#[derive(Debug, Clone)]
pub(super) struct BatchRow {
    pub(super) seq: u64,
    pub(super) tip: Bytes,
    pub(super) kind: i64,
    pub(super) chunks: Bytes,
    pub(super) authors: Bytes,
}

/// A row of the table `snapshot`.
#[derive(Debug, Clone)]
pub(super) struct SnapshotRow {
    pub(super) seq: u64,
    pub(super) tip: Bytes,
    pub(super) bytes: Bytes,
    pub(super) sha256: Bytes,
}

/// A row that contradicts the others, by its table and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainDamage {
    /// A row is missing.
    #[error(
        "row {missing} of its batches is missing, and row {next} is there; restore the row from a backup of the database"
    )]
    Gap {
        /// The first missing number.
        missing: u64,
        /// The next existing number.
        next: u64,
    },
    /// The first expected row does not exist.
    #[error("row {0} of its batches is missing; restore the row from a backup of the database")]
    Missing(u64),
    /// A row was changed, or comes from another history.
    #[error(
        "row {0} of its batches does not match its hash and the rows before it; restore the row from a backup of the database"
    )]
    Tip(u64),
    /// A row of a later version.
    #[error("row {seq} of its batches has the kind {kind} of a later version; upgrade this node")]
    UnknownKind {
        /// Number of the row.
        seq: u64,
        /// The kind.
        kind: i64,
    },
    /// The snapshot was changed.
    #[error("its snapshot at row {0} does not match its checksum; restore it from a backup of the database")]
    Snapshot(u64),
    /// All rows match their hashes, but Automerge cannot load their content.
    #[error("its batches up to row {0} cannot be loaded as an Automerge document")]
    Unloadable(u64),
}

/// A document as its verified rows describe it.
#[derive(Debug)]
pub(super) struct Chain {
    /// Where the log stands.
    pub(super) at: Position,
    /// The position of the snapshot; [`Position::START`] if there is none.
    pub(super) snapshot: Position,
    /// All chunks: the snapshot, and those of the batches after it.
    pub(super) bytes: Vec<u8>,
    /// Authors in the rows, those of the row at the snapshot included.
    pub(super) authors: Vec<u8>,
    /// Whether the log ends in a deletion.
    pub(super) is_deleted: bool,
}

impl Chain {
    /// Checks the rows of a document: its snapshot, if there is one, and its batches in the order of their numbers. `None` if
    /// there are none.
    pub(super) fn verify(
        snapshot: Option<SnapshotRow>,
        batches: impl IntoIterator<Item = BatchRow>,
    ) -> Result<Option<Self>, ChainDamage> {
        let mut batches = batches.into_iter().peekable();
        let Some(first) = batches.peek() else {
            return snapshot.map_or(Ok(None), |snapshot| Err(ChainDamage::Missing(snapshot.seq)));
        };
        // A removal deletes everything before it.
        if first.kind == BatchKind::Deletion as i64 {
            let at = Position { seq: first.seq, tip: tip(&first.tip, first.seq)? };
            let authors = first.authors.to_vec();
            return Ok(Some(Self { at, snapshot: Position::START, bytes: Vec::new(), authors, is_deleted: true }));
        }
        let mut chain = Self {
            at: Position::START,
            snapshot: Position::START,
            bytes: Vec::new(),
            authors: Vec::new(),
            is_deleted: false,
        };
        if let Some(snapshot) = snapshot {
            chain.start_at(snapshot, batches.next())?;
        }
        for row in batches {
            let (at, batch) = follow(chain.at, row)?;
            chain.at = at;
            chain.is_deleted = batch.kind == BatchKind::Deletion;
            if batch.kind == BatchKind::Changes {
                chain.bytes.extend_from_slice(&batch.chunks);
            }
            chain.authors.extend_from_slice(&batch.authors);
        }
        Ok(Some(chain))
    }

    /// Starts with a snapshot and the row at its position, which compaction leaves in place.
    fn start_at(&mut self, snapshot: SnapshotRow, row: Option<BatchRow>) -> Result<(), ChainDamage> {
        let row = row.ok_or(ChainDamage::Missing(snapshot.seq))?;
        if row.seq != snapshot.seq {
            return Err(ChainDamage::Gap { missing: snapshot.seq, next: row.seq });
        }
        if row.tip != snapshot.tip {
            return Err(ChainDamage::Tip(row.seq));
        }
        if Sha256::digest(&snapshot.bytes)[..] != snapshot.sha256[..] {
            return Err(ChainDamage::Snapshot(snapshot.seq));
        }
        self.at = Position { seq: row.seq, tip: tip(&row.tip, row.seq)? };
        self.snapshot = self.at;
        self.bytes = snapshot.bytes.into();
        self.authors = row.authors.into();
        Ok(())
    }
}

/// The batch in a row that must be the next one after a position.
pub(super) fn follow(at: Position, row: BatchRow) -> Result<(Position, Batch), ChainDamage> {
    if row.seq != at.seq + 1 {
        return Err(ChainDamage::Gap { missing: at.seq + 1, next: row.seq });
    }
    let kind = u8::try_from(row.kind).ok().and_then(BatchKind::from_number);
    let kind = kind.ok_or(ChainDamage::UnknownKind { seq: row.seq, kind: row.kind })?;
    let batch = Batch { kind, chunks: row.chunks.into(), authors: row.authors.into() };
    let next = at.next(&batch);
    if next.tip != tip(&row.tip, row.seq)? {
        return Err(ChainDamage::Tip(row.seq));
    }
    Ok((next, batch))
}

/// The tip in the row with this number.
pub(super) fn tip(bytes: &Bytes, seq: u64) -> Result<Tip, ChainDamage> {
    Tip::try_from(&bytes[..]).map_err(|_| ChainDamage::Tip(seq))
}

/// The checksum of a snapshot.
pub(super) fn checksum(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of a log of changes with these chunks.
    fn rows(chunks: &[&str]) -> Vec<BatchRow> {
        let mut at = Position::START;
        chunks.iter().map(|chunk| row(&mut at, Batch::changes(chunk.as_bytes().to_vec(), b"a\n".to_vec()))).collect()
    }

    fn row(at: &mut Position, batch: Batch) -> BatchRow {
        *at = at.next(&batch);
        BatchRow {
            seq: at.seq,
            tip: Bytes::copy_from_slice(at.tip.as_bytes()),
            kind: batch.kind as i64,
            chunks: batch.chunks.into(),
            authors: batch.authors.into(),
        }
    }

    fn snapshot(row: &BatchRow, bytes: &'static [u8]) -> SnapshotRow {
        SnapshotRow { seq: row.seq, tip: row.tip.clone(), bytes: bytes.into(), sha256: checksum(bytes).into() }
    }

    fn damage(snapshot: Option<SnapshotRow>, rows: Vec<BatchRow>) -> ChainDamage {
        Chain::verify(snapshot, rows).expect_err("damaged")
    }

    #[test]
    fn no_rows_are_no_document() {
        assert!(Chain::verify(None, Vec::new()).expect("whole").is_none());
    }

    #[test]
    fn batches_are_joined() {
        let chain = Chain::verify(None, rows(&["one ", "two ", "three"])).expect("whole").expect("there");
        assert_eq!((chain.at.seq, &chain.bytes[..], &chain.authors[..]), (3, &b"one two three"[..], &b"a\na\na\n"[..]));
        assert!(!chain.is_deleted);
    }

    #[test]
    fn a_snapshot_replaces_the_batches_up_to_it() {
        let rows = rows(&["one ", "two ", "three"]);
        let chain =
            Chain::verify(Some(snapshot(&rows[1], b"both ")), rows[1..].to_vec()).expect("whole").expect("there");
        assert_eq!((chain.at.seq, chain.snapshot.seq, &chain.bytes[..]), (3, 2, &b"both three"[..]));
        assert_eq!(chain.authors, b"a\na\n", "authors of the row at the snapshot are still in it");
    }

    #[test]
    fn a_missing_row_is_named() {
        let rows = rows(&["one", "two", "three"]);
        let without = |index: usize| {
            let mut rows = rows.clone();
            rows.remove(index);
            rows
        };
        assert_eq!(damage(None, without(1)), ChainDamage::Gap { missing: 2, next: 3 });
        assert_eq!(damage(None, without(0)), ChainDamage::Gap { missing: 1, next: 2 });
        assert_eq!(damage(Some(snapshot(&rows[1], b"")), rows[2..].to_vec()), ChainDamage::Gap { missing: 2, next: 3 });
        assert_eq!(damage(Some(snapshot(&rows[1], b"")), Vec::new()), ChainDamage::Missing(2));
    }

    #[test]
    fn a_changed_row_is_named() {
        for part in 0..3 {
            let mut rows = rows(&["one", "two", "three"]);
            match part {
                0 => rows[1].chunks = Bytes::from_static(b"tow"),
                1 => rows[1].authors = Bytes::from_static(b"b\n"),
                _ => rows[1].tip = Bytes::from_static(&[9; 16]),
            }
            assert_eq!(damage(None, rows), ChainDamage::Tip(2), "part {part}");
        }
        let mut rows = rows(&["one", "two"]);
        rows[1].tip = Bytes::from_static(b"short");
        assert_eq!(damage(None, rows), ChainDamage::Tip(2));
    }

    #[test]
    fn a_kind_of_a_later_version_asks_for_an_upgrade() {
        let mut rows = rows(&["one", "two"]);
        rows[1].kind = 7;
        let damage = damage(None, rows);
        assert_eq!(damage, ChainDamage::UnknownKind { seq: 2, kind: 7 });
        assert!(damage.to_string().contains("upgrade this node"));
    }

    #[test]
    fn a_changed_snapshot_is_named() {
        let rows = rows(&["one", "two"]);
        let mut changed = snapshot(&rows[1], b"both");
        changed.bytes = Bytes::from_static(b"bath");
        assert_eq!(damage(Some(changed), rows[1..].to_vec()), ChainDamage::Snapshot(2));
        let mut elsewhere = snapshot(&rows[1], b"both");
        elsewhere.tip = Bytes::from_static(&[9; 16]);
        assert_eq!(damage(Some(elsewhere), rows[1..].to_vec()), ChainDamage::Tip(2));
    }

    #[test]
    fn access_records_are_no_part_of_the_document() {
        let mut at = Position::START;
        let rows = [Batch::changes(b"one".to_vec(), Vec::new()), Batch::access(b"{}".to_vec())];
        let rows: Vec<_> = rows.into_iter().map(|batch| row(&mut at, batch)).collect();
        let chain = Chain::verify(None, rows).expect("whole").expect("there");
        assert_eq!((chain.at, &chain.bytes[..]), (at, &b"one"[..]));
    }

    #[test]
    fn a_deletion_ends_the_document() {
        let mut at = Position::START;
        let rows = [Batch::changes(b"one".to_vec(), Vec::new()), Batch::deletion()];
        let rows: Vec<_> = rows.into_iter().map(|batch| row(&mut at, batch)).collect();
        for rows in [rows.clone(), rows[1..].to_vec()] {
            let chain = Chain::verify(None, rows).expect("whole").expect("there");
            assert!(chain.is_deleted);
            assert_eq!(chain.at, at);
        }
    }
}
