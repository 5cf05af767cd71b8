//! Edits as Automerge transactions: what the server and the Rust client write, and what they refuse to write.
//!
//! Texts are written whole, as new Text objects (what a JavaScript assignment writes), so that two people who set a
//! field at once see a conflict instead of one vanishing in the other's text. Rows are never assigned whole after
//! they were made. Every edit is one change, with a message that says who did what.

use std::collections::HashSet;
use std::sync::Arc;

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use primitives::{DocumentId, MAX_TEXT, is_blank};

use super::condition::Condition;
use super::position::{
    BUDGET, CREATED_AT, CURRENCY, DEPARTMENT, DESIGNATION, DOCUMENT_ID, LOCATION, NAME, POSITIONS, Position,
    TOTAL_BUDGET, UNIT, UPDATED_AT, UPDATED_BY, candidates, position_maps, read_plan, read_position,
};
use super::{Budget, check_position_id};

/// Who edits, and when.
#[derive(Debug, Clone)]
pub struct Author {
    /// Shown as `updatedBy`.
    pub name: String,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// A position to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPosition {
    /// Its key: opaque.
    pub id: String,
    /// Must not be empty.
    pub designation: String,
    /// May be empty, and any text.
    pub department: String,
    /// In units of the plan. `None`: unknown; the position has no budget then.
    pub budget: Option<Budget>,
    /// May be empty.
    pub location: String,
    /// Milliseconds since 1970; the moment of the edit when absent.
    pub created_at: Option<i64>,
    /// Who wrote it last and when (milliseconds), where that is known from elsewhere; the author of the edit otherwise.
    pub updated: Option<(String, i64)>,
}

/// What becomes of a position's budget.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum BudgetPatch {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is deleted: unknown from then on.
    Clear,
    /// It is set, in units of the plan.
    Set(Budget),
}

/// `None` keeps the budget.
impl From<Option<Budget>> for BudgetPatch {
    fn from(budget: Option<Budget>) -> Self {
        budget.map_or(Self::Keep, Self::Set)
    }
}

/// What is to be changed of a position; absent fields stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PositionPatch {
    /// Must not be empty.
    pub designation: Option<String>,
    /// See [`NewPosition`].
    pub department: Option<String>,
    /// See [`BudgetPatch`].
    pub budget: BudgetPatch,
    /// See [`NewPosition`].
    pub location: Option<String>,
}

/// What a document says about itself; absent fields stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanPatch {
    /// The plan's name.
    pub name: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Currency units in one unit of a budget.
    pub unit: Option<Budget>,
    /// In units.
    pub total_budget: Option<Budget>,
}

/// One edit.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Makes the document a plan: its id, what it says about itself, an empty map of positions, and these rows.
    Create {
        /// The id that the document carries from now on.
        id: DocumentId,
        /// Name, currency, unit and total.
        plan: PlanPatch,
        /// The rows that it begins with.
        positions: Vec<NewPosition>,
    },
    /// Makes a document that has none carry its id.
    CarryId(DocumentId),
    /// Makes one position.
    Add(NewPosition),
    /// Makes several positions, or none.
    AddAll(Vec<NewPosition>),
    /// Changes fields of one position.
    Patch {
        /// Which.
        id: String,
        /// What.
        patch: PositionPatch,
    },
    /// Deletes one position.
    Delete {
        /// Which.
        id: String,
    },
    /// Changes what the document says about itself.
    Describe(PlanPatch),
    /// Sets the total budget to an amount of currency (not of units).
    SetTotalAmount(f64),
    /// Makes an edit if something is still as its author saw it. Checked here, so that nothing can come between.
    OnlyIf {
        /// What must be so.
        condition: Condition,
        /// The edit.
        edit: Box<Edit>,
    },
}

impl Edit {
    /// How many rows it writes.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Create { positions, .. } | Self::AddAll(positions) => positions.len(),
            Self::OnlyIf { edit, .. } => edit.rows(),
            Self::CarryId(_) | Self::Describe(_) | Self::SetTotalAmount(_) => 0,
            Self::Add(_) | Self::Patch { .. } | Self::Delete { .. } => 1,
        }
    }
}

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// False when everything was as asked for already: no change was made.
    pub changed: bool,
}

/// Why an edit is refused. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// There is no such position.
    #[error("there is no position with the id {0:?}")]
    NotFound(String),
    /// There is one already.
    #[error("there is a position with the id {0:?} already")]
    Exists(String),
    /// Something else than a map stands in the position's place: it has no fields.
    #[error(
        "the position {0:?} is not a map of fields, so it cannot be changed; delete it, or restore it from the history"
    )]
    NotAMap(String),
    /// The condition of [`Edit::OnlyIf`] does not hold.
    #[error("somebody else has changed it meanwhile; read it again, and decide again")]
    Changed,
    /// A field's value is not acceptable.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, as the JSON names it.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The library refused: the document is not what it seemed to be.
    #[error("the document could not be edited: {0}")]
    Automerge(#[from] AutomergeError),
}

impl NewPosition {
    fn validate(&self) -> Result<(), EditError> {
        check_position_id(&self.id).map_err(|error| EditError::Invalid { field: "id", reason: error.to_string() })?;
        check_designation(&self.designation)?;
        check_text(DEPARTMENT, &self.department)?;
        check_text(LOCATION, &self.location)
    }
}

fn check_designation(text: &str) -> Result<(), EditError> {
    if is_blank(text) {
        return Err(EditError::Invalid { field: DESIGNATION, reason: "must not be empty".to_owned() });
    }
    check_text(DESIGNATION, text)
}

fn check_text(field: &'static str, text: &str) -> Result<(), EditError> {
    if text.chars().count() > MAX_TEXT {
        return Err(EditError::Invalid { field, reason: format!("must not be longer than {MAX_TEXT} characters") });
    }
    Ok(())
}

/// Runs one edit as one change. An edit that finds everything as asked for makes none.
///
/// # Errors
/// When the edit is refused; the document is unchanged then.
pub fn run(doc: &mut Automerge, edit: &Edit, author: &Author) -> Result<Done, EditError> {
    let plan = read_plan(doc);
    let maps = position_maps(doc);
    let message = match edit {
        Edit::Create { id, plan, positions } => {
            positions.iter().try_for_each(NewPosition::validate)?;
            check_plan(plan)?;
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
            let message = format!("{}: added {}", author.name, position.designation);
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
            return commit(doc, author, format!("{}: plan settings", author.name), |tx| describe(tx, patch));
        }
        Edit::OnlyIf { condition, edit } => {
            return if condition.holds(doc) { run(doc, edit, author) } else { Err(EditError::Changed) };
        }
        Edit::SetTotalAmount(amount) => {
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
    if let Some(designation) = &patch.designation {
        check_designation(designation)?;
    }
    for (field, text) in [(DEPARTMENT, &patch.department), (LOCATION, &patch.location)] {
        text.as_ref().map_or(Ok(()), |text| check_text(field, text))?;
    }
    let not_found = || EditError::NotFound(id.to_owned());
    let mut found = candidates(doc, maps, id);
    let row = found.pop().ok_or_else(not_found)?.row.ok_or_else(|| EditError::NotAMap(id.to_owned()))?;
    let losing: Vec<ObjId> = found.into_iter().filter_map(|candidate| candidate.row).collect();
    let now = read_position(doc, maps, &Arc::from(id)).ok_or_else(not_found)?.position;

    // A field that stands as asked for is left alone, unless writing it settles a conflict.
    let differs = |field: &'static str, is: &Option<serde_json::Value>, wanted: serde_json::Value| {
        is.as_ref() != Some(&wanted) || now.conflicts.contains_key(field)
    };
    let texts: Vec<(&'static str, &str)> = [
        (DESIGNATION, &now.designation, &patch.designation),
        (DEPARTMENT, &now.department, &patch.department),
        (LOCATION, &now.location, &patch.location),
    ]
    .into_iter()
    .filter_map(|(field, is, wanted)| Some((field, is, wanted.as_deref()?)))
    .filter(|(field, is, wanted)| differs(field, is, (*wanted).into()))
    .map(|(field, _, wanted)| (field, wanted))
    .collect();
    let is_conflict = now.conflicts.contains_key(BUDGET);
    let budget = match patch.budget {
        BudgetPatch::Set(wanted) if !is_conflict && is_amount(now.budget.as_ref(), wanted) => BudgetPatch::Keep,
        BudgetPatch::Clear if now.budget.is_none() => BudgetPatch::Keep,
        wanted => wanted,
    };

    let mut said: Vec<String> = texts.iter().map(|(field, text)| format!("{field} {text}")).collect();
    match budget {
        BudgetPatch::Keep => {}
        BudgetPatch::Clear => said.push(format!("no {BUDGET}")),
        BudgetPatch::Set(budget) => said.push(format!("{BUDGET} {budget}")),
    }
    if said.is_empty() {
        return Ok(Done { changed: false });
    }
    let name = name_of(&now).unwrap_or_else(|| id.to_owned());
    commit(doc, author, format!("{}: {name}: {}", author.name, said.join(", ")), |tx| {
        for (field, text) in &texts {
            put_text(tx, &row, field, text)?;
        }
        match budget {
            BudgetPatch::Keep => {}
            BudgetPatch::Clear => delete_if_there(tx, &row, BUDGET)?,
            BudgetPatch::Set(budget) => put_number(tx, &row, BUDGET, budget)?,
        }
        // Of two positions under one id both are shown as one, so what the other one has there is settled as well. Its other
        // fields stay.
        let budget = (budget != BudgetPatch::Keep).then_some(BUDGET);
        for field in texts.iter().map(|(field, _)| *field).chain(budget) {
            losing.iter().try_for_each(|row| delete_if_there(tx, row, field))?;
        }
        tx.put(&row, UPDATED_AT, ScalarValue::Timestamp(author.now))?;
        put_text(tx, &row, UPDATED_BY, &author.name)
    })
}

/// Whether a budget is this amount already, stored as a number.
fn is_amount(budget: Option<&serde_json::Value>, amount: Budget) -> bool {
    budget.and_then(serde_json::Value::as_f64) == Some(amount.as_f64())
}

fn delete_if_there(tx: &mut Transaction<'_>, row: &ObjId, field: &str) -> Result<(), AutomergeError> {
    if tx.get(row, field)?.is_some() { tx.delete(row, field) } else { Ok(()) }
}

/// A number without what binary fractions added to it: what people type has fewer than 12 digits.
#[must_use]
pub fn without_noise(number: f64) -> f64 {
    format!("{number:.11e}").parse().unwrap_or(number)
}

fn name_of(position: &Position) -> Option<String> {
    position.designation.as_ref()?.as_str().map(str::to_owned)
}

fn check_plan(plan: &PlanPatch) -> Result<(), EditError> {
    plan.name.as_ref().map_or(Ok(()), |name| check_text(NAME, name))?;
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
    Ok(())
}

/// The map that new rows go into; made when the document has none.
fn positions_map(tx: &mut Transaction<'_>, maps: &[ObjId]) -> Result<ObjId, AutomergeError> {
    maps.last().map_or_else(|| tx.put_object(ROOT, POSITIONS, ObjType::Map), |map| Ok(map.clone()))
}

fn add(tx: &mut Transaction<'_>, map: &ObjId, position: &NewPosition, author: &Author) -> Result<(), AutomergeError> {
    let row = tx.put_object(map, position.id.as_str(), ObjType::Map)?;
    put_text(tx, &row, DESIGNATION, &position.designation)?;
    put_text(tx, &row, DEPARTMENT, &position.department)?;
    if let Some(budget) = position.budget {
        put_number(tx, &row, BUDGET, budget)?;
    }
    put_text(tx, &row, LOCATION, &position.location)?;
    let (who, when) = position.updated.as_ref().map_or((&author.name, author.now), |(who, when)| (who, *when));
    tx.put(&row, CREATED_AT, ScalarValue::Timestamp(position.created_at.unwrap_or(author.now)))?;
    tx.put(&row, UPDATED_AT, ScalarValue::Timestamp(when))?;
    put_text(tx, &row, UPDATED_BY, who)
}

fn put_text(tx: &mut Transaction<'_>, object: &ObjId, key: &str, text: &str) -> Result<(), AutomergeError> {
    let object = tx.put_object(object, key, ObjType::Text)?;
    tx.splice_text(object, 0, 0, text)
}

fn put_number(tx: &mut Transaction<'_>, object: &ObjId, key: &str, number: Budget) -> Result<(), AutomergeError> {
    match number {
        // Below 2^53, so it fits.
        Budget::Int(number) => tx.put(object, key, i64::try_from(number).unwrap_or(i64::MAX)),
        Budget::Float(number) => tx.put(object, key, number),
    }
}

fn commit(
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
