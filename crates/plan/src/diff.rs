//! Compares a plan with one of its scenarios.
//!
//! Both documents are compared with their common base, so that later edits of the plan are not taken for changes of the scenario.
//! Changes that have touched a row are found by their operations, as in the view; only touched rows are read at both states.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use automerge::legacy::{Key, ObjectId};
use automerge::{ActorId, Automerge, ChangeHash, ObjId, Prop, ROOT, ReadDoc};
use primitives::{DOCUMENT_ID, DocumentId};
use serde_json::Value as Json;

use super::edit::without_noise;
use super::fields::{BUDGET, DEPARTMENT, DESIGNATION, FieldId};
use super::group_names::{Folder, Spellings};
use super::json_encoder::Encoder;
use super::pick::{self, Pick, PickedRow, SETTINGS};
use super::position::{NAME, POSITIONS, Position, position_maps_at, read_position_at};
use super::scenarios::{PickedAt, picked_at};
use super::shared_map::{SCENARIOS_MAP, VERSIONS_MAP, VIEWS_MAP};
use super::snapshot::Snapshot;

/// Root keys that belong to the plan alone, and are never merged as settings.
const NOT_SETTINGS: [&str; 6] = [POSITIONS, DOCUMENT_ID, NAME, SCENARIOS_MAP.key, VERSIONS_MAP.key, VIEWS_MAP.key];
/// Limit of the JSON that is shown of a setting, in bytes.
const MAX_SETTING_BYTES: usize = 64 << 10;

/// The differences between a plan and a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    /// The heads of the changes that both documents have.
    pub base: Vec<ChangeHash>,
    /// The settings that either document has changed since.
    pub settings: Vec<FieldDiff>,
    /// The rows that either document has changed since, sorted by id.
    pub rows: Vec<RowDiff>,
    /// The budgets by department.
    pub sums: Vec<DepartmentSum>,
}

/// What a document has done to a row since the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// Created it.
    Added,
    /// Deleted it.
    Deleted,
    /// Changed fields of it.
    Changed,
}

/// A row that the plan or the scenario has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct RowDiff {
    /// Its id.
    pub id: String,
    /// Its designation, in the scenario if it has the row.
    pub designation: Option<String>,
    /// What the plan has done to it.
    pub plan: Option<RowChange>,
    /// What the scenario has done to it.
    pub scenario: Option<RowChange>,
    /// Its changed fields.
    pub fields: Vec<FieldDiff>,
    /// One document has deleted the row and the other has changed it: merging loses the changes.
    pub is_loss: bool,
}

impl RowDiff {
    /// Whether merging makes a conflict.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        !self.is_loss && self.fields.iter().any(FieldDiff::is_conflict)
    }
}

/// A changed value: of a field, or of a setting.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldDiff {
    /// The key.
    pub field: String,
    /// The value at the base.
    pub base: Json,
    /// The value in the plan.
    pub plan: Json,
    /// The value in the scenario.
    pub scenario: Json,
    /// Whether the plan has changed it.
    pub by_plan: bool,
    /// Whether the scenario has changed it.
    pub by_scenario: bool,
}

impl FieldDiff {
    /// Whether both have changed it, to different values.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.by_plan && self.by_scenario && self.plan != self.scenario
    }
}

/// The sums of the budgets of a department. Spellings that differ only in case, width or spacing are one department.
#[derive(Debug, Clone, PartialEq)]
pub struct DepartmentSum {
    /// The most frequent spelling of its name in the plan. Empty for positions without a department.
    pub department: String,
    /// At the base.
    pub base: f64,
    /// In the plan.
    pub plan: f64,
    /// In the scenario.
    pub scenario: f64,
}

/// The heads of the changes that two documents have in common.
#[must_use]
pub fn common_heads(one: &Automerge, other: &Automerge) -> Vec<ChangeHash> {
    let has = |hash: &ChangeHash| other.get_change_meta_by_hash(hash).is_some();
    let common: Vec<_> = one.get_changes_meta(&[]).into_iter().filter(|change| has(&change.hash)).collect();
    let followed: HashSet<ChangeHash> = common.iter().flat_map(|change| change.deps.iter().copied()).collect();
    common.iter().map(|change| change.hash).filter(|hash| !followed.contains(hash)).collect()
}

/// What the changes of a document since some heads have touched.
#[derive(Debug, Default)]
struct Touched {
    rows: BTreeSet<String>,
    root_keys: BTreeSet<String>,
}

impl Touched {
    fn since(doc: &Automerge, base: &[ChangeHash]) -> Self {
        let mut touched = Self::default();
        let mut seen: HashMap<(u64, ActorId), Option<Vec<String>>> = HashMap::new();
        for change in doc.get_changes(base) {
            for op in change.decode().operations {
                let key = match &op.key {
                    Key::Map(key) => Some(key.to_string()),
                    Key::Seq(_) => None,
                };
                let path = match &op.obj {
                    ObjectId::Root => Some(Vec::new()),
                    ObjectId::Id(id) => {
                        let object = (id.counter(), id.actor().clone());
                        seen.entry(object.clone()).or_insert_with(|| path_of(doc, object)).clone()
                    }
                };
                touched.add(path.into_iter().flatten().chain(key).take(2));
            }
        }
        touched
    }

    fn add(&mut self, mut path: impl Iterator<Item = String>) {
        match (path.next(), path.next()) {
            (Some(key), Some(row)) if key == POSITIONS => {
                self.rows.insert(row);
            }
            (Some(key), _) if !NOT_SETTINGS.contains(&key.as_str()) => {
                self.root_keys.insert(key);
            }
            _ => {}
        }
    }
}

/// The first keys on the way from the root to an object.
fn path_of(doc: &Automerge, (counter, actor): (u64, ActorId)) -> Option<Vec<String>> {
    // The last number is a hint for the library, which looks the actor up if it is wrong.
    let parents = doc.parents(ObjId::Id(counter, actor, 0)).ok()?;
    let keys = parents.map(|parent| match parent.prop {
        Prop::Map(key) => key,
        Prop::Seq(_) => String::new(),
    });
    let mut keys: Vec<String> = keys.collect();
    keys.reverse();
    Some(keys)
}

/// A document at the base of a row, and now.
struct Side<'a> {
    doc: &'a Automerge,
    base: Vec<ChangeHash>,
}

impl Side<'_> {
    fn read(&self, id: &str) -> (Option<Position>, Option<Position>) {
        let read = |snapshot: Snapshot<'_>| {
            let maps = position_maps_at(snapshot);
            read_position_at(snapshot, &maps, &Arc::from(id)).map(|reading| reading.position)
        };
        (read(Snapshot::at(self.doc, &self.base)), read(Snapshot::now(self.doc)))
    }

    fn setting(&self, key: &str) -> (Json, Json) {
        let show = |snapshot: Snapshot<'_>| {
            let (value, object) = snapshot.all(&ROOT, key).pop()?;
            Encoder::new(snapshot, MAX_SETTING_BYTES).value(&value, &object)
        };
        let shown = |snapshot| show(snapshot).unwrap_or(Json::Null);
        (shown(Snapshot::at(self.doc, &self.base)), shown(Snapshot::now(self.doc)))
    }
}

/// Joins heads, of which those that the document does not have are left out: Automerge ignores them.
fn joined(doc: &Automerge, base: &[ChangeHash], more: &[ChangeHash]) -> Vec<ChangeHash> {
    let known = more.iter().filter(|head| doc.get_change_meta_by_hash(head).is_some() && !base.contains(head));
    base.iter().chain(known).copied().collect()
}

/// Compares a plan with a scenario. A row that was picked is compared with its state at that time.
#[must_use]
pub fn diff(plan: &Automerge, scenario: &Automerge, id: &DocumentId) -> Diff {
    let base = common_heads(plan, scenario);
    let (in_plan, in_scenario) = (Touched::since(plan, &base), Touched::since(scenario, &base));
    let sides = |row: &str| {
        let PickedAt { plan: plan_heads, scenario: scenario_heads } = picked_at(plan, id, row).unwrap_or_default();
        let plan = Side { doc: plan, base: joined(plan, &base, &plan_heads) };
        (plan, Side { doc: scenario, base: joined(scenario, &base, &scenario_heads) })
    };
    let rows = in_plan.rows.union(&in_scenario.rows).filter_map(|row| {
        let (plan, scenario) = sides(row);
        compare_rows(row, plan.read(row), scenario.read(row))
    });
    let rows = rows.collect();
    let (plan_side, scenario_side) = sides(SETTINGS);
    let settings = in_plan.root_keys.union(&in_scenario.root_keys).filter_map(|key| {
        let ((plan_before, plan), (base, scenario)) = (plan_side.setting(key), scenario_side.setting(key));
        let (by_plan, by_scenario) = (plan_before != plan, base != scenario);
        let field = FieldDiff { field: key.clone(), base, plan, scenario, by_plan, by_scenario };
        (by_plan || by_scenario).then_some(field)
    });
    let settings = settings.collect();
    let sums = sums(plan, scenario, &base, &in_scenario.rows);
    Diff { base, settings, rows, sums }
}

type States = (Option<Position>, Option<Position>);

fn compare_rows(id: &str, plan: States, scenario: States) -> Option<RowDiff> {
    let fields = compare_fields(&plan, &scenario);
    let change = |(before, after): &States, is_changed: bool| match (before, after) {
        (None, Some(_)) => Some(RowChange::Added),
        (Some(_), None) => Some(RowChange::Deleted),
        (Some(_), Some(_)) if is_changed => Some(RowChange::Changed),
        _ => None,
    };
    let by_plan = change(&plan, fields.iter().any(|field| field.by_plan));
    let by_scenario = change(&scenario, fields.iter().any(|field| field.by_scenario));
    if by_plan.is_none() && by_scenario.is_none() {
        return None;
    }
    let is_loss = matches!(
        (by_plan, by_scenario),
        (Some(RowChange::Deleted), Some(RowChange::Changed)) | (Some(RowChange::Changed), Some(RowChange::Deleted))
    );
    let known = [scenario.1.as_ref(), plan.1.as_ref(), scenario.0.as_ref()];
    let designation = known.into_iter().flatten().next().and_then(|row| row.text(DESIGNATION)).map(str::to_owned);
    Some(RowDiff { id: id.to_owned(), designation, plan: by_plan, scenario: by_scenario, fields, is_loss })
}

/// The values of a row by key: those of the schema, and the others.
fn values(row: &Position) -> BTreeMap<&str, (&Json, Option<&Vec<Json>>)> {
    let fields = FieldId::all().filter_map(|field| {
        let value = row.fields[field].as_ref()?;
        Some((field.key(), (value, row.conflicts.get(field.key()))))
    });
    let extra = row
        .extra
        .iter()
        .flat_map(|extra| extra.fields.iter().map(|(key, value)| (key.as_str(), (value, extra.conflicts.get(key)))));
    fields.chain(extra).collect()
}

fn compare_fields(plan: &States, scenario: &States) -> Vec<FieldDiff> {
    let all = [&scenario.0, &scenario.1, &plan.0, &plan.1];
    let keys: BTreeSet<&str> = all.into_iter().flatten().flat_map(|row| values(row).into_keys()).collect();
    let value = |row: &Option<Position>, key: &str| {
        let shown = row.as_ref().and_then(|row| {
            let (value, conflicts) = *values(row).get(key)?;
            Some((value.clone(), conflicts.cloned()))
        });
        shown.unwrap_or((Json::Null, None))
    };
    // A deleted row has changed no fields.
    let is_changed = |(before, after): &States, key: &str| after.is_some() && value(before, key) != value(after, key);
    let fields = keys.into_iter().filter_map(|key| {
        let (by_plan, by_scenario) = (is_changed(plan, key), is_changed(scenario, key));
        let shown = |row: &Option<Position>| value(row, key).0;
        let (base, plan, scenario) = (shown(&scenario.0), shown(&plan.1), shown(&scenario.1));
        let field = FieldDiff { field: key.to_owned(), base, plan, scenario, by_plan, by_scenario };
        (by_plan || by_scenario).then_some(field)
    });
    fields.collect()
}

/// A department in the three states: the base, the plan and the scenario.
#[derive(Default)]
struct Department {
    amounts: [f64; 3],
    spellings: [Spellings; 3],
}

const BASE: usize = 0;
const PLAN: usize = 1;
const SCENARIO: usize = 2;

impl Department {
    /// The name in the plan, or else in the scenario, or else at the base. Empty for positions without a department.
    fn sum(self) -> DepartmentSum {
        let named = [PLAN, SCENARIO, BASE].into_iter().find_map(|state| self.spellings[state].name());
        let department = named.unwrap_or_default().to_owned();
        let [base, plan, scenario] = self.amounts.map(without_noise);
        DepartmentSum { department, base, plan, scenario }
    }
}

fn sums(plan: &Automerge, scenario: &Automerge, base: &[ChangeHash], touched: &BTreeSet<String>) -> Vec<DepartmentSum> {
    let mut folder = Folder::default();
    let mut departments: BTreeMap<String, Department> = BTreeMap::new();
    let mut add = |row: &Position, states: &[usize], count: i8| {
        let amount = row.amount(BUDGET).map_or(0.0, super::Budget::as_f64) * f64::from(count);
        let name = row.text(DEPARTMENT).unwrap_or_default();
        let key = folder.fold(name);
        let spelling = if key.is_empty() { "" } else { name };
        let department = departments.entry(key).or_default();
        for state in states {
            department.amounts[*state] += amount;
            department.spellings[*state].add(spelling, i64::from(count));
        }
    };
    for (doc, states) in [(plan, &[PLAN][..]), (scenario, &[BASE, SCENARIO])] {
        let now = Snapshot::now(doc);
        let maps = position_maps_at(now);
        let ids: BTreeSet<String> = maps.iter().flat_map(|map| now.keys(map)).collect();
        for reading in ids.into_iter().filter_map(|id| read_position_at(now, &maps, &Arc::from(id))) {
            add(&reading.position, states, 1);
        }
    }
    // The base is the scenario without its changes.
    let side = Side { doc: scenario, base: base.to_vec() };
    for row in touched {
        let (before, after) = side.read(row);
        after.iter().for_each(|row| add(row, &[BASE], -1));
        before.iter().for_each(|row| add(row, &[BASE], 1));
    }
    departments.into_values().map(Department::sum).collect()
}

/// The rows of a scenario to be merged into its plan: these rows, or, with `None`, everything that is left, settings included.
/// Rows that the scenario has not changed are left out.
#[must_use]
pub fn pick(plan: &Automerge, scenario: &Automerge, id: &DocumentId, rows: Option<&BTreeSet<String>>) -> Pick {
    let base = common_heads(plan, scenario);
    let touched = Touched::since(scenario, &base);
    let heads_of = |row: &str| {
        let at = picked_at(plan, id, row).unwrap_or_default();
        (joined(plan, &base, &at.plan), joined(scenario, &base, &at.scenario))
    };
    let wanted = touched.rows.iter().filter(|row| rows.is_none_or(|rows| rows.contains(*row)));
    let mut picked: Vec<PickedRow> = wanted
        .filter_map(|row| {
            let (plan_base, scenario_base) = heads_of(row);
            pick::read(scenario, &scenario_base, row, plan_base)
        })
        .collect();
    if rows.is_none() {
        let (plan_base, scenario_base) = heads_of(SETTINGS);
        picked.extend(pick::read_settings(scenario, &scenario_base, &touched.root_keys, plan_base));
    }
    Pick { rows: picked, scenario_heads: scenario.get_heads(), is_rest: rows.is_none() }
}

#[cfg(test)]
mod tests;
