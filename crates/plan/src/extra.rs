//! What stands in a document beyond the schema. Other programs add fields of their own: nothing of them is dropped.

use std::collections::BTreeMap;

use automerge::{Automerge, ObjId, ObjType, ROOT, Value};
use serde_json::Value as Json;

use super::json_encoder::Encoder;
use super::position::{CURRENCY, DOCUMENT_ID, NAME, POSITIONS, TOTAL_BUDGET, UNIT};
use super::snapshot::Snapshot;

/// Bytes of JSON that may be shown of a row beyond the schema, about. What exceeds them is counted.
pub(super) const ROW_ROOM: usize = 64 << 10;
/// The same for the root of a document.
const ROOT_ROOM: usize = 256 << 10;

/// What stands in a position, or in the root of a document, beyond the schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra {
    /// By name: fields that the schema does not know, and values of `createdAt`, `updatedAt`, `updatedBy` or of a setting
    /// that are not of the schema's type. As JSON: see the encoding in `document/json.rs`.
    pub fields: BTreeMap<String, Json>,
    /// Of these fields, the values that lost against a concurrent write. In the root, also those of the settings.
    pub conflicts: BTreeMap<String, Vec<Json>>,
    /// What stands in the position's place, if that is no map. Such a position has no fields that could be changed.
    pub value: Option<Json>,
    /// How many values are not shown, because JSON does not hold them or because they exceed the bounds.
    pub omitted: usize,
}

impl Extra {
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.conflicts.is_empty() && self.value.is_none() && self.omitted == 0
    }

    /// How many values lost against a concurrent write.
    #[must_use]
    pub fn losing(&self) -> usize {
        self.conflicts.values().map(Vec::len).sum()
    }

    /// Adds the values that stand under a key, the winner last.
    pub(super) fn add(&mut self, key: &str, mut values: Vec<Json>) {
        let Some(winner) = values.pop() else { return };
        self.lose(key, &winner, values);
        self.fields.insert(key.to_owned(), winner);
    }

    /// Adds values that lost against this one.
    fn lose(&mut self, key: &str, winner: &Json, values: Vec<Json>) {
        let losing = distinct(values, Some(winner));
        if !losing.is_empty() {
            self.conflicts.insert(key.to_owned(), losing);
        }
    }
}

/// Whether a root key holds what the schema has there, so that it is shown as that.
fn is_of_schema(key: &str, value: &Value<'_>, shown: Option<&Json>) -> bool {
    match key {
        POSITIONS => matches!(value, Value::Object(ObjType::Map)),
        DOCUMENT_ID | NAME | CURRENCY => shown.is_some_and(Json::is_string),
        UNIT => shown.and_then(Json::as_f64).is_some_and(|unit| unit > 0.0),
        TOTAL_BUDGET => shown.and_then(Json::as_f64).is_some_and(|total| total >= 0.0),
        _ => false,
    }
}

/// Reads what stands in the root beyond the schema.
pub(super) fn read_root_extra(doc: &Automerge) -> Option<Box<Extra>> {
    let now = Snapshot::now(doc);
    let mut encoder = Encoder::new(now, ROOT_ROOM);
    let mut extra = Extra::default();
    for item in now.entries(&ROOT) {
        let id = item.id();
        let value: Value<'_> = item.value.into();
        let shown = now.show(&value, &id);
        let known = is_of_schema(&item.key, &value, shown.as_ref());
        if known && !item.conflict {
            continue;
        }
        let mut values = now.all(&ROOT, &*item.key);
        if item.key == POSITIONS {
            // All maps of positions are shown as one.
            values.retain(|(value, _)| !matches!(value, Value::Object(ObjType::Map)));
        }
        let encode = |(value, object): (Value<'_>, ObjId)| encoder.member(&item.key, &value, &object);
        let mut values: Vec<Json> = values.into_iter().filter_map(encode).collect();
        if known {
            let winner = if item.key == POSITIONS { None } else { values.pop() };
            extra.lose(&item.key, &winner.unwrap_or(Json::Null), values);
        } else {
            extra.add(&item.key, values);
        }
    }
    extra.omitted = encoder.omitted();
    (!extra.is_empty()).then(|| Box::new(extra))
}

/// The values, each once, and without `except`.
pub(super) fn distinct(values: Vec<Json>, except: Option<&Json>) -> Vec<Json> {
    let mut found: Vec<Json> = Vec::new();
    for value in values {
        if Some(&value) != except && !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
