//! Renders positions for the JSON API, legacy clients and CSV, and presence for sync peers.

use std::collections::BTreeMap;

use plan::fields::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use plan::{Budget, Plan, Position, Renderings, Row, RowEvent, ViewChange, csv, without_noise};
use primitives::iso_ms;
use repo_protocol::presence;
use runtime::hub::{RenderPeople, RenderPresence, RenderRows, Text};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::legacy::frames::encode::{self, EntryRow};
use crate::legacy::frames::{INITIAL_TOTAL, ONE_CRORE, shown_department};

/// Renders rows.
pub const RENDERINGS: Renderings = Renderings { json, legacy, csv: |position, out| csv::write_position(out, position) };
/// Renders presence for legacy sockets.
pub const PRESENCE: RenderPresence = |names| Text::from(encode::login_update(names.iter().copied()));
/// Renders presence on legacy sockets for automerge-repo peers.
pub const PEOPLE: RenderPeople = |names| match names {
    [] => presence::goodbye().into(),
    names => presence::snapshot(names.iter().map(String::as_str)).into(),
};
/// Renders changes of rows for legacy sockets.
pub const ROWS: RenderRows = row_frames;

/// A position in the form of the JSON API. `shapes::Position` describes it.
struct JsonPosition<'a>(&'a Position);

impl Serialize for JsonPosition<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Position { id, fields, created_at, updated_at, updated_by, conflicts, extra } = self.0;
        let mut object = serializer.serialize_struct("Position", plan::FIELDS.len() + 8)?;
        object.serialize_field("id", &**id)?;
        for (field, value) in fields.iter() {
            object.serialize_field(field.key(), value)?;
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

/// The losing values of fields of the schema, and of fields beyond it.
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
    // Writing JSON values to memory cannot fail.
    let _ = serde_json::to_writer(out, &JsonPosition(position));
}

/// A time as ISO 8601. A time without an ISO form (a document may hold any number) is shown as its number of milliseconds.
fn time(ms: i64) -> Json {
    iso_ms(ms).map_or_else(|| Json::from(ms), Json::from)
}

/// A position in the legacy protocol.
#[must_use]
pub fn entry_row(position: &Position) -> EntryRow<'_> {
    EntryRow {
        id: &position.id,
        designation: position.text(DESIGNATION),
        department: shown_department(position.text(DEPARTMENT).unwrap_or_default()),
        budget: position.amount(BUDGET),
        location: position.text(LOCATION),
        updated_by: position.updated_by.as_deref(),
        updated_at_ms: position.updated_at,
    }
}

/// Whether the value of a position is not a map. Legacy clients cannot show or edit such a position.
fn is_broken(position: &Position) -> bool {
    position.extra.as_ref().is_some_and(|extra| extra.value.is_some())
}

fn legacy(position: &Position, out: &mut Vec<u8>) {
    if is_broken(position) {
        return;
    }
    let _ = serde_json::to_writer(out, &entry_row(position).listed());
}

/// The total budget in the legacy protocol, if there is one.
#[must_use]
pub fn total_frame(plan: &Plan) -> Option<Text> {
    let crore = Budget::new_f64(without_noise(plan.total_budget? * plan.unit / ONE_CRORE)).ok()?;
    Some(Text::from(encode::total_budget(crore)))
}

/// The total budget that legacy clients show: that of the plan, or the initial one of the client.
#[must_use]
pub fn shown_total_frame(plan: &Plan) -> Text {
    total_frame(plan).unwrap_or_else(|| Text::from(encode::total_budget(Budget::Int(INITIAL_TOTAL))))
}

/// A row, which the client inserts at the start of its list, and the trailer that makes the client draw.
pub fn entry_frames(row: &Row) -> [Text; 2] {
    [encode::entry(&entry_row(&row.position)).into(), encode::trailer().into()]
}

/// An edit is sent as a deletion and an entry, because the client cannot show an edit in another way. Edits beyond the schema are
/// not sent. A trailer follows every entry.
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
