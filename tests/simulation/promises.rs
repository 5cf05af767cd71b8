//! Acknowledgements of the server: heads that it named to a peer, and edits that it reported as made. None of them may be
//! lost.

use std::collections::BTreeSet;

use automerge::{Automerge, ChangeHash, ROOT, ReadDoc};

#[derive(Default)]
pub struct Promises {
    /// Changes that the server has named as heads, or sent.
    changes: BTreeSet<ChangeHash>,
    /// Positions that it reported as added.
    added: BTreeSet<String>,
    /// Positions that a client has tried to delete.
    deleted: BTreeSet<String>,
}

impl Promises {
    pub fn named(&mut self, heads: &[ChangeHash]) {
        self.changes.extend(heads);
    }

    pub fn added(&mut self, id: &str) {
        self.added.insert(id.to_owned());
    }

    pub fn may_be_deleted(&mut self, id: &str) {
        self.deleted.insert(id.to_owned());
    }

    /// A lost acknowledgement, if any.
    pub fn broken_by(&self, doc: &Automerge) -> Option<String> {
        if let Some(lost) = self.changes.iter().find(|hash| doc.get_change_by_hash(hash).is_none()) {
            return Some(format!("change {lost} was shown, and is lost"));
        }
        let ids: BTreeSet<String> = match doc.get(ROOT, "positions") {
            Ok(Some((_, positions))) => doc.keys(positions).collect(),
            _ => BTreeSet::new(),
        };
        let lost = self.added.iter().find(|id| !ids.contains(*id) && !self.deleted.contains(*id));
        lost.map(|id| format!("position {id} was acknowledged, and is lost"))
    }
}
