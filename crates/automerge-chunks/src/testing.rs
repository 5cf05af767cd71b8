//! Builds changes for tests.

use std::num::NonZeroU64;

use automerge::{ActorId, Change, ChangeHash, ExpandedChange};

/// A change without operations.
#[must_use]
pub fn empty_change(actor: u64, seq: u64, deps: Vec<ChangeHash>) -> Change {
    Change::from(ExpandedChange {
        operations: Vec::new(),
        actor_id: ActorId::from(actor.to_be_bytes()),
        hash: None,
        seq,
        start_op: NonZeroU64::MIN,
        time: 0,
        message: None,
        deps,
        extra_bytes: Vec::new(),
        author: None,
    })
}

/// `count` empty changes, each depending on the one before, by `actors` actors in turn.
#[must_use]
pub fn round_robin_changes(count: u64, actors: u64) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for index in 0..count {
        let deps = changes.last().map(Change::hash).into_iter().collect();
        changes.push(empty_change(index % actors, index / actors + 1, deps));
    }
    changes
}
