//! Adds many positions: every row with one call of the library, and any number of rows in changes of bounded size.
//!
//! The library splices its columns for every value that a transaction writes. A new row written value by value therefore costs a dozen
//! splices; as one tree it costs two.
//!
//! A transaction holds each of its operations in a form of some 250 bytes until it is committed, and a reader of the history
//! decodes a change as a whole. [`add_in_portions`] bounds both.

use std::collections::{HashMap, HashSet};

use automerge::hydrate::{Map, Value};
use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ObjId, ObjType, ROOT, ReadDoc, TextEncoding};
use primitives::DocumentId;

use super::change::{Author, Done, EditError, commit, put_text};
use super::new_position::{NewPosition, NewValue};
use super::plan_patch::{self, PlanPatch};
use super::position::{DEPARTMENT_BUDGETS, DOCUMENT_ID, POSITIONS, candidates, position_maps};

/// Operations of the positions that one change adds in [`add_in_portions`]: some 2,500 positions with short texts. A transaction takes
/// 25 MB for them. A single position may have more.
const OPERATIONS: usize = if cfg!(test) { 100 } else { 100_000 };

/// A new plan.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPlan {
    /// The document id, which is stored in the document.
    pub id: DocumentId,
    /// The settings.
    pub settings: PlanPatch,
}

/// Adds any number of positions, in changes of bounded size. With `new_plan`, the first change creates the plan. `progress` gets the
/// number of positions so far after each change. Returns the number of changes.
///
/// The changes belong together: store all of them or none.
///
/// # Errors
/// When a position is invalid, or exists already. The document may have some of the positions then, and must be dropped.
pub fn add_in_portions(
    doc: &mut Automerge,
    new_plan: Option<NewPlan>,
    positions: impl ExactSizeIterator<Item = NewPosition>,
    author: &Author,
    progress: &mut dyn FnMut(usize),
) -> Result<usize, EditError> {
    let total = positions.len();
    // All keys once: with many new positions that is faster than a search for each.
    let mut known = ids(doc);
    let (mut new_plan, mut positions) = (new_plan, positions.peekable());
    let (mut done, mut changes) = (0, 0);
    while new_plan.is_some() || positions.peek().is_some() {
        let mut portion = Vec::new();
        let mut operations = 0;
        let mut fits = |position: &NewPosition| {
            let is_first = operations == 0;
            operations += position.operations(author);
            is_first || operations <= OPERATIONS
        };
        while let Some(position) = positions.next_if(&mut fits) {
            position.validate()?;
            if !known.insert(position.id.clone()) {
                return Err(EditError::Exists(position.id));
            }
            portion.push(position);
        }
        done += portion.len();
        let rest = if portion.len() == total { String::new() } else { format!(" ({done} of {total})") };
        match new_plan.take() {
            Some(NewPlan { id, settings }) => create(doc, &id, &settings, &portion, author, &rest)?,
            None => add_checked(doc, &portion, author, &rest)?,
        };
        changes += 1;
        progress(done);
    }
    Ok(changes)
}

/// Number of positions, found without reading them.
#[must_use]
pub fn count_positions(doc: &Automerge) -> usize {
    match position_maps(doc).as_slice() {
        [map] => doc.keys(map).count(),
        _ => ids(doc).len(),
    }
}

fn ids(doc: &Automerge) -> HashSet<String> {
    position_maps(doc).iter().flat_map(|map| doc.keys(map)).collect()
}

/// Creates a plan with these positions, in one change. `rest` ends the change's message.
pub(super) fn create(
    doc: &mut Automerge,
    id: &DocumentId,
    plan: &PlanPatch,
    positions: &[NewPosition],
    author: &Author,
    rest: &str,
) -> Result<Done, EditError> {
    positions.iter().try_for_each(NewPosition::validate)?;
    plan_patch::check(plan)?;
    if !plan.department_budgets.is_empty() {
        // Their shared map would come before the first change of the document.
        let reason = "can be set when the document exists".to_owned();
        return Err(EditError::Invalid { field: DEPARTMENT_BUDGETS, reason });
    }
    let message = match positions.len() {
        0 => format!("{}: new plan{rest}", author.name),
        rows => format!("{}: new plan with {rows} positions{rest}", author.name),
    };
    commit(doc, author, message, |tx| {
        put_text(tx, &ROOT, DOCUMENT_ID, id.as_str())?;
        plan_patch::write(tx, plan)?;
        let map = tx.put_object(ROOT, POSITIONS, ObjType::Map)?;
        add_rows(tx, &map, positions, author)
    })
}

/// Adds these positions in one change, or none if one is invalid or exists.
pub(super) fn add_all(doc: &mut Automerge, positions: &[NewPosition], author: &Author) -> Result<Done, EditError> {
    let maps = position_maps(doc);
    let mut ids = HashSet::new();
    for position in positions {
        position.validate()?;
        if !candidates(doc, &maps, &position.id).is_empty() || !ids.insert(position.id.as_str()) {
            return Err(EditError::Exists(position.id.clone()));
        }
    }
    add_checked(doc, positions, author, "")
}

fn add_checked(doc: &mut Automerge, positions: &[NewPosition], author: &Author, rest: &str) -> Result<Done, EditError> {
    let maps = position_maps(doc);
    commit(doc, author, format!("{}: added {} positions{rest}", author.name, positions.len()), |tx| {
        let map = positions_map(tx, &maps)?;
        add_rows(tx, &map, positions, author)
    })
}

/// The map for new positions. Creates it if the document has none.
pub(super) fn positions_map(tx: &mut Transaction<'_>, maps: &[ObjId]) -> Result<ObjId, AutomergeError> {
    maps.last().map_or_else(|| tx.put_object(ROOT, POSITIONS, ObjType::Map), |map| Ok(map.clone()))
}

/// Adds one position value by value, so that its operations are in the order of the fields.
pub(super) fn add_row(
    tx: &mut Transaction<'_>,
    map: &ObjId,
    position: &NewPosition,
    author: &Author,
) -> Result<(), AutomergeError> {
    let row = tx.put_object(map, position.id.as_str(), ObjType::Map)?;
    position.values(author).try_for_each(|(key, value)| match value {
        NewValue::Text(text) => put_text(tx, &row, key, text),
        NewValue::Scalar(value) => tx.put(&row, key, value),
    })
}

/// Adds new positions, each in one call.
pub(super) fn add_rows<'a>(
    tx: &mut Transaction<'_>,
    map: &ObjId,
    positions: impl IntoIterator<Item = &'a NewPosition>,
    author: &Author,
) -> Result<(), AutomergeError> {
    let encoding = tx.text_encoding();
    positions.into_iter().try_for_each(|position| {
        tx.batch_create_object(map, position.id.as_str(), &tree(position, author, encoding), false).map(drop)
    })
}

/// A row as the library's tree of values.
fn tree(position: &NewPosition, author: &Author, encoding: TextEncoding) -> Value {
    let values: HashMap<String, Value> = position
        .values(author)
        .map(|(key, value)| match value {
            NewValue::Text(text) => (key.to_owned(), Value::text(encoding, text)),
            NewValue::Scalar(value) => (key.to_owned(), Value::Scalar(value)),
        })
        .collect();
    Value::Map(Map::from(values))
}

#[cfg(test)]
mod tests;
