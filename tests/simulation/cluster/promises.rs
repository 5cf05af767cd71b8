//! Acknowledgements of nodes: heads that they named, and edits that they reported as made. All of them must be in the
//! database, except for changes that a failover forgot and no node or device still has.

use std::collections::{BTreeMap, BTreeSet};

use automerge::ChangeHash;

use super::Cluster;
use crate::log_record::LogRecord;
use crate::network::Life;

#[derive(Default)]
pub struct Promises {
    /// Changes, with the processes that named them.
    changes: BTreeMap<ChangeHash, BTreeSet<Life>>,
    /// Positions that a process reported as added.
    added: BTreeMap<String, Life>,
    /// Positions that may have been deleted.
    deleted: BTreeSet<String>,
    /// Positions that a node reported as not added.
    refused: BTreeSet<String>,
}

impl Promises {
    pub fn named(&mut self, by: Life, heads: &[ChangeHash]) {
        for head in heads {
            self.changes.entry(*head).or_default().insert(by);
        }
    }

    pub fn added(&mut self, by: Life, id: &str) {
        self.added.insert(id.to_owned(), by);
    }

    pub fn may_be_deleted(&mut self, id: &str) {
        self.deleted.insert(id.to_owned());
    }

    pub fn refused(&mut self, id: &str) {
        self.refused.insert(id.to_owned());
    }

    /// Returns a change that is missing in the database, or that is stored although it was refused.
    pub fn broken_by(&self, log: &LogRecord) -> Option<String> {
        if let Some(lost) = self.changes.keys().find(|hash| !log.has(hash)) {
            return Some(format!("change {lost} was shown, and is lost"));
        }
        let ids = log.positions();
        if let Some(lost) = self.added.keys().find(|id| !ids.contains(*id) && !self.deleted.contains(*id)) {
            return Some(format!("position {lost} was acknowledged, and is lost"));
        }
        let there = self.refused.iter().find(|id| ids.contains(*id));
        there.map(|id| format!("position {id} is stored, and its author was told that it is not"))
    }
}

impl Cluster {
    /// Releases nodes from acknowledgements of forgotten changes that no one has any more. Call it after each failover and
    /// each crash.
    pub(super) fn release_forgotten(&mut self) {
        let mut network = self.network.lock();
        let lives: BTreeSet<Life> = network.lives().collect();
        let log = network.database.log_mut();
        let clients = &mut self.clients;
        self.promises.changes.retain(|hash, by| {
            log.has(hash)
                || !log.was_forgotten(hash)
                || by.iter().any(|life| lives.contains(life))
                || clients.iter_mut().any(|client| client.replica.has(hash))
        });
        let ids = log.positions();
        self.promises.added.retain(|id, by| {
            ids.contains(id)
                || !log.was_position_forgotten(id)
                || lives.contains(by)
                || clients.iter().any(|client| client.replica.has_position(id))
        });
    }
}
