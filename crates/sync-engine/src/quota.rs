//! The quota of a document: its remaining capacity.
//!
//! Everything that is ever written to a document stays in its history, which is in memory while the document is open. Without a
//! quota one client could fill the memory and the disk.

use automerge::Change;

/// Why changes are rejected: the document has reached one of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentFull {
    /// Changes in the history.
    #[error("the document has as many changes as it may have ({0}); ask the operator of the server for a higher limit")]
    Changes(u64),
    /// Bytes in the store.
    #[error("the document has as many bytes as it may have ({0}); ask the operator of the server for a higher limit")]
    Bytes(u64),
    /// Operations of all changes.
    #[error(
        "the document has as many operations as it may have ({0}); ask the operator of the server for a higher limit"
    )]
    Operations(u64),
    /// Changes times actors.
    #[error(
        "the document has reached the limit of changes times actors ({0}); export it and continue in a new document"
    )]
    ActorChanges(u64),
}

/// The size of a document, including the batch being applied, and its limits.
pub(crate) struct Quota {
    pub(crate) changes: u64,
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
    pub(crate) actors: u64,
    pub(crate) document_changes: u64,
    pub(crate) document_bytes: u64,
    pub(crate) document_operations: u64,
    pub(crate) document_actor_changes: u64,
}

impl Quota {
    /// Used part of the limit that is nearest to being reached, in percent.
    pub(crate) fn used_percent(&self) -> u64 {
        let used = [
            (self.changes, self.document_changes),
            (self.bytes, self.document_bytes),
            (self.operations, self.document_operations),
            (self.changes.saturating_mul(self.actors), self.document_actor_changes),
        ];
        used.into_iter().map(|(used, limit)| used / (limit / 100).max(1)).max().unwrap_or(0)
    }

    /// Reserves space for all of these changes, or for none. No changes always fit.
    ///
    /// # Errors
    /// When they exceed a limit.
    pub(crate) fn take(&mut self, changes: &[Change]) -> Result<(), DocumentFull> {
        if changes.is_empty() {
            return Ok(());
        }
        let bytes = changes.iter().map(|change| change.raw_bytes().len() as u64).sum();
        let operations = changes.iter().map(|change| change.len() as u64).sum();
        // Only the first change of an actor adds an actor.
        let actors = changes.iter().filter(|change| change.seq() == 1).count() as u64;
        self.take_sizes(changes.len() as u64, bytes, operations, actors)
    }

    /// Reserves space for a local edit with about this many operations.
    ///
    /// # Errors
    /// When the document is full.
    pub(crate) fn take_edit(&mut self, operations: u64) -> Result<(), DocumentFull> {
        // It may be the first change of the server's own actor.
        self.take_sizes(1, 0, operations, 1)?;
        self.actors -= 1;
        Ok(())
    }

    fn take_sizes(&mut self, changes: u64, bytes: u64, operations: u64, actors: u64) -> Result<(), DocumentFull> {
        if self.changes + changes > self.document_changes {
            return Err(DocumentFull::Changes(self.document_changes));
        }
        if self.bytes + bytes > self.document_bytes || self.bytes >= self.document_bytes {
            return Err(DocumentFull::Bytes(self.document_bytes));
        }
        if self.operations + operations > self.document_operations || self.operations >= self.document_operations {
            return Err(DocumentFull::Operations(self.document_operations));
        }
        if (self.changes + changes).saturating_mul(self.actors + actors) > self.document_actor_changes {
            return Err(DocumentFull::ActorChanges(self.document_actor_changes));
        }
        self.actors += actors;
        self.changes += changes;
        self.bytes += bytes;
        self.operations += operations;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota() -> Quota {
        Quota {
            changes: 8,
            bytes: 80,
            operations: 800,
            actors: 2,
            document_changes: 10,
            document_bytes: 100,
            document_operations: 1_000,
            document_actor_changes: 30,
        }
    }

    #[test]
    fn sizes_of_a_batch_add_up() {
        let mut quota = quota();
        assert_eq!(quota.take_sizes(1, 10, 100, 1), Ok(()));
        assert_eq!(quota.take_sizes(1, 11, 0, 0), Err(DocumentFull::Bytes(100)));
        assert_eq!(quota.take_sizes(1, 1, 101, 0), Err(DocumentFull::Operations(1_000)));
        assert_eq!(quota.take_sizes(1, 1, 0, 1), Err(DocumentFull::ActorChanges(30)));
        assert_eq!(quota.take_sizes(2, 1, 0, 0), Err(DocumentFull::Changes(10)));
        assert_eq!(quota.take_sizes(1, 10, 100, 0), Ok(()), "rejected changes take no space");
    }

    #[test]
    fn large_edit_is_refused() {
        let mut quota = quota();
        assert_eq!(quota.take_edit(201), Err(DocumentFull::Operations(1_000)));
        assert_eq!(quota.take_edit(200), Ok(()));
    }

    #[test]
    fn used_percent_is_that_of_the_nearest_limit() {
        let quota = Quota { document_actor_changes: 2_000, ..quota() };
        assert_eq!(quota.used_percent(), 80);
        let quota = Quota { actors: 250, changes: 8, document_actor_changes: 2_000, ..quota };
        assert_eq!(quota.used_percent(), 100);
        assert_eq!(Quota { document_changes: u64::MAX, ..quota }.used_percent(), 100);
    }

    #[test]
    fn full_document_takes_only_acknowledgements() {
        let mut quota = Quota { bytes: 100, ..quota() };
        assert_eq!(quota.take_edit(0), Err(DocumentFull::Bytes(100)));
        assert_eq!(quota.take(&[]), Ok(()));
    }
}
