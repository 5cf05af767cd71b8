//! The order of a history: a change comes after all that it builds upon, and apart from that by time.
//!
//! The place of a change follows from itself and from what it builds upon, never from what comes later. So the places of
//! two changes never trade: a page that somebody has read stays where it was while the document grows, and what arrives
//! late (the work of a week without a network) is found where it belongs. A change that says it was made before what it
//! builds upon counts as made at the same moment as that.

use std::fmt;
use std::str::FromStr;

use automerge::ChangeHash;

/// Heads that are told of one state: what fits into a URL. A document that people work on has a few.
pub(super) const MAX_HEADS: usize = 100;
/// No change.
const NONE: u32 = u32::MAX;

/// Where a change stands in the history of its document, as a cursor: pages go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// In seconds since 1970: the latest that it or anything that it builds upon says of itself.
    moment: i64,
    /// The length of the longest chain of changes that it builds upon.
    depth: u32,
    hash: ChangeHash,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.moment, self.depth, self.hash)
    }
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor; take the one that the last page gave as `next`")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(NoCursor);
        let cursor = Self {
            moment: part()?.parse().map_err(|_| NoCursor)?,
            depth: part()?.parse().map_err(|_| NoCursor)?,
            hash: part()?.parse().map_err(|_| NoCursor)?,
        };
        // One form only.
        if cursor.to_string() == text { Ok(cursor) } else { Err(NoCursor) }
    }
}

/// The heads of a state, while one goes down the history: those found for a later state are looked for no further.
#[derive(Default)]
pub(super) struct Frontier {
    ids: Vec<u32>,
    /// Changes that were looked at.
    pub steps: usize,
}

/// All changes, by number as they were added and in their order.
#[derive(Default)]
pub(super) struct Order {
    hashes: Vec<ChangeHash>,
    moments: Vec<i64>,
    depths: Vec<u32>,
    /// Of those that build upon it directly, the first in the order.
    followers: Vec<u32>,
    /// To how many it is that one.
    follows: Vec<u32>,
    ranked: Vec<u32>,
    /// By rank: how many heads the document has with this change and all before it.
    widths: Vec<u32>,
}

impl Order {
    /// How many changes there are.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Adds a change that builds upon these. It has its place in the order after the next [`Order::settle`].
    pub(super) fn add(&mut self, hash: ChangeHash, time: i64, parents: &[u32]) -> u32 {
        // A document has no four thousand million changes: the library counts operations in as many bits.
        let id = u32::try_from(self.hashes.len()).unwrap_or(NONE);
        let parent = |id: &u32| self.cursor(*id);
        let moment = parents.iter().map(|id| parent(id).moment).fold(time, i64::max);
        let depth = parents.iter().map(|id| parent(id).depth + 1).max().unwrap_or(0);
        self.hashes.push(hash);
        self.moments.push(moment);
        self.depths.push(depth);
        self.followers.push(NONE);
        self.follows.push(0);
        for parent in parents.iter().map(|id| *id as usize) {
            let follower = self.followers[parent];
            if follower == NONE || self.cursor(id) < self.cursor(follower) {
                if follower != NONE {
                    self.follows[follower as usize] -= 1;
                }
                self.followers[parent] = id;
                self.follows[id as usize] += 1;
            }
        }
        id
    }

    /// Gives those that were added their places. Returns them in order. Costs as much as comes after the first of them.
    pub(super) fn settle(&mut self) -> Vec<u32> {
        let added = u32::try_from(self.ranked.len()).unwrap_or(NONE)..u32::try_from(self.len()).unwrap_or(NONE);
        let mut fresh: Vec<u32> = added.collect();
        fresh.sort_unstable_by_key(|id| self.cursor(*id));
        let Some(first) = fresh.first().map(|id| self.cursor(*id)) else { return fresh };
        let rank = self.below(&first);
        let mut ranked = std::mem::take(&mut self.ranked);
        ranked.extend(&fresh);
        // Two runs, each in order: they are merged.
        ranked[rank..].sort_by_key(|id| self.cursor(*id));
        self.widths.truncate(rank);
        let mut width = self.widths.last().copied().unwrap_or(0);
        for id in &ranked[rank..] {
            width = width + 1 - self.follows[*id as usize];
            self.widths.push(width);
        }
        self.ranked = ranked;
        fresh
    }

    /// Where a change stands.
    pub(super) fn cursor(&self, id: u32) -> Cursor {
        let at = id as usize;
        Cursor { moment: self.moments[at], depth: self.depths[at], hash: self.hashes[at] }
    }

    pub(super) fn hash(&self, id: u32) -> ChangeHash {
        self.hashes[id as usize]
    }

    /// How many come before.
    pub(super) fn below(&self, cursor: &Cursor) -> usize {
        self.ranked.partition_point(|id| self.cursor(*id) < *cursor)
    }

    /// All, the oldest first.
    pub(super) fn ranked(&self) -> &[u32] {
        &self.ranked
    }

    /// The heads of the document with this change and all before it in the order. None: they are many, or far away
    /// (`frontier` has looked at more than `steps`). To be asked from the newest to the oldest.
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
            let follower = self.followers[id as usize];
            let is_head = follower == NONE || self.cursor(follower) > here;
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
        // Not in the order in which they are made.
        bytes[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        bytes[8..16].copy_from_slice(&(number as u64).to_be_bytes());
        ChangeHash(bytes)
    }

    /// For each change its time and those that it builds upon (by how many back; some may be the same).
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
        /// In whatever portions it arrives.
        #[test]
        fn the_order_is_causal_and_never_changes_and_its_heads_are_known(graph in graphs(), portion in 1usize..10) {
            let mut order = Order::default();
            let mut before: Vec<u32> = Vec::new();
            for change in 0..graph.len() {
                order.add(hash(change), graph[change].0, &parents(&graph, change));
                if change % portion == 0 || change + 1 == graph.len() {
                    order.settle();
                    let mut known = order.ranked().to_vec();
                    known.retain(|id| before.contains(id));
                    prop_assert_eq!(&known, &before, "those that were there have not traded places");
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
    fn what_arrives_late_stands_where_it_was_made() {
        let mut order = Order::default();
        let first = order.add(hash(1), 10, &[]);
        let second = order.add(hash(2), 20, &[first]);
        let third = order.add(hash(3), 30, &[second]);
        order.settle();
        let late = order.add(hash(4), 25, &[first]);
        assert_eq!(order.settle(), [late]);
        assert_eq!(order.ranked(), [first, second, late, third]);
        // Whose clock is slow is not before what they have read.
        let slow = order.add(hash(5), 1, &[third]);
        order.settle();
        assert_eq!(order.ranked(), [first, second, late, third, slow]);
    }

    #[test]
    fn more_heads_than_a_url_holds_are_not_told() {
        let mut order = Order::default();
        for number in 0..=MAX_HEADS {
            order.add(hash(number), i64::try_from(number).unwrap(), &[]);
        }
        order.settle();
        let heads = |rank: usize, steps| order.heads_at(order.ranked()[rank], &mut Frontier::default(), steps);
        assert_eq!(heads(MAX_HEADS, usize::MAX), None);
        assert_eq!(heads(MAX_HEADS - 1, usize::MAX).map(|heads| heads.len()), Some(MAX_HEADS));
        assert_eq!(heads(MAX_HEADS - 1, MAX_HEADS - 1), None, "too far");
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_in_no_other_form() {
        let cursor = Cursor { moment: -7, depth: 3, hash: hash(9) };
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
                assert_eq!(other.parse::<Cursor>(), Err(NoCursor), "{other}");
            }
        }
    }
}
