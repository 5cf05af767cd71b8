//! Rejects changes that the library applies although they corrupt the document.
//!
//! The library does not keep the bytes of a change. It keeps the operations, and reproduces the change when a peer or the file
//! needs it. It cannot reproduce some forged changes: it drops predecessors that do not exist, and normalizes non-canonical
//! encodings. The reproduced change has another hash, so neither peers nor the library itself could ever load the document
//! again. Also, operation numbers that do not follow those of the dependencies do not survive a snapshot, which does not store
//! them. The library applies such changes without an error.
//!
//! The library also presumes, without a check, that each change depends on the previous change of its actor.
//!
//! So operation numbers are checked before changes are applied, and before anything becomes durable the applied changes are
//! reproduced and compared.

use std::collections::{HashMap, HashSet, VecDeque};

use automerge::{ActorId, Automerge, Change, ChangeHash, ChangeMetadata};

use crate::bad_message::BadMessage;

/// Largest gap between the last operation number in use and the first of a change. Without this limit a few forged changes could
/// use up the 32 bits of operation numbers.
const MAX_GAP: u64 = 1 << 22;
/// Operation numbers that are reserved for the server's own edits.
const RESERVE: u64 = 1 << 22;

/// Largest time of a change, in seconds before or after 1970. The library stores differences of such numbers.
const MAX_TIME: u64 = 1 << 53;

/// The last operation number of a document.
pub(crate) fn max_op(doc: &Automerge) -> u64 {
    doc.get_heads().iter().filter_map(|head| max_op_of(doc, head)).max().unwrap_or(0)
}

fn max_op_of(doc: &Automerge, hash: &ChangeHash) -> Option<u64> {
    doc.get_change_meta_by_hash(hash).map(|change| change.max_op)
}

/// Checks the times of changes, and that their operation numbers follow those of their dependencies. `reach` is the last
/// operation number in use.
///
/// Returns whether all dependencies were known. If not, the caller must check each change with [`follows_dependencies`] once it
/// is applied.
///
/// # Errors
/// When a time or a number is invalid.
pub(crate) fn check_operation_numbers(doc: &Automerge, changes: &[Change], reach: u64) -> Result<bool, BadMessage> {
    let mut arriving: HashMap<ChangeHash, u64> = HashMap::new();
    let mut reach = reach;
    let mut all_known = true;
    for change in changes {
        let (start, end) = (change.start_op().get(), change.max_op());
        let (mut before, mut known) = (0, true);
        for dependency in change.deps() {
            let max_op = arriving.get(dependency).copied().or_else(|| max_op_of(doc, dependency));
            known &= max_op.is_some();
            before = before.max(max_op.unwrap_or(0));
        }
        all_known &= known;
        if change.timestamp().unsigned_abs() > MAX_TIME {
            return Err(BadMessage::Time);
        }
        let follows = if known { follows(change, before) } else { start > before };
        if !follows || start > reach + MAX_GAP {
            return Err(BadMessage::OperationNumbers);
        }
        if end > u64::from(u32::MAX) - RESERVE {
            return Err(BadMessage::OperationNumbersExhausted);
        }
        reach = reach.max(end);
        if changes.len() > 1 {
            arriving.insert(change.hash(), end);
        }
    }
    Ok(all_known)
}

/// Whether the operation numbers of an applied change follow those of its dependencies.
pub(crate) fn follows_dependencies(doc: &Automerge, change: &Change) -> bool {
    let ends: Option<Vec<u64>> = change.deps().iter().map(|dependency| max_op_of(doc, dependency)).collect();
    ends.is_some_and(|ends| follows(change, ends.into_iter().max().unwrap_or(0)))
}

/// Whether a change may follow dependencies whose last operation number is `before`. A gap is allowed, unless the change has no
/// operations: the library would take it for missing operations when it loads a snapshot.
fn follows(change: &Change, before: u64) -> bool {
    let start = change.start_op().get();
    if change.is_empty() { start == before + 1 } else { start > before }
}

/// Ancestors that are visited in the search for a change's predecessor before another method is tried. Mostly the predecessor is
/// among the first.
const NEAR: usize = 1_000;
/// Steps that the searches of one call may take together: a fixed part, and a part for each change. One last search may exceed
/// the limit. A client that returns after a long time needs that one; its later changes depend on it.
const STEPS: usize = 100_000;
const STEPS_PER_CHANGE: usize = 100;

/// Whether each change has the previous change of its actor among its ancestors. The changes were applied to a document with the
/// heads `before`.
///
/// The library presumes this: its clocks store for each actor the last change that is included, and it fails on a file in which
/// a change comes before its predecessor.
///
/// Most changes are decided by [`Descent`], at a cost linear in their number. The others need a search of their ancestors, with a
/// number of steps that is bounded in proportion to the number of changes.
///
/// `proven` are changes that need no check: the result of [`with_proven_predecessor`] for the whole message.
pub(crate) fn have_predecessors(
    doc: &Automerge,
    before: &[ChangeHash],
    changes: &[Change],
    proven: &HashSet<ChangeHash>,
) -> bool {
    let mut steps = 0;
    have_predecessors_within(doc, before, changes, proven, &mut steps)
}

/// The changes that certainly have the previous change of their actor among their ancestors, because it is in `changes` as well.
/// The result does not depend on the document. For a portion of the changes alone, the bounded search might fail to find it.
pub(crate) fn with_proven_predecessor(changes: &[Change]) -> HashSet<ChangeHash> {
    let descent = Descent::of(&[], changes, &mut 0);
    let by_sequence = by_sequence(changes);
    let is_proven = |index: usize, change: &Change| {
        let last = change.seq().checked_sub(1).and_then(|last| by_sequence.get(&(change.actor_id(), last)));
        last.is_some_and(|last| descent.is_ancestor(*last, index))
    };
    changes
        .iter()
        .enumerate()
        .filter(|(index, change)| is_proven(*index, change))
        .map(|(_, change)| change.hash())
        .collect()
}

/// Indices of changes by actor and sequence number.
fn by_sequence(changes: &[Change]) -> HashMap<(&ActorId, u64), usize> {
    changes.iter().enumerate().map(|(index, change)| ((change.actor_id(), change.seq()), index)).collect()
}

fn have_predecessors_within(
    doc: &Automerge,
    before: &[ChangeHash],
    changes: &[Change],
    proven: &HashSet<ChangeHash>,
    steps: &mut usize,
) -> bool {
    let most = STEPS + STEPS_PER_CHANGE * changes.len();
    let descent = Descent::of(before, changes, steps);
    let by_sequence = by_sequence(changes);
    changes.iter().enumerate().filter(|(_, change)| change.seq() > 1).all(|(index, change)| {
        *steps += 1;
        if !proven.is_empty() && proven.contains(&change.hash()) {
            return true;
        }
        match by_sequence.get(&(change.actor_id(), change.seq() - 1)) {
            Some(last) if descent.is_ancestor(*last, index) => return true,
            None if descent.includes_document(index) => return true,
            _ => {}
        }
        *steps < most
            && find_near_predecessor(doc, change, steps).unwrap_or_else(|| has_predecessor(doc, change, steps))
    })
}

/// A partial order of changes: a decomposition into chains, made in one pass. It proves ancestry, but cannot disprove it.
struct Descent {
    /// For each change its chain, and its place in the chain. A change continues the chain of one of its dependencies that was
    /// the end of its chain, so all earlier changes of its chain are its ancestors.
    places: Vec<(usize, usize)>,
    /// For each change whether all changes that were in the document before are its ancestors.
    includes_document: Vec<bool>,
}

impl Descent {
    fn of(before: &[ChangeHash], changes: &[Change], steps: &mut usize) -> Self {
        let indices: HashMap<ChangeHash, usize> =
            changes.iter().enumerate().map(|(index, change)| (change.hash(), index)).collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); changes.len()];
        let mut parents: Vec<Vec<usize>> = vec![Vec::new(); changes.len()];
        for (index, change) in changes.iter().enumerate() {
            parents[index] = change.deps().iter().filter_map(|dependency| indices.get(dependency).copied()).collect();
            for parent in &parents[index] {
                children[*parent].push(index);
            }
        }
        let mut missing: Vec<usize> = parents.iter().map(Vec::len).collect();
        let mut ready: VecDeque<usize> = (0..changes.len()).filter(|index| missing[*index] == 0).collect();
        let mut descent = Self { places: vec![(0, 0); changes.len()], includes_document: vec![false; changes.len()] };
        // The length of each chain.
        let mut chains: Vec<usize> = Vec::new();
        while let Some(index) = ready.pop_front() {
            *steps += 1 + parents[index].len();
            let end = parents[index].iter().map(|parent| descent.places[*parent]);
            let chain = end.into_iter().find(|(chain, place)| chains[*chain] == place + 1).map(|(chain, _)| chain);
            let chain = chain.unwrap_or_else(|| {
                chains.push(0);
                chains.len() - 1
            });
            descent.places[index] = (chain, chains[chain]);
            chains[chain] += 1;
            descent.includes_document[index] = parents[index].iter().any(|parent| descent.includes_document[*parent])
                || has_all(changes[index].deps(), before);
            for child in &children[index] {
                missing[*child] -= 1;
                if missing[*child] == 0 {
                    ready.push_back(*child);
                }
            }
        }
        descent
    }

    /// Whether `ancestor` is certainly an ancestor of `descendant`.
    fn is_ancestor(&self, ancestor: usize, descendant: usize) -> bool {
        let ((one, earlier), (other, later)) = (self.places[ancestor], self.places[descendant]);
        one == other && earlier < later
    }

    fn includes_document(&self, index: usize) -> bool {
        self.includes_document[index]
    }
}

/// Whether the dependencies include all of these heads. False if there are more heads than dependencies.
fn has_all(dependencies: &[ChangeHash], heads: &[ChangeHash]) -> bool {
    // A change has mostly one or two dependencies. The heads of a document with many are not visited for each change.
    heads.len() <= dependencies.len() && {
        let dependencies: HashSet<&ChangeHash> = dependencies.iter().collect();
        heads.iter().all(|head| dependencies.contains(head))
    }
}

fn is_predecessor(known: &ChangeMetadata<'_>, change: &Change) -> bool {
    known.seq + 1 == change.seq() && *known.actor == *change.actor_id()
}

/// Searches the nearest ancestors for the predecessor. `None` if [`NEAR`] of them do not decide it.
fn find_near_predecessor(doc: &Automerge, change: &Change, steps: &mut usize) -> Option<bool> {
    let mut waiting: VecDeque<ChangeHash> = change.deps().iter().copied().collect();
    let mut seen: HashSet<ChangeHash> = waiting.iter().copied().collect();
    while let Some(hash) = waiting.pop_front() {
        *steps += 1;
        let known = doc.get_change_meta_by_hash(&hash)?;
        if is_predecessor(&known, change) {
            return Some(true);
        }
        waiting.extend(known.deps.iter().copied().filter(|dependency| seen.insert(*dependency)));
        if seen.len() > NEAR {
            return None;
        }
    }
    Some(false)
}

/// Whether the predecessor is an ancestor: not among the changes that are not ancestors. These are few for a recent change.
fn has_predecessor(doc: &Automerge, change: &Change, steps: &mut usize) -> bool {
    let others = doc.get_changes_meta(change.deps());
    *steps += others.len();
    !others.iter().any(|known| is_predecessor(known, change))
}

/// Whether the library reproduces exactly these changes from the document, for the heads `before` the changes were applied.
pub(crate) fn is_reproducible(doc: &Automerge, before: &[ChangeHash], changes: &[Change]) -> bool {
    let mut reproduced: Vec<ChangeHash> = doc.get_changes(before).iter().map(Change::hash).collect();
    let mut received: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
    reproduced.sort_unstable();
    received.sort_unstable();
    reproduced == received
}

#[cfg(test)]
mod tests {
    use automerge_chunks::testing::{empty_change, round_robin_changes};

    use super::*;

    /// The number of steps to check the changes after the first `applied` ones.
    fn steps(changes: &[Change], applied: usize) -> usize {
        let mut doc = Automerge::new();
        doc.apply_changes(changes[..applied].to_vec()).unwrap();
        let before = doc.get_heads();
        doc.apply_changes(changes[applied..].to_vec()).unwrap();
        let mut steps = 0;
        assert!(have_predecessors_within(&doc, &before, &changes[applied..], &HashSet::new(), &mut steps));
        steps
    }

    #[test]
    fn many_actors_take_no_more_steps_than_one() {
        let (one, many) = (steps(&round_robin_changes(9_000, 1), 0), steps(&round_robin_changes(9_000, 900), 0));
        assert!(many <= one, "{many} steps, {one} for one actor");
        let (one, many) = (steps(&round_robin_changes(1_800, 1), 900), steps(&round_robin_changes(1_800, 900), 900));
        assert!(many <= one + 900, "{many} steps after existing changes, {one} for one actor");
    }

    #[test]
    fn portions_after_concurrent_changes_need_no_search() {
        let changes = round_robin_changes(5_000, 900);
        let proven = with_proven_predecessor(&changes);
        assert_eq!(proven.len(), 5_000 - 900);
        let mut doc = Automerge::new();
        doc.apply_changes(vec![empty_change(u64::MAX, 1, Vec::new())]).unwrap();
        for portion in changes.chunks(500) {
            let before = doc.get_heads();
            doc.apply_changes(portion.to_vec()).unwrap();
            let mut steps = 0;
            assert!(have_predecessors_within(&doc, &before, portion, &proven, &mut steps));
            assert!(steps <= 3 * portion.len(), "{steps}");
        }
    }

    #[test]
    fn search_among_concurrent_changes_is_bounded() {
        // A hundred actors make concurrent changes, then each a change that depends on all: no chain contains them.
        let mut changes: Vec<Change> = Vec::new();
        let mut last: Vec<Vec<ChangeHash>> = vec![Vec::new(); 100];
        for round in 1..=30 {
            for (actor, last) in last.iter_mut().enumerate() {
                changes.push(empty_change(actor as u64, round, std::mem::take(last)));
                *last = vec![changes[changes.len() - 1].hash()];
            }
        }
        let all: Vec<ChangeHash> = last.into_iter().flatten().collect();
        for actor in 0..100 {
            changes.push(empty_change(actor, 31, all.clone()));
        }
        let steps = steps(&changes, 0);
        assert!(steps <= STEPS + STEPS_PER_CHANGE * changes.len(), "{steps}");
    }

    #[test]
    fn change_without_its_predecessor_is_detected() {
        let mut changes = round_robin_changes(3, 3);
        let first = changes[0].hash();
        changes.push(empty_change(1, 2, vec![first]));
        let mut doc = Automerge::new();
        doc.apply_changes(changes.clone()).unwrap();
        assert!(!have_predecessors(&doc, &[], &changes, &with_proven_predecessor(&changes)));
    }
}
