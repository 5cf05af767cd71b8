//! How much may still be added to a document.
//!
//! Everything that is ever written to a document stays in its history, which is in memory as long as the document is open:
//! without a bound one client could fill the memory and the disk of all.

use automerge::Change;

/// Why nothing is added to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentFull {
    /// Its history is too long.
    #[error("the document has as many changes as it may have ({0}); ask the operator of the server for room")]
    Changes(u64),
    /// It takes too much room.
    #[error("the document has as many bytes as it may have ({0}); ask the operator of the server for room")]
    Bytes(u64),
    /// It takes too long to read.
    #[error("the document has as many operations as it may have ({0}); ask the operator of the server for room")]
    Operations(u64),
    /// Too many actors have changed it too often.
    #[error(
        "the document has as many changes by as many actors as it may have ({0}, multiplied); export it and go on in a new one"
    )]
    ActorChanges(u64),
}

/// What a document holds, that of the batch under way included, and what it may hold.
pub(crate) struct Headroom {
    pub(crate) changes: u64,
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
    pub(crate) actors: u64,
    pub(crate) document_changes: u64,
    pub(crate) document_bytes: u64,
    pub(crate) document_operations: u64,
    pub(crate) document_actor_changes: u64,
}

impl Headroom {
    /// How much of the limit is used that the document is nearest to, in percent.
    pub(crate) fn used_percent(&self) -> u64 {
        let used = [
            (self.changes, self.document_changes),
            (self.bytes, self.document_bytes),
            (self.operations, self.document_operations),
            (self.changes.saturating_mul(self.actors), self.document_actor_changes),
        ];
        used.into_iter().map(|(used, limit)| used / (limit / 100).max(1)).max().unwrap_or(0)
    }

    /// Room for these changes, all of them or none. None of them: there is always room for nothing.
    pub(crate) fn take(&mut self, changes: &[Change]) -> Result<(), DocumentFull> {
        if changes.is_empty() {
            return Ok(());
        }
        let bytes = changes.iter().map(|change| change.raw_bytes().len() as u64).sum();
        let operations = changes.iter().map(|change| change.len() as u64).sum();
        // The others continue what an actor has begun.
        let actors = changes.iter().filter(|change| change.seq() == 1).count() as u64;
        self.take_sizes(changes.len() as u64, bytes, operations, actors)
    }

    /// Room for an edit. How large it will be is not known yet; its values are bounded.
    pub(crate) fn take_edit(&mut self) -> Result<(), DocumentFull> {
        // It may be the first one under the server's own actor.
        self.take_sizes(1, 0, 0, 1)?;
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

    fn headroom() -> Headroom {
        Headroom {
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
    fn what_a_batch_brings_adds_up() {
        let mut headroom = headroom();
        assert_eq!(headroom.take_sizes(1, 10, 100, 1), Ok(()));
        assert_eq!(headroom.take_sizes(1, 11, 0, 0), Err(DocumentFull::Bytes(100)));
        assert_eq!(headroom.take_sizes(1, 1, 101, 0), Err(DocumentFull::Operations(1_000)));
        assert_eq!(headroom.take_sizes(1, 1, 0, 1), Err(DocumentFull::ActorChanges(30)));
        assert_eq!(headroom.take_sizes(2, 1, 0, 0), Err(DocumentFull::Changes(10)));
        assert_eq!(headroom.take_sizes(1, 10, 100, 0), Ok(()), "what was refused takes nothing");
    }

    #[test]
    fn use_is_told_of_the_limit_that_is_nearest() {
        let headroom = Headroom { document_actor_changes: 2_000, ..headroom() };
        assert_eq!(headroom.used_percent(), 80);
        let headroom = Headroom { actors: 250, changes: 8, document_actor_changes: 2_000, ..headroom };
        assert_eq!(headroom.used_percent(), 100);
        assert_eq!(Headroom { document_changes: u64::MAX, ..headroom }.used_percent(), 100);
    }

    #[test]
    fn a_full_document_takes_no_edit_but_acknowledgements() {
        let mut headroom = Headroom { bytes: 100, ..headroom() };
        assert_eq!(headroom.take_edit(), Err(DocumentFull::Bytes(100)));
        assert_eq!(headroom.take(&[]), Ok(()));
    }
}
