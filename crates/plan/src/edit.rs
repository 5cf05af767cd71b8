//! Edits as Automerge transactions, with validation. The server and the Rust client write through them.
//!
//! A text is written as a new Text object, like an assignment in JavaScript, so that concurrent writes of a field give a visible
//! conflict instead of a merged text. A row is never replaced after it was created. Every edit is one change, with a message
//! that names its author and its effect.

use automerge::transaction::Transactable;
use automerge::{Automerge, ChangeHash, ObjId, ROOT};
use primitives::DocumentId;

use super::batch::{self, Batch};
use super::change::{Author, Done, EditError, commit, delete_if_present, put_number, put_text};
use super::condition::Condition;
use super::fields::DESIGNATION;
use super::new_position::NewPosition;
use super::plan_patch::{self, PlanPatch};
use super::position::{
    ARCHIVED, DEPARTMENT_BUDGETS, DOCUMENT_ID, NAME, SUCCESSOR, TOTAL_BUDGET, candidates, position_maps, read_plan,
};

use super::position_patch::{PositionPatch, PreparedDeletion, PreparedPatch};
use super::scenarios::{self, ScenarioEdit};
use super::snapshot::Snapshot;
use super::{Budget, bulk, department_budgets};

/// One edit.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Creates a plan in an empty document.
    Create {
        /// The document id, which is stored in the document.
        id: DocumentId,
        /// The settings.
        plan: PlanPatch,
        /// The initial positions.
        positions: Vec<NewPosition>,
    },
    /// Stores its id in a document that has none.
    CarryId(DocumentId),
    /// Stores where the plan goes on, and archives it.
    NameSuccessor(DocumentId),
    /// Creates one position.
    Add(NewPosition),
    /// Creates all of these positions, or none if one is invalid.
    AddAll(Vec<NewPosition>),
    /// Changes fields of one position.
    Patch {
        /// The position.
        id: String,
        /// The changes.
        patch: PositionPatch,
    },
    /// Deletes one position.
    Delete {
        /// The position.
        id: String,
    },
    /// Creates, changes and deletes positions: all of them, or none if one is rejected.
    Batch(Box<Batch>),
    /// Changes the settings of the plan.
    Describe(PlanPatch),
    /// Sets the total budget to an amount in currency units (not in units of the plan).
    SetTotalAmount(f64),
    /// Edits the entry of a scenario in its plan, or merges rows of the scenario.
    Scenario {
        /// The scenario.
        id: DocumentId,
        /// The edit.
        edit: Box<ScenarioEdit>,
    },
    /// Makes an edit if a precondition holds. Both happen in one step, so no other change can come between.
    OnlyIf {
        /// The precondition.
        condition: Condition,
        /// The edit.
        edit: Box<Edit>,
    },
}

impl Edit {
    /// Number of positions that the edit writes.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Create { positions, .. } | Self::AddAll(positions) => positions.len(),
            Self::Batch(batch) => batch.rows(),
            Self::OnlyIf { edit, .. } => edit.rows(),
            Self::Scenario { edit, .. } => match &**edit {
                ScenarioEdit::Pick(pick) => pick.rows.len(),
                _ => 0,
            },
            Self::CarryId(_) | Self::NameSuccessor(_) | Self::Describe(_) | Self::SetTotalAmount(_) => 0,
            Self::Add(_) | Self::Patch { .. } | Self::Delete { .. } => 1,
        }
    }
}

/// Makes an edit as one change, or as none if it has no effect. An edit of the budgets of departments first applies the change that
/// creates their [shared map](super::shared_map), if that is missing.
///
/// # Errors
/// When the edit is rejected. The document is unchanged then.
pub fn run(doc: &mut Automerge, edit: &Edit, author: &Author) -> Result<Done, EditError> {
    let maps = position_maps(doc);
    let message = match edit {
        Edit::Create { id, plan, positions } => {
            return bulk::create(doc, id, plan, positions, author, "");
        }
        Edit::CarryId(id) => {
            return commit(doc, author, format!("{}: document id", author.name), |tx| {
                put_text(tx, &ROOT, DOCUMENT_ID, id.as_str())
            });
        }
        Edit::NameSuccessor(id) => {
            return commit(doc, author, format!("{}: goes on in {}", author.name, id.url()), |tx| {
                put_text(tx, &ROOT, SUCCESSOR, &id.url())?;
                tx.put(ROOT, ARCHIVED, true)
            });
        }
        Edit::Add(position) => {
            position.validate()?;
            if !candidates(doc, &maps, &position.id).is_empty() {
                return Err(EditError::Exists(position.id.clone()));
            }
            let designation = position.fields[DESIGNATION].as_text().unwrap_or_default();
            let message = format!("{}: added {designation}", author.name);
            return commit(doc, author, message, |tx| {
                let map = bulk::positions_map(tx, &maps)?;
                bulk::add_row(tx, &map, position, author)
            });
        }
        Edit::AddAll(positions) => return bulk::add_all(doc, positions, author),
        Edit::Scenario { id, edit } => return scenarios::run(doc, id, edit, author),
        Edit::Patch { id, patch } => return run_patch(doc, &maps, id, patch, author),
        Edit::Delete { id } => {
            let deletion = PreparedDeletion::new(doc, &maps, id)?;
            return commit(doc, author, format!("{}: deleted {}", author.name, deletion.name), |tx| deletion.write(tx));
        }
        Edit::Batch(batch) => return batch::run(doc, batch, author),
        Edit::Describe(patch) => {
            plan_patch::check(patch)?;
            department_budgets::check(doc, &patch.department_budgets)
                .map_err(|reason| EditError::Invalid { field: DEPARTMENT_BUDGETS, reason })?;
            department_budgets::prepare(doc, &patch.department_budgets)?;
            return commit(doc, author, format!("{}: plan settings", author.name), |tx| plan_patch::write(tx, patch));
        }
        Edit::OnlyIf { condition, edit } => {
            return if condition.holds(doc) { run(doc, edit, author) } else { Err(EditError::Changed) };
        }
        Edit::SetTotalAmount(amount) => {
            let plan = read_plan(doc);
            let total = Budget::new_f64(without_noise(amount / plan.unit))
                .map_err(|error| EditError::Invalid { field: TOTAL_BUDGET, reason: error.to_string() })?;
            if plan.total_budget == Some(total.as_f64()) {
                return Ok(Done { changed: false });
            }
            (format!("{}: total budget {total}", author.name), total)
        }
    };
    commit(doc, author, message.0, |tx| put_number(tx, &ROOT, TOTAL_BUDGET, message.1))
}

fn run_patch(
    doc: &mut Automerge,
    maps: &[ObjId],
    id: &str,
    patch: &PositionPatch,
    author: &Author,
) -> Result<Done, EditError> {
    let Some(change) = PreparedPatch::new(doc, maps, id, patch)? else { return Ok(Done { changed: false }) };
    commit(doc, author, format!("{}: {}", author.name, change.said()), |tx| change.write(tx, author))
}

/// Rounds a number to 12 significant digits, to remove the noise of binary fractions.
#[must_use]
pub fn without_noise(number: f64) -> f64 {
    format!("{number:.11e}").parse().unwrap_or(number)
}

/// Sets the name that the plan has at these heads, if it has another one now. Merging a scenario must not rename its plan.
///
/// # Errors
/// When the Automerge library fails.
pub fn keep_name(doc: &mut Automerge, heads: &[ChangeHash], author: &Author) -> Result<Done, EditError> {
    let (then, now) = (Snapshot::at(doc, heads), Snapshot::now(doc));
    let shown = |snapshot: Snapshot<'_>| -> Vec<Option<serde_json::Value>> {
        snapshot.all(&ROOT, NAME).iter().map(|(value, object)| snapshot.show(value, object)).collect()
    };
    let wanted = shown(then);
    if wanted == shown(now) {
        return Ok(Done { changed: false });
    }
    let wanted = wanted.last().cloned().flatten();
    commit(doc, author, format!("{}: name of the plan", author.name), |tx| match wanted.as_ref() {
        Some(serde_json::Value::String(name)) => put_text(tx, &ROOT, NAME, name),
        _ => delete_if_present(tx, &ROOT, NAME),
    })
}
