//! How many operations an edit writes, estimated before it is made. A text takes one for each character, so a short request can make a
//! large change.

use serde_json::Value as Json;

use super::batch::{Batch, Extras};
use super::change::Author;
use super::edit::Edit;
use super::fields::FieldValue;
use super::new_content::NewContent;
use super::new_position::NewPosition;
use super::plan_patch::PlanPatch;
use super::scenarios::ScenarioEdit;

/// When and by whom a row was written: an estimate, as the name of the author is not known here.
const ROW: u64 = 24;

impl Edit {
    /// Estimated number of operations, not far below the true one. Rows that are copied from another document are not counted: they
    /// are as large there.
    #[must_use]
    pub fn operations(&self) -> u64 {
        match self {
            Self::Create { plan, positions, .. } => of_settings(plan) + positions.iter().map(of_position).sum::<u64>(),
            Self::AddAll(positions) => positions.iter().map(of_position).sum(),
            Self::Add(position) => of_position(position),
            Self::Patch { patch, .. } => ROW + of_fields(patch.fields.iter().filter_map(|(_, value)| value.as_ref())),
            Self::Batch(batch) => batch.operations(),
            Self::Describe(patch) => of_settings(patch),
            Self::Scenario { edit, .. } => match &**edit {
                ScenarioEdit::Add { name, base } => ROW + of_text(name) + 64 * base.len() as u64,
                ScenarioEdit::Rename(name) => of_text(name),
                ScenarioEdit::SetState(_) | ScenarioEdit::Pick(_) => ROW,
            },
            Self::OnlyIf { edit, .. } => edit.operations(),
            Self::CarryId(_) | Self::NameSuccessor(_) | Self::Delete { .. } | Self::SetTotalAmount(_) => ROW,
        }
    }
}

impl Batch {
    fn operations(&self) -> u64 {
        let added = self.add.iter().map(|row| of_position(&row.position) + of_extras(&row.extra));
        let changed = self.change.iter().map(|row| {
            ROW + of_fields(row.patch.fields.iter().filter_map(|(_, value)| value.as_ref())) + of_extras(&row.extra)
        });
        added.chain(changed).sum::<u64>() + self.delete.len() as u64
    }
}

impl NewContent {
    /// Estimated number of operations: see [`Edit::operations`].
    #[must_use]
    pub fn operations(&self) -> u64 {
        let rows = self.positions.iter().map(|row| of_position(&row.position) + of_extras(&row.extra));
        of_settings(&self.settings) + of_extras(&self.columns) + of_extras(&self.extra) + rows.sum::<u64>()
    }
}

fn of_position(position: &NewPosition) -> u64 {
    let somebody = Author { name: "somebody@example.com".to_owned(), now: 0 };
    position.operations(&somebody) as u64
}

fn of_fields<'a>(values: impl Iterator<Item = &'a FieldValue>) -> u64 {
    values
        .map(|value| match value {
            FieldValue::Text(text) => of_text(text),
            FieldValue::Amount(_) | FieldValue::Unset => 1,
        })
        .sum()
}

fn of_settings(plan: &PlanPatch) -> u64 {
    let texts = [&plan.name, &plan.currency].into_iter().flatten();
    ROW + texts.map(|text| of_text(text)).sum::<u64>() + plan.department_budgets.len() as u64
}

fn of_extras(extras: &Extras) -> u64 {
    extras.values().map(of_json).sum()
}

/// A text takes one operation for each character.
fn of_text(text: &str) -> u64 {
    1 + text.chars().count() as u64
}

/// JSON that was read is nested at most 128 levels deep.
fn of_json(value: &Json) -> u64 {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => 1,
        Json::String(text) => of_text(text),
        Json::Array(items) => 1 + items.iter().map(of_json).sum::<u64>(),
        Json::Object(members) => 1 + members.values().map(of_json).sum::<u64>(),
    }
}

#[cfg(test)]
mod tests {
    use automerge::{Automerge, ReadDoc};
    use serde_json::json;

    use super::*;
    use crate::fields::{BUDGET, DEPARTMENT};
    use crate::{Author, Budget, NewRow, edit};

    #[test]
    fn estimate_is_close_to_what_is_written() {
        let extra: Extras =
            serde_json::from_value(json!({ "notes": "क".repeat(500), "list": [1, "two", { "a": null }] })).unwrap();
        let position = |id: &str| NewPosition::new(id, "Cook").with(DEPARTMENT, "Kitchen").with(BUDGET, Budget::Int(5));
        let rows = |extra: &Extras| -> Vec<NewRow> {
            (0..50).map(|id| NewRow { position: position(&id.to_string()), extra: extra.clone() }).collect()
        };
        for extra in [Extras::new(), extra] {
            let batch = Edit::Batch(Box::new(Batch { add: rows(&extra), ..Batch::default() }));
            let (mut doc, author) = (Automerge::new(), Author { name: "cfo@example.com".to_owned(), now: 1_000 });
            edit::run(&mut doc, &batch, &author).unwrap();
            let (estimated, written) = (batch.operations(), doc.stats().num_ops);
            assert!((written / 2..=written * 2).contains(&estimated), "{estimated} of {written}");
        }
    }
}
