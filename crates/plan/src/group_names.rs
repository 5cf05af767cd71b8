//! Names of departments: spellings that differ only in case, width, spacing or invisible characters are one group.
//!
//! The dashboard groups and names them by the same rules; both are tested with `tests/fixtures/texts.json`.

use std::collections::{BTreeMap, HashMap};

use primitives::{fold_text, trim_text};

/// Folds names, and remembers the results: many positions share few names.
#[derive(Default)]
pub(super) struct Folder(HashMap<String, String>);

impl Folder {
    /// The folded name.
    pub(super) fn fold(&mut self, name: &str) -> String {
        if let Some(folded) = self.0.get(name) {
            return folded.clone();
        }
        let folded = fold_text(name);
        self.0.insert(name.to_owned(), folded.clone());
        folded
    }
}

/// The spellings of a name, each with the number of positions.
#[derive(Debug, Default)]
pub(super) struct Spellings(BTreeMap<String, i64>);

impl Spellings {
    /// Counts `count` more positions with this spelling.
    pub(super) fn add(&mut self, name: &str, count: i64) {
        *self.0.entry(trim_text(name).to_owned()).or_default() += count;
    }

    /// The most frequent spelling; of equally frequent ones, the first by UTF-16 code units, as JavaScript sorts them. `None` without
    /// positions.
    pub(super) fn name(&self) -> Option<&str> {
        let used = self.0.iter().filter(|(_, count)| **count > 0);
        let best = used.max_by(|(one, count), (other, more)| {
            count.cmp(more).then_with(|| other.encode_utf16().cmp(one.encode_utf16()))
        });
        best.map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn groups_are_named_as_in_the_dashboard() {
        let rules: Value = serde_json::from_str(include_str!("../../../tests/fixtures/texts.json")).unwrap();
        let groups = rules["groups"].as_array().unwrap();
        assert!(groups.len() > 5);
        for group in groups {
            let (mut folder, mut spellings) = (Folder::default(), Spellings::default());
            let names: Vec<&str> = group["spellings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            for name in &names {
                assert_eq!(folder.fold(name), folder.fold(names[0]), "{group}");
                spellings.add(name, 1);
            }
            assert_eq!(spellings.name(), group["name"].as_str(), "{group}");
        }
    }

    #[test]
    fn spelling_of_no_position_names_nothing() {
        let mut spellings = Spellings::default();
        spellings.add("HR", 2);
        spellings.add("HR", -2);
        assert_eq!(spellings.name(), None);
        spellings.add("hr", 1);
        assert_eq!(spellings.name(), Some("hr"));
    }
}
