//! Merging single rows of a scenario into its plan.
//!
//! The changes of a scenario can only be merged as a whole. A row is therefore taken over by a new change of the person who merges.
//! It is written on top of the state that both documents had in common, so that a field that both have edited becomes a conflict,
//! as in a merge. Values are copied whole, with those that the schema does not know. Rows keep their ids. Of shared maps, single entries
//! are written, so that both documents may have created one.

use std::collections::BTreeSet;

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, Value};

use super::change::{Author, EditError, commit_at};
use super::position::{POSITIONS, position_maps_at};
use super::shared_map::{SHARED_MAPS, SharedMap};
use super::snapshot::Snapshot;

/// Levels of nested values that are copied.
const MAX_DEPTH: usize = 32;

/// The name under which the settings of the plan are picked. No position has an empty id.
pub const SETTINGS: &str = "";

/// Rows of a scenario, to be written into the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Pick {
    /// The rows.
    pub rows: Vec<PickedRow>,
    /// The heads of the scenario from which the rows were read.
    pub scenario_heads: Vec<ChangeHash>,
    /// Whether nothing of the scenario is left.
    pub is_rest: bool,
}

/// What a scenario has done to a row.
#[derive(Debug, Clone, PartialEq)]
pub struct PickedRow {
    /// The id of the row, or [`SETTINGS`].
    pub id: String,
    /// The heads of the plan on top of which the row is written.
    pub base: Vec<ChangeHash>,
    /// The changed values; `None` if the scenario has deleted the row.
    pub writes: Option<Vec<Write>>,
}

/// A value in a row that a scenario has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The keys from the row to the value.
    path: Vec<String>,
    /// `None` if the scenario has deleted it.
    value: Option<Copied>,
}

/// A copied value.
#[derive(Debug, Clone, PartialEq)]
enum Copied {
    Scalar(ScalarValue),
    Text(String),
    Map(Vec<(String, Copied)>),
    List(Vec<Copied>),
}

/// Reads what a scenario has done to a row since `before`. `None` if nothing.
pub(super) fn read(scenario: &Automerge, before: &[ChangeHash], id: &str, base: Vec<ChangeHash>) -> Option<PickedRow> {
    let (then, now) = (Snapshot::at(scenario, before), Snapshot::now(scenario));
    let row = |snapshot: Snapshot<'_>| {
        let map = position_maps_at(snapshot).pop()?;
        let (value, object) = snapshot.all(&map, id).pop()?;
        matches!(value, Value::Object(ObjType::Map)).then_some(object)
    };
    let writes = match (row(then), row(now)) {
        (None, None) => return None,
        (Some(_), None) => None,
        (old, Some(new)) => {
            let mut writes = Vec::new();
            compare((then, old.as_ref()), (now, &new), &mut Vec::new(), &mut writes);
            Some(writes)
        }
    };
    let is_nothing = writes.as_ref().is_some_and(Vec::is_empty);
    (!is_nothing).then(|| PickedRow { id: id.to_owned(), base, writes })
}

/// Reads what a scenario has done to these root keys since `before`. `None` if nothing.
pub(super) fn read_settings(
    scenario: &Automerge,
    before: &[ChangeHash],
    keys: &BTreeSet<String>,
    base: Vec<ChangeHash>,
) -> Option<PickedRow> {
    let (then, now) = (Snapshot::at(scenario, before), Snapshot::now(scenario));
    let mut writes = Vec::new();
    let shared_map = |snapshot: Snapshot<'_>, key: &str| match snapshot.all(&ROOT, key).pop() {
        Some((Value::Object(ObjType::Map), map)) if SHARED_MAPS.iter().any(|shared| shared.key == key) => Some(map),
        _ => None,
    };
    for key in keys {
        match shared_map(now, key) {
            Some(map) => {
                let old = shared_map(then, key);
                compare((then, old.as_ref()), (now, &map), &mut vec![key.clone()], &mut writes);
            }
            None => compare_key((then, Some(&ROOT)), (now, &ROOT), key, &mut Vec::new(), &mut writes),
        }
    }
    (!writes.is_empty()).then(|| PickedRow { id: SETTINGS.to_owned(), base, writes: Some(writes) })
}

/// Collects what differs between two states of a map.
fn compare(
    old: (Snapshot<'_>, Option<&ObjId>),
    new: (Snapshot<'_>, &ObjId),
    path: &mut Vec<String>,
    writes: &mut Vec<Write>,
) {
    let mut keys: BTreeSet<String> = new.0.keys(new.1).into_iter().collect();
    keys.extend(old.1.map(|object| old.0.keys(object)).unwrap_or_default());
    for key in keys {
        compare_key(old, new, &key, path, writes);
    }
}

fn compare_key(
    old: (Snapshot<'_>, Option<&ObjId>),
    new: (Snapshot<'_>, &ObjId),
    key: &str,
    path: &mut Vec<String>,
    writes: &mut Vec<Write>,
) {
    let before = old.1.and_then(|object| old.0.all(object, key).pop());
    let after = new.0.all(new.1, key).pop();
    path.push(key.to_owned());
    match (before, after) {
        // The same map: both documents have it, so only what differs in it is written.
        (Some((Value::Object(ObjType::Map), one)), Some((Value::Object(ObjType::Map), other)))
            if one == other && path.len() < MAX_DEPTH =>
        {
            compare((old.0, Some(&one)), (new.0, &other), path, writes);
        }
        (before, after) => {
            let copied = |snapshot: Snapshot<'_>, found: Option<(Value<'_>, ObjId)>| {
                found.and_then(|(value, object)| copy(snapshot, &value, &object, path.len()))
            };
            let (before, after) = (copied(old.0, before), copied(new.0, after));
            if before != after {
                writes.push(Write { path: path.clone(), value: after });
            }
        }
    }
    path.pop();
}

/// Copies a value. `None` beyond [`MAX_DEPTH`].
fn copy(snapshot: Snapshot<'_>, value: &Value<'_>, object: &ObjId, depth: usize) -> Option<Copied> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value {
        Value::Scalar(scalar) => Copied::Scalar(scalar.clone().into_owned()),
        Value::Object(ObjType::Text) => Copied::Text(snapshot.text(object)),
        Value::Object(ObjType::Map | ObjType::Table) => {
            let mut entries = Vec::new();
            for key in snapshot.keys(object) {
                let (value, object) = snapshot.all(object, key.as_str()).pop()?;
                entries.push((key, copy(snapshot, &value, &object, depth + 1)?));
            }
            Copied::Map(entries)
        }
        Value::Object(ObjType::List) => {
            let mut items = Vec::new();
            for index in 0..snapshot.length(object) {
                let (value, object) = snapshot.all(object, index).pop()?;
                items.push(copy(snapshot, &value, &object, depth + 1)?);
            }
            Copied::List(items)
        }
    })
}

/// Checks whether the plan has the changes on top of which the rows are written. Automerge ignores unknown heads.
pub(super) fn check(doc: &Automerge, pick: &Pick) -> Result<(), EditError> {
    let knows_all = |heads: &[ChangeHash]| heads.iter().all(|head| doc.get_change_meta_by_hash(head).is_some());
    if pick.rows.iter().all(|row| knows_all(&row.base)) { Ok(()) } else { Err(EditError::Changed) }
}

/// Writes the rows into the plan, each on top of its base. Returns the heads of the plan afterwards.
pub(super) fn write(doc: &mut Automerge, pick: &Pick, author: &Author) -> Result<Vec<ChangeHash>, EditError> {
    let mut rest: Vec<&PickedRow> = pick.rows.iter().collect();
    while let Some(base) = rest.first().map(|row| row.base.clone()) {
        let (rows, others): (Vec<&PickedRow>, Vec<&PickedRow>) = rest.into_iter().partition(|row| row.base == base);
        rest = others;
        write_at(doc, &base, &rows, author)?;
    }
    Ok(doc.get_heads())
}

/// The shared maps of which rows write entries.
fn shared_maps(rows: &[&PickedRow]) -> Vec<SharedMap> {
    let settings = rows.iter().filter(|row| row.id == SETTINGS).flat_map(|row| row.writes.iter().flatten());
    let keys: BTreeSet<&str> =
        settings.filter(|write| write.path.len() > 1).map(|write| write.path[0].as_str()).collect();
    SHARED_MAPS.into_iter().filter(|map| keys.contains(map.key)).collect()
}

fn write_at(doc: &mut Automerge, base: &[ChangeHash], rows: &[&PickedRow], author: &Author) -> Result<(), EditError> {
    let mut base = base.to_vec();
    for map in shared_maps(rows) {
        map.prepare(doc)?;
        if Snapshot::at(doc, &base).all(&ROOT, map.key).is_empty() {
            base.extend(map.hash().filter(|hash| doc.get_change_meta_by_hash(hash).is_some()));
        }
    }
    let message = format!("{}: merged {} positions of a scenario", author.name, rows.len());
    commit_at(doc, &base, author, message, |tx| rows.iter().try_for_each(|row| write_row(tx, row)))?;
    Ok(())
}

fn write_row(tx: &mut Transaction<'_>, row: &PickedRow) -> Result<(), AutomergeError> {
    if row.id == SETTINGS {
        let writes = row.writes.as_deref().unwrap_or_default();
        return writes.iter().try_for_each(|write| write_value(tx, &ROOT, &write.path, write.value.as_ref()));
    }
    let map = open_map(tx, &ROOT, POSITIONS)?;
    let Some(writes) = &row.writes else {
        return if tx.get(&map, row.id.as_str())?.is_some() { tx.delete(&map, row.id.as_str()) } else { Ok(()) };
    };
    let object = open_map(tx, &map, &row.id)?;
    writes.iter().try_for_each(|write| write_value(tx, &object, &write.path, write.value.as_ref()))
}

fn open_map(tx: &mut Transaction<'_>, object: &ObjId, key: &str) -> Result<ObjId, AutomergeError> {
    match tx.get(object, key)? {
        Some((Value::Object(ObjType::Map), map)) => Ok(map),
        _ => tx.put_object(object, key, ObjType::Map),
    }
}

fn write_value(
    tx: &mut Transaction<'_>,
    object: &ObjId,
    path: &[String],
    value: Option<&Copied>,
) -> Result<(), AutomergeError> {
    let Some((key, parents)) = path.split_last() else { return Ok(()) };
    let mut object = object.clone();
    for parent in parents {
        object = open_map(tx, &object, parent)?;
    }
    match value {
        None if tx.get(&object, key.as_str())?.is_some() => tx.delete(&object, key.as_str()),
        None => Ok(()),
        Some(Copied::Scalar(scalar)) => tx.put(&object, key.as_str(), scalar.clone()),
        Some(Copied::Text(text)) => {
            let object = tx.put_object(&object, key.as_str(), ObjType::Text)?;
            tx.splice_text(object, 0, 0, text)
        }
        Some(Copied::Map(entries)) => {
            let object = tx.put_object(&object, key.as_str(), ObjType::Map)?;
            entries.iter().try_for_each(|(key, value)| write_value(tx, &object, std::slice::from_ref(key), Some(value)))
        }
        Some(Copied::List(items)) => {
            let object = tx.put_object(&object, key.as_str(), ObjType::List)?;
            items.iter().enumerate().try_for_each(|(index, value)| insert(tx, &object, index, value))
        }
    }
}

fn insert(tx: &mut Transaction<'_>, list: &ObjId, index: usize, value: &Copied) -> Result<(), AutomergeError> {
    match value {
        Copied::Scalar(scalar) => tx.insert(list, index, scalar.clone()),
        Copied::Text(text) => {
            let object = tx.insert_object(list, index, ObjType::Text)?;
            tx.splice_text(object, 0, 0, text)
        }
        Copied::Map(entries) => {
            let object = tx.insert_object(list, index, ObjType::Map)?;
            entries.iter().try_for_each(|(key, value)| write_value(tx, &object, std::slice::from_ref(key), Some(value)))
        }
        Copied::List(items) => {
            let object = tx.insert_object(list, index, ObjType::List)?;
            items.iter().enumerate().try_for_each(|(index, value)| insert(tx, &object, index, value))
        }
    }
}

#[cfg(test)]
mod tests;
