//! Maps heads of a document to edits. Viewers hold no document; they only see heads.

use std::collections::HashMap;
use std::time::Instant;

use automerge::ChangeHash;
use parking_lot::{Mutex, MutexGuard};

/// Number of edits of each writer of a document.
pub type Covered = Vec<u32>;

/// All edits that the writers of one document have made in this run.
pub struct Ledger {
    writers: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    covered_by: HashMap<ChangeHash, Covered>,
    /// Times of the edits, by writer.
    made: Vec<Vec<Instant>>,
}

impl Ledger {
    pub fn new(writers: usize) -> Self {
        let made = vec![Vec::new(); writers];
        Self { writers, entries: Mutex::new(Entries { made, ..Entries::default() }) }
    }

    /// Records an edit on top of its writer's known edits. Must be called before the edit is sent.
    pub fn add(&self, writer: usize, hash: ChangeHash, covered: Covered, made: Instant) {
        let mut entries = self.entries();
        entries.made[writer].push(made);
        entries.covered_by.insert(hash, covered);
    }

    /// Records the time of an edit that is not a change of a document.
    pub fn add_bare(&self, writer: usize, made: Instant) {
        self.entries().made[writer].push(made);
    }

    /// The edits that these heads include. Unknown heads are those of the document before the edits.
    pub fn covered(&self, heads: &[ChangeHash]) -> Covered {
        let entries = self.entries();
        let mut covered = vec![0; self.writers];
        for known in heads.iter().filter_map(|head| entries.covered_by.get(head)) {
            merge(&mut covered, known);
        }
        covered
    }

    /// Times of these edits of a writer.
    pub fn made(&self, writer: usize, edits: std::ops::Range<u32>) -> Vec<Instant> {
        self.entries().made[writer][edits.start as usize..edits.end as usize].to_vec()
    }

    /// Number of edits of each writer.
    pub fn totals(&self) -> Covered {
        self.entries().made.iter().map(|made| u32::try_from(made.len()).unwrap_or(u32::MAX)).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock()
    }
}

/// Merges the edits that another set includes.
pub fn merge(covered: &mut Covered, other: &[u32]) {
    for (mine, theirs) in covered.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}
