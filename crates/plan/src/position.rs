//! The schema: what a plan and its positions look like inside the Automerge document, and how they are read.
//!
//! ```text
//! { documentId, name, currency, unit, totalBudget,
//!   positions: { "<id>": { designation, department, budget, location, createdAt, updatedAt, updatedBy } } }
//! ```
//!
//! Reading never fails, and drops nothing silently: other programs write documents, too. A row with a missing or odd field
//! is shown with what can be read of it, and everything that the schema does not describe is kept in [`Extra`]. Texts are
//! read whether they are Text objects (what this program and JavaScript assignments write) or scalar strings (what older
//! programs write).

use std::collections::BTreeMap;
use std::sync::Arc;

use automerge::{Automerge, ObjId, ObjType, ROOT, ScalarValue, Value};
pub use primitives::{DOCUMENT_ID, POSITIONS};
use serde_json::Value as Json;

use super::extra::{Extra, ROW_ROOM, distinct};
use super::json_encoder::{Encoder, show_scalar};
use super::snapshot::Snapshot;
use super::{Marks, Scale};

/// Root key of the plan's name.
pub const NAME: &str = "name";
/// Root key of the currency, an ISO 4217 code.
pub const CURRENCY: &str = "currency";
/// Root key of the number of currency units that one unit of a budget stands for.
pub const UNIT: &str = "unit";
/// Root key of the total budget, in units.
pub const TOTAL_BUDGET: &str = "totalBudget";

/// A position's fields.
pub const DESIGNATION: &str = "designation";
/// See [`DESIGNATION`].
pub const DEPARTMENT: &str = "department";
/// In units of the plan; a number.
pub const BUDGET: &str = "budget";
/// See [`DESIGNATION`].
pub const LOCATION: &str = "location";
/// A timestamp; the order of rows.
pub const CREATED_AT: &str = "createdAt";
/// A timestamp.
pub const UPDATED_AT: &str = "updatedAt";
/// Who wrote last.
pub const UPDATED_BY: &str = "updatedBy";

/// The fields that people edit, in the order in which they are shown.
pub const EDITABLE: [&str; 4] = [DESIGNATION, DEPARTMENT, BUDGET, LOCATION];

/// One lakh of rupees: what a budget of 1 means unless the document says otherwise.
pub const DEFAULT_UNIT: f64 = 100_000.0;

/// A position as it can be read from the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// Its key in the map: opaque.
    pub id: Arc<str>,
    /// What is there: usually text. `None` when the field is missing, or holds nothing that JSON can show.
    pub designation: Option<Json>,
    /// See `designation`.
    pub department: Option<Json>,
    /// Usually a number, in units of the plan. `None`: unknown.
    pub budget: Option<Json>,
    /// See `designation`.
    pub location: Option<Json>,
    /// Milliseconds since 1970.
    pub created_at: Option<i64>,
    /// Milliseconds since 1970.
    pub updated_at: Option<i64>,
    /// Who wrote last, as the writer said.
    pub updated_by: Option<String>,
    /// The values that lost against a concurrent write, by field; gone when somebody writes the field again.
    pub conflicts: BTreeMap<&'static str, Vec<Json>>,
    /// What stands in the row beyond the schema. `None`, and without any cost, in most rows.
    pub extra: Option<Box<Extra>>,
}

/// What the document says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The plan's name.
    pub name: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Currency units in one unit of a budget.
    pub unit: f64,
    /// In units.
    pub total_budget: Option<f64>,
}

impl Plan {
    /// What amounts in this plan count in, as programs write them.
    #[must_use]
    pub fn scale(&self) -> Scale<'_> {
        Scale { marks: Marks::POINT, currency: self.currency.as_deref(), unit: self.unit, bare: self.unit }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self { name: None, currency: None, unit: DEFAULT_UNIT, total_budget: None }
    }
}

/// The maps of positions: one in a healthy document. When peers made several, all of them, the winner last.
pub(super) fn position_maps_at(snapshot: Snapshot<'_>) -> Vec<ObjId> {
    snapshot
        .all(&ROOT, POSITIONS)
        .into_iter()
        .filter(|(value, _)| matches!(value, Value::Object(ObjType::Map)))
        .map(|(_, object)| object)
        .collect()
}

/// The maps of positions as they are: see [`position_maps_at`].
pub(super) fn position_maps(doc: &Automerge) -> Vec<ObjId> {
    position_maps_at(Snapshot::now(doc))
}

fn root_value(snapshot: Snapshot<'_>, key: &str) -> Option<Json> {
    let (value, object) = snapshot.all(&ROOT, key).pop()?;
    snapshot.show(&value, &object)
}

/// Reads what the document says about itself.
#[must_use]
pub fn read_plan(doc: &Automerge) -> Plan {
    let now = Snapshot::now(doc);
    let text = |key: &str| root_value(now, key).and_then(|value| value.as_str().map(str::to_owned));
    let number = |key: &str| root_value(now, key).and_then(|value| value.as_f64());
    Plan {
        name: text(NAME),
        currency: text(CURRENCY),
        unit: number(UNIT).filter(|unit| *unit > 0.0).unwrap_or(DEFAULT_UNIT),
        total_budget: number(TOTAL_BUDGET).filter(|total| *total >= 0.0),
    }
}

/// The id that the document carries, if any: whatever text stands there.
#[must_use]
pub fn read_document_id(doc: &Automerge) -> Option<String> {
    root_value(Snapshot::now(doc), DOCUMENT_ID)?.as_str().map(str::to_owned)
}

/// One of the values that stand under a position's id.
pub(super) struct Candidate<'a> {
    /// The map that it stands in.
    pub map: ObjId,
    /// The row's own map; `None` when what stands there is no map.
    pub row: Option<ObjId>,
    /// What stands there, when that is no map.
    other: Option<(Value<'a>, ObjId)>,
}

/// What stands under a position's id: several when two were made under one id; the winner last.
pub(super) fn candidates<'a>(doc: &'a Automerge, maps: &[ObjId], id: &str) -> Vec<Candidate<'a>> {
    candidates_at(Snapshot::now(doc), maps, id)
}

fn candidates_at<'a>(snapshot: Snapshot<'a>, maps: &[ObjId], id: &str) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    for map in maps {
        for (value, object) in snapshot.all(map, id) {
            let (row, other) = match value {
                Value::Object(ObjType::Map) => (Some(object), None),
                value => (None, Some((value, object))),
            };
            found.push(Candidate { map: map.clone(), row, other });
        }
    }
    found
}

/// A position as read, and the objects that it was read from: a change to any of them can change it.
pub(super) struct Reading {
    pub position: Position,
    /// The row's own map, if there is just one: then a field can be read again by itself.
    pub row: Option<ObjId>,
    pub sources: Vec<Source>,
}

/// An object that a position was read from.
pub(super) struct Source {
    pub object: ObjId,
    /// Which field it is the text of; None: it is a row's map.
    pub field: Option<&'static str>,
}

/// Reads one position; None if it is not there.
pub(super) fn read_position(doc: &Automerge, maps: &[ObjId], id: &Arc<str>) -> Option<Reading> {
    read_position_at(Snapshot::now(doc), maps, id)
}

/// The same at some heads; the maps must be those of these heads.
pub(super) fn read_position_at(snapshot: Snapshot<'_>, maps: &[ObjId], id: &Arc<str>) -> Option<Reading> {
    let mut candidates = candidates_at(snapshot, maps, id);
    let winner = candidates.pop()?;
    let row = winner.row.clone().filter(|_| candidates.is_empty());
    let mut reader = RowReader::new(snapshot);
    let mut fields = winner.row.map(|row| reader.read(row)).unwrap_or_default();
    if let Some((value, object)) = winner.other {
        reader.extra.value = Some(reader.encoder.value(&value, &object).unwrap_or(Json::Null));
    }
    for loser in candidates {
        // A losing value that is no map has no field that it could be a conflict of.
        let Some(row) = loser.row else {
            reader.encoder.omit(1);
            continue;
        };
        for (field, values) in reader.read(row) {
            fields.entry(field).or_default().splice(0..0, values);
        }
    }
    let mut position = Position::empty(Arc::clone(id));
    for (field, values) in fields {
        position.set(field, values);
    }
    let RowReader { unknown, mut extra, encoder, sources, .. } = reader;
    for (key, values) in unknown {
        extra.add(&key, values);
    }
    extra.omitted = encoder.omitted();
    if !extra.is_empty() {
        position.extra = Some(Box::new(extra));
    }
    Some(Reading { position, row, sources })
}

/// Reads one field of the schema of a row again, and adds the texts that it was read from to `sources`. False: something
/// stands there that the schema does not describe, and the row must be read whole.
pub(super) fn reread_field(
    doc: &Automerge,
    row: &ObjId,
    field: &'static str,
    position: &mut Position,
    sources: &mut Vec<Source>,
) -> bool {
    let mut values = Vec::new();
    let now = Snapshot::now(doc);
    let mut found = now.all(row, field);
    if !EDITABLE.contains(&field) {
        // Of these, the losing values are not shown.
        found.drain(..found.len().saturating_sub(1));
    }
    for (value, object) in found {
        let shown = show_field(now, field, &value, &object).filter(|_| is_of_field(field, &value));
        let Some(shown) = shown else { return false };
        values.push(shown);
        if value.is_object() {
            sources.push(Source { object, field: Some(field) });
        }
    }
    position.set(field, values);
    true
}

/// Whether a value can be shown as this field. (The fields that people edit show whatever stands there.)
fn is_of_field(field: &str, value: &Value<'_>) -> bool {
    match (field, value) {
        (CREATED_AT | UPDATED_AT, Value::Scalar(scalar)) => match &**scalar {
            ScalarValue::Timestamp(_) | ScalarValue::Int(_) | ScalarValue::Uint(_) | ScalarValue::Counter(_) => true,
            ScalarValue::F64(number) => number.is_finite(),
            _ => false,
        },
        (CREATED_AT | UPDATED_AT, Value::Object(_)) => false,
        (UPDATED_BY, value) => {
            matches!(value, Value::Object(ObjType::Text))
                || matches!(value, Value::Scalar(scalar) if matches!(**scalar, ScalarValue::Str(_)))
        }
        _ => true,
    }
}

impl Position {
    fn empty(id: Arc<str>) -> Self {
        Self {
            id,
            designation: None,
            department: None,
            budget: None,
            location: None,
            created_at: None,
            updated_at: None,
            updated_by: None,
            conflicts: BTreeMap::new(),
            extra: None,
        }
    }

    /// Whether the fields of the schema are the same, whatever stands beside them.
    pub(super) fn has_fields_of(&self, other: &Self) -> bool {
        let Self {
            id,
            designation,
            department,
            budget,
            location,
            created_at,
            updated_at,
            updated_by,
            conflicts,
            extra,
        } = self;
        let is_map = |extra: &Option<Box<Extra>>| extra.as_ref().is_none_or(|extra| extra.value.is_none());
        (id, designation, department, budget, location)
            == (&other.id, &other.designation, &other.department, &other.budget, &other.location)
            && (created_at, updated_at, updated_by, conflicts)
                == (&other.created_at, &other.updated_at, &other.updated_by, &other.conflicts)
            && is_map(extra) == is_map(&other.extra)
    }

    /// Sets a field of the schema from the values that stand there, the winner last.
    fn set(&mut self, field: &'static str, mut values: Vec<Json>) {
        let winner = values.pop();
        let losing = distinct(values, winner.as_ref());
        if EDITABLE.contains(&field) && !losing.is_empty() {
            self.conflicts.insert(field, losing);
        } else {
            self.conflicts.remove(field);
        }
        match field {
            DESIGNATION => self.designation = winner,
            DEPARTMENT => self.department = winner,
            BUDGET => self.budget = winner,
            LOCATION => self.location = winner,
            CREATED_AT => self.created_at = winner.and_then(|value| as_milliseconds(&value)),
            UPDATED_AT => self.updated_at = winner.and_then(|value| as_milliseconds(&value)),
            UPDATED_BY => self.updated_by = winner.and_then(|value| value.as_str().map(str::to_owned)),
            _ => {}
        }
    }
}

/// Reads the rows that stand under one id.
struct RowReader<'a> {
    snapshot: Snapshot<'a>,
    encoder: Encoder<'a>,
    sources: Vec<Source>,
    /// Fields that the schema does not know: for each the values that stand there, the winner last.
    unknown: BTreeMap<String, Vec<Json>>,
    extra: Extra,
}

impl<'a> RowReader<'a> {
    fn new(snapshot: Snapshot<'a>) -> Self {
        let encoder = Encoder::new(snapshot, ROW_ROOM);
        Self { snapshot, encoder, sources: Vec::new(), unknown: BTreeMap::new(), extra: Extra::default() }
    }

    /// The schema's fields of a row: for each the values that stand there, the winner last. Rows are read from the one that
    /// is shown to the one that lost first.
    fn read(&mut self, row: ObjId) -> BTreeMap<&'static str, Vec<Json>> {
        let mut fields = BTreeMap::new();
        let snapshot = self.snapshot;
        for item in snapshot.entries(&row) {
            let known = known_field(&item.key);
            let (mut values, mut others) = (Vec::new(), Vec::new());
            let mut add = |value: &Value<'_>, object: ObjId| match known {
                Some(field) if is_of_field(field, value) => {
                    values.extend(self.show(field, value, &object));
                    if value.is_object() {
                        self.sources.push(Source { object, field: Some(field) });
                    }
                }
                _ => others.extend(self.encoder.member(&item.key, value, &object)),
            };
            if item.conflict && known.is_none_or(|field| EDITABLE.contains(&field)) {
                for (value, object) in snapshot.all(&row, &*item.key) {
                    add(&value, object);
                }
            } else {
                let id = item.id();
                add(&item.value.into(), id);
            }
            if let Some(field) = known.filter(|_| !values.is_empty()) {
                fields.insert(field, values);
            }
            if !others.is_empty() {
                self.unknown.entry(item.key.to_string()).or_default().splice(0..0, others);
            }
        }
        self.sources.push(Source { object: row, field: None });
        fields
    }

    /// What stands in a field of the schema, whatever it is.
    fn show(&mut self, field: &str, value: &Value<'_>, object: &ObjId) -> Option<Json> {
        show_field(self.snapshot, field, value, object).or_else(|| self.encoder.value(value, object))
    }
}

/// The schema's name of a field; None: the schema does not have it.
pub(super) fn known_field(key: &str) -> Option<&'static str> {
    [DESIGNATION, DEPARTMENT, BUDGET, LOCATION, CREATED_AT, UPDATED_AT, UPDATED_BY]
        .into_iter()
        .find(|field| *field == key)
}

/// A text or a scalar in a field of the schema; `None`: see [`Snapshot::show`].
fn show_field(snapshot: Snapshot<'_>, field: &str, value: &Value<'_>, object: &ObjId) -> Option<Json> {
    match (field, value) {
        // Timestamps are numbers here: they order the rows.
        (CREATED_AT | UPDATED_AT, Value::Scalar(scalar)) => match &**scalar {
            ScalarValue::Timestamp(ms) => Some(Json::from(*ms)),
            scalar => show_scalar(scalar),
        },
        _ => snapshot.show(value, object),
    }
}

/// A point in time: a timestamp or any number of milliseconds (what `Date.now()` gives).
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "milliseconds; saturates")]
pub fn as_milliseconds(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}
