//! Content of a document beyond the schema: fields that other programs have added. It is shown, and kept by edits.

use std::collections::BTreeMap;

use automerge::{Automerge, ObjId, ObjType, ROOT, Value};
use serde_json::Value as Json;

use super::document_id::document_of_url;
use super::json_encoder::Encoder;
use super::position::{
    ARCHIVED, CURRENCY, DEPARTMENT_BUDGETS, DOCUMENT_ID, NAME, POSITIONS, PREDECESSOR, SUCCESSOR, TOTAL_BUDGET, UNIT,
    YEAR_START,
};
use super::shared_map::{COLUMNS_MAP, SCENARIOS_MAP};
use super::snapshot::Snapshot;
use super::{Month, root_map};

/// Approximate limit of the JSON that is shown of a row beyond the schema, in bytes. Values beyond it are counted as omitted.
pub(super) const MAX_ROW_BYTES: usize = 64 << 10;
/// The same limit for the root of a document.
pub(super) const MAX_ROOT_BYTES: usize = 256 << 10;
/// Root keys of maps whose entries are shown one by one.
const SHOWN_MAPS: [&str; 3] = [DEPARTMENT_BUDGETS, SCENARIOS_MAP.key, COLUMNS_MAP.key];

/// Content of a position, or of the root of a document, beyond the schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra {
    /// Fields that the schema does not know, and values of `createdAt`, `updatedAt`, `updatedBy` or of a setting that are not of
    /// the schema's type. By key, as JSON in the encoding of the module `json_encoder`.
    pub fields: BTreeMap<String, Json>,
    /// The values of these fields that lost against a concurrent write, by key. In the root also those of the settings, and those of
    /// the entries of `departmentBudgets`, `scenarios` and `columns` under `departmentBudgets.<department>` and so on.
    pub conflicts: BTreeMap<String, Vec<Json>>,
    /// The value in the place of a position, if it is not a map. Such a position has no fields and cannot be edited.
    pub value: Option<Json>,
    /// Number of values that are not shown, because JSON cannot represent them or because they exceed the limits.
    pub omitted: usize,
}

impl Extra {
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.conflicts.is_empty() && self.value.is_none() && self.omitted == 0
    }

    /// Number of values that lost against a concurrent write.
    #[must_use]
    pub fn losing(&self) -> usize {
        self.conflicts.values().map(Vec::len).sum()
    }

    /// Adds the values under a key, the winner last.
    pub(super) fn add(&mut self, key: &str, mut values: Vec<Json>) {
        let Some(winner) = values.pop() else { return };
        self.lose(key, &winner, values);
        self.fields.insert(key.to_owned(), winner);
    }

    /// Adds values that lost against `winner`.
    fn lose(&mut self, key: &str, winner: &Json, values: Vec<Json>) {
        let losing = distinct(values, Some(winner));
        if !losing.is_empty() {
            self.conflicts.insert(key.to_owned(), losing);
        }
    }
}

/// Whether a root key holds a value of the schema's type.
fn is_of_schema(key: &str, value: &Value<'_>, shown: Option<&Json>) -> bool {
    match key {
        key if key == POSITIONS || SHOWN_MAPS.contains(&key) => matches!(value, Value::Object(ObjType::Map)),
        DOCUMENT_ID | NAME | CURRENCY => shown.is_some_and(Json::is_string),
        UNIT => shown.and_then(Json::as_f64).is_some_and(|unit| unit > 0.0),
        YEAR_START => shown.and_then(Json::as_str).is_some_and(|month| Month::parse(month).is_some()),
        SUCCESSOR | PREDECESSOR => shown.and_then(Json::as_str).is_some_and(|url| document_of_url(url).is_some()),
        ARCHIVED => shown.is_some_and(Json::is_boolean),
        TOTAL_BUDGET => shown.and_then(Json::as_f64).is_some_and(|total| total >= 0.0),
        _ => false,
    }
}

/// Reads the content of the root beyond the schema.
pub(super) fn read_root_extra(doc: &Automerge) -> Option<Box<Extra>> {
    let now = Snapshot::now(doc);
    let mut encoder = Encoder::new(now, MAX_ROOT_BYTES);
    let mut extra = Extra::default();
    for item in now.entries(&ROOT) {
        let id = item.id();
        let value: Value<'_> = item.value.into();
        let shown = now.show(&value, &id);
        let known = is_of_schema(&item.key, &value, shown.as_ref());
        if known && SHOWN_MAPS.contains(&&*item.key) {
            let reading = root_map::read(now, &id);
            let conflicts = reading.conflicts.into_iter();
            extra.conflicts.extend(conflicts.map(|(name, losing)| (format!("{}.{name}", item.key), losing)));
            extra.omitted += reading.omitted;
        }
        if known && !item.conflict {
            continue;
        }
        let mut values = now.all(&ROOT, &*item.key);
        if item.key == POSITIONS {
            // All maps of positions are shown as one map.
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
    extra.omitted += encoder.omitted();
    (!extra.is_empty()).then(|| Box::new(extra))
}

/// The distinct values, without `except`.
pub(super) fn distinct(values: Vec<Json>, except: Option<&Json>) -> Vec<Json> {
    let mut found: Vec<Json> = Vec::new();
    for value in values {
        if Some(&value) != except && !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
