//! How positions are written for those who are served: the JSON API, legacy clients, CSV.

use std::collections::BTreeMap;

use plan::csv::{self, CsvRow};
use plan::{Budget, Plan, Position, Renderings, Row, RowEvent, ViewChange, without_noise};
use primitives::iso_ms;
use repo_protocol::presence;
use runtime::hub::{RenderPeople, RenderPresence, RenderRows, Text};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::legacy::frames::encode::{self, EntryRow};
use crate::legacy::frames::{INITIAL_TOTAL, ONE_CRORE, shown_department};

/// How rows are kept rendered.
pub const RENDERINGS: Renderings = Renderings { json, legacy, csv: csv_line };
/// How presence is told to legacy sockets.
pub const PRESENCE: RenderPresence = |names| Text::from(encode::login_update(names.iter().copied()));
/// How presence on legacy sockets is told to automerge-repo peers.
pub const PEOPLE: RenderPeople = |names| match names {
    [] => presence::goodbye().into(),
    names => presence::snapshot(names.iter().map(String::as_str)).into(),
};
/// How changes of rows are told to legacy sockets.
pub const ROWS: RenderRows = row_frames;

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

fn json(position: &Position, out: &mut Vec<u8>) {
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

fn text(value: &Option<Json>) -> Option<&str> {
    value.as_ref().and_then(Json::as_str)
}

/// The budget as a number, also where another program wrote the digits of one as text.
fn budget(position: &Position) -> Option<Budget> {
    match position.budget.as_ref()? {
        Json::String(text) => text.trim().parse().ok().and_then(|number| Budget::new_f64(number).ok()),
        value => Budget::from_json(value).ok(),
    }
}

/// A position as legacy clients are told it.
#[must_use]
pub fn entry_row(position: &Position) -> EntryRow<'_> {
    EntryRow {
        id: &position.id,
        designation: text(&position.designation),
        department: shown_department(text(&position.department).unwrap_or_default()),
        budget: budget(position),
        location: text(&position.location),
        updated_by: position.updated_by.as_deref(),
        updated_at_ms: position.updated_at,
    }
}

/// Legacy clients know no row that is no map, and could not edit it.
fn is_broken(position: &Position) -> bool {
    position.extra.as_ref().is_some_and(|extra| extra.value.is_some())
}

fn legacy(position: &Position, out: &mut Vec<u8>) {
    if is_broken(position) {
        return;
    }
    let _ = serde_json::to_writer(out, &entry_row(position).listed());
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
pub(super) fn cell(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        value => value.to_string(),
    }
}

/// The total budget as legacy clients are told it; None while there is none.
#[must_use]
pub fn total_frame(plan: &Plan) -> Option<Text> {
    let crore = Budget::new_f64(without_noise(plan.total_budget? * plan.unit / ONE_CRORE)).ok()?;
    Some(Text::from(encode::total_budget(crore)))
}

/// The total budget that every legacy client shows: the plan's, or the one that the client begins with.
#[must_use]
pub fn shown_total_frame(plan: &Plan) -> Text {
    total_frame(plan).unwrap_or_else(|| Text::from(encode::total_budget(Budget::Int(INITIAL_TOTAL))))
}

/// A row for the client to put in front of its list, and the trailer that makes it draw.
pub fn entry_frames(row: &Row) -> [Text; 2] {
    [encode::entry(&entry_row(&row.position)).into(), encode::trailer().into()]
}

/// An edit is a deletion and an entry, the only way in which the client shows one; it is not told of an edit beyond the
/// schema. A trailer follows every entry.
fn row_frames(change: &ViewChange) -> Vec<Text> {
    let mut texts: Vec<Text> = Vec::new();
    for event in &change.rows {
        match event {
            RowEvent::Extended(_) => {}
            RowEvent::Added(row) if is_broken(&row.position) => {}
            RowEvent::Added(row) => texts.extend(entry_frames(row)),
            RowEvent::Edited(row) if !is_broken(&row.position) => {
                texts.push(encode::deleted(&row.position.id).into());
                texts.extend(entry_frames(row));
            }
            event @ (RowEvent::Edited(_) | RowEvent::Deleted(_)) => {
                texts.push(encode::deleted(event.id()).into());
            }
        }
    }
    texts.extend(change.plan.as_ref().and_then(total_frame));
    texts
}
