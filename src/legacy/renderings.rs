//! Renders positions and changes for legacy clients.

use plan::fields::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use plan::{Budget, Plan, PlanEvent, Position, Row, RowEvent, ViewChange, without_noise};
use runtime::hub::Text;

use super::frames::encode::{self, EntryRow};
use super::frames::{INITIAL_TOTAL, ONE_CRORE, shown_department};

/// A position as legacy clients receive it.
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

/// Whether the value of a position is not a map. Legacy clients do not get such rows, since they could not edit them.
fn is_malformed(position: &Position) -> bool {
    position.extra.as_ref().is_some_and(|extra| extra.value.is_some())
}

/// Renders a position as a row of `GET /data/`.
pub fn listed(position: &Position, out: &mut Vec<u8>) {
    if is_malformed(position) {
        return;
    }
    let _ = serde_json::to_writer(out, &entry_row(position).listed());
}

/// The frame with the total budget; `None` if the plan has none.
#[must_use]
pub fn total_frame(plan: &Plan) -> Option<Text> {
    let crore = Budget::new_f64(without_noise(plan.total_budget? * plan.unit / ONE_CRORE)).ok()?;
    Some(Text::from(encode::total_budget(crore)))
}

/// The frame with the total budget that legacy clients show: the plan's, or the initial value of the client.
#[must_use]
pub fn shown_total_frame(plan: &Plan) -> Text {
    total_frame(plan).unwrap_or_else(|| Text::from(encode::total_budget(Budget::Int(INITIAL_TOTAL))))
}

/// The frames that make a client insert a row at the top of its list and redraw.
pub fn entry_frames(row: &Row) -> [Text; 2] {
    [encode::entry(&entry_row(&row.position)).into(), encode::trailer().into()]
}

/// The frames for the changes of a view. An edit is a deletion and an entry, since the client has no other way to show it. Edits
/// of what these clients do not have are not sent.
pub fn row_frames(change: &ViewChange) -> Vec<Text> {
    let mut texts: Vec<Text> = Vec::new();
    for event in &change.rows {
        match event {
            RowEvent::Extended(_) => {}
            RowEvent::Added(row) if is_malformed(&row.position) => {}
            RowEvent::Added(row) => texts.extend(entry_frames(row)),
            RowEvent::Edited(row) if !is_malformed(&row.position) => {
                texts.push(encode::deleted(&row.position.id).into());
                texts.extend(entry_frames(row));
            }
            event @ (RowEvent::Edited(_) | RowEvent::Deleted(_)) => {
                texts.push(encode::deleted(event.id()).into());
            }
        }
    }
    if let Some(PlanEvent::Edited(plan)) = &change.plan {
        texts.extend(total_frame(plan));
    }
    texts
}
