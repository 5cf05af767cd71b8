//! [`Batch`]: many positions created, changed and deleted in one change.

use std::collections::{BTreeMap, HashSet};

use automerge::transaction::Transaction;
use automerge::{Automerge, AutomergeError, ObjId, ReadDoc};
use serde_json::Value as Json;

use super::bulk::{add_rows, positions_map};
use super::change::{Author, Done, EditError, commit};
use super::json_decoder::put_json;
use super::new_position::NewPosition;
use super::position::{candidates, position_maps};
use super::position_patch::{PositionPatch, PreparedDeletion, PreparedPatch};

/// Fields beyond the schema, as the JSON API shows them in `extra`.
pub type Extras = BTreeMap<String, Json>;

/// A position to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRow {
    /// The position.
    pub position: NewPosition,
    /// Its fields beyond the schema.
    pub extra: Extras,
}

/// Changes to one position.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    /// The position.
    pub id: String,
    /// The changes.
    pub patch: PositionPatch,
    /// Fields beyond the schema to be set. Others stay.
    pub extra: Extras,
}

/// Positions to be created, changed and deleted together. Each position may be in it once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// To be created.
    pub add: Vec<NewRow>,
    /// To be changed.
    pub change: Vec<RowChange>,
    /// Ids to be deleted.
    pub delete: Vec<String>,
}

impl Batch {
    /// Number of positions.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.add.len() + self.change.len() + self.delete.len()
    }
}

/// The changes of a position that have an effect.
struct PreparedChange<'a> {
    id: &'a str,
    patch: Option<PreparedPatch<'a>>,
    extra: &'a Extras,
}

/// Makes all edits of a batch as one change.
///
/// # Errors
/// When one is rejected: see [`EditError::InBatch`]. The document is unchanged then.
pub(super) fn run(doc: &mut Automerge, batch: &Batch, author: &Author) -> Result<Done, EditError> {
    let maps = position_maps(doc);
    let mut ids = HashSet::new();
    let mut once = |id: &str| match ids.insert(id.to_owned()) {
        true => Ok(()),
        false => Err(EditError::Invalid { field: "id", reason: "is in the batch twice".to_owned() }),
    };
    for (index, NewRow { position, .. }) in batch.add.iter().enumerate() {
        let is_free = once(&position.id).is_ok() && candidates(doc, &maps, &position.id).is_empty();
        let free = if is_free { Ok(()) } else { Err(EditError::Exists(position.id.clone())) };
        let check = position.validate().and(free);
        check.map_err(|error| within("add", index, error))?;
    }
    let mut changes = Vec::with_capacity(batch.change.len());
    for (index, RowChange { id, patch, extra }) in batch.change.iter().enumerate() {
        let prepared = once(id).and_then(|()| PreparedPatch::new(doc, &maps, id, patch));
        let patch = prepared.map_err(|error| within("change", index, error))?;
        if patch.is_some() || !extra.is_empty() {
            changes.push(PreparedChange { id, patch, extra });
        }
    }
    let mut deletions = Vec::with_capacity(batch.delete.len());
    for (index, id) in batch.delete.iter().enumerate() {
        let prepared = once(id).and_then(|()| PreparedDeletion::new(doc, &maps, id));
        deletions.push(prepared.map_err(|error| within("delete", index, error))?);
    }
    let counts = [("added", batch.add.len()), ("changed", changes.len()), ("deleted", deletions.len())];
    let said: Vec<String> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(verb, count)| format!("{verb} {count}")).collect();
    if said.is_empty() {
        return Ok(Done { changed: false });
    }
    commit(doc, author, format!("{}: {} positions", author.name, said.join(", ")), |tx| {
        deletions.iter().try_for_each(|deletion| deletion.write(tx))?;
        changes.iter().try_for_each(|change| change.write(tx, &maps, author))?;
        if batch.add.is_empty() {
            return Ok(());
        }
        let map = positions_map(tx, &maps)?;
        add_rows(tx, &map, batch.add.iter().map(|row| &row.position), author)?;
        batch.add.iter().try_for_each(|NewRow { position, extra }| put_extra(tx, &map, &position.id, extra))
    })
}

impl PreparedChange<'_> {
    fn write(&self, tx: &mut Transaction<'_>, maps: &[ObjId], author: &Author) -> Result<(), AutomergeError> {
        if let Some(patch) = &self.patch {
            patch.write(tx, author)?;
        }
        // The map that shows the position.
        let shown = maps.iter().rev().find(|map| matches!(tx.get(*map, self.id), Ok(Some(_)))).cloned();
        shown.map_or(Ok(()), |map| put_extra(tx, &map, self.id, self.extra))
    }
}

/// Sets fields beyond the schema in a row.
fn put_extra(tx: &mut Transaction<'_>, map: &ObjId, id: &str, extra: &Extras) -> Result<(), AutomergeError> {
    if extra.is_empty() {
        return Ok(());
    }
    let Some((_, row)) = tx.get(map, id)?.filter(|(value, _)| value.is_object()) else { return Ok(()) };
    extra.iter().try_for_each(|(key, value)| put_json(tx, &row, key, value))
}

fn within(list: &str, index: usize, error: EditError) -> EditError {
    EditError::InBatch { item: format!("{list}[{index}]"), error: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields::{BUDGET, DEPARTMENT};
    use crate::{Budget, Edit, Renderings, View, edit};

    fn run(doc: &mut Automerge, batch: Batch) -> Result<bool, EditError> {
        let author = Author { name: "cfo".to_owned(), now: 1_000 };
        edit::run(doc, &Edit::Batch(Box::new(batch)), &author).map(|done| done.changed)
    }

    fn new(id: &str) -> NewRow {
        NewRow { position: NewPosition::new(id, "Cook").with(BUDGET, Budget::Int(1)), extra: Extras::new() }
    }

    fn change(id: &str, budget: u64) -> RowChange {
        let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
        RowChange { id: id.to_owned(), patch, extra: Extras::new() }
    }

    /// A document with these positions.
    fn with(ids: &[&str]) -> Automerge {
        let mut doc = Automerge::new();
        let add = ids.iter().map(|id| new(id)).collect();
        assert!(run(&mut doc, Batch { add, ..Batch::default() }).unwrap());
        doc
    }

    fn budgets(doc: &Automerge) -> Vec<(String, Option<Budget>)> {
        let view = View::new(doc, Renderings::default());
        let rows = view.rows().map(|row| (row.position.id.to_string(), row.position.amount(BUDGET)));
        rows.collect()
    }

    #[test]
    fn batch_is_one_change_with_all_effects() {
        let mut doc = with(&["a", "b", "c"]);
        let batch = Batch { add: vec![new("d")], change: vec![change("a", 7)], delete: vec!["b".to_owned()] };
        assert_eq!(batch.rows(), 3);
        assert!(run(&mut doc, batch).unwrap());
        let amount = |budget| Some(Budget::Int(budget));
        let expected = [("a", amount(7)), ("c", amount(1)), ("d", amount(1))];
        assert_eq!(budgets(&doc), expected.map(|(id, budget)| (id.to_owned(), budget)));
        let changes = doc.get_changes(&[]);
        let said = changes.last().and_then(|change| change.message().map(|message| message.to_string()));
        assert_eq!((changes.len(), said.as_deref()), (2, Some("cfo: added 1, changed 1, deleted 1 positions")));
    }

    #[test]
    fn one_rejected_item_rejects_all() {
        let mut doc = with(&["a", "b"]);
        let before = doc.get_heads();
        let blank = NewRow { position: NewPosition::new("x", " "), extra: Extras::new() };
        for (batch, item) in [
            (
                Batch { add: vec![new("c"), new("a")], ..Batch::default() },
                "add[1]: there is a position with the id \"a\" already",
            ),
            (Batch { add: vec![new("c"), blank], ..Batch::default() }, "add[1]: designation: must not be empty"),
            (
                Batch { add: vec![new("c"), new("c")], ..Batch::default() },
                "add[1]: there is a position with the id \"c\" already",
            ),
            (
                Batch { change: vec![change("x", 1)], ..Batch::default() },
                "change[0]: there is no position with the id \"x\"",
            ),
            (
                Batch { change: vec![change("a", 5)], delete: vec!["b".into(), "a".into()], ..Batch::default() },
                "delete[1]: id: is in the batch twice",
            ),
        ] {
            assert_eq!(run(&mut doc, batch).unwrap_err().to_string(), item);
            assert_eq!(doc.get_heads(), before, "{item}");
        }
    }

    #[test]
    fn batch_without_effect_makes_no_change() {
        let mut doc = with(&["a"]);
        let before = doc.get_heads();
        assert!(!run(&mut doc, Batch { change: vec![change("a", 1)], ..Batch::default() }).unwrap());
        assert!(!run(&mut doc, Batch::default()).unwrap());
        assert_eq!(doc.get_heads(), before);
    }

    #[test]
    fn fields_beyond_the_schema_are_written() {
        let mut doc = with(&["a"]);
        let extra: Extras = serde_json::from_value(json!({ "headcount": 3, "skills": ["Rust"] })).unwrap();
        let added = NewRow { position: NewPosition::new("b", "Cook").with(DEPARTMENT, "HR"), extra: extra.clone() };
        let changed = RowChange { extra: extra.clone(), ..change("a", 1) };
        assert!(run(&mut doc, Batch { add: vec![added], change: vec![changed], ..Batch::default() }).unwrap());
        let view = View::new(&doc, Renderings::default());
        for row in view.rows() {
            assert_eq!(row.position.extra.as_ref().map(|shown| &shown.fields), Some(&extra), "{}", row.position.id);
        }
    }
}
