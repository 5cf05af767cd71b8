//! The entries of scenarios in their plan, and the edits of these entries.
//!
//! ```text
//! scenarios: { "<documentId>": { name, createdAt, createdBy, base: [heads], state,
//!                                picked: { "<row>": { plan: "heads", scenario: "heads" } } } }
//! ```
//!
//! An entry is made once and then changed field by field. Only the plan has entries: a scenario is a clone, whose own entries are
//! those of the plan when it was cloned.

use std::collections::BTreeMap;

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, Value};
use primitives::{DocumentId, is_blank};
use serde_json::Value as Json;

use super::change::{Author, Done, EditError, commit, put_text};
use super::fields::check_length;
use super::pick::{self, Pick};
use super::position::as_milliseconds;
use super::root_map;
use super::shared_map::SCENARIOS_MAP;
use super::snapshot::Snapshot;

const NAME: &str = "name";
const CREATED_AT: &str = "createdAt";
const CREATED_BY: &str = "createdBy";
const BASE: &str = "base";
const STATE: &str = "state";
const PICKED: &str = "picked";

/// What became of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScenarioState {
    /// It is being edited.
    Open,
    /// It was merged as a whole. It can be edited and merged again.
    Merged,
    /// It was deleted.
    Dropped,
}

impl ScenarioState {
    /// The text in the document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged => "merged",
            Self::Dropped => "dropped",
        }
    }
}

/// An edit of a scenario's entry in its plan.
#[derive(Debug, Clone, PartialEq)]
pub enum ScenarioEdit {
    /// Adds the entry of a scenario that was created.
    Add {
        /// The name.
        name: String,
        /// The heads of the plan that were cloned.
        base: Vec<ChangeHash>,
    },
    /// Renames it.
    Rename(String),
    /// Sets what became of it.
    SetState(ScenarioState),
    /// Merges some of its rows into the plan, and records which.
    Pick(Pick),
}

/// The entry of a scenario, as read from the plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScenarioEntry {
    /// The name.
    pub name: Option<String>,
    /// When it was created, in milliseconds since 1970.
    pub created_at: Option<i64>,
    /// The user who created it, as the client wrote it.
    pub created_by: Option<String>,
    /// `open`, `merged` or `dropped`, or what another program wrote.
    pub state: Option<String>,
}

/// The heads at which a row was picked: those of the scenario, and those that the plan had afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PickedAt {
    /// Heads of the plan.
    pub plan: Vec<ChangeHash>,
    /// Heads of the scenario.
    pub scenario: Vec<ChangeHash>,
}

/// The scenarios that the document of a plan lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScenarioMap {
    /// The entries by document id.
    pub entries: BTreeMap<String, ScenarioEntry>,
    /// The same with everything that the document holds, as JSON. Other programs may have written any value.
    pub stored: BTreeMap<String, Json>,
}

fn entry_of(doc: &Automerge, id: &DocumentId) -> Option<ObjId> {
    let now = Snapshot::now(doc);
    now.map(&now.map(&ROOT, SCENARIOS_MAP.key)?, id.as_str())
}

/// Reads the entry of a scenario; the default if there is none.
fn read_entry(doc: &Automerge, id: &DocumentId) -> ScenarioEntry {
    entry_of(doc, id).map(|entry| read_entry_at(Snapshot::now(doc), &entry)).unwrap_or_default()
}

fn read_entry_at(now: Snapshot<'_>, entry: &ObjId) -> ScenarioEntry {
    let value = |key: &str| now.all(entry, key).pop().and_then(|(value, object)| now.show(&value, &object));
    let text = |key: &str| value(key).and_then(|value| value.as_str().map(str::to_owned));
    let created_at = now.all(entry, CREATED_AT).pop().and_then(|(value, _)| match value {
        Value::Scalar(scalar) => match &*scalar {
            ScalarValue::Timestamp(ms) => Some(*ms),
            scalar => scalar.as_f64().and_then(|ms| as_milliseconds(&Json::from(ms))),
        },
        Value::Object(_) => None,
    });
    ScenarioEntry { name: text(NAME), created_at, created_by: text(CREATED_BY), state: text(STATE) }
}

/// Reads the map of scenarios.
pub(super) fn read_map(now: Snapshot<'_>, map: &ObjId) -> ScenarioMap {
    let maps = now.keys(map).into_iter().filter_map(|id| Some((now.map(map, &id)?, id)));
    let entries = maps.map(|(entry, id)| (id, read_entry_at(now, &entry))).collect();
    ScenarioMap { entries, stored: root_map::read(now, map).values }
}

/// Where a row of a scenario was picked last.
pub(super) fn picked_at(plan: &Automerge, id: &DocumentId, row: &str) -> Option<PickedAt> {
    let now = Snapshot::now(plan);
    let picked = now.map(&now.map(&entry_of(plan, id)?, PICKED)?, row)?;
    let heads = |key: &str| -> Vec<ChangeHash> {
        let text = now.all(&picked, key).pop().and_then(|(value, object)| now.show(&value, &object));
        let text = text.as_ref().and_then(Json::as_str).unwrap_or_default();
        text.split(',').filter_map(|hash| hash.parse().ok()).collect()
    };
    Some(PickedAt { plan: heads("plan"), scenario: heads("scenario") })
}

/// Whether rows of a scenario were picked. From then on the rest is merged by fields, because the changes of the scenario would
/// create the picked rows a second time.
#[must_use]
pub fn is_picked(plan: &Automerge, id: &DocumentId) -> bool {
    let now = Snapshot::now(plan);
    let picked = entry_of(plan, id).and_then(|entry| now.map(&entry, PICKED));
    picked.is_some_and(|picked| !now.keys(&picked).is_empty())
}

/// Makes an edit of a scenario's entry.
pub(super) fn run(
    doc: &mut Automerge,
    id: &DocumentId,
    edit: &ScenarioEdit,
    author: &Author,
) -> Result<Done, EditError> {
    let said = match edit {
        ScenarioEdit::Add { name, .. } => {
            check_name(name)?;
            format!("{}: scenario {name}", author.name)
        }
        ScenarioEdit::Rename(name) => {
            check_name(name)?;
            if read_entry(doc, id).name.as_ref() == Some(name) {
                return Ok(Done { changed: false });
            }
            format!("{}: renamed a scenario to {name}", author.name)
        }
        ScenarioEdit::SetState(state) => {
            let entry = read_entry(doc, id);
            if entry.state.as_deref() == Some(state.name()) {
                return Ok(Done { changed: false });
            }
            let name = entry.name.unwrap_or_else(|| id.to_string());
            format!("{}: scenario {name}: {}", author.name, state.name())
        }
        ScenarioEdit::Pick(pick) => {
            pick::check(doc, pick)?;
            prepare_map(doc)?;
            let plan = pick::write(doc, pick, author)?;
            return record(doc, id, pick, &plan, author);
        }
    };
    prepare_map(doc)?;
    commit(doc, author, said, |tx| {
        let entry = open_entry(tx, id, author)?;
        match edit {
            ScenarioEdit::Add { name, base } => {
                put_text(tx, &entry, NAME, name)?;
                let list = tx.put_object(&entry, BASE, ObjType::List)?;
                for (index, head) in base.iter().enumerate() {
                    let text = tx.insert_object(&list, index, ObjType::Text)?;
                    tx.splice_text(text, 0, 0, &head.to_string())?;
                }
                Ok(())
            }
            ScenarioEdit::Rename(name) => put_text(tx, &entry, NAME, name),
            ScenarioEdit::SetState(state) => put_text(tx, &entry, STATE, state.name()),
            ScenarioEdit::Pick(_) => Ok(()),
        }
    })
}

/// Records which rows were picked at which heads.
fn record(
    doc: &mut Automerge,
    id: &DocumentId,
    pick: &Pick,
    plan: &[ChangeHash],
    author: &Author,
) -> Result<Done, EditError> {
    let joined = |heads: &[ChangeHash]| heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let (plan, scenario) = (joined(plan), joined(&pick.scenario_heads));
    let name = read_entry(doc, id).name.unwrap_or_else(|| id.to_string());
    commit(doc, author, format!("{}: took over positions of the scenario {name}", author.name), |tx| {
        let entry = open_entry(tx, id, author)?;
        let picked = open_map(tx, &entry, PICKED)?;
        for row in pick.rows.iter().map(|row| row.id.as_str()) {
            let at = open_map(tx, &picked, row)?;
            put_text(tx, &at, "plan", &plan)?;
            put_text(tx, &at, "scenario", &scenario)?;
        }
        if pick.is_rest { put_text(tx, &entry, STATE, ScenarioState::Merged.name()) } else { Ok(()) }
    })
}

/// Prepares the map of scenarios, unless another program has put another value in its place.
fn prepare_map(doc: &mut Automerge) -> Result<(), EditError> {
    match doc.get(ROOT, SCENARIOS_MAP.key)? {
        None | Some((Value::Object(ObjType::Map), _)) => Ok(SCENARIOS_MAP.prepare(doc)?),
        Some(_) => {
            Err(EditError::Invalid { field: SCENARIOS_MAP.key, reason: "the document holds no map here".to_owned() })
        }
    }
}

/// The entry of a scenario. Makes it if there is none.
fn open_entry(tx: &mut Transaction<'_>, id: &DocumentId, author: &Author) -> Result<ObjId, AutomergeError> {
    let map = SCENARIOS_MAP.open(tx)?.ok_or(AutomergeError::Fail)?;
    if let Some((Value::Object(ObjType::Map), entry)) = tx.get(&map, id.as_str())? {
        return Ok(entry);
    }
    let entry = tx.put_object(&map, id.as_str(), ObjType::Map)?;
    tx.put(&entry, CREATED_AT, ScalarValue::Timestamp(author.now))?;
    put_text(tx, &entry, CREATED_BY, &author.name)?;
    put_text(tx, &entry, STATE, ScenarioState::Open.name())?;
    tx.put_object(&entry, PICKED, ObjType::Map)?;
    Ok(entry)
}

fn open_map(tx: &mut Transaction<'_>, object: &ObjId, key: &str) -> Result<ObjId, AutomergeError> {
    match tx.get(object, key)? {
        Some((Value::Object(ObjType::Map), map)) => Ok(map),
        _ => tx.put_object(object, key, ObjType::Map),
    }
}

/// Checks the name of a scenario.
///
/// # Errors
/// When it is blank or too long.
pub fn check_name(name: &str) -> Result<(), EditError> {
    let invalid = |reason: String| EditError::Invalid { field: NAME, reason };
    if is_blank(name) {
        return Err(invalid("must not be empty".to_owned()));
    }
    check_length(name).map_err(invalid)
}

#[cfg(test)]
mod tests;
