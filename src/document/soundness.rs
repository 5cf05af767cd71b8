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

use automerge::{Automerge, Change, ChangeHash, ChangeMetadata};

use super::incoming::BadMessage;

/// How far a change may begin to count behind all that is known here. One that was made on an older state of a document
/// counts on behind the newest; by such steps the 32 bits in which operations are counted would be used up soon.
const MAX_GAP: u64 = 1 << 22;
/// What is left for the server's own edits when peers have used up the rest.
const RESERVE: u64 = 1 << 22;

/// Seconds before and after 1970. The library writes the differences of two such numbers.
const MAX_TIME: u64 = 1 << 53;

/// The number of the last operation in a document.
pub(super) fn max_op(doc: &Automerge) -> u64 {
    doc.get_heads().iter().filter_map(|head| max_op_of(doc, head)).max().unwrap_or(0)
}

fn max_op_of(doc: &Automerge, hash: &ChangeHash) -> Option<u64> {
    doc.get_change_meta_by_hash(hash).map(|change| change.max_op)
}

/// Checks that changes count on from what they build on. `reach`: the last number in use.
///
/// Says whether all that they build on was there to be looked at; if not, [`follows`] is to be asked when it is.
pub(super) fn check_counting(doc: &Automerge, changes: &[Change], reach: u64) -> Result<bool, BadMessage> {
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
pub(super) fn follows(doc: &Automerge, change: &Change) -> bool {
    let ends: Option<Vec<u64>> = change.deps().iter().map(|dependency| max_op_of(doc, dependency)).collect();
    ends.is_some_and(|ends| counts_on(change, ends.into_iter().max().unwrap_or(0)))
}

/// Whether a change may follow those it builds on, of which `before` is the last operation. It may leave a gap, unless it
/// has no operations: when the library reads it from a snapshot it takes the gap for operations that are missing.
fn counts_on(change: &Change, before: u64) -> bool {
    let start = change.start_op().get();
    if change.is_empty() { start == before + 1 } else { start > before }
}

/// Changes that are looked at in the search for the one before it of the same actor: mostly it is among the first.
const NEAR: usize = 1_000;
/// Changes of one call whose predecessor is not near, and has to be searched for in a longer way. Whoever comes back after
/// long has one of them, for what they do next builds on it.
const MAX_FAR: usize = 100;

/// Whether each change builds, directly or not, on the one before it of its actor. All of them were applied.
///
/// The library takes that for granted: it counts for each actor up to which change somebody has got them, and fails on a
/// file in which a change comes before the one that its number follows.
pub(super) fn continue_their_actors(doc: &Automerge, changes: &[Change]) -> bool {
    let mut far = 0;
    changes.iter().filter(|change| change.seq() > 1).all(|change| {
        continues_nearby(doc, change).unwrap_or_else(|| {
            far += 1;
            far <= MAX_FAR && continues(doc, change)
        })
    })
}

fn is_before(known: &ChangeMetadata<'_>, change: &Change) -> bool {
    known.seq + 1 == change.seq() && *known.actor == *change.actor_id()
}

/// None: it was not found within a few steps.
fn continues_nearby(doc: &Automerge, change: &Change) -> Option<bool> {
    let mut waiting: VecDeque<ChangeHash> = change.deps().iter().copied().collect();
    let mut seen: HashSet<ChangeHash> = waiting.iter().copied().collect();
    while let Some(hash) = waiting.pop_front() {
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
fn continues(doc: &Automerge, change: &Change) -> bool {
    !doc.get_changes_meta(change.deps()).iter().any(|known| is_before(known, change))
}

/// Whether the library makes just these changes out of what came into the document after `before`.
pub(super) fn makes_again(doc: &Automerge, before: &[ChangeHash], changes: &[Change]) -> bool {
    let mut made: Vec<ChangeHash> = doc.get_changes(before).iter().map(Change::hash).collect();
    let mut came: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
    made.sort_unstable();
    came.sort_unstable();
    made == came
}
