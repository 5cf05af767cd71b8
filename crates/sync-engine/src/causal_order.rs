//! Sorts changes for the log: each change after its dependencies.
//!
//! Then every prefix of the log is a complete document, and a write that a crash truncates leaves a file that opens.

use std::collections::HashMap;

use automerge::{Change, ChangeHash};

/// Sorts changes so that each comes after its dependencies. The order does not depend on the order of the input.
pub(crate) fn sort(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_by_key(|change| (change.start_op(), change.hash()));
    // The operations of a change are numbered after those of its dependencies, so the numbers give the order. But a change
    // without operations shares its start number with the changes that depend on it alone.
    if changes.iter().any(Change::is_empty) { by_dependencies(changes) } else { changes }
}

fn by_dependencies(changes: Vec<Change>) -> Vec<Change> {
    let places: HashMap<ChangeHash, usize> =
        changes.iter().enumerate().map(|(place, change)| (change.hash(), place)).collect();
    let mut seen = vec![false; changes.len()];
    let mut order = Vec::with_capacity(changes.len());
    // Not recursive, as a chain may be as long as a message allows. `true`: the dependencies are in the order already.
    let mut stack: Vec<(usize, bool)> = Vec::new();
    for first in 0..changes.len() {
        stack.push((first, false));
        while let Some((place, ready)) = stack.pop() {
            if ready {
                order.push(place);
            } else if !std::mem::replace(&mut seen[place], true) {
                stack.push((place, true));
                let deps = changes[place].deps().iter().filter_map(|dep| places.get(dep));
                stack.extend(deps.filter(|dep| !seen[**dep]).map(|dep| (*dep, false)));
            }
        }
    }
    let mut changes: Vec<Option<Change>> = changes.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| changes[place].take()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use automerge_chunks::testing::round_robin_changes;

    use super::*;

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
    fn changes_without_operations_follow_their_dependencies() {
        let made = round_robin_changes(1_000, 1_000);
        let mut shuffled = made.clone();
        shuffled.sort_by_key(Change::hash);
        assert!(!is_causal(&shuffled));
        let sorted = sort(shuffled);
        assert!(is_causal(&sorted));
        assert_eq!(sorted.len(), made.len());
    }

    #[test]
    fn empty_changes_follow_those_they_build_on() {
        let mut changes = round_robin_changes(200, 7);
        let hashes: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
        changes.reverse();
        let ordered: Vec<ChangeHash> = sort(changes).iter().map(Change::hash).collect();
        assert_eq!(ordered, hashes);
    }
}
