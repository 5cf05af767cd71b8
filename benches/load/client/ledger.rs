//! Which edits a document's heads stand for. Viewers hold no document; they see heads, and this says what they mean.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use automerge::ChangeHash;

/// For each writer of a document, how many of its edits.
pub type Covered = Vec<u32>;

/// All edits that the writers of one document have made in this run.
pub struct Ledger {
    writers: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    covered_by: HashMap<ChangeHash, Covered>,
    /// By writer: when each edit was made.
    made: Vec<Vec<Instant>>,
}

impl Ledger {
    pub fn new(writers: usize) -> Self {
        let made = vec![Vec::new(); writers];
        Self { writers, entries: Mutex::new(Entries { made, ..Entries::default() }) }
    }

    /// An edit was made on top of what its writer had. To be told before anybody is sent the edit.
    pub fn add(&self, writer: usize, hash: ChangeHash, covered: Covered, made: Instant) {
        let mut entries = self.entries();
        entries.made[writer].push(made);
        entries.covered_by.insert(hash, covered);
    }

    /// For edits that are not changes of a document: only when it was made.
    pub fn add_bare(&self, writer: usize, made: Instant) {
        self.entries().made[writer].push(made);
    }

    /// The edits that somebody with these heads has. Other heads than edits' are the document as it was before.
    pub fn covered(&self, heads: &[ChangeHash]) -> Covered {
        let entries = self.entries();
        let mut covered = vec![0; self.writers];
        for known in heads.iter().filter_map(|head| entries.covered_by.get(head)) {
            merge(&mut covered, known);
        }
        covered
    }

    /// When these edits of a writer were made.
    pub fn made(&self, writer: usize, edits: std::ops::Range<u32>) -> Vec<Instant> {
        self.entries().made[writer][edits.start as usize..edits.end as usize].to_vec()
    }

    /// How many edits each writer has made.
    pub fn totals(&self) -> Covered {
        self.entries().made.iter().map(|made| u32::try_from(made.len()).unwrap_or(u32::MAX)).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what is covered by another.
pub fn merge(covered: &mut Covered, other: &[u32]) {
    for (mine, theirs) in covered.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}
