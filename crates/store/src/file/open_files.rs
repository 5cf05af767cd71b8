//! Bounds the number of open files.
//!
//! A process may open a limited number of file descriptors, connections need some too, and one client may create or list
//! thousands of documents. So reading a document does not keep its file open, and among the files that are written to, the
//! least recently used is closed. Opening a file for an append takes a fraction of the time of the fsync that follows.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use primitives::DocumentId;

/// Limits on the file descriptors of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFileLimits {
    /// Number of documents whose files are kept open, besides the default document.
    pub kept_open: usize,
    /// Number of concurrent calls that open files, each up to [`OpenFileLimits::PER_CALL`]. The same number of compactions may
    /// run in addition.
    pub concurrent_calls: usize,
}

impl OpenFileLimits {
    /// Largest number of descriptors that one call opens: a file, its replacement, and the folder.
    pub const PER_CALL: usize = 3;

    /// Limits for a process that may open `limit` descriptors: about a quarter of them.
    #[must_use]
    pub fn for_descriptor_limit(limit: usize) -> Self {
        Self { kept_open: (limit / 8).clamp(4, 128), concurrent_calls: (limit / 64).clamp(2, 32) }
    }

    /// Largest number of descriptors that a store opens with these limits.
    #[must_use]
    pub fn max_descriptors(self) -> usize {
        // The default document and two lock files are always open.
        3 + self.kept_open + 2 * self.concurrent_calls * Self::PER_CALL
    }
}

impl Default for OpenFileLimits {
    /// For 1,024 descriptors, which most systems allow at least.
    fn default() -> Self {
        Self::for_descriptor_limit(1_024)
    }
}

/// The documents whose files are kept open, ordered by their last use.
#[derive(Debug)]
pub(super) struct OpenFilePool {
    capacity: usize,
    uses: Mutex<LastUses>,
}

#[derive(Debug, Default)]
struct LastUses {
    /// Number of uses so far, which numbers them.
    count: u64,
    /// Number of each document's last use.
    by_document: HashMap<DocumentId, u64>,
    by_use: BTreeMap<u64, DocumentId>,
}

impl OpenFilePool {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, uses: Mutex::default() }
    }

    /// Records a use of a document. Returns whether its file is kept open: `false` if the pool is full of others.
    pub(super) fn insert(&self, id: &DocumentId) -> bool {
        let mut uses = self.uses.lock();
        if !uses.by_document.contains_key(id) && uses.by_document.len() >= self.capacity {
            return false;
        }
        uses.count += 1;
        let count = uses.count;
        if let Some(before) = uses.by_document.insert(id.clone(), count) {
            uses.by_use.remove(&before);
        }
        uses.by_use.insert(count, id.clone());
        true
    }

    /// Whether the document's file is kept open.
    pub(super) fn contains(&self, id: &DocumentId) -> bool {
        self.uses.lock().by_document.contains_key(id)
    }

    /// Up to `count` documents, the least recently used first.
    pub(super) fn least_recently_used(&self, count: usize) -> Vec<DocumentId> {
        self.uses.lock().by_use.values().take(count).cloned().collect()
    }

    /// Removes a document whose file was closed.
    pub(super) fn remove(&self, id: &DocumentId) {
        let mut uses = self.uses.lock();
        if let Some(last_use) = uses.by_document.remove(id) {
            uses.by_use.remove(&last_use);
        }
    }
}
