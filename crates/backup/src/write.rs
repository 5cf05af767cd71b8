//! Writes the missing parts of a document to the target.

use automerge_chunks::chunk;
use primitives::DocumentId;
use store::{AccessChanged, Appended, Batch, Position};

use crate::{Difference, DocumentFailure, Failure, OpenedStore, StoreKind};

/// Bytes of chunks, and of author lines, in one row of a database. Rows of several mebibytes exceed the limits of some servers.
const MAX_ROW: usize = 4 << 20;

/// Writes the rights first, so that no content is visible without them, and the authors no later than the changes.
///
/// # Errors
/// When the target fails, or another process writes to the document.
pub(crate) async fn write(
    target: &OpenedStore,
    id: &DocumentId,
    difference: Difference,
    is_removed: bool,
) -> Result<(), Failure> {
    let store = &*target.store;
    if let Some((expected, record)) = difference.access
        && store.change_access(id, expected, record).await? == AccessChanged::Behind
    {
        return Err(DocumentFailure::Contended.into());
    }
    let max = match target.kind {
        StoreKind::Database(_) => MAX_ROW,
        // A file is created with all of its content, or not at all.
        StoreKind::Files { .. } => usize::MAX,
    };
    let batches = batches(&difference.chunks, &difference.authors, max);
    if !batches.is_empty() {
        let positions = store.positions(vec![id.clone()]).await?;
        let mut at = positions.first().map_or(Position::START, |(_, position)| *position);
        for batch in batches {
            at = match store.append(id, at, batch).await? {
                Appended::Stored { at, .. } => at,
                Appended::Behind => return Err(DocumentFailure::Contended.into()),
            };
        }
    }
    if is_removed {
        // Ends the log, so that no server can start it again.
        store.remove(id).await?;
    }
    Ok(())
}

/// Divides chunks and author lines into batches of limited size. The last author lines come with the first chunks.
fn batches(chunks: &[u8], authors: &[u8], max: usize) -> Vec<Batch> {
    let chunk_ranges = chunk::scan(chunks, u64::MAX).chunks.into_iter().map(|(_, range)| &chunks[range]);
    let mut chunks = groups(chunk_ranges, max);
    let mut authors = groups(authors.split_inclusive(|byte| *byte == b'\n'), max);
    let last_authors = authors.pop().unwrap_or_default();
    let first_chunks = if chunks.is_empty() { Vec::new() } else { chunks.remove(0) };
    let before = authors.into_iter().map(|authors| Batch::changes(Vec::new(), authors));
    let after = chunks.into_iter().map(|chunks| Batch::changes(chunks, Vec::new()));
    let batches = before.chain([Batch::changes(first_chunks, last_authors)]).chain(after);
    batches.filter(|batch| !batch.is_empty()).collect()
}

/// Joins neighbours up to a size. A part that is larger stays alone.
fn groups<'a>(parts: impl Iterator<Item = &'a [u8]>, max: usize) -> Vec<Vec<u8>> {
    let mut groups: Vec<Vec<u8>> = Vec::new();
    for part in parts {
        match groups.last_mut() {
            Some(group) if group.len().saturating_add(part.len()) <= max => group.extend_from_slice(part),
            _ => groups.push(part.to_vec()),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};

    use super::*;

    #[test]
    fn batches_hold_all_bytes_in_order_and_authors_first() {
        let mut document = AutoCommit::new();
        let chunks: Vec<u8> = (0..20)
            .flat_map(|number| {
                document.put(ROOT, "a", number).expect("put");
                document.save_incremental()
            })
            .collect();
        let authors: Vec<u8> = (0..20).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
        for max in [1, 50, 200, usize::MAX] {
            let batches = batches(&chunks, &authors, max);
            let joined: Vec<u8> = batches.iter().flat_map(|batch| batch.chunks.clone()).collect();
            let lines: Vec<u8> = batches.iter().flat_map(|batch| batch.authors.clone()).collect();
            assert_eq!((joined, lines), (chunks.clone(), authors.clone()), "{max}");
            let last_line = batches.iter().rposition(|batch| !batch.authors.is_empty());
            let first_chunk = batches.iter().position(|batch| !batch.chunks.is_empty());
            assert_eq!(last_line, first_chunk, "{max}");
            assert!(max != usize::MAX || batches.len() == 1);
        }
        assert!(batches(&[], &[], 1).is_empty());
        assert_eq!(batches(&[], b"a\n", 1), [Batch::changes(Vec::new(), b"a\n".to_vec())]);
    }
}
