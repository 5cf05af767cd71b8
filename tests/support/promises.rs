//! What a server has said: whatever happens to it, that is in the document's file.

use std::collections::BTreeSet;
use std::path::Path;

use automerge::{Automerge, ChangeHash, ROOT, ReadDoc};

#[derive(Default)]
pub struct Promises {
    /// Heads that it named to a peer.
    pub changes: BTreeSet<ChangeHash>,
    /// Rows that it acknowledged to the caller who added them.
    pub rows: BTreeSet<String>,
    /// Designations of rows that it showed to a legacy client.
    pub shown: BTreeSet<String>,
}

impl Promises {
    pub fn len(&self) -> usize {
        self.changes.len() + self.rows.len() + self.shown.len()
    }

    pub fn add(&mut self, more: Self) {
        self.changes.extend(more.changes);
        self.rows.extend(more.rows);
        self.shown.extend(more.shown);
    }

    /// Fails if anything of it is not in the document that the file holds.
    pub fn are_kept_by(&self, state: &Path, round: u32) {
        let doc = Automerge::load(&std::fs::read(state).unwrap()).unwrap();
        self.are_kept_in(&doc, &format!("before round {round}"));
    }

    /// Fails if anything of it is not in this document. `when`: told if so.
    pub fn are_kept_in(&self, doc: &Automerge, when: &str) {
        for change in &self.changes {
            assert!(doc.get_change_by_hash(change).is_some(), "{when}: change {change} was shown, and is lost");
        }
        let rows = Rows::of(doc);
        let lost = self.rows.difference(&rows.ids).next();
        assert_eq!(lost, None, "{when}: a row was acknowledged, and is lost");
        let lost = self.shown.difference(&rows.designations).next();
        assert_eq!(lost, None, "{when}: a row was shown, and is lost");
    }
}

/// The rows of a plan.
pub struct Rows {
    pub ids: BTreeSet<String>,
    pub designations: BTreeSet<String>,
}

impl Rows {
    /// None, if it is no plan.
    pub fn of(doc: &Automerge) -> Self {
        let Some((_, positions)) = doc.get(ROOT, "positions").unwrap() else {
            return Self { ids: BTreeSet::new(), designations: BTreeSet::new() };
        };
        let ids: BTreeSet<String> = doc.keys(&positions).collect();
        let designation = |row: &String| {
            let (_, row) = doc.get(&positions, row).unwrap()?;
            match doc.get(&row, "designation").unwrap()? {
                (value, text) if value.is_object() => Some(doc.text(text).unwrap()),
                (value, _) => value.as_str().map(str::to_owned),
            }
        };
        Self { designations: ids.iter().filter_map(designation).collect(), ids }
    }
}
