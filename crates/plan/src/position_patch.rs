//! Changes and deletions of one position, prepared before the transaction that writes them.

use std::sync::Arc;

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ObjId, ScalarValue};

use super::change::{Author, EditError, delete_if_present, put_number, put_text};
use super::fields::{DESIGNATION, FieldId, FieldKind, FieldMap, FieldValue};
use super::new_position::check_field;
use super::position::{Position, UPDATED_AT, UPDATED_BY, candidates, read_position};

/// Changes to one position.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PositionPatch {
    /// The new value of each field; `None` leaves the field unchanged.
    pub fields: FieldMap<Option<FieldValue>>,
}

impl PositionPatch {
    /// A patch that sets one field.
    #[must_use]
    pub fn set(field: FieldId, value: impl Into<FieldValue>) -> Self {
        Self::default().with(field, value)
    }

    /// Sets another field.
    #[must_use]
    pub fn with(mut self, field: FieldId, value: impl Into<FieldValue>) -> Self {
        self.fields[field] = Some(value.into());
        self
    }
}

/// The changes of a patch that have an effect.
pub(super) struct PreparedPatch<'a> {
    /// The row's map.
    row: ObjId,
    /// The maps of rows that lost their place to it.
    losing: Vec<ObjId>,
    changes: Vec<(FieldId, &'a FieldValue)>,
    /// Name of the position before the change.
    name: String,
}

impl<'a> PreparedPatch<'a> {
    /// Compares a patch with the position. `None` if it changes nothing.
    pub(super) fn new(
        doc: &Automerge,
        maps: &[ObjId],
        id: &str,
        patch: &'a PositionPatch,
    ) -> Result<Option<Self>, EditError> {
        let wanted = || patch.fields.iter().filter_map(|(field, value)| Some((field, value.as_ref()?)));
        wanted().try_for_each(|(field, value)| check_field(field, value))?;
        let not_found = || EditError::NotFound(id.to_owned());
        let mut found = candidates(doc, maps, id);
        let row = found.pop().ok_or_else(not_found)?.row.ok_or_else(|| EditError::NotAMap(id.to_owned()))?;
        let losing: Vec<ObjId> = found.into_iter().filter_map(|candidate| candidate.row).collect();
        let now = read_position(doc, maps, &Arc::from(id)).ok_or_else(not_found)?.position;
        let mut changes: Vec<(FieldId, &FieldValue)> =
            wanted().filter(|(field, value)| is_change(&now, *field, value)).collect();
        // Texts come before amounts in the message and in the operations.
        changes.sort_by_key(|(field, _)| field.kind() == FieldKind::Amount);
        let name = name_of(&now).unwrap_or_else(|| id.to_owned());
        Ok((!changes.is_empty()).then_some(Self { row, losing, changes, name }))
    }

    /// The position and its changes, as the change message says them.
    pub(super) fn said(&self) -> String {
        let said: Vec<String> = self.changes.iter().map(|(field, value)| describe_change(*field, value)).collect();
        format!("{}: {}", self.name, said.join(", "))
    }

    pub(super) fn write(&self, tx: &mut Transaction<'_>, author: &Author) -> Result<(), AutomergeError> {
        let Self { row, losing, changes, .. } = self;
        for (field, value) in changes {
            if value.unsets(field.kind()) {
                delete_if_present(tx, row, field.key())?;
            } else {
                put_field(tx, row, *field, value)?;
            }
        }
        // Two positions under one id are shown as one. Deleting the field from the losing rows settles their conflict about
        // it; their other fields stay.
        for (field, _) in changes {
            losing.iter().try_for_each(|row| delete_if_present(tx, row, field.key()))?;
        }
        tx.put(row, UPDATED_AT, ScalarValue::Timestamp(author.now))?;
        put_text(tx, row, UPDATED_BY, &author.name)
    }
}

/// The deletion of a position.
pub(super) struct PreparedDeletion<'a> {
    id: &'a str,
    /// The maps of positions that have it.
    maps: Vec<ObjId>,
    /// Name of the position.
    pub(super) name: String,
}

impl<'a> PreparedDeletion<'a> {
    pub(super) fn new(doc: &Automerge, maps: &[ObjId], id: &'a str) -> Result<Self, EditError> {
        let found = candidates(doc, maps, id);
        if found.is_empty() {
            return Err(EditError::NotFound(id.to_owned()));
        }
        let name = read_position(doc, maps, &Arc::from(id))
            .and_then(|reading| name_of(&reading.position))
            .unwrap_or_else(|| id.to_owned());
        let mut maps: Vec<ObjId> = found.into_iter().map(|candidate| candidate.map).collect();
        maps.dedup();
        Ok(Self { id, maps, name })
    }

    pub(super) fn write(&self, tx: &mut Transaction<'_>) -> Result<(), AutomergeError> {
        self.maps.iter().try_for_each(|map| tx.delete(map, self.id))
    }
}

/// Whether setting a field to `value` changes the position. Writing the same value again changes it only if that settles a
/// conflict.
fn is_change(position: &Position, field: FieldId, value: &FieldValue) -> bool {
    let current = position.fields[field].as_ref();
    if value.unsets(field.kind()) {
        return current.is_some();
    }
    let is_same = match value {
        FieldValue::Text(text) => position.text(field) == Some(text),
        FieldValue::Amount(amount) => current.and_then(serde_json::Value::as_f64) == Some(amount.as_f64()),
        FieldValue::Unset => current.is_none(),
    };
    !is_same || position.conflicts.contains_key(field.key())
}

/// A change of a field as the change message says it.
fn describe_change(field: FieldId, value: &FieldValue) -> String {
    match value {
        value if value.unsets(field.kind()) => format!("no {field}"),
        FieldValue::Text(text) => format!("{field} {text}"),
        FieldValue::Amount(amount) => format!("{field} {amount}"),
        FieldValue::Unset => format!("no {field}"),
    }
}

/// Writes a field. A value that unsets the field writes nothing.
fn put_field(tx: &mut Transaction<'_>, row: &ObjId, field: FieldId, value: &FieldValue) -> Result<(), AutomergeError> {
    match value {
        value if value.unsets(field.kind()) => Ok(()),
        FieldValue::Text(text) => put_text(tx, row, field.key(), text),
        FieldValue::Amount(amount) => put_number(tx, row, field.key(), *amount),
        FieldValue::Unset => Ok(()),
    }
}

fn name_of(position: &Position) -> Option<String> {
    position.text(DESIGNATION).map(str::to_owned)
}
