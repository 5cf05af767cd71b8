//! Verifies everything that is stored of a document, and names the damaged row.

use automerge::ReadDoc;
use bytes::Bytes;
use primitives::DocumentId;

use super::chain::{BatchRow, Chain, SnapshotRow};
use super::document::DocumentRows;
use super::engine::Engine;
use super::statements as sql;
use super::{ChainDamage, DatabaseError, SqlStore};
use crate::integrity::{Damage, VerifiedContent};
use crate::position::{BatchKind, Position};

/// The stored content of an undamaged document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentSummary {
    /// Where its log stands.
    pub position: Position,
    /// Number of rows in its log.
    pub batches: usize,
    /// Bytes of its chunks.
    pub len: u64,
    /// Bytes of the snapshot; 0 if there is none.
    pub snapshot_len: u64,
    /// Number of changes.
    pub changes: u64,
    /// Hashes of the heads, in hexadecimal.
    pub heads: Vec<String>,
    /// Whether the document was removed for good.
    pub is_removed: bool,
}

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentDamage {
    /// The rows contradict each other.
    #[error(transparent)]
    Chain(#[from] ChainDamage),
    /// The snapshot matches its checksum, but cannot be loaded.
    #[error("its snapshot at row {seq} cannot be loaded: {damage}")]
    Snapshot {
        /// Number of the row at which it stands.
        seq: u64,
        /// The reason.
        damage: Damage,
    },
    /// A row matches its hash, but the document cannot be loaded with it.
    #[error("row {seq} of its batches cannot be loaded: {damage}")]
    Batch {
        /// Number of the row.
        seq: u64,
        /// The reason.
        damage: Damage,
    },
}

impl<E: Engine> SqlStore<E> {
    /// Verifies and loads the rows of a document. `None` if nothing is stored. Takes no document out of service.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn check(
        &self,
        id: &DocumentId,
    ) -> Result<Option<Result<DocumentSummary, DocumentDamage>>, DatabaseError> {
        let rows = DocumentRows::read(self.query(|| sql::load(id)).await?)?;
        Ok(offload::run_blocking(move || check_rows(rows.snapshot, rows.batches)).await.transpose())
    }
}

fn check_rows(
    snapshot: Option<SnapshotRow>,
    batches: Vec<BatchRow>,
) -> Result<Option<DocumentSummary>, DocumentDamage> {
    let Some(chain) = Chain::verify(snapshot.clone(), batches.clone())? else { return Ok(None) };
    let (changes, heads) = if chain.is_deleted || chain.bytes.is_empty() {
        (0, Vec::new())
    } else {
        let content = VerifiedContent::from_whole_chunks(&chain.bytes)
            .map_err(|damage| find_damage(snapshot.as_ref(), &batches, damage))?;
        let heads = content.document.get_heads().iter().map(ToString::to_string).collect();
        (content.document.stats().num_changes, heads)
    };
    Ok(Some(DocumentSummary {
        position: chain.at,
        batches: batches.len(),
        len: chain.bytes.len() as u64,
        snapshot_len: snapshot.map_or(0, |snapshot| snapshot.bytes.len() as u64),
        changes,
        heads,
        is_removed: chain.is_deleted,
    }))
}

/// The first row with which the document cannot be loaded.
fn find_damage(snapshot: Option<&SnapshotRow>, batches: &[BatchRow], whole: Damage) -> DocumentDamage {
    let (start, first) = match snapshot {
        Some(snapshot) => (snapshot.seq, snapshot.bytes.clone()),
        None => (0, Bytes::new()),
    };
    if !first.is_empty()
        && let Err(damage) = VerifiedContent::from_whole_chunks(&first)
    {
        return DocumentDamage::Snapshot { seq: start, damage };
    }
    let is_content =
        |row: &&BatchRow| row.seq > start && row.kind == BatchKind::Changes as i64 && !row.chunks.is_empty();
    let rows: Vec<&BatchRow> = batches.iter().filter(is_content).collect();
    let load = |count: usize| {
        let mut bytes = first.to_vec();
        rows[..count].iter().for_each(|row| bytes.extend_from_slice(&row.chunks));
        VerifiedContent::from_whole_chunks(&bytes).err()
    };
    // The first `good` rows can be loaded, and the first `bad` cannot.
    let (mut good, mut bad, mut damage) = (0, rows.len(), whole);
    while good + 1 < bad {
        let middle = usize::midpoint(good, bad);
        match load(middle) {
            None => good = middle,
            Some(found) => (bad, damage) = (middle, found),
        }
    }
    DocumentDamage::Batch { seq: rows.get(good).map_or(start, |row| row.seq), damage }
}

#[cfg(test)]
mod tests {
    use super::super::chain::checksum;
    use super::*;
    use crate::conformance::TestEditor;
    use crate::position::Batch;

    fn rows(batches: Vec<Batch>) -> Vec<BatchRow> {
        let mut at = Position::START;
        let row = |batch: Batch| {
            at = at.next(&batch);
            let tip = Bytes::copy_from_slice(at.tip.as_bytes());
            BatchRow { seq: at.seq, tip, kind: batch.kind as i64, chunks: batch.chunks.into(), authors: Bytes::new() }
        };
        batches.into_iter().map(row).collect()
    }

    fn changes(chunks: Vec<u8>) -> Batch {
        Batch::changes(chunks, Vec::new())
    }

    #[test]
    fn whole_document_is_summarized() {
        let mut editor = TestEditor::new();
        let rows = rows(vec![Batch::access(b"{}".to_vec()), changes(editor.edit()), changes(editor.edit())]);
        let summary = check_rows(None, rows).expect("whole").expect("there");
        assert_eq!((summary.batches, summary.changes, summary.heads.len(), summary.snapshot_len), (3, 2, 1, 0));
        assert!(!summary.is_removed);
    }

    #[test]
    fn row_that_cannot_be_loaded_is_named() {
        let mut editor = TestEditor::new();
        let chunks: Vec<Vec<u8>> = (0..6).map(|_| editor.edit()).collect();
        for bad in 0..6 {
            let mut batches: Vec<Batch> = chunks.iter().cloned().map(changes).collect();
            batches[bad].chunks[8] ^= 1;
            let damage = check_rows(None, rows(batches)).expect_err("damaged");
            assert!(matches!(damage, DocumentDamage::Batch { seq, .. } if seq == bad as u64 + 1), "{bad}: {damage}");
        }
        let without_first = chunks[1..].iter().cloned().map(changes).collect();
        let damage = check_rows(None, rows(without_first)).expect_err("dependency is missing");
        assert!(matches!(damage, DocumentDamage::Batch { seq: 1, .. }), "{damage}");
    }

    #[test]
    fn snapshot_that_cannot_be_loaded_is_named() {
        let mut editor = TestEditor::new();
        let rows = rows(vec![changes(editor.edit()), changes(editor.edit())]);
        let bytes = Bytes::from_static(b"no chunk");
        let (seq, tip, sha256) = (rows[0].seq, rows[0].tip.clone(), checksum(&bytes).into());
        let damage = check_rows(Some(SnapshotRow { seq, tip, bytes, sha256 }), rows).expect_err("damaged");
        assert!(matches!(damage, DocumentDamage::Snapshot { seq: 1, .. }), "{damage}");
    }
}
