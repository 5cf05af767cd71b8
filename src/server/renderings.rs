//! Renders positions for the JSON API and for CSV.

use std::collections::BTreeMap;

use plan::{Position, Renderings, csv};
use primitives::iso_ms;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

/// The formats in which a view renders each row. `additional` is the format of the additional surface.
#[must_use]
pub const fn renderings(additional: fn(&Position, &mut Vec<u8>)) -> Renderings {
    Renderings { json, additional, csv: |position, out| csv::write_position(out, position) }
}

/// The formats without an additional surface.
pub const JSON_AND_CSV: Renderings = renderings(|_, _| ());

/// Serializes a position for the JSON API. `api::schemas::Position` describes the result.
struct JsonPosition<'a>(&'a Position);

impl Serialize for JsonPosition<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Position { id, fields, created_at, updated_at, updated_by, conflicts, extra } = self.0;
        let mut object = serializer.serialize_struct("Position", plan::FIELDS.len() + 8)?;
        object.serialize_field("id", &**id)?;
        for (field, value) in fields.iter() {
            if value.is_none() && field.kind().is_optional() {
                object.skip_field(field.key())?;
            } else {
                object.serialize_field(field.key(), value)?;
            }
        }
        object.serialize_field("createdAt", &created_at.map(time))?;
        object.serialize_field("updatedAt", &updated_at.map(time))?;
        object.serialize_field("updatedBy", updated_by)?;
        let conflicts = Conflicts(conflicts, extra.as_ref().map(|extra| &extra.conflicts));
        if !conflicts.is_empty() {
            object.serialize_field("conflicts", &conflicts)?;
        }
        if let Some(extra) = extra {
            if let Some(value) = &extra.value {
                object.serialize_field("value", value)?;
            }
            if !extra.fields.is_empty() {
                object.serialize_field("extra", &extra.fields)?;
            }
            if extra.omitted > 0 {
                object.serialize_field("omitted", &extra.omitted)?;
            }
        }
        object.end()
    }
}

/// Values that lost against a concurrent write: of fields of the schema, and of fields beyond it.
struct Conflicts<'a>(&'a BTreeMap<&'static str, Vec<Json>>, Option<&'a BTreeMap<String, Vec<Json>>>);

impl Conflicts<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1.is_none_or(BTreeMap::is_empty)
    }
}

impl Serialize for Conflicts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = self.0.iter().map(|(field, values)| (*field, values));
        let others = self.1.into_iter().flatten().map(|(field, values)| (field.as_str(), values));
        serializer.collect_map(known.chain(others))
    }
}

/// Appends a position as JSON.
pub fn json(position: &Position, out: &mut Vec<u8>) {
    // Writing JSON values to memory cannot fail.
    let _ = serde_json::to_writer(out, &JsonPosition(position));
}

/// A time as ISO 8601, or as its number of milliseconds if ISO 8601 cannot represent it: a document may contain any number.
fn time(ms: i64) -> Json {
    iso_ms(ms).map_or_else(|| Json::from(ms), Json::from)
}
