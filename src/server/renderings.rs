//! How positions are written for those who are served: the JSON API, legacy clients, CSV.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use crate::document::{Plan, Position, Renderings, Row, RowEvent, ViewChange, without_noise};
use crate::exchange::csv::{self, CsvRow};
use crate::format::Budget;
use crate::hub::{RenderPeople, RenderPresence, RenderRows, Text};
use crate::wire::legacy::frames::{self, EntryRow};
use crate::wire::legacy::{INITIAL_TOTAL, ONE_CRORE, shown_department};
use crate::wire::repo::presence;

/// How rows are kept rendered.
pub const RENDERINGS: Renderings = Renderings { json, legacy, csv: csv_line };
/// How presence is told to legacy sockets.
pub const PRESENCE: RenderPresence = |names| Text::from(frames::login_update(names.iter().copied()));
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
    created_at: Option<String>,
    updated_at: Option<String>,
    updated_by: &'a Option<String>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    conflicts: &'a std::collections::BTreeMap<&'static str, Vec<Json>>,
}

fn json(position: &Position, out: &mut Vec<u8>) {
    let row = JsonPosition {
        id: &position.id,
        designation: &position.designation,
        department: &position.department,
        budget: &position.budget,
        location: &position.location,
        created_at: position.created_at.and_then(iso),
        updated_at: position.updated_at.and_then(iso),
        updated_by: &position.updated_by,
        conflicts: &position.conflicts,
    };
    // Writing JSON values to memory cannot fail.
    let _ = serde_json::to_writer(out, &row);
}

/// A moment as the API shows it; None: no calendar has it.
#[must_use]
pub fn iso(milliseconds: i64) -> Option<String> {
    Timestamp::from_millisecond(milliseconds).ok().map(|moment| moment.to_string())
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

fn legacy(position: &Position, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, &entry_row(position).listed());
}

fn csv_line(position: &Position, out: &mut Vec<u8>) {
    let shown = |value: &Option<Json>| match value {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Null) | None => String::new(),
        Some(value) => value.to_string(),
    };
    let (designation, department) = (shown(&position.designation), shown(&position.department));
    let location = shown(&position.location);
    csv::write_row(
        out,
        &CsvRow {
            id: &position.id,
            designation: &designation,
            department: &department,
            budget: budget(position),
            location: &location,
            updated_by: position.updated_by.as_deref().unwrap_or_default(),
            updated_at_ms: position.updated_at,
            created_at_ms: position.created_at,
        },
    );
}

/// The total budget as legacy clients are told it; None while there is none.
#[must_use]
pub fn total_frame(plan: &Plan) -> Option<Text> {
    let crore = Budget::new_f64(without_noise(plan.total_budget? * plan.unit / ONE_CRORE)).ok()?;
    Some(Text::from(frames::total_budget(crore)))
}

/// The total budget that every legacy client shows: the plan's, or the one that the client begins with.
#[must_use]
pub fn shown_total_frame(plan: &Plan) -> Text {
    total_frame(plan).unwrap_or_else(|| Text::from(frames::total_budget(Budget::Int(INITIAL_TOTAL))))
}

/// A row for the client to put in front of its list, and the trailer that makes it draw.
pub fn entry_frames(row: &Row) -> [Text; 2] {
    [frames::entry(&entry_row(&row.position)).into(), frames::trailer().into()]
}

/// An edit is a deletion and an entry, the only way in which the client shows one. A trailer follows every entry.
fn row_frames(change: &ViewChange) -> Vec<Text> {
    let mut texts: Vec<Text> = Vec::new();
    for event in &change.rows {
        match event {
            RowEvent::Added(row) => texts.extend(entry_frames(row)),
            RowEvent::Edited(row) => {
                texts.push(frames::deleted(&row.position.id).into());
                texts.extend(entry_frames(row));
            }
            RowEvent::Deleted(id) => {
                texts.push(frames::deleted(id).into());
                if view.strays() > 0 {
                    texts.push(frames::trailer().into());
                }
            }
        }
    }
    texts.extend(change.plan.as_ref().and_then(total_frame));
    texts
}
