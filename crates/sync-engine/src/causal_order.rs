//! The order in which changes are appended to a log: each after all that it depends on. Then every prefix of the log is a
//! whole document, and a write that a crash cuts off leaves a file that opens.

use std::collections::HashMap;

use automerge::{Change, ChangeHash};

/// Sorts changes so that each comes after those of them that it depends on. The same changes get the same order.
pub(crate) fn sort(mut changes: Vec<Change>) -> Vec<Change> {
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

    use automerge_chunks::testing::in_turn;

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
    fn changes_without_operations_come_after_their_dependencies() {
        let made = in_turn(1_000, 1_000);
        let mut shuffled = made.clone();
        shuffled.sort_by_key(Change::hash);
        assert!(!is_causal(&shuffled));
        let sorted = sort(shuffled);
        assert!(is_causal(&sorted));
        assert_eq!(sorted.len(), made.len());
    }

    #[test]
    fn empty_changes_follow_those_they_build_on() {
        let mut changes = in_turn(200, 7);
        let hashes: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
        changes.reverse();
        let ordered: Vec<ChangeHash> = sort(changes).iter().map(Change::hash).collect();
        assert_eq!(ordered, hashes);
    }
}
