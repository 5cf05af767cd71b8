//! Edits as Automerge transactions, with validation. The server and the Rust client write through them.
//!
//! A text is written as a new Text object, like an assignment in JavaScript, so that concurrent writes of a field give a visible
//! conflict instead of a merged text. A row is never replaced after it was created. Every edit is one change, with a message
//! that names its author and its effect.

use std::collections::HashSet;
use std::sync::Arc;

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use primitives::{DocumentId, is_blank};

use super::condition::Condition;
use super::fields::{DESIGNATION, FieldId, FieldKind, FieldMap, FieldValue, check_length};
use super::position::{
    CREATED_AT, CURRENCY, DEPARTMENT_BUDGETS, DOCUMENT_ID, NAME, POSITIONS, Position, TOTAL_BUDGET, UNIT, UPDATED_AT,
    UPDATED_BY, YEAR_START, candidates, position_maps, read_plan, read_position,
};
use super::scenarios::{self, ScenarioEdit};
use super::snapshot::Snapshot;
use super::{Budget, DepartmentBudgetsPatch, Month, check_position_id, department_budgets};

/// The author of an edit, and the time of the edit.
#[derive(Debug, Clone)]
pub struct Author {
    /// Name, stored as `updatedBy`.
    pub name: String,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// A position to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPosition {
    /// Key in the map of positions. Opaque; see [`check_position_id`].
    pub id: String,
    /// The value of each field.
    pub fields: FieldMap<FieldValue>,
    /// Milliseconds since 1970. `None` stands for the time of the edit.
    pub created_at: Option<i64>,
    /// Name of the last editor, and the time of the last edit in milliseconds since 1970. `None` stands for the author and
    /// the time of this edit.
    pub updated: Option<(String, i64)>,
}

impl NewPosition {
    /// A position with only an id and a designation. The other fields are empty, or unknown.
    #[must_use]
    pub fn new(id: impl Into<String>, designation: impl Into<String>) -> Self {
        let fields = FieldMap::from_fn(|field| FieldValue::empty(field.kind()));
        Self { id: id.into(), fields, created_at: None, updated: None }.with(DESIGNATION, designation.into())
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, field: FieldId, value: impl Into<FieldValue>) -> Self {
        self.fields[field] = value.into();
        self
    }

    fn validate(&self) -> Result<(), EditError> {
        check_position_id(&self.id).map_err(|error| EditError::Invalid { field: "id", reason: error.to_string() })?;
        self.fields.iter().try_for_each(|(field, value)| check_field(field, value))
    }
}

/// Changes to one position.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PositionPatch {
    /// The new value of each field; `None` leaves the field unchanged.
    pub fields: FieldMap<Option<FieldValue>>,
}

impl PositionPatch {
    /// A patch that sets one field.
    #[must_use]
    pub fn set(field: FieldId, value: impl Into<FieldValue>) -> Self {
        Self::default().with(field, value)
    }

    /// Sets another field.
    #[must_use]
    pub fn with(mut self, field: FieldId, value: impl Into<FieldValue>) -> Self {
        self.fields[field] = Some(value.into());
        self
    }
}

/// Changes to the settings of a plan. `None` leaves a setting unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanPatch {
    /// The plan's name.
    pub name: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Currency units in one unit of a budget.
    pub unit: Option<Budget>,
    /// In units of the plan.
    pub total_budget: Option<Budget>,
    /// The first month of the plan's year. `Some(None)` removes it.
    pub year_start: Option<Option<Month>>,
    /// Changed budgets of departments.
    pub department_budgets: DepartmentBudgetsPatch,
}

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
            Self::OnlyIf { edit, .. } => edit.rows(),
            Self::Scenario { edit, .. } => match &**edit {
                ScenarioEdit::Pick(pick) => pick.rows.len(),
                _ => 0,
            },
            Self::CarryId(_) | Self::Describe(_) | Self::SetTotalAmount(_) => 0,
            Self::Add(_) | Self::Patch { .. } | Self::Delete { .. } => 1,
        }
    }
}

/// The result of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Whether a change was made. False if the edit has no effect.
    pub changed: bool,
}

/// Why an edit is rejected. The document is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The position does not exist.
    #[error("there is no position with the id {0:?}")]
    NotFound(String),
    /// A position with this id exists already.
    #[error("there is a position with the id {0:?} already")]
    Exists(String),
    /// The value in the position's place is not a map, so it has no fields.
    #[error(
        "the position {0:?} is not a map of fields, so it cannot be changed; delete it, or restore it from the history"
    )]
    NotAMap(String),
    /// The precondition of [`Edit::OnlyIf`] does not hold.
    #[error("precondition failed: it has changed since you read it; read it again and retry")]
    Changed,
    /// The value of a field is invalid.
    #[error("{field}: {reason}")]
    Invalid {
        /// Key of the field, as in JSON.
        field: &'static str,
        /// The reason.
        reason: String,
    },
    /// The Automerge library failed.
    #[error("the document could not be edited: {0}")]
    Automerge(#[from] AutomergeError),
}

fn check_field(field: FieldId, value: &FieldValue) -> Result<(), EditError> {
    value.check(field).map_err(|reason| EditError::Invalid { field: field.key(), reason })
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
            positions.iter().try_for_each(NewPosition::validate)?;
            check_plan(plan)?;
            if !plan.department_budgets.is_empty() {
                // Their shared map would come before the first change of the document.
                let reason = "can be set when the document exists".to_owned();
                return Err(EditError::Invalid { field: DEPARTMENT_BUDGETS, reason });
            }
            let message = match positions.len() {
                0 => format!("{}: new plan", author.name),
                rows => format!("{}: new plan with {rows} positions", author.name),
            };
            return commit(doc, author, message, |tx| {
                put_text(tx, &ROOT, DOCUMENT_ID, id.as_str())?;
                describe(tx, plan)?;
                let map = tx.put_object(ROOT, POSITIONS, ObjType::Map)?;
                positions.iter().try_for_each(|position| add(tx, &map, position, author))
            });
        }
        Edit::CarryId(id) => {
            return commit(doc, author, format!("{}: document id", author.name), |tx| {
                put_text(tx, &ROOT, DOCUMENT_ID, id.as_str())
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
                let map = positions_map(tx, &maps)?;
                add(tx, &map, position, author)
            });
        }
        Edit::AddAll(positions) => {
            let mut ids = HashSet::new();
            for position in positions {
                position.validate()?;
                if !candidates(doc, &maps, &position.id).is_empty() || !ids.insert(position.id.as_str()) {
                    return Err(EditError::Exists(position.id.clone()));
                }
            }
            return commit(doc, author, format!("{}: added {} positions", author.name, positions.len()), |tx| {
                let map = positions_map(tx, &maps)?;
                positions.iter().try_for_each(|position| add(tx, &map, position, author))
            });
        }
        Edit::Scenario { id, edit } => return scenarios::run(doc, id, edit, author),
        Edit::Patch { id, patch } => return run_patch(doc, &maps, id, patch, author),
        Edit::Delete { id } => {
            let found = candidates(doc, &maps, id);
            if found.is_empty() {
                return Err(EditError::NotFound(id.clone()));
            }
            let name = read_position(doc, &maps, &Arc::from(id.as_str()))
                .and_then(|reading| name_of(&reading.position))
                .unwrap_or_else(|| id.clone());
            let mut maps: Vec<ObjId> = found.into_iter().map(|candidate| candidate.map).collect();
            maps.dedup();
            return commit(doc, author, format!("{}: deleted {name}", author.name), |tx| {
                maps.iter().try_for_each(|map| tx.delete(map, id.as_str()))
            });
        }
        Edit::Describe(patch) => {
            check_plan(patch)?;
            department_budgets::check(doc, &patch.department_budgets)
                .map_err(|reason| EditError::Invalid { field: DEPARTMENT_BUDGETS, reason })?;
            department_budgets::prepare(doc, &patch.department_budgets)?;
            return commit(doc, author, format!("{}: plan settings", author.name), |tx| describe(tx, patch));
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
    let wanted = || patch.fields.iter().filter_map(|(field, value)| Some((field, value.as_ref()?)));
    wanted().try_for_each(|(field, value)| check_field(field, value))?;
    let not_found = || EditError::NotFound(id.to_owned());
    let mut found = candidates(doc, maps, id);
    let row = found.pop().ok_or_else(not_found)?.row.ok_or_else(|| EditError::NotAMap(id.to_owned()))?;
    let losing: Vec<ObjId> = found.into_iter().filter_map(|candidate| candidate.row).collect();
    let now = read_position(doc, maps, &Arc::from(id)).ok_or_else(not_found)?.position;

    let mut changes: Vec<(FieldId, &FieldValue)> =
        wanted().filter(|(field, value)| is_change(&now, *field, value)).collect();
    if changes.is_empty() {
        return Ok(Done { changed: false });
    }
    // Texts come before amounts in the message and in the operations.
    changes.sort_by_key(|(field, _)| field.kind() == FieldKind::Amount);
    let name = name_of(&now).unwrap_or_else(|| id.to_owned());
    let said: Vec<String> = changes.iter().map(|(field, value)| describe_change(*field, value)).collect();
    commit(doc, author, format!("{}: {name}: {}", author.name, said.join(", ")), |tx| {
        for (field, value) in &changes {
            if value.unsets(field.kind()) {
                delete_if_present(tx, &row, field.key())?;
            } else {
                put_field(tx, &row, *field, value)?;
            }
        }
        // Two positions under one id are shown as one. Deleting the field from the losing rows settles their conflict about
        // it; their other fields stay.
        for (field, _) in &changes {
            losing.iter().try_for_each(|row| delete_if_present(tx, row, field.key()))?;
        }
        tx.put(&row, UPDATED_AT, ScalarValue::Timestamp(author.now))?;
        put_text(tx, &row, UPDATED_BY, &author.name)
    })
}

/// Whether setting a field to `value` changes the position. Writing the same value again changes it only if that settles a
/// conflict.
fn is_change(position: &Position, field: FieldId, value: &FieldValue) -> bool {
    let current = position.fields[field].as_ref();
    if value.unsets(field.kind()) {
        return current.is_some();
    }
    let is_same = match value {
        FieldValue::Text(text) => position.text(field) == Some(text),
        FieldValue::Amount(amount) => current.and_then(serde_json::Value::as_f64) == Some(amount.as_f64()),
        FieldValue::Unset => current.is_none(),
    };
    !is_same || position.conflicts.contains_key(field.key())
}

/// A change of a field as the change message says it.
fn describe_change(field: FieldId, value: &FieldValue) -> String {
    match value {
        value if value.unsets(field.kind()) => format!("no {field}"),
        FieldValue::Text(text) => format!("{field} {text}"),
        FieldValue::Amount(amount) => format!("{field} {amount}"),
        FieldValue::Unset => format!("no {field}"),
    }
}

/// Writes a field. A value that unsets the field writes nothing.
fn put_field(tx: &mut Transaction<'_>, row: &ObjId, field: FieldId, value: &FieldValue) -> Result<(), AutomergeError> {
    match value {
        value if value.unsets(field.kind()) => Ok(()),
        FieldValue::Text(text) => put_text(tx, row, field.key(), text),
        FieldValue::Amount(amount) => put_number(tx, row, field.key(), *amount),
        FieldValue::Unset => Ok(()),
    }
}

fn delete_if_present(tx: &mut Transaction<'_>, row: &ObjId, field: &str) -> Result<(), AutomergeError> {
    if tx.get(row, field)?.is_some() { tx.delete(row, field) } else { Ok(()) }
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

fn name_of(position: &Position) -> Option<String> {
    position.text(DESIGNATION).map(str::to_owned)
}

fn check_plan(plan: &PlanPatch) -> Result<(), EditError> {
    if let Some(Err(reason)) = plan.name.as_deref().map(check_length) {
        return Err(EditError::Invalid { field: NAME, reason });
    }
    if plan.name.as_deref().is_some_and(is_blank) {
        return Err(EditError::Invalid { field: NAME, reason: "must not be empty".to_owned() });
    }
    let code = |code: &String| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if plan.currency.as_ref().is_some_and(|currency| !code(currency)) {
        let reason = "must be a currency code of three capital letters, such as INR".to_owned();
        return Err(EditError::Invalid { field: CURRENCY, reason });
    }
    if plan.unit.is_some_and(|unit| unit.as_f64() <= 0.0) {
        return Err(EditError::Invalid { field: UNIT, reason: "must be more than 0".to_owned() });
    }
    Ok(())
}

fn describe(tx: &mut Transaction<'_>, plan: &PlanPatch) -> Result<(), AutomergeError> {
    if let Some(name) = &plan.name {
        put_text(tx, &ROOT, NAME, name)?;
    }
    if let Some(currency) = &plan.currency {
        put_text(tx, &ROOT, CURRENCY, currency)?;
    }
    if let Some(unit) = plan.unit {
        put_number(tx, &ROOT, UNIT, unit)?;
    }
    if let Some(total) = plan.total_budget {
        put_number(tx, &ROOT, TOTAL_BUDGET, total)?;
    }
    match plan.year_start {
        Some(Some(month)) => put_text(tx, &ROOT, YEAR_START, &month.to_string())?,
        Some(None) => delete_if_present(tx, &ROOT, YEAR_START)?,
        None => {}
    }
    department_budgets::write(tx, &plan.department_budgets)
}

/// The map for new positions. Creates it if the document has none.
fn positions_map(tx: &mut Transaction<'_>, maps: &[ObjId]) -> Result<ObjId, AutomergeError> {
    maps.last().map_or_else(|| tx.put_object(ROOT, POSITIONS, ObjType::Map), |map| Ok(map.clone()))
}

fn add(tx: &mut Transaction<'_>, map: &ObjId, position: &NewPosition, author: &Author) -> Result<(), AutomergeError> {
    let row = tx.put_object(map, position.id.as_str(), ObjType::Map)?;
    position.fields.iter().try_for_each(|(field, value)| put_field(tx, &row, field, value))?;
    let (who, when) = position.updated.as_ref().map_or((&author.name, author.now), |(who, when)| (who, *when));
    tx.put(&row, CREATED_AT, ScalarValue::Timestamp(position.created_at.unwrap_or(author.now)))?;
    tx.put(&row, UPDATED_AT, ScalarValue::Timestamp(when))?;
    put_text(tx, &row, UPDATED_BY, who)
}

pub(super) fn put_text(tx: &mut Transaction<'_>, object: &ObjId, key: &str, text: &str) -> Result<(), AutomergeError> {
    let object = tx.put_object(object, key, ObjType::Text)?;
    tx.splice_text(object, 0, 0, text)
}

pub(super) fn put_number(
    tx: &mut Transaction<'_>,
    object: &ObjId,
    key: &str,
    number: Budget,
) -> Result<(), AutomergeError> {
    match number {
        // Below 2^53, so it fits.
        Budget::Int(number) => tx.put(object, key, i64::try_from(number).unwrap_or(i64::MAX)),
        Budget::Float(number) => tx.put(object, key, number),
    }
}

pub(super) fn commit(
    doc: &mut Automerge,
    author: &Author,
    message: String,
    write: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
) -> Result<Done, EditError> {
    let mut tx = doc.transaction();
    if let Err(error) = write(&mut tx) {
        tx.rollback();
        return Err(error.into());
    }
    // Automerge's commit time is in seconds.
    let (hash, _) = tx.commit_with(CommitOptions::default().with_message(message).with_time(author.now / 1_000));
    Ok(Done { changed: hash.is_some() })
}
