//! Reading a document from its log, or building it from changes, at a cost that does not grow with the square of its actors.
//!
//! The library keeps a clock of all actors at every 16th change. Each new actor is inserted into every one of these clocks:
//! a thousand sessions that are added to a document of twenty thousand move 50 GB. Into an empty document they are inserted
//! before there is any clock. So where it would take long, a document is built anew, out of all its changes at once.

use std::panic::catch_unwind;

use automerge::{Automerge, AutomergeError, Change, ReadDoc};

use super::chunk::{self, ChunkKind};
use super::cost::{Census, MAX_ACTOR_CHANGES, count};

/// Bytes that may be moved to insert actors: some tenths of a second.
const MAX_MOVED: u64 = 1 << 30;
/// How many bytes could be moved for each pair of a change and an actor in the time in which a document is built anew.
const MOVED_PER_PAIR: u64 = 20;
/// Operations of a document that may be built anew: they take 100 MB while they are applied.
const MAX_OPERATIONS: u64 = 200_000;

/// Why a document is not read.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// The library does not read it.
    #[error(transparent)]
    Automerge(#[from] AutomergeError),
    /// The library panicked on it.
    #[error("the Automerge library failed on it")]
    Panicked,
    /// The library would take more memory for it than one document may: nothing was built.
    #[error(
        "it holds {} changes by {} actors, and the clocks that Automerge keeps of them would take about {} MiB, more than \
         a document may",
        .0.changes, .0.actors, .0.clock_mebibytes()
    )]
    TooManyActors(Census),
}

/// Reads a document from a chain of whole chunks; an empty one is an empty document.
///
/// # Errors
/// When the library does not read it, or would take too much memory for it.
pub fn load(log: &[u8]) -> Result<Automerge, NotLoaded> {
    let (mut snapshot, mut changes) = (Census::default(), Census::default());
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
    let all = Census { changes: snapshot.changes + changes.changes, actors: snapshot.actors + changes.actors };
    if all.actor_changes() > MAX_ACTOR_CHANGES {
        return Err(NotLoaded::TooManyActors(all));
    }
    catch_unwind(|| {
        if !is_better_built(snapshot, changes) {
            return Automerge::load(log);
        }
        let mut doc = Automerge::load(&log[..snapshot_len])?;
        match changes_of(&log[snapshot_len..]) {
            Some(changes) => apply(&mut doc, changes, Vec::new)?,
            None => return Automerge::load(log),
        }
        Ok(doc)
    })
    .map_err(|_| NotLoaded::Panicked)?
    .map_err(NotLoaded::Automerge)
}

/// Applies changes to a document in which `waiting` ones wait for others. An error: it is as it was, but that the library may
/// have let go of some that wait.
///
/// # Errors
/// When the library refuses them.
pub fn apply(
    doc: &mut Automerge,
    changes: Vec<Change>,
    waiting: impl FnOnce() -> Vec<Change>,
) -> Result<(), AutomergeError> {
    let stats = doc.stats();
    let here = Census { changes: stats.num_changes, actors: stats.num_actors };
    let actors = changes.iter().filter(|change| change.seq() == 1).count() as u64;
    let more = Census { changes: changes.len() as u64, actors };
    if !is_better_built(here, more) || stats.num_ops > MAX_OPERATIONS {
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

/// Whether a document is better built anew than added to.
fn is_better_built(here: Census, more: Census) -> bool {
    let all = Census { changes: here.changes + more.changes, actors: here.actors + more.actors };
    let moved = moved(here, more.actors);
    moved > MAX_MOVED && moved / MOVED_PER_PAIR > all.actor_changes()
}

/// Bytes that are moved in the clocks of a document when so many actors are added to it.
fn moved(here: Census, actors: u64) -> u64 {
    let clock = here.actors.saturating_add(actors).saturating_mul(4);
    (here.changes / 16).saturating_mul(clock / 2).saturating_mul(actors)
}

/// The changes of a chain of chunks; `None` if there are others than single changes, or any does not parse.
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
    use crate::testing::in_turn;

    fn log(changes: &[Change]) -> Vec<u8> {
        changes.iter().flat_map(|change| change.raw_bytes().to_vec()).collect()
    }

    fn document_of(changes: &[Change]) -> Automerge {
        let mut doc = Automerge::new();
        doc.apply_changes(changes.to_vec()).unwrap();
        doc
    }

    #[test]
    fn changes_and_actors_are_counted_alike_in_all_kinds_of_chunks() {
        let changes = in_turn(300, 20);
        let doc = document_of(&changes);
        let hashes: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
        let bundle = doc.bundle(hashes).unwrap().bytes().to_vec();
        for chunks in [log(&changes), doc.save(), bundle] {
            let (mut census, mut rest) = (Census::default(), chunks.as_slice());
            while let Some((chunk, after)) = chunk::split(rest) {
                count(chunk, &mut census);
                rest = after;
            }
            assert_eq!((census.changes, census.actors), (300, 20));
        }
    }

    #[test]
    fn log_of_too_many_actors_is_refused_before_it_is_built() {
        // The library would take a gigabyte for it.
        let changes = in_turn(45_000, 45_000);
        let refused = load(&log(&changes)).map(|_| ());
        assert!(matches!(refused, Err(NotLoaded::TooManyActors(Census { changes: 45_000, actors: 45_000 }))));
        assert!(load(&log(&changes[..1_000])).is_ok());
    }

    #[test]
    fn many_new_actors_are_built_in_with_the_same_outcome() {
        let changes = in_turn(5_000, 5_000);
        let mut doc = document_of(&changes[..3_000]);
        let stored = [doc.save(), log(&changes[3_000..])].concat();
        let here = Census { changes: 3_000, actors: 3_000 };
        let more = Census { changes: 2_000, actors: 2_000 };
        assert!(is_better_built(here, more), "else this tests nothing");
        assert!(!is_better_built(here, Census { changes: 2_000, actors: 1 }));
        apply(&mut doc, changes[3_000..].to_vec(), Vec::new).unwrap();
        assert_eq!(doc.get_heads(), document_of(&changes).get_heads());
        assert_eq!(load(&stored).unwrap().get_heads(), doc.get_heads());
        assert_eq!(Automerge::load(&doc.save()).unwrap().get_heads(), doc.get_heads());
    }
}
