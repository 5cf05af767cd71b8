//! The schema: what a plan and its positions look like inside the Automerge document, and how they are read.
//!
//! ```text
//! { documentId, name, currency, unit, totalBudget,
//!   positions: { "<id>": { designation, department, budget, location, createdAt, updatedAt, updatedBy } } }
//! ```
//!
//! Reading never fails: other programs write documents too, and a row with a missing or odd field is shown with what
//! can be read of it. Texts are read whether they are Text objects (what we and JavaScript assignments write) or scalar
//! strings (what older programs write).

use std::collections::BTreeMap;
use std::sync::Arc;

use automerge::iter::MapRange;
use automerge::{Automerge, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, Value};
use serde_json::Value as Json;

use crate::format::{Marks, Scale};

/// Root key of the map of positions.
pub const POSITIONS: &str = "positions";
/// Root key under which a document carries its own id.
pub const DOCUMENT_ID: &str = "documentId";
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
    /// What is there: usually text. None when the field is missing or holds nothing that JSON can show.
    pub designation: Option<Json>,
    /// See `designation`.
    pub department: Option<Json>,
    /// Usually a number, in units of the plan.
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

/// A document as it is, or as it was.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    doc: &'a Automerge,
    /// None: as it is.
    heads: Option<&'a [ChangeHash]>,
}

impl<'a> Moment<'a> {
    /// As it is.
    pub(super) fn now(doc: &'a Automerge) -> Self {
        Self { doc, heads: None }
    }

    /// As it was when it had these heads, all of which must be known.
    pub(super) fn at(doc: &'a Automerge, heads: &'a [ChangeHash]) -> Self {
        Self { doc, heads: Some(heads) }
    }

    /// What stands under a key, the winner last.
    pub(super) fn all(self, object: &ObjId, key: &str) -> Vec<(Value<'a>, ObjId)> {
        match self.heads {
            None => self.doc.get_all(object, key),
            Some(heads) => self.doc.get_all_at(object, key, heads),
        }
        .unwrap_or_default()
    }

    /// The keys of a map.
    pub(super) fn keys(self, object: &ObjId) -> Vec<String> {
        match self.heads {
            None => self.doc.keys(object).collect(),
            Some(heads) => self.doc.keys_at(object, heads).collect(),
        }
    }

    /// What a map holds: of each key the winner.
    pub(super) fn entries(self, object: &ObjId) -> MapRange<'a> {
        match self.heads {
            None => self.doc.map_range(object, ..),
            Some(heads) => self.doc.map_range_at(object, .., heads),
        }
    }

    /// A value as JSON; None for what JSON cannot show (bytes, NaN) and for maps and lists, which the schema does not have.
    pub(super) fn show(self, value: &Value<'_>, object: &ObjId) -> Option<Json> {
        match value {
            Value::Object(ObjType::Text) => match self.heads {
                None => self.doc.text(object),
                Some(heads) => self.doc.text_at(object, heads),
            }
            .ok()
            .map(Json::String),
            Value::Object(_) => None,
            Value::Scalar(scalar) => show_scalar(scalar),
        }
    }

    /// The maps of positions: one in a healthy document. When peers made several, all of them, the winner last.
    pub(super) fn position_maps(self) -> Vec<ObjId> {
        self.all(&ROOT, POSITIONS)
            .into_iter()
            .filter(|(value, _)| matches!(value, Value::Object(ObjType::Map)))
            .map(|(_, object)| object)
            .collect()
    }

    fn root_value(self, key: &str) -> Option<Json> {
        let (value, object) = self.all(&ROOT, key).pop()?;
        self.show(&value, &object)
    }
}

/// Reads what the document says about itself.
#[must_use]
pub fn read_plan(doc: &Automerge) -> Plan {
    let now = Moment::now(doc);
    let text = |key: &str| now.root_value(key).and_then(|value| value.as_str().map(str::to_owned));
    let number = |key: &str| now.root_value(key).and_then(|value| value.as_f64());
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
    Moment::now(doc).root_value(DOCUMENT_ID)?.as_str().map(str::to_owned)
}

/// The maps of positions as they are: see [`Moment::position_maps`].
pub(super) fn position_maps(doc: &Automerge) -> Vec<ObjId> {
    Moment::now(doc).position_maps()
}

/// One of the values that stand under a position's id.
pub(super) struct Candidate {
    /// The map that it stands in.
    pub map: ObjId,
    /// The row's own map; None when what stands there is no map.
    pub row: Option<ObjId>,
}

/// What stands under a position's id: several when two were made under one id; the winner last.
pub(super) fn candidates(doc: &Automerge, maps: &[ObjId], id: &str) -> Vec<Candidate> {
    candidates_at(Moment::now(doc), maps, id)
}

fn candidates_at(moment: Moment<'_>, maps: &[ObjId], id: &str) -> Vec<Candidate> {
    let mut found = Vec::new();
    for map in maps {
        for (value, object) in moment.all(map, id) {
            let row = matches!(value, Value::Object(ObjType::Map)).then_some(object);
            found.push(Candidate { map: map.clone(), row });
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
    read_position_at(Moment::now(doc), maps, id)
}

/// The same at some moment; the maps must be those of that moment.
pub(super) fn read_position_at(moment: Moment<'_>, maps: &[ObjId], id: &Arc<str>) -> Option<Reading> {
    let mut candidates = candidates_at(moment, maps, id);
    let winner = candidates.pop()?;
    let row = winner.row.clone().filter(|_| candidates.is_empty());
    let mut sources = Vec::new();
    let mut fields = winner.row.map(|row| read_fields(moment, row, &mut sources)).unwrap_or_default();
    for loser in candidates {
        let Some(row) = loser.row else { continue };
        for (field, values) in read_fields(moment, row, &mut sources) {
            fields.entry(field).or_default().splice(0..0, values);
        }
    }
    let mut position = Position::empty(Arc::clone(id));
    for (field, values) in fields {
        position.set(field, values);
    }
    Some(Reading { position, row, sources })
}

/// Reads one field of a row again. Returns the texts that it was read from.
pub(super) fn reread_field(doc: &Automerge, row: &ObjId, field: &'static str, position: &mut Position) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut values = Vec::new();
    let now = Moment::now(doc);
    for (value, object) in now.all(row, field) {
        values.extend(now.show(&value, &object));
        if value.is_object() {
            sources.push(Source { object, field: Some(field) });
        }
    }
    position.set(field, values);
    sources
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
        }
    }

    /// Sets a field of the schema from the values that stand there, the winner last.
    fn set(&mut self, field: &'static str, mut values: Vec<Json>) {
        let winner = values.pop();
        let mut losing: Vec<Json> = Vec::new();
        for value in values {
            if Some(&value) != winner.as_ref() && !losing.contains(&value) {
                losing.push(value);
            }
        }
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

/// The schema's fields of one row: for each the values that stand there, the winner last.
fn read_fields(moment: Moment<'_>, row: ObjId, sources: &mut Vec<Source>) -> BTreeMap<&'static str, Vec<Json>> {
    let mut fields = BTreeMap::new();
    for item in moment.entries(&row) {
        let Some(field) = known_field(&item.key) else { continue };
        let mut values = Vec::new();
        let mut add = |value: &Value<'_>, object: ObjId| {
            values.extend(moment.show(value, &object));
            if value.is_object() {
                sources.push(Source { object, field: Some(field) });
            }
        };
        if item.conflict {
            for (value, object) in moment.all(&row, field) {
                add(&value, object);
            }
        } else {
            let id = item.id();
            add(&item.value.into(), id);
        }
        if !values.is_empty() {
            fields.insert(field, values);
        }
    }
    sources.push(Source { object: row, field: None });
    fields
}

/// The schema's name of a field; None: the schema does not have it.
pub(super) fn known_field(key: &str) -> Option<&'static str> {
    [DESIGNATION, DEPARTMENT, BUDGET, LOCATION, CREATED_AT, UPDATED_AT, UPDATED_BY]
        .into_iter()
        .find(|field| *field == key)
}

/// A value that is no object as JSON; None for what JSON cannot show.
pub(super) fn show_scalar(scalar: &ScalarValue) -> Option<Json> {
    match scalar {
        ScalarValue::Str(text) => Some(Json::String(text.to_string())),
        ScalarValue::Int(number) | ScalarValue::Timestamp(number) => Some(Json::from(*number)),
        ScalarValue::Uint(number) => Some(Json::from(*number)),
        ScalarValue::F64(number) => show_float(*number),
        ScalarValue::Counter(counter) => Some(Json::from(i64::from(counter))),
        ScalarValue::Boolean(flag) => Some(Json::Bool(*flag)),
        ScalarValue::Null => Some(Json::Null),
        ScalarValue::Bytes(_) | ScalarValue::Unknown { .. } => None,
    }
}

/// JavaScript has one kind of number: 45000 that came as a float is shown as 45000, not as 45000.0.
#[expect(clippy::cast_possible_truncation, reason = "checked to be integral and below 2^53")]
fn show_float(number: f64) -> Option<Json> {
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        Some(Json::from(number as i64))
    } else {
        serde_json::Number::from_f64(number).map(Json::Number)
    }
}

/// A moment: a timestamp or any number of milliseconds (what `Date.now()` gives).
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "milliseconds; saturates")]
pub fn as_milliseconds(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}
