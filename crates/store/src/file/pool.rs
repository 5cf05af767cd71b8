//! Which documents' files are kept open: those that were written to last.
//!
//! Every open file is one of the descriptors that the system allows the process, connections need them as well, and a client may
//! bring thousands of documents, or list them. So reading a document keeps nothing open, and of those that are written to
//! the least recently used gives way. To open a file for an append takes a fraction of the fsync that follows.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use primitives::DocumentId;

/// How many descriptors a store may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// Documents whose files are kept open, besides the default one's.
    pub kept: usize,
    /// Calls that open files at the same time, each up to [`OpenFiles::PER_CALL`]; and compactions, as many.
    pub at_once: usize,
}

impl OpenFiles {
    /// Descriptors that one call opens at most: a file, what takes its place, and the folder.
    pub const PER_CALL: usize = 3;

    /// What a process that may have `limit` descriptors can give to a store: about a quarter.
    #[must_use]
    pub fn within(limit: usize) -> Self {
        Self { kept: (limit / 8).clamp(4, 128), at_once: (limit / 64).clamp(2, 32) }
    }

    /// The most descriptors that it comes to.
    #[must_use]
    pub fn most(self) -> usize {
        // The default document's and the two lock files, too.
        3 + self.kept + 2 * self.at_once * Self::PER_CALL
    }
}

impl Default for OpenFiles {
    /// For the 1,024 descriptors that most systems allow at least.
    fn default() -> Self {
        Self::within(1_024)
    }
}

/// The documents whose files are kept open, in the order of their last use.
#[derive(Debug)]
pub(super) struct Pool {
    most: usize,
    uses: Mutex<Uses>,
}

#[derive(Debug, Default)]
struct Uses {
    count: u64,
    last: HashMap<DocumentId, u64>,
    by_age: BTreeMap<u64, DocumentId>,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Self { most, uses: Mutex::default() }
    }

    /// Notes a use. Says whether the document's file is kept open: not if there is no room for one more.
    pub(super) fn used(&self, id: &DocumentId) -> bool {
        let mut uses = self.uses.lock();
        if !uses.last.contains_key(id) && uses.last.len() >= self.most {
            return false;
        }
        uses.count += 1;
        let count = uses.count;
        if let Some(before) = uses.last.insert(id.clone(), count) {
            uses.by_age.remove(&before);
        }
        uses.by_age.insert(count, id.clone());
        true
    }

    /// Whether the document's file is kept open.
    pub(super) fn has(&self, id: &DocumentId) -> bool {
        self.uses.lock().last.contains_key(id)
    }

    /// So many documents that were not used for longest.
    pub(super) fn oldest(&self, count: usize) -> Vec<DocumentId> {
        self.uses.lock().by_age.values().take(count).cloned().collect()
    }

    /// The document's file is closed.
    pub(super) fn leave(&self, id: &DocumentId) {
        let mut uses = self.uses.lock();
        if let Some(use_) = uses.last.remove(id) {
            uses.by_age.remove(&use_);
        }
    }
}
