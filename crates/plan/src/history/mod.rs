//! What has changed in a document, when, and what it says about it: newest first, page by page.
//!
//! Automerge makes every change again from its operations, and looks at all operations of a field to tell what it held at
//! some moment. That cost grows with the history (see `docs/adr/0002-record-history-as-notes.md`). Here every change is
//! looked at once, and what it has set is noted ([`ledger`], [`operations`]) in its order ([`order`]); a page ([`page`])
//! only collects notes. There is a history only while somebody looks at it. It is made from a copy of the document, so that
//! nobody waits for it but who has asked, and kept current change by change.
//!
//! Kept in the document alone is what has to be read in its place: texts that were changed letter by letter, counters, bytes, maps
//! and lists, and the values of a conflict that was settled.

mod ledger;
mod operations;
mod order;
mod page;
mod typed;
mod write;

use std::borrow::Borrow;
use std::collections::HashMap;

use automerge::{Automerge, Change, ChangeHash, ReadDoc};
use ledger::Ledger;
use order::Order;
pub use order::{Cursor, NoCursor};
pub use page::{Entry, MAX_ENTRIES, NoPage, Page, Query, Row, Set};
use write::{Field, Left};

/// Changes that are read at a time to make a history: the library takes nearly 2 KB for each while it makes them again.
const PORTION: usize = if cfg!(test) { 7 } else { 2_000 };

/// The history of one document.
#[derive(Default)]
pub struct History {
    order: Order,
    ledger: Ledger,
    /// Of each change which fields it sets.
    fields: Vec<u16>,
    /// By the number of the position.
    positions: Vec<Seen>,
    /// The heads, with their numbers.
    heads: HashMap<ChangeHash, u32>,
}

/// What is known of one position.
#[derive(Default)]
struct Seen {
    /// The changes that set something of it, in order.
    changes: Vec<u32>,
    /// The changes that set its designation, in order.
    named: Vec<u32>,
    /// The changes that deleted it, in order.
    deleted: Vec<u32>,
}

/// Changes do not fit the history: what they build upon is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what the changes build upon is not in the history")]
pub struct Gap;

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("changes", &self.len()).finish_non_exhaustive()
    }
}

impl History {
    /// The whole history of a document. Takes up to twice as long as loading the document.
    ///
    /// # Errors
    /// When the library gives changes that build upon others that it does not give.
    pub fn of(doc: &Automerge) -> Result<Self, Gap> {
        // As they are numbered, as the library finds those at once that were made together.
        let mut changes: Vec<(u64, ChangeHash)> =
            doc.get_changes_meta(&[]).iter().map(|change| (change.start_op, change.hash)).collect();
        changes.sort_by_key(|(start, _)| *start);
        let mut history = Self::default();
        for portion in changes.chunks(PORTION) {
            history.add(doc, read(doc, portion.iter().map(|(_, hash)| *hash)))?;
        }
        Ok(history)
    }

    /// How many changes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The heads of the document that it is the history of.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        let mut heads: Vec<ChangeHash> = self.heads.keys().copied().collect();
        heads.sort_unstable();
        heads
    }

    /// Adds changes, in whatever order they are. `doc` must have them, and nothing that neither they nor the history have.
    /// Those that are in the history are left out.
    ///
    /// # Errors
    /// When something is missing that they build upon. The history must not be used then.
    pub fn add<C: Borrow<Change>>(&mut self, doc: &Automerge, changes: impl IntoIterator<Item = C>) -> Result<(), Gap> {
        let mut waiting: Vec<C> = changes.into_iter().filter(|change| !self.add_one(doc, change.borrow())).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|change| !self.add_one(doc, change.borrow()));
            if waiting.len() == before {
                return Err(Gap);
            }
        }
        self.settle();
        Ok(())
    }

    /// False: it builds upon changes that are not there yet.
    fn add_one(&mut self, doc: &Automerge, change: &Change) -> bool {
        let before = self.ledger.changes_of(change.actor_id());
        if change.seq() <= before {
            return true;
        }
        let parents: Option<Vec<u32>> = change.deps().iter().map(|hash| self.number(doc, hash)).collect();
        let Some(parents) = parents.filter(|_| change.seq() == before + 1) else { return false };
        let writes = operations::read(&mut self.ledger, doc, change);
        self.fields.push(writes.iter().fold(0, |fields, write| fields | write.field.bit()));
        let actor = self.ledger.actor(change.actor_id());
        self.ledger.add(actor, change.start_op().get(), writes);
        let number = self.order.add(change.hash(), change.timestamp(), &parents);
        for hash in change.deps() {
            self.heads.remove(hash);
        }
        self.heads.insert(change.hash(), number);
        true
    }

    /// The number of a change that is in the history.
    fn number(&self, doc: &Automerge, hash: &ChangeHash) -> Option<u32> {
        if let Some(number) = self.heads.get(hash) {
            return Some(*number);
        }
        let known = doc.get_change_meta_by_hash(hash)?;
        self.ledger.change(&known.actor, known.seq)
    }

    /// Gives those that were added their place.
    fn settle(&mut self) {
        let mut in_order = true;
        let mut touched = Vec::new();
        for change in self.order.settle() {
            let mut last = None;
            for write in self.ledger.writes(change) {
                if write.position == write::PLAN {
                    continue;
                }
                let at = write.position as usize;
                if self.positions.len() <= at {
                    self.positions.resize_with(at + 1, Seen::default);
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
                if write.field == Field::DESIGNATION && seen.named.last() != Some(&change) {
                    seen.named.push(change);
                }
                if write.field == Field::ROW && write.left == Left::Gone {
                    seen.deleted.push(change);
                }
            }
        }
        if !in_order {
            touched.sort_unstable();
            touched.dedup();
            for at in touched {
                let Seen { changes, named, deleted } = &mut self.positions[at];
                // Two runs, each in order: they are merged.
                changes.sort_by_key(|change| self.order.cursor(*change));
                named.sort_by_key(|change| self.order.cursor(*change));
                deleted.sort_by_key(|change| self.order.cursor(*change));
            }
        }
    }
}

/// Reads these changes.
fn read(doc: &Automerge, hashes: impl Iterator<Item = ChangeHash> + Clone) -> Vec<Change> {
    let together = doc.bundle(hashes.clone()).and_then(|bundle| bundle.to_changes());
    together.unwrap_or_else(|_| hashes.filter_map(|hash| doc.get_change_by_hash(&hash)).collect())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unknown_fields_tests;
