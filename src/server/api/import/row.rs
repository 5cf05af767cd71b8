//! A row of a file: the position that it describes, as far as the file says.

use plan::position::{CREATED_AT, UPDATED_AT, UPDATED_BY};
use plan::{
    Budget, Extras, FieldId, FieldKind, FieldMap, FieldValue, LastEdit, NewPosition, NewRow, Position, PositionPatch,
    RowChange, check_position_id, csv as table,
};
use primitives::{check_author_name, is_blank};
use serde_json::Value as Json;

/// A row of a file.
#[derive(Debug, Default, PartialEq)]
pub struct ImportedRow {
    /// `None`: a new position.
    pub id: Option<String>,
    /// The fields that the file has.
    pub fields: FieldMap<Option<FieldValue>>,
    /// In milliseconds since 1970.
    pub created_at: Option<i64>,
    /// In milliseconds since 1970.
    pub updated_at: Option<i64>,
    /// The last editor.
    pub updated_by: Option<String>,
    /// Fields beyond the schema.
    pub extra: Extras,
    /// Whether the row is from a table, whose cells do not tell numbers from texts of digits.
    pub is_of_table: bool,
}

impl ImportedRow {
    /// Sets a field from JSON. Adds the reason to `problems` if it has another type.
    pub fn set(&mut self, field: FieldId, value: &Json, problems: &mut Vec<String>) {
        let value = match (field.kind(), value) {
            (FieldKind::Text { .. }, Json::String(text)) => FieldValue::Text(text.clone()),
            (FieldKind::Text { .. }, Json::Null) => FieldValue::Text(String::new()),
            (FieldKind::Text { .. }, _) => return problems.push(format!("{field}: must be text")),
            (_, Json::Null) => FieldValue::Unset,
            (FieldKind::Amount, value) => match Budget::from_json(value) {
                Ok(amount) => FieldValue::Amount(amount),
                Err(error) => return problems.push(format!("{field}: {error}")),
            },
            (FieldKind::Choice(_) | FieldKind::Month, Json::String(text)) => FieldValue::Text(text.clone()),
            (FieldKind::Choice(_) | FieldKind::Month, _) => return problems.push(format!("{field}: must be text")),
        };
        self.fields[field] = Some(value);
    }

    /// Sets the id.
    pub fn set_id(&mut self, id: &str, problems: &mut Vec<String>) {
        match check_position_id(id) {
            Ok(()) => self.id = Some(id.to_owned()),
            Err(error) => problems.push(format!("id: {error}")),
        }
    }

    /// Sets the last editor.
    pub fn set_editor(&mut self, name: &str, problems: &mut Vec<String>) {
        if is_blank(name) {
            return;
        }
        match check_author_name(name) {
            Ok(name) => self.updated_by = Some(name.to_owned()),
            Err(error) => problems.push(format!("updatedBy: {error}")),
        }
    }

    /// Checks the values of the fields. `existing`: the position that has the row's id.
    pub fn check(&self, existing: Option<&Position>, problems: &mut Vec<String>) {
        for (field, value) in self.fields.iter() {
            match value {
                Some(value) => {
                    if let Err(reason) = value.check(field) {
                        problems.push(format!("{field}: {reason}"));
                    }
                }
                None if existing.is_none() && field.is_required() => problems.push(format!("{field}: is missing")),
                None => {}
            }
        }
        let current = existing.and_then(|position| position.extra.as_ref()).map(|extra| &extra.fields);
        for (key, value) in &self.extra {
            if !is_beyond_schema(key, value, existing.is_none()) && current.and_then(|now| now.get(key)) != Some(value)
            {
                problems.push(format!("extra.{key}: the schema has a field of this name; give the value there"));
            }
        }
    }

    /// Leaves out what the position has already. A file contains all fields: writing them again would settle conflicts that nobody has
    /// decided about.
    pub fn leave_out_same(&mut self, position: &Position) {
        for field in FieldId::all() {
            let Some(value) = &self.fields[field] else { continue };
            let is_same = match value {
                value if value.unsets(field.kind()) => {
                    position.fields[field].is_none() || self.extra.contains_key(field.key())
                }
                FieldValue::Text(text) if text.is_empty() && position.fields[field].is_none() => true,
                FieldValue::Text(text) => position.text(field).is_some_and(|now| *now == **text),
                FieldValue::Amount(amount) => position.amount(field) == Some(*amount),
                FieldValue::Unset => false,
            };
            if is_same {
                self.fields[field] = None;
            }
        }
    }

    /// The row as a new position. `id` is for a row without one.
    #[must_use]
    pub fn into_new(self, id: impl FnOnce() -> String) -> NewRow {
        let mut position = NewPosition::new(self.id.unwrap_or_else(id), "");
        position.created_at = self.created_at;
        // Without a last edit in the file, such as in a table made by hand, the import is the last edit.
        position.updated = (self.updated_by.is_some() || self.updated_at.is_some())
            .then(|| LastEdit { by: self.updated_by, at: self.updated_at.or(self.created_at) });
        for (field, value) in self.fields.iter() {
            position.fields[field] = value.clone().unwrap_or(FieldValue::empty(field.kind()));
        }
        NewRow { position, extra: self.extra }
    }

    /// The row as changes of the position that has this id. `None` if nothing changes. `current`: the fields beyond the schema that it
    /// has.
    #[must_use]
    pub fn into_change(self, id: String, current: Option<&Extras>) -> Option<RowChange> {
        let is_same = |now: &Json, value: &Json| {
            now == value || self.is_of_table && table::cell_text(now) == table::cell_text(value)
        };
        let mut extra = self.extra;
        extra.retain(|key, value| !current.and_then(|now| now.get(key)).is_some_and(|now| is_same(now, value)));
        let is_change = !extra.is_empty() || self.fields.iter().any(|(_, value)| value.is_some());
        is_change.then_some(RowChange { id, patch: PositionPatch { fields: self.fields }, extra })
    }
}

/// Whether a field of `extra` is beyond the schema. A new position may also have a time or a name of the wrong type, as exports show it
/// there.
fn is_beyond_schema(key: &str, value: &Json, is_new: bool) -> bool {
    match key {
        CREATED_AT | UPDATED_AT => is_new && !value.is_number(),
        UPDATED_BY => is_new && !value.is_string(),
        key => FieldId::from_key(key).is_none(),
    }
}
