//! [`History`]: an index of the changes of a document, and pages of it, the newest first.
//!
//! Automerge reproduces a change from its operations, and visits all operations of a field to find its value at earlier heads.
//! Both costs grow with the history (see `docs/adr/0002-record-history-as-notes.md`). The index reads the operations of all changes once
//! (module `records`), records the writes of each change (modules `operations` and `ledger`), and sorts the changes (module `order`); a
//! page (module `page`) only
//! collects records. A follower gets the changes after heads that it knows (module `following`). The owner builds the index on demand from a copy of the document, so that only the reader waits, and
//! updates it change by change.
//!
//! Some values are not in the index and are read from the document: texts that were edited in place, counters, bytes, maps and
//! lists, and the values of a resolved conflict.

mod following;
mod ledger;
mod op;
mod operations;
mod order;
mod page;
mod records;
mod register;
mod typed;
mod write;

use std::borrow::Borrow;
use std::collections::HashMap;

use automerge::{ActorId, Automerge, Change, ChangeHash, SaveOptions};
use automerge_chunks::operations::Malformed;
pub use following::{FollowError, Following, MAX_BEHIND, MAX_PORTION, Since};
use ledger::Ledger;
use operations::Reader;
use order::Order;
pub use order::{Cursor, InvalidCursor};
pub use page::{Entry, FieldChange, MAX_ENTRIES, Page, PageError, Query, Row};
use records::Records;
use write::{FieldNumber, NewValue, Write};

/// The history of one document.
#[derive(Default)]
pub struct History {
    order: Order,
    ledger: Ledger,
    /// The set of fields that each change writes: see [`FieldNumber::bit`].
    fields: Vec<u32>,
    /// By position number.
    positions: Vec<PositionIndex>,
    /// The heads, with their change numbers.
    heads: HashMap<ChangeHash, u32>,
}

/// The changes of one position.
#[derive(Default)]
struct PositionIndex {
    /// The changes that write to it, in order.
    changes: Vec<u32>,
    /// The changes that write its designation, in order.
    named: Vec<u32>,
    /// The changes that deleted it, in order.
    deleted: Vec<u32>,
}

/// Why a history cannot be built or extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A change cannot be added, because a dependency is missing.
    #[error("a dependency of the changes is missing in the history")]
    MissingDependency,
    /// The operations of the document cannot be read.
    #[error("the operations cannot be read: {0}")]
    Unreadable(#[from] Malformed),
}

/// A change without its operations.
struct ChangeHead<'a> {
    hash: ChangeHash,
    deps: &'a [ChangeHash],
    actor: &'a ActorId,
    sequence: u64,
    /// The number of its first operation.
    start: u64,
    time: i64,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("changes", &self.len()).finish_non_exhaustive()
    }
}

impl History {
    /// Builds the index of a document. Takes up to half as long as loading the document.
    ///
    /// # Errors
    /// When the library returns a document that is not whole.
    pub fn of(doc: &Automerge) -> Result<Self, HistoryError> {
        // Sorted by operation number, so that a change comes after its dependencies.
        let mut changes = doc.get_changes_meta(&[]);
        changes.sort_by_key(|change| change.start_op);
        let mut history = Self::default();
        let chunk = doc.save_with_options(SaveOptions { deflate: false, retain_orphans: false });
        let records = Records::of(&chunk, &changes, &mut history.ledger)?;
        for (index, change) in changes.iter().enumerate() {
            let head = ChangeHead {
                hash: change.hash,
                deps: &change.deps,
                actor: &change.actor,
                sequence: change.seq,
                start: change.start_op,
                time: change.timestamp,
            };
            let mut result = Ok(());
            let is_added = history.add_one(doc, &head, |ledger| {
                let mut reader = Reader::new(ledger, doc, change.hash, &change.deps, (&change.actor, change.start_op));
                result = records.of_change(index).try_for_each(|op| op.map(|op| reader.take(&op)));
                reader.finish()
            });
            result?;
            if !is_added {
                return Err(HistoryError::MissingDependency);
            }
        }
        history.sort_added();
        Ok(history)
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The heads of the indexed document.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        let mut heads: Vec<ChangeHash> = self.heads.keys().copied().collect();
        heads.sort_unstable();
        heads
    }

    /// Adds changes, in any order. `doc` must have exactly the changes of the history and these. Changes that are in the history
    /// already are ignored.
    ///
    /// # Errors
    /// When a dependency is missing. The history must not be used any more then.
    pub fn add<C: Borrow<Change>>(
        &mut self,
        doc: &Automerge,
        changes: impl IntoIterator<Item = C>,
    ) -> Result<(), HistoryError> {
        let mut waiting: Vec<C> =
            changes.into_iter().filter(|change| !self.add_decoded(doc, change.borrow())).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|change| !self.add_decoded(doc, change.borrow()));
            if waiting.len() == before {
                return Err(HistoryError::MissingDependency);
            }
        }
        self.sort_added();
        Ok(())
    }

    /// Adds a change, whose operations it decodes. Returns false if a dependency is not in the history yet.
    fn add_decoded(&mut self, doc: &Automerge, change: &Change) -> bool {
        let head = ChangeHead {
            hash: change.hash(),
            deps: change.deps(),
            actor: change.actor_id(),
            sequence: change.seq(),
            start: change.start_op().get(),
            time: change.timestamp(),
        };
        self.add_one(doc, &head, |ledger| operations::read(ledger, doc, change))
    }

    /// Adds a change with the writes that `read` finds. Returns false if a dependency is not in the history yet.
    fn add_one(
        &mut self,
        doc: &Automerge,
        change: &ChangeHead<'_>,
        read: impl FnOnce(&mut Ledger) -> Vec<Write>,
    ) -> bool {
        let before = self.ledger.changes_of(change.actor);
        if change.sequence <= before {
            return true;
        }
        let parents: Option<Vec<u32>> = change.deps.iter().map(|hash| self.number(doc, hash)).collect();
        let Some(parents) = parents.filter(|_| change.sequence == before + 1) else { return false };
        let writes = read(&mut self.ledger);
        self.fields.push(writes.iter().fold(0, |fields, write| fields | write.field.bit()));
        let actor = self.ledger.actor(change.actor);
        self.ledger.add(actor, change.start, writes);
        let number = self.order.add(change.hash, change.time, &parents);
        for hash in change.deps {
            self.heads.remove(hash);
        }
        self.heads.insert(change.hash, number);
        true
    }

    /// The number of a change, if it is in the history.
    fn number(&self, doc: &Automerge, hash: &ChangeHash) -> Option<u32> {
        if let Some(number) = self.heads.get(hash) {
            return Some(*number);
        }
        let known = doc.get_change_meta_by_hash(hash)?;
        self.ledger.change(&known.actor, known.seq)
    }

    /// Sorts the added changes into the order, and updates the indices of positions.
    fn sort_added(&mut self) {
        let mut in_order = true;
        let mut touched = Vec::new();
        for change in self.order.sort_added() {
            let mut last = None;
            for write in self.ledger.writes(change) {
                if write.position == write::PLAN {
                    continue;
                }
                let at = write.position as usize;
                if self.positions.len() <= at {
                    self.positions.resize_with(at + 1, PositionIndex::default);
                }
                let seen = &mut self.positions[at];
                if last != Some(at) {
                    last = Some(at);
                    let after =
                        seen.changes.last().is_none_or(|last| self.order.cursor(*last) < self.order.cursor(change));
                    in_order &= after;
                    touched.push(at);
                    seen.changes.push(change);
                }
                if write.field == FieldNumber::DESIGNATION && seen.named.last() != Some(&change) {
                    seen.named.push(change);
                }
                if write.field == FieldNumber::ROW && write.new_value == NewValue::Gone {
                    seen.deleted.push(change);
                }
            }
        }
        if !in_order {
            touched.sort_unstable();
            touched.dedup();
            for at in touched {
                let PositionIndex { changes, named, deleted } = &mut self.positions[at];
                // Two sorted runs, which the sort merges.
                changes.sort_by_key(|change| self.order.cursor(*change));
                named.sort_by_key(|change| self.order.cursor(*change));
                deleted.sort_by_key(|change| self.order.cursor(*change));
            }
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unknown_fields_tests;
