//! What the server has said before it was killed.

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
        for change in &self.changes {
            assert!(
                doc.get_change_by_hash(change).is_some(),
                "before round {round}: change {change} was shown, and is lost"
            );
        }
        let Some((_, positions)) = doc.get(ROOT, "positions").unwrap() else {
            return assert_eq!(self.len(), 0, "before round {round}: all is lost");
        };
        let rows: BTreeSet<String> = doc.keys(&positions).collect();
        let lost = self.rows.difference(&rows).next();
        assert_eq!(lost, None, "before round {round}: a row was acknowledged, and is lost");
        let designations: BTreeSet<String> = rows
            .iter()
            .filter_map(|row| {
                let (_, row) = doc.get(&positions, row).unwrap()?;
                match doc.get(&row, "designation").unwrap()? {
                    (value, text) if value.is_object() => Some(doc.text(text).unwrap()),
                    (value, _) => value.as_str().map(str::to_owned),
                }
            })
            .collect();
        let lost = self.shown.difference(&designations).next();
        assert_eq!(lost, None, "before round {round}: a row was shown, and is lost");
    }
}
