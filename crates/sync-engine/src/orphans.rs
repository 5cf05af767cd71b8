//! Orphaned changes: those whose dependencies are missing. The library queues them, and the engine keeps them beside it.

use std::collections::HashSet;

use automerge::{Change, ChangeHash};

use crate::bad_message::BadMessage;
use crate::engine::Engine;
use crate::schema::Schema;

/// Most orphaned changes that a document keeps in memory: changes whose dependencies are missing.
pub const MAX_ORPHANS: usize = 10_000;
/// Most bytes of orphaned changes.
const MAX_ORPHAN_BYTES: usize = 32 << 20;

impl<S: Schema> Engine<S> {
    /// Queues the orphaned changes in the library again. When the library rejects changes it may drop queued ones, for example of
    /// the same actor. Their senders believe that they were received, and would not send them again.
    pub(super) fn requeue_orphans(&mut self, before: &[ChangeHash]) -> Result<(), BadMessage> {
        if !self.orphans.is_empty() {
            let orphans: Vec<Change> = self.orphans.values().map(|orphan| orphan.change.clone()).collect();
            self.doc.apply_changes(orphans)?;
        }
        // No rejected or unchecked change may be in the document.
        if self.doc.get_heads() == before { Ok(()) } else { Err(BadMessage::NotReproducible) }
    }

    /// Rejects changes that would make too many orphans, before the library queues any of them.
    pub(super) fn check_orphans(&self, changes: &[Change]) -> Result<(), BadMessage> {
        let mut known: HashSet<ChangeHash> = HashSet::new();
        let (mut count, mut bytes) = (self.orphans.len(), self.orphan_bytes);
        // Peers send dependencies first. A change that comes before its own dependencies is counted as an orphan.
        for change in changes {
            if change.deps().iter().all(|dep| known.contains(dep) || self.has(dep)) {
                known.insert(change.hash());
            } else {
                count += 1;
                bytes += change.raw_bytes().len();
            }
        }
        let has_new_orphans = count > self.orphans.len();
        if has_new_orphans && (count > MAX_ORPHANS || bytes > MAX_ORPHAN_BYTES) {
            return Err(BadMessage::TooManyOrphans(MAX_ORPHANS));
        }
        Ok(())
    }
}
