//! Changes that apply, and would ruin the document all the same.
//!
//! The library keeps no change as it came: it keeps operations, and makes a change again when somebody needs it, be it a
//! peer or the file. Of a forged change it may not be able to: a predecessor that does not exist is not kept, nor is an
//! unusual way to write the same. Then the change's hash is another one, and neither peers nor the library itself would
//! ever read the document again. And the count of a change's operations, which is only known from what it builds on when
//! a document is read from a snapshot, may not fit. Nothing of this is noticed when such a change is applied.
//!
//! Nor does the library notice that a change of an actor does not build on the one before it, and counts on it later.
//!
//! So before anything becomes durable, what was applied is made again; and the counting is checked before it is applied.

use std::collections::{HashMap, HashSet, VecDeque};

use automerge::{ActorId, Automerge, Change, ChangeHash, ChangeMetadata};

use crate::bad_message::BadMessage;

/// How far a change may begin to count behind all that is known here. One that was made on an older state of a document
/// counts on behind the newest; by such steps the 32 bits in which operations are counted would be used up soon.
const MAX_GAP: u64 = 1 << 22;
/// What is left for the server's own edits when peers have used up the rest.
const RESERVE: u64 = 1 << 22;

/// Seconds before and after 1970. The library writes the differences of two such numbers.
const MAX_TIME: u64 = 1 << 53;

/// The number of the last operation in a document.
pub(crate) fn max_op(doc: &Automerge) -> u64 {
    doc.get_heads().iter().filter_map(|head| max_op_of(doc, head)).max().unwrap_or(0)
}

fn max_op_of(doc: &Automerge, hash: &ChangeHash) -> Option<u64> {
    doc.get_change_meta_by_hash(hash).map(|change| change.max_op)
}

/// Checks that changes count on from what they build on. `reach`: the last number in use.
///
/// Says whether all that they build on was there to be looked at; if not, [`follows`] is to be asked when it is.
pub(crate) fn check_counting(doc: &Automerge, changes: &[Change], reach: u64) -> Result<bool, BadMessage> {
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
        let counts_on = if known { counts_on(change, before) } else { start > before };
        if !counts_on || start > reach + MAX_GAP {
            return Err(BadMessage::Counting);
        }
        if end > u64::from(u32::MAX) - RESERVE {
            return Err(BadMessage::UsedUp);
        }
        reach = reach.max(end);
        if changes.len() > 1 {
            arriving.insert(change.hash(), end);
        }
    }
    Ok(all_known)
}

/// The same for one change that was applied.
pub(crate) fn follows(doc: &Automerge, change: &Change) -> bool {
    let ends: Option<Vec<u64>> = change.deps().iter().map(|dependency| max_op_of(doc, dependency)).collect();
    ends.is_some_and(|ends| counts_on(change, ends.into_iter().max().unwrap_or(0)))
}

/// Whether a change may follow those it builds on, of which `before` is the last operation. It may leave a gap, unless it
/// has no operations: when the library reads it from a snapshot it takes the gap for operations that are missing.
fn counts_on(change: &Change, before: u64) -> bool {
    let start = change.start_op().get();
    if change.is_empty() { start == before + 1 } else { start > before }
}

/// Changes that are looked at near one, in the search for the one before it of the same actor: mostly it is among the first.
const NEAR: usize = 1_000;
/// Steps that the searches of one call may take, and as many more for each change. Whoever comes back after long needs one
/// search that may take more: what they do next builds on it.
const STEPS: usize = 100_000;
const STEPS_PER_CHANGE: usize = 100;

/// Whether each change builds, directly or not, on the one before it of its actor. All of them were applied, to a document
/// that had the heads `before`.
///
/// The library takes that for granted: it counts for each actor up to which change somebody has got them, and fails on a
/// file in which a change comes before the one that its number follows.
///
/// Most changes are told by what is known of the ones that they build on ([`Descent`]), at a cost that grows with their
/// number alone. Others are searched for, within bounds that grow with the number of changes as well.
///
/// `proven` are changes that need no check: the result of [`continuing`] for the whole message.
pub(crate) fn continue_their_actors(
    doc: &Automerge,
    before: &[ChangeHash],
    changes: &[Change],
    proven: &HashSet<ChangeHash>,
) -> bool {
    let mut steps = 0;
    continue_within(doc, before, changes, proven, &mut steps)
}

/// The changes that depend, directly or not, on the previous change of their actor, where that one is among `changes` as well.
/// This holds in every document. A portion of the changes alone might not prove it within the bounds of the search.
pub(crate) fn continuing(changes: &[Change]) -> HashSet<ChangeHash> {
    let descent = Descent::of(&[], changes, &mut 0);
    let numbered = numbered(changes);
    let continues = |index: usize, change: &Change| {
        let last = change.seq().checked_sub(1).and_then(|last| numbered.get(&(change.actor_id(), last)));
        last.is_some_and(|last| descent.is_below(*last, index))
    };
    changes
        .iter()
        .enumerate()
        .filter(|(index, change)| continues(*index, change))
        .map(|(_, change)| change.hash())
        .collect()
}

/// Changes by actor and number.
fn numbered(changes: &[Change]) -> HashMap<(&ActorId, u64), usize> {
    changes.iter().enumerate().map(|(index, change)| ((change.actor_id(), change.seq()), index)).collect()
}

fn continue_within(
    doc: &Automerge,
    before: &[ChangeHash],
    changes: &[Change],
    proven: &HashSet<ChangeHash>,
    steps: &mut usize,
) -> bool {
    let most = STEPS + STEPS_PER_CHANGE * changes.len();
    let descent = Descent::of(before, changes, steps);
    let numbered = numbered(changes);
    changes.iter().enumerate().filter(|(_, change)| change.seq() > 1).all(|(index, change)| {
        *steps += 1;
        if !proven.is_empty() && proven.contains(&change.hash()) {
            return true;
        }
        match numbered.get(&(change.actor_id(), change.seq() - 1)) {
            Some(last) if descent.is_below(*last, index) => return true,
            None if descent.has_all_before(index) => return true,
            _ => {}
        }
        *steps < most && continues_nearby(doc, change, steps).unwrap_or_else(|| continues(doc, change, steps))
    })
}

/// How changes descend from each other, as far as it can be told by a look at each.
struct Descent {
    /// The chain that a change is in, and its place there. A change is in the chain of one that it builds on, if that was the
    /// end of its chain: so it builds on all that come before it in its chain.
    places: Vec<(usize, usize)>,
    /// Whether it builds on all that was in the document before.
    on_all: Vec<bool>,
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
        let mut descent = Self { places: vec![(0, 0); changes.len()], on_all: vec![false; changes.len()] };
        // How many changes each chain has.
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
            descent.on_all[index] =
                parents[index].iter().any(|parent| descent.on_all[*parent]) || has_all(changes[index].deps(), before);
            for child in &children[index] {
                missing[*child] -= 1;
                if missing[*child] == 0 {
                    ready.push_back(*child);
                }
            }
        }
        descent
    }

    /// Whether one change certainly builds on another one.
    fn is_below(&self, above: usize, below: usize) -> bool {
        let ((one, higher), (other, lower)) = (self.places[above], self.places[below]);
        one == other && higher < lower
    }

    fn has_all_before(&self, index: usize) -> bool {
        self.on_all[index]
    }
}

/// Whether a change that depends on these builds on all these heads, at a first look.
fn has_all(dependencies: &[ChangeHash], heads: &[ChangeHash]) -> bool {
    // Dependencies are mostly one or two: a document of many heads is not gone through for each change.
    heads.len() <= dependencies.len() && {
        let dependencies: HashSet<&ChangeHash> = dependencies.iter().collect();
        heads.iter().all(|head| dependencies.contains(head))
    }
}

fn is_before(known: &ChangeMetadata<'_>, change: &Change) -> bool {
    known.seq + 1 == change.seq() && *known.actor == *change.actor_id()
}

/// None: it was not found within a few steps.
fn continues_nearby(doc: &Automerge, change: &Change, steps: &mut usize) -> Option<bool> {
    let mut waiting: VecDeque<ChangeHash> = change.deps().iter().copied().collect();
    let mut seen: HashSet<ChangeHash> = waiting.iter().copied().collect();
    while let Some(hash) = waiting.pop_front() {
        *steps += 1;
        let known = doc.get_change_meta_by_hash(&hash)?;
        if is_before(&known, change) {
            return Some(true);
        }
        waiting.extend(known.deps.iter().copied().filter(|dependency| seen.insert(*dependency)));
        if seen.len() > NEAR {
            return None;
        }
    }
    Some(false)
}

/// The same, by what a change does not build on: near the newest changes that is little.
fn continues(doc: &Automerge, change: &Change, steps: &mut usize) -> bool {
    let others = doc.get_changes_meta(change.deps());
    *steps += others.len();
    !others.iter().any(|known| is_before(known, change))
}

/// Whether the library makes just these changes out of what came into the document after `before`.
pub(crate) fn makes_again(doc: &Automerge, before: &[ChangeHash], changes: &[Change]) -> bool {
    let mut made: Vec<ChangeHash> = doc.get_changes(before).iter().map(Change::hash).collect();
    let mut came: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
    made.sort_unstable();
    came.sort_unstable();
    made == came
}

#[cfg(test)]
mod tests {
    use automerge_chunks::testing::{empty_change, in_turn};

    use super::*;

    /// The steps it takes to look at the changes after the first `here`, which are in the document before.
    fn steps(changes: &[Change], here: usize) -> usize {
        let mut doc = Automerge::new();
        doc.apply_changes(changes[..here].to_vec()).unwrap();
        let before = doc.get_heads();
        doc.apply_changes(changes[here..].to_vec()).unwrap();
        let mut steps = 0;
        assert!(continue_within(&doc, &before, &changes[here..], &HashSet::new(), &mut steps));
        steps
    }

    #[test]
    fn search_for_many_actors_takes_no_more_steps_than_for_one() {
        let (one, many) = (steps(&in_turn(9_000, 1), 0), steps(&in_turn(9_000, 900), 0));
        assert!(many <= one, "{many} steps, {one} for one actor");
        let (one, many) = (steps(&in_turn(1_800, 1), 900), steps(&in_turn(1_800, 900), 900));
        assert!(many <= one + 900, "{many} steps behind what is there, {one} for one actor");
    }

    #[test]
    fn portions_beside_concurrent_changes_need_no_search() {
        let changes = in_turn(5_000, 900);
        let proven = continuing(&changes);
        assert_eq!(proven.len(), 5_000 - 900);
        let mut doc = Automerge::new();
        doc.apply_changes(vec![empty_change(u64::MAX, 1, Vec::new())]).unwrap();
        for portion in changes.chunks(500) {
            let before = doc.get_heads();
            doc.apply_changes(portion.to_vec()).unwrap();
            let mut steps = 0;
            assert!(continue_within(&doc, &before, portion, &proven, &mut steps));
            assert!(steps <= 3 * portion.len(), "{steps}");
        }
    }

    #[test]
    fn search_for_concurrent_changes_stays_within_its_budget() {
        // A hundred actors that never see each other, and one change that has seen all: no chain holds them.
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
    fn change_that_skips_its_actors_last_one_is_found() {
        let mut changes = in_turn(3, 3);
        let first = changes[0].hash();
        changes.push(empty_change(1, 2, vec![first]));
        let mut doc = Automerge::new();
        doc.apply_changes(changes.clone()).unwrap();
        assert!(!continue_their_actors(&doc, &[], &changes, &continuing(&changes)));
    }
}
