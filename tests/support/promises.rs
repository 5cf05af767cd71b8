//! Changes that a server has acknowledged, which the document's file must contain.

use std::collections::BTreeSet;
use std::path::Path;

use automerge::{Automerge, ChangeHash, ROOT, ReadDoc};

#[derive(Clone, Default)]
pub struct Promises {
    /// Heads that the server sent to a peer.
    pub changes: BTreeSet<ChangeHash>,
    /// Rows whose addition was acknowledged.
    pub rows: BTreeSet<String>,
    /// Designations of rows that the server sent to a legacy client.
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

    /// Fails unless the document in the file contains everything acknowledged.
    pub fn are_kept_by(&self, state: &Path, round: u32) {
        let doc = Automerge::load(&std::fs::read(state).unwrap()).unwrap();
        self.are_kept_in(&doc, &format!("before round {round}"));
    }

    /// Fails unless this document contains everything acknowledged. `when` describes the moment.
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
    /// Empty if the document is not a plan.
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
