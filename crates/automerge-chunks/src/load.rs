//! Loads a document from its log, or builds it from changes, at a cost that does not grow quadratically with its
//! actors.
//!
//! The library keeps a clock of all actors at every 16th change, and inserts each new actor into every clock: adding a
//! thousand sessions to a document of twenty thousand moves 50 GB. In an empty document all actors are inserted before
//! there are clocks. So when insertion would be slow, the document is rebuilt from all its changes at once.

use std::panic::catch_unwind;

use automerge::{Automerge, AutomergeError, Change, ReadDoc};

use super::chunk::{self, ChunkKind};
use super::cost::{ChangeCounts, MAX_ACTOR_CHANGES, count};

/// Bytes that inserting actors may move: a few tenths of a second.
const MAX_MOVED: u64 = 1 << 30;
/// Bytes that can be moved in the time that a rebuild takes per pair of change and actor.
const MOVED_PER_PAIR: u64 = 20;
/// Largest number of operations of a document that may be rebuilt: applying them takes 100 MB.
const MAX_OPERATIONS: u64 = 200_000;

/// Why the log of a document cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LogLoadError {
    /// The library rejects the document.
    #[error(transparent)]
    Automerge(#[from] AutomergeError),
    /// The library panicked.
    #[error("the Automerge library panicked on it")]
    Panicked,
    /// Loading would take more memory than one document may use. Nothing was built.
    #[error(
        "it holds {} changes by {} actors; Automerge's clocks for them would take about {} MiB, more than one document may \
         use",
        .0.changes, .0.actors, .0.clock_mebibytes()
    )]
    TooManyActors(ChangeCounts),
}

/// Loads a document from a chain of whole chunks. An empty chain is an empty document.
///
/// # Errors
/// When the library rejects it, or would take too much memory for it.
pub fn load(log: &[u8]) -> Result<Automerge, LogLoadError> {
    let (mut snapshot, mut changes) = (ChangeCounts::default(), ChangeCounts::default());
    let (mut snapshot_len, mut rest) = (0, log);
    while let Some((chunk, after)) = chunk::split(rest) {
        let is_first = rest.len() == log.len();
        if is_first && chunk::kind(chunk) == Some(ChunkKind::Document) {
            snapshot_len = chunk.len();
            count(chunk, &mut snapshot);
        } else {
            count(chunk, &mut changes);
        }
        rest = after;
    }
    let all = ChangeCounts { changes: snapshot.changes + changes.changes, actors: snapshot.actors + changes.actors };
    if all.actor_changes() > MAX_ACTOR_CHANGES {
        return Err(LogLoadError::TooManyActors(all));
    }
    catch_unwind(|| {
        if !should_rebuild(snapshot, changes) {
            return Automerge::load(log);
        }
        let mut doc = Automerge::load(&log[..snapshot_len])?;
        match changes_of(&log[snapshot_len..]) {
            Some(changes) => apply(&mut doc, changes, Vec::new)?,
            None => return Automerge::load(log),
        }
        Ok(doc)
    })
    .map_err(|_| LogLoadError::Panicked)?
    .map_err(LogLoadError::Automerge)
}

/// Applies changes to a document. `waiting` returns its orphaned changes, which wait for their dependencies.
///
/// On an error the document is unchanged, except that the library may have dropped some orphaned changes.
///
/// # Errors
/// When the library rejects the changes.
pub fn apply(
    doc: &mut Automerge,
    changes: Vec<Change>,
    waiting: impl FnOnce() -> Vec<Change>,
) -> Result<(), AutomergeError> {
    let stats = doc.stats();
    let current = ChangeCounts { changes: stats.num_changes, actors: stats.num_actors };
    let actors = changes.iter().filter(|change| change.seq() == 1).count() as u64;
    let added = ChangeCounts { changes: changes.len() as u64, actors };
    if !should_rebuild(current, added) || stats.num_ops > MAX_OPERATIONS {
        return doc.apply_changes(changes);
    }
    let mut all = doc.get_changes(&[]);
    all.extend(waiting());
    all.extend(changes);
    let mut built = Automerge::new().with_actor(doc.get_actor().clone());
    built.apply_changes(all)?;
    *doc = built;
    Ok(())
}

/// Whether rebuilding a document is cheaper than adding to it.
fn should_rebuild(current: ChangeCounts, added: ChangeCounts) -> bool {
    let all = ChangeCounts { changes: current.changes + added.changes, actors: current.actors + added.actors };
    let moved = moved(current, added.actors);
    moved > MAX_MOVED && moved / MOVED_PER_PAIR > all.actor_changes()
}

/// Bytes that are moved in a document's clocks when `actors` actors are added.
fn moved(current: ChangeCounts, actors: u64) -> u64 {
    let clock = current.actors.saturating_add(actors).saturating_mul(4);
    (current.changes / 16).saturating_mul(clock / 2).saturating_mul(actors)
}

/// The changes of a chain of chunks; `None` if any chunk is not a valid single change.
fn changes_of(mut rest: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let (chunk, after) = chunk::split(rest)?;
        if !matches!(chunk::kind(chunk)?, ChunkKind::Change | ChunkKind::CompressedChange) {
            return None;
        }
        changes.push(Change::from_bytes(chunk.to_vec()).ok()?);
        rest = after;
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use automerge::ChangeHash;

    use super::*;
    use crate::testing::round_robin_changes;

    fn log(changes: &[Change]) -> Vec<u8> {
        changes.iter().flat_map(|change| change.raw_bytes().to_vec()).collect()
    }

    fn document_of(changes: &[Change]) -> Automerge {
        let mut doc = Automerge::new();
        doc.apply_changes(changes.to_vec()).unwrap();
        doc
    }

    #[test]
    fn every_chunk_kind_yields_the_same_counts() {
        let changes = round_robin_changes(300, 20);
        let doc = document_of(&changes);
        let hashes: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
        let bundle = doc.bundle(hashes).unwrap().bytes().to_vec();
        for chunks in [log(&changes), doc.save(), bundle] {
            let (mut counts, mut rest) = (ChangeCounts::default(), chunks.as_slice());
            while let Some((chunk, after)) = chunk::split(rest) {
                count(chunk, &mut counts);
                rest = after;
            }
            assert_eq!((counts.changes, counts.actors), (300, 20));
        }
    }

    #[test]
    fn log_of_too_many_actors_is_rejected_unbuilt() {
        // The library would take a gigabyte for it.
        let changes = round_robin_changes(45_000, 45_000);
        let rejected = load(&log(&changes)).map(|_| ());
        assert!(matches!(rejected, Err(LogLoadError::TooManyActors(ChangeCounts { changes: 45_000, actors: 45_000 }))));
        assert!(load(&log(&changes[..1_000])).is_ok());
    }

    #[test]
    fn rebuild_yields_the_same_document() {
        let changes = round_robin_changes(5_000, 5_000);
        let mut doc = document_of(&changes[..3_000]);
        let stored = [doc.save(), log(&changes[3_000..])].concat();
        let current = ChangeCounts { changes: 3_000, actors: 3_000 };
        let added = ChangeCounts { changes: 2_000, actors: 2_000 };
        assert!(should_rebuild(current, added), "the test needs a rebuild");
        assert!(!should_rebuild(current, ChangeCounts { changes: 2_000, actors: 1 }));
        apply(&mut doc, changes[3_000..].to_vec(), Vec::new).unwrap();
        assert_eq!(doc.get_heads(), document_of(&changes).get_heads());
        assert_eq!(load(&stored).unwrap().get_heads(), doc.get_heads());
        assert_eq!(Automerge::load(&doc.save()).unwrap().get_heads(), doc.get_heads());
    }
}
