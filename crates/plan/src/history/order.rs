//! The order of a history: causal, and by time among concurrent changes.
//!
//! The place of a change depends only on itself and its ancestors, never on later changes. So two changes never swap places:
//! a page stays valid while the document grows, and a change that arrives late (after a week offline) is found at the time
//! when it was made. If the time of a change is before that of an ancestor, it counts as the time of the ancestor.

use std::fmt;
use std::str::FromStr;

use automerge::ChangeHash;

/// Most heads that are reported for a change, so that they fit into a URL.
pub(super) const MAX_HEADS: usize = 100;
/// No change.
const NONE: u32 = u32::MAX;

/// The place of a change in the history, from which the next page continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The latest time of the change and its ancestors, in seconds since 1970.
    time: i64,
    /// The length of the longest chain of ancestors.
    depth: u32,
    hash: ChangeHash,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.time, self.depth, self.hash)
    }
}

/// The text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor; send the `next` of the last page")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(InvalidCursor);
        let cursor = Self {
            time: part()?.parse().map_err(|_| InvalidCursor)?,
            depth: part()?.parse().map_err(|_| InvalidCursor)?,
            hash: part()?.parse().map_err(|_| InvalidCursor)?,
        };
        // Only the canonical form is accepted.
        if cursor.to_string() == text { Ok(cursor) } else { Err(InvalidCursor) }
    }
}

/// The heads at the current place of a walk from the newest to the oldest change. Each step reuses the heads of the step before.
#[derive(Default)]
pub(super) struct Frontier {
    ids: Vec<u32>,
    /// Visited changes.
    pub steps: usize,
}

/// All changes, by number (in the order in which they were added) and in history order.
#[derive(Default)]
pub(super) struct Order {
    hashes: Vec<ChangeHash>,
    times: Vec<i64>,
    depths: Vec<u32>,
    /// For each change the first of its dependents, in history order.
    first_dependents: Vec<u32>,
    /// For each change the number of its dependencies of which it is the first dependent.
    first_dependent_of: Vec<u32>,
    /// Change numbers in history order.
    ranked: Vec<u32>,
    /// By rank: the number of heads of the document with this change and all changes before it.
    widths: Vec<u32>,
}

impl Order {
    /// Number of changes.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Adds a change with these dependencies. The next [`Order::sort_added`] puts it into the order.
    pub(super) fn add(&mut self, hash: ChangeHash, time: i64, parents: &[u32]) -> u32 {
        // There cannot be 2^32 changes: the library has 32 bits for operation numbers.
        let id = u32::try_from(self.hashes.len()).unwrap_or(NONE);
        let parent = |id: &u32| self.cursor(*id);
        let time = parents.iter().map(|id| parent(id).time).fold(time, i64::max);
        let depth = parents.iter().map(|id| parent(id).depth + 1).max().unwrap_or(0);
        self.hashes.push(hash);
        self.times.push(time);
        self.depths.push(depth);
        self.first_dependents.push(NONE);
        self.first_dependent_of.push(0);
        for parent in parents.iter().map(|id| *id as usize) {
            let dependent = self.first_dependents[parent];
            if dependent == NONE || self.cursor(id) < self.cursor(dependent) {
                if dependent != NONE {
                    self.first_dependent_of[dependent as usize] -= 1;
                }
                self.first_dependents[parent] = id;
                self.first_dependent_of[id as usize] += 1;
            }
        }
        id
    }

    /// Sorts the added changes into the order, and returns them in order. The cost is linear in the number of changes after the
    /// first of them.
    pub(super) fn sort_added(&mut self) -> Vec<u32> {
        let added = u32::try_from(self.ranked.len()).unwrap_or(NONE)..u32::try_from(self.len()).unwrap_or(NONE);
        let mut fresh: Vec<u32> = added.collect();
        fresh.sort_unstable_by_key(|id| self.cursor(*id));
        let Some(first) = fresh.first().map(|id| self.cursor(*id)) else { return fresh };
        let rank = self.below(&first);
        let mut ranked = std::mem::take(&mut self.ranked);
        ranked.extend(&fresh);
        // Two sorted runs, which the sort merges.
        ranked[rank..].sort_by_key(|id| self.cursor(*id));
        self.widths.truncate(rank);
        let mut width = self.widths.last().copied().unwrap_or(0);
        for id in &ranked[rank..] {
            width = width + 1 - self.first_dependent_of[*id as usize];
            self.widths.push(width);
        }
        self.ranked = ranked;
        fresh
    }

    /// The place of a change.
    pub(super) fn cursor(&self, id: u32) -> Cursor {
        let at = id as usize;
        Cursor { time: self.times[at], depth: self.depths[at], hash: self.hashes[at] }
    }

    pub(super) fn hash(&self, id: u32) -> ChangeHash {
        self.hashes[id as usize]
    }

    /// Number of changes before a place.
    pub(super) fn below(&self, cursor: &Cursor) -> usize {
        self.ranked.partition_point(|id| self.cursor(*id) < *cursor)
    }

    /// Change numbers in history order, the oldest first.
    pub(super) fn ranked(&self) -> &[u32] {
        &self.ranked
    }

    /// The heads of the document with this change and all changes before it. `None` if there are more than [`MAX_HEADS`], or
    /// `frontier` has visited more than `steps` changes. Call it for the newest change first.
    pub(super) fn heads_at(&self, id: u32, frontier: &mut Frontier, steps: usize) -> Option<Vec<ChangeHash>> {
        let here = self.cursor(id);
        let rank = self.below(&here);
        let width = *self.widths.get(rank)? as usize;
        if width > MAX_HEADS {
            return None;
        }
        frontier.ids.retain(|id| self.cursor(*id) <= here);
        let kept = frontier.ids.len();
        let mut lower = self.ranked[..=rank].iter().rev();
        while frontier.ids.len() < width {
            let id = *lower.next()?;
            frontier.steps += 1;
            if frontier.steps > steps {
                return None;
            }
            let dependent = self.first_dependents[id as usize];
            let is_head = dependent == NONE || self.cursor(dependent) > here;
            if is_head && !frontier.ids[..kept].contains(&id) {
                frontier.ids.push(id);
            }
        }
        let mut heads: Vec<ChangeHash> = frontier.ids.iter().map(|id| self.hash(*id)).collect();
        heads.sort_unstable();
        Some(heads)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn hash(number: usize) -> ChangeHash {
        let mut bytes = [0; 32];
        // Not in the order in which the changes are made.
        bytes[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        bytes[8..16].copy_from_slice(&(number as u64).to_be_bytes());
        ChangeHash(bytes)
    }

    /// For each change its time and its dependencies, as distances back (which may repeat).
    type Graph = Vec<(i64, Vec<usize>)>;

    fn graphs() -> impl Strategy<Value = Graph> {
        let change = (0i64..6, proptest::collection::vec(1usize..8, 0..4));
        proptest::collection::vec(change, 1..60)
    }

    fn parents(graph: &Graph, change: usize) -> Vec<u32> {
        let back = graph[change].1.iter().filter(|back| **back <= change);
        let parents: BTreeSet<u32> = back.map(|back| u32::try_from(change - back).unwrap()).collect();
        parents.into_iter().collect()
    }

    fn heads_of(graph: &Graph, changes: &[u32]) -> Vec<ChangeHash> {
        let built_upon: BTreeSet<u32> = changes.iter().flat_map(|id| parents(graph, *id as usize)).collect();
        let mut heads: Vec<ChangeHash> =
            changes.iter().filter(|id| !built_upon.contains(id)).map(|id| hash(*id as usize)).collect();
        heads.sort_unstable();
        heads
    }

    proptest! {
        /// Changes arrive in portions of any size.
        #[test]
        fn order_is_causal_and_stable_and_heads_are_known(graph in graphs(), portion in 1usize..10) {
            let mut order = Order::default();
            let mut before: Vec<u32> = Vec::new();
            for change in 0..graph.len() {
                order.add(hash(change), graph[change].0, &parents(&graph, change));
                if change % portion == 0 || change + 1 == graph.len() {
                    order.sort_added();
                    let mut known = order.ranked().to_vec();
                    known.retain(|id| before.contains(id));
                    prop_assert_eq!(&known, &before, "known changes keep their order");
                    before = order.ranked().to_vec();
                }
            }
            let mut seen = BTreeSet::new();
            let mut frontier = Frontier::default();
            for (rank, id) in order.ranked().iter().enumerate() {
                prop_assert!(parents(&graph, *id as usize).iter().all(|parent| seen.contains(parent)), "causal");
                seen.insert(*id);
                prop_assert_eq!(order.below(&order.cursor(*id)), rank);
                let alone = order.heads_at(*id, &mut Frontier::default(), usize::MAX);
                prop_assert_eq!(alone, Some(heads_of(&graph, &order.ranked()[..=rank])));
            }
            for (rank, id) in order.ranked().iter().enumerate().rev() {
                let heads = order.heads_at(*id, &mut frontier, usize::MAX);
                prop_assert_eq!(heads, Some(heads_of(&graph, &order.ranked()[..=rank])));
            }
        }
    }

    #[test]
    fn late_change_is_placed_at_its_own_time() {
        let mut order = Order::default();
        let first = order.add(hash(1), 10, &[]);
        let second = order.add(hash(2), 20, &[first]);
        let third = order.add(hash(3), 30, &[second]);
        order.sort_added();
        let late = order.add(hash(4), 25, &[first]);
        assert_eq!(order.sort_added(), [late]);
        assert_eq!(order.ranked(), [first, second, late, third]);
        // A change with a slow clock does not come before its ancestors.
        let slow = order.add(hash(5), 1, &[third]);
        order.sort_added();
        assert_eq!(order.ranked(), [first, second, late, third, slow]);
    }

    #[test]
    fn heads_beyond_the_limit_are_not_reported() {
        let mut order = Order::default();
        for number in 0..=MAX_HEADS {
            order.add(hash(number), i64::try_from(number).unwrap(), &[]);
        }
        order.sort_added();
        let heads = |rank: usize, steps| order.heads_at(order.ranked()[rank], &mut Frontier::default(), steps);
        assert_eq!(heads(MAX_HEADS, usize::MAX), None);
        assert_eq!(heads(MAX_HEADS - 1, usize::MAX).map(|heads| heads.len()), Some(MAX_HEADS));
        assert_eq!(heads(MAX_HEADS - 1, MAX_HEADS - 1), None, "too far");
    }

    #[test]
    fn cursor_parses_only_its_canonical_form() {
        let cursor = Cursor { time: -7, depth: 3, hash: hash(9) };
        let text = cursor.to_string();
        assert_eq!(text.parse(), Ok(cursor));
        for other in [
            String::new(),
            "1.2".to_owned(),
            text.to_uppercase(),
            format!("+{text}"),
            format!("{text}.1"),
            text.replace(".3.", ".03."),
            text.replace(".3.", ".4294967296."),
            text[..text.len() - 1].to_owned(),
        ] {
            if other != text {
                assert_eq!(other.parse::<Cursor>(), Err(InvalidCursor), "{other}");
            }
        }
    }
}
