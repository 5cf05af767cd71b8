//! How positions are written for the JSON API and for CSV.

use std::collections::BTreeMap;

use plan::csv::{self, CsvRow};
use plan::{Budget, Position, Renderings};
use primitives::iso_ms;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

/// The forms in which rows are kept rendered; `other` is that of the additional surface.
#[must_use]
pub const fn renderings(other: fn(&Position, &mut Vec<u8>)) -> Renderings {
    Renderings { json, legacy: other, csv: csv_line }
}

/// The forms that need no additional surface.
pub const JSON_AND_CSV: Renderings = renderings(|_, _| ());

/// A position as the JSON API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonPosition<'a> {
    id: &'a str,
    designation: &'a Option<Json>,
    department: &'a Option<Json>,
    budget: &'a Option<Json>,
    location: &'a Option<Json>,
    created_at: Option<Json>,
    updated_at: Option<Json>,
    updated_by: &'a Option<String>,
    #[serde(skip_serializing_if = "Conflicts::is_empty")]
    conflicts: Conflicts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<&'a BTreeMap<String, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<usize>,
}

/// The losing values of the fields of the schema, and of those beyond it.
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

/// Writes a position as the JSON API shows it.
pub fn json(position: &Position, out: &mut Vec<u8>) {
    let extra = position.extra.as_deref();
    let row = JsonPosition {
        id: &position.id,
        designation: &position.designation,
        department: &position.department,
        budget: &position.budget,
        location: &position.location,
        created_at: position.created_at.map(time),
        updated_at: position.updated_at.map(time),
        updated_by: &position.updated_by,
        conflicts: Conflicts(&position.conflicts, extra.map(|extra| &extra.conflicts)),
        value: extra.and_then(|extra| extra.value.as_ref()),
        extra: extra.map(|extra| &extra.fields).filter(|fields| !fields.is_empty()),
        omitted: extra.map(|extra| extra.omitted).filter(|omitted| *omitted > 0),
    };
    // Writing JSON values to memory cannot fail.
    let _ = serde_json::to_writer(out, &row);
}

/// A timestamp. One without an ISO form, as a document may hold any number, is shown as its number of milliseconds.
fn time(ms: i64) -> Json {
    iso_ms(ms).map_or_else(|| Json::from(ms), Json::from)
}

/// The text of a field.
pub fn text(value: &Option<Json>) -> Option<&str> {
    value.as_ref().and_then(Json::as_str)
}

/// The budget as a number, also where another program wrote the digits of one as text.
pub fn budget(position: &Position) -> Option<Budget> {
    match position.budget.as_ref()? {
        Json::String(text) => text.trim().parse().ok().and_then(|number| Budget::new_f64(number).ok()),
        value => Budget::from_json(value).ok(),
    }
}

fn csv_line(position: &Position, out: &mut Vec<u8>) {
    let shown = |value: &Option<Json>| value.as_ref().map(cell).unwrap_or_default();
    let (designation, department) = (shown(&position.designation), shown(&position.department));
    let (location, budget) = (shown(&position.location), budget(position));
    // What is no amount is exported as it is, and not as an empty cell.
    let other_budget = if budget.is_none() { shown(&position.budget) } else { String::new() };
    csv::write_row(
        out,
        &CsvRow {
            id: &position.id,
            designation: &designation,
            department: &department,
            budget,
            other_budget: &other_budget,
            location: &location,
            updated_by: position.updated_by.as_deref().unwrap_or_default(),
            updated_at_ms: position.updated_at,
            created_at_ms: position.created_at,
        },
    );
}

/// A value as a cell of CSV: texts as they are, nothing for null, and maps and lists as JSON.
pub fn cell(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        value => value.to_string(),
    }
}
