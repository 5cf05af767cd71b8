//! The order in which changes are appended to a log: each after all that it depends on. Then every prefix of the log is a
//! whole document, and a write that a crash cuts off leaves a file that opens.

use std::collections::HashMap;

use automerge::{Change, ChangeHash};

/// Sorts changes so that each comes after those of them that it depends on. The same changes get the same order.
pub(super) fn sort(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_by_key(|change| (change.start_op(), change.hash()));
    // A change begins to count its operations after those that it depends on, so numbers tell the order. But one without
    // operations ends where it begins, and all that is made on it alone begins there as well.
    if changes.iter().any(Change::is_empty) { by_dependencies(changes) } else { changes }
}

fn by_dependencies(changes: Vec<Change>) -> Vec<Change> {
    let places: HashMap<ChangeHash, usize> =
        changes.iter().enumerate().map(|(place, change)| (change.hash(), place)).collect();
    let mut seen = vec![false; changes.len()];
    let mut order = Vec::with_capacity(changes.len());
    // By hand, as a chain may be as long as a message allows. `true`: what the change depends on is in the order already.
    let mut waiting: Vec<(usize, bool)> = Vec::new();
    for first in 0..changes.len() {
        waiting.push((first, false));
        while let Some((place, ready)) = waiting.pop() {
            if ready {
                order.push(place);
            } else if !std::mem::replace(&mut seen[place], true) {
                waiting.push((place, true));
                let deps = changes[place].deps().iter().filter_map(|dep| places.get(dep));
                waiting.extend(deps.filter(|dep| !seen[**dep]).map(|dep| (*dep, false)));
            }
        }
    }
    let mut changes: Vec<Option<Change>> = changes.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| changes[place].take()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::num::NonZeroU64;

    use automerge::{ActorId, Automerge, ExpandedChange, sync};

    use super::*;
    use crate::document::tests::plan;
    use crate::document::{Item, PeerKey};

    /// A chain of changes without operations, each of its own actor.
    fn chain(length: u32) -> Vec<Change> {
        let mut deps = Vec::new();
        let change = |number: u32| {
            let change = Change::from(ExpandedChange {
                operations: Vec::new(),
                actor_id: ActorId::from(&number.to_be_bytes()[..]),
                hash: None,
                seq: 1,
                start_op: NonZeroU64::MIN,
                time: 0,
                message: None,
                deps: std::mem::take(&mut deps),
                extra_bytes: Vec::new(),
                author: None,
            });
            deps.push(change.hash());
            change
        };
        (0..length).map(change).collect()
    }

    fn is_causal(changes: &[Change]) -> bool {
        let all: HashSet<ChangeHash> = changes.iter().map(Change::hash).collect();
        let mut before = HashSet::new();
        changes.iter().all(|change| {
            let follows = change.deps().iter().all(|dep| before.contains(dep) || !all.contains(dep));
            before.insert(change.hash());
            follows
        })
    }

    #[test]
    fn changes_without_operations_come_after_their_dependencies() {
        let made = chain(1_000);
        let mut shuffled = made.clone();
        shuffled.sort_by_key(Change::hash);
        assert!(!is_causal(&shuffled));
        let sorted = sort(shuffled);
        assert!(is_causal(&sorted));
        assert_eq!(sorted.len(), made.len());
    }

    #[test]
    fn every_prefix_of_an_append_loads() {
        let (mut document, mut log) = plan();
        document.join(PeerKey(1), Vec::new());
        let changes = chain(40);
        let message = sync::Message {
            heads: changes.last().map(Change::hash).into_iter().collect(),
            need: Vec::new(),
            have: Vec::new(),
            changes: changes.iter().map(|change| change.raw_bytes().to_vec()).collect::<Vec<_>>().into(),
            flags: None,
            version: sync::MessageVersion::V1,
        };
        let applied = document.apply(vec![Item::Sync { peer: PeerKey(1), bytes: message.encode().into() }]);
        let mut rest = &applied.chunks[..];
        let mut stored = 0;
        while !rest.is_empty() {
            let (chunk, after) = automerge_chunks::chunk::Chunk::parse(rest, 1 << 20).expect("a chunk");
            log.extend_from_slice(chunk.bytes);
            assert!(Automerge::load(&log).is_ok(), "the log ends after {stored} changes");
            rest = after;
            stored += 1;
        }
        assert_eq!(stored, changes.len());
    }
}
