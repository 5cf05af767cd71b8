//! Helpers for the offline replica of the `client` crate.

use std::path::Path;

use client::{Replica, ReplicaOptions};
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Budget, Edit, NewPosition, PositionPatch, read_view};
use primitives::DocumentId;
use tokio::time::timeout;

use super::PATIENCE;

/// Options for a replica of the server's default document; the file is named after the author.
pub fn options(home: &Path, document: &DocumentId, author: &str) -> ReplicaOptions {
    ReplicaOptions::new(home.join(format!("{author}.automerge")), document.clone(), author)
}

/// An edit that adds a position.
pub fn add(id: &str, budget: u64) -> Edit {
    Edit::Add(
        NewPosition::new(id, format!("Engineer {id}"))
            .with(DEPARTMENT, "Engineering")
            .with(BUDGET, Budget::Int(budget))
            .with(LOCATION, "Bengaluru"),
    )
}

/// An edit that sets a position's budget.
pub fn set_budget(id: &str, budget: u64) -> Edit {
    let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
    Edit::Patch { id: id.to_owned(), patch }
}

/// The number of positions in a replica.
pub fn rows(replica: &Replica) -> usize {
    read_view(replica.view()).len()
}

/// Waits until a replica satisfies `wished`, checking after every change.
pub async fn until(replica: &Replica, mut wished: impl FnMut(&Replica) -> bool) {
    let mut changes = replica.changes();
    let waiting = async {
        while !wished(replica) {
            // A lagging receiver continues.
            let _ = changes.recv().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("in time");
}

/// Waits until a replica and its server have the same changes.
pub async fn synced(replica: &Replica) {
    let waiting = timeout(PATIENCE, replica.wait_until_synced()).await;
    waiting.unwrap_or_else(|_| panic!("not synced in time, but {:?}", replica.status())).unwrap();
}
