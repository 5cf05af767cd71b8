//! How much may still be added to a document.
//!
//! Everything that is ever written to a document stays in its history, which is in memory as long as the document is open:
//! without a bound one client could fill the memory and the disk of all.

use automerge::Change;

use super::incoming::DocumentFull;

/// What a document holds, that of the batch under way included, and what it may hold.
pub(super) struct Headroom {
    pub(super) changes: u64,
    pub(super) bytes: u64,
    pub(super) operations: u64,
    pub(super) document_changes: u64,
    pub(super) document_bytes: u64,
    pub(super) document_operations: u64,
}

impl Headroom {
    /// Room for these changes, all of them or none. None of them: there is always room for nothing.
    pub(super) fn take(&mut self, changes: &[Change]) -> Result<(), DocumentFull> {
        if changes.is_empty() {
            return Ok(());
        }
        let bytes = changes.iter().map(|change| change.raw_bytes().len() as u64).sum();
        let operations = changes.iter().map(|change| change.len() as u64).sum();
        self.take_sizes(changes.len() as u64, bytes, operations)
    }

    /// Room for an edit. How large it will be is not known yet; its values are bounded.
    pub(super) fn take_edit(&mut self) -> Result<(), DocumentFull> {
        self.take_sizes(1, 0, 0)
    }

    fn take_sizes(&mut self, changes: u64, bytes: u64, operations: u64) -> Result<(), DocumentFull> {
        if self.changes + changes > self.document_changes {
            return Err(DocumentFull::Changes(self.document_changes));
        }
        if self.bytes + bytes > self.document_bytes || self.bytes >= self.document_bytes {
            return Err(DocumentFull::Bytes(self.document_bytes));
        }
        if self.operations + operations > self.document_operations || self.operations >= self.document_operations {
            return Err(DocumentFull::Operations(self.document_operations));
        }
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
            document_changes: 10,
            document_bytes: 100,
            document_operations: 1_000,
        }
    }

    #[test]
    fn what_a_batch_brings_adds_up() {
        let mut headroom = headroom();
        assert_eq!(headroom.take_sizes(1, 10, 100), Ok(()));
        assert_eq!(headroom.take_sizes(1, 11, 0), Err(DocumentFull::Bytes(100)));
        assert_eq!(headroom.take_sizes(1, 1, 101), Err(DocumentFull::Operations(1_000)));
        assert_eq!(headroom.take_sizes(2, 1, 0), Err(DocumentFull::Changes(10)));
        assert_eq!(headroom.take_sizes(1, 10, 100), Ok(()), "what was refused takes nothing");
    }

    #[test]
    fn a_full_document_takes_no_edit_but_acknowledgements() {
        let mut headroom = Headroom { bytes: 100, ..headroom() };
        assert_eq!(headroom.take_edit(), Err(DocumentFull::Bytes(100)));
        assert_eq!(headroom.take(&[]), Ok(()));
    }
}
