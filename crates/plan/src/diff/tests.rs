use automerge::transaction::Transactable;
use automerge::{ActorId, ObjType};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::PositionPatch;
use crate::change::Author;
use crate::edit::{Edit, run};
use crate::fields::LOCATION;
use crate::scenarios::{ScenarioEdit, ScenarioState};
use crate::{Budget, NewPosition, PlanPatch, Renderings, View};

/// Two copies of one plan.
struct Copies {
    plan: Automerge,
    scenario: Automerge,
    id: DocumentId,
}

fn edit(doc: &mut Automerge, edit: Edit) {
    run(doc, &edit, &Author { name: "cfo".to_owned(), now: 1_790_000_000_000 }).unwrap();
}

fn set(id: &str, field: FieldId, value: impl Into<crate::FieldValue>) -> Edit {
    Edit::Patch { id: id.to_owned(), patch: PositionPatch::set(field, value) }
}

fn delete(id: &str) -> Edit {
    Edit::Delete { id: id.to_owned() }
}

fn position(id: &str, department: &str, budget: u64) -> NewPosition {
    NewPosition::new(id, id).with(DEPARTMENT, department).with(BUDGET, Budget::Int(budget))
}

impl Copies {
    fn new() -> Self {
        let mut plan = Automerge::new().with_actor(ActorId::from([1]));
        let positions = ["a", "b", "c"].map(|id| position(id, "Engineering", 10)).to_vec();
        let create = Edit::Create { id: DocumentId::from_random([1; 16]), plan: PlanPatch::default(), positions };
        edit(&mut plan, create);
        let scenario = plan.fork().with_actor(ActorId::from([2]));
        Self { plan, scenario, id: DocumentId::from_random([2; 16]) }
    }

    fn diff(&self) -> Diff {
        diff(&self.plan, &self.scenario, &self.id)
    }

    /// Merges these positions, or the rest.
    fn pick(&mut self, rows: Option<&[&str]>) -> Pick {
        let rows = rows.map(|rows| rows.iter().map(|row| (*row).to_owned()).collect());
        let pick = pick(&self.plan, &self.scenario, &self.id, rows.as_ref());
        let edit = Edit::Scenario { id: self.id.clone(), edit: Box::new(ScenarioEdit::Pick(pick.clone())) };
        self::edit(&mut self.plan, edit);
        pick
    }

    /// The plan after merging the whole scenario.
    fn merged(&self) -> Automerge {
        let (mut merged, mut scenario) = (self.plan.fork(), self.scenario.fork());
        merged.merge(&mut scenario).unwrap();
        merged
    }
}

/// Id, what the plan and the scenario have done, whether it is a conflict, and a loss.
type Change<'a> = (&'a str, Option<RowChange>, Option<RowChange>, bool, bool);

fn changes(diff: &Diff) -> Vec<Change<'_>> {
    diff.rows.iter().map(|row| (row.id.as_str(), row.plan, row.scenario, row.is_conflict(), row.is_loss)).collect()
}

#[test]
fn unchanged_copy_differs_in_nothing() {
    let copies = Copies::new();
    let diff = copies.diff();
    assert_eq!((diff.rows, diff.settings), (Vec::new(), Vec::new()));
    assert_eq!(diff.base, copies.plan.get_heads());
    let sum = DepartmentSum { department: "Engineering".to_owned(), base: 30.0, plan: 30.0, scenario: 30.0 };
    assert_eq!(diff.sums, [sum]);
}

#[test]
fn both_copies_are_compared_with_their_common_state() {
    use RowChange::{Added, Changed, Deleted};
    let mut copies = Copies::new();
    let base = copies.plan.get_heads();
    for change in [set("a", BUDGET, Budget::Int(4)), delete("b"), Edit::Add(position("new", "HR", 1))] {
        edit(&mut copies.scenario, change);
    }
    for change in [set("a", BUDGET, Budget::Int(12)), set("b", LOCATION, "Pune"), set("c", BUDGET, Budget::Int(11))] {
        edit(&mut copies.plan, change);
    }
    let diff = copies.diff();
    assert_eq!(diff.base, base);
    let expected = [
        ("a", Some(Changed), Some(Changed), true, false),
        ("b", Some(Changed), Some(Deleted), false, true),
        ("c", Some(Changed), None, false, false),
        ("new", None, Some(Added), false, false),
    ];
    assert_eq!(changes(&diff), expected);
    let budget = diff.rows[0].fields.iter().find(|field| field.field == "budget").unwrap();
    assert_eq!((&budget.base, &budget.plan, &budget.scenario), (&json!(10), &json!(12), &json!(4)));
}

#[test]
fn equal_changes_are_no_conflict() {
    let mut copies = Copies::new();
    edit(&mut copies.plan, set("a", BUDGET, Budget::Int(4)));
    edit(&mut copies.scenario, set("a", BUDGET, Budget::Int(4)));
    let diff = copies.diff();
    assert!(diff.rows[0].fields.iter().any(|field| field.by_plan && field.by_scenario));
    assert!(!diff.rows[0].is_conflict());
}

#[test]
fn settings_of_the_plan_alone_are_not_compared() {
    let mut copies = Copies::new();
    let renamed = PlanPatch { name: Some("Freeze".to_owned()), ..PlanPatch::default() };
    let total = PlanPatch { total_budget: Some(Budget::Int(5)), ..PlanPatch::default() };
    let other = DocumentId::from_random([3; 16]);
    let entry = ScenarioEdit::Add { name: "Other".to_owned(), base: Vec::new() };
    for change in [
        Edit::Describe(renamed),
        Edit::CarryId(other.clone()),
        Edit::Scenario { id: other, edit: Box::new(entry) },
        Edit::Describe(total),
    ] {
        edit(&mut copies.scenario, change);
    }
    let settings: Vec<_> =
        copies.diff().settings.into_iter().map(|setting| (setting.field, setting.scenario)).collect();
    assert_eq!(settings, [("totalBudget".to_owned(), json!(5))]);
}

#[test]
fn spellings_of_a_department_are_one_sum() {
    let mut copies = Copies::new();
    edit(&mut copies.plan, set("c", DEPARTMENT, "engineering "));
    edit(&mut copies.scenario, set("a", DEPARTMENT, "ENGINEERING"));
    edit(&mut copies.scenario, set("b", DEPARTMENT, "ENGINEERING"));
    edit(&mut copies.scenario, Edit::Add(position("new", "hr", 2)));
    edit(&mut copies.scenario, Edit::Add(position("other", "", 3)));
    let sum = |department: &str, [base, plan, scenario]: [f64; 3]| DepartmentSum {
        department: department.to_owned(),
        base,
        plan,
        scenario,
    };
    let expected = [sum("", [0.0, 0.0, 3.0]), sum("Engineering", [30.0; 3]), sum("hr", [0.0, 0.0, 2.0])];
    assert_eq!(copies.diff().sums, expected, "the plan names a department that both have");
}

#[test]
fn department_that_only_the_base_had_keeps_its_name() {
    let mut copies = Copies::new();
    for doc in [&mut copies.plan, &mut copies.scenario] {
        for id in ["a", "b", "c"] {
            edit(doc, set(id, DEPARTMENT, "Sales"));
        }
    }
    let sums: Vec<_> = copies.diff().sums.into_iter().map(|sum| (sum.department, sum.base, sum.plan)).collect();
    assert_eq!(sums, [("Engineering".to_owned(), 30.0, 0.0), ("Sales".to_owned(), 0.0, 30.0)]);
}

#[test]
fn picked_rows_are_compared_with_their_state_at_that_time() {
    let mut copies = Copies::new();
    edit(&mut copies.scenario, set("a", BUDGET, Budget::Int(4)));
    edit(&mut copies.scenario, set("b", BUDGET, Budget::Int(5)));
    copies.pick(Some(&["a"]));
    let left = |copies: &Copies| {
        let rows = copies.diff().rows.into_iter();
        rows.filter(|row| row.scenario.is_some()).map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(left(&copies), ["b"]);
    edit(&mut copies.scenario, set("a", LOCATION, "Pune"));
    assert_eq!(left(&copies), ["a", "b"]);
    let diff = copies.diff();
    let fields: Vec<&str> = diff.rows[0].fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["location"], "the budget was merged before");
}

/// Automerge silently ignores heads that a document does not have.
#[test]
fn unknown_heads_of_a_pick_are_left_out() {
    let mut copies = Copies::new();
    edit(&mut copies.scenario, set("b", BUDGET, Budget::Int(5)));
    let earlier = copies.scenario.fork();
    edit(&mut copies.scenario, set("a", BUDGET, Budget::Int(4)));
    copies.pick(Some(&["a"]));
    // The scenario was restored from a backup.
    copies.scenario = earlier;
    let diff = copies.diff();
    let of_scenario: Vec<&str> =
        diff.rows.iter().filter(|row| row.scenario.is_some()).map(|row| row.id.as_str()).collect();
    assert_eq!(of_scenario, ["b"], "a row that it has not changed since the base");
}

#[test]
fn heads_in_common_include_those_of_later_merges() {
    let mut copies = Copies::new();
    assert_eq!(common_heads(&copies.plan, &copies.scenario), copies.plan.get_heads());
    assert_eq!(common_heads(&Automerge::new(), &copies.plan), []);
    edit(&mut copies.scenario, set("a", BUDGET, Budget::Int(4)));
    let merged = copies.scenario.get_heads();
    copies.plan = copies.merged();
    edit(&mut copies.plan, set("a", BUDGET, Budget::Int(6)));
    assert_eq!(common_heads(&copies.plan, &copies.scenario), merged);
    let changed_by_scenario = copies.diff().rows.into_iter().filter(|row| row.scenario.is_some()).count();
    assert_eq!(changed_by_scenario, 0);
}

#[test]
fn changes_inside_of_nested_values_are_found() {
    let mut copies = Copies::new();
    let mut tx = copies.plan.transaction();
    let (_, positions) = tx.get(ROOT, POSITIONS).unwrap().unwrap();
    let (_, row) = tx.get(positions, "a").unwrap().unwrap();
    let team = tx.put_object(row, "team", ObjType::Map).unwrap();
    let skills = tx.put_object(&team, "skills", ObjType::List).unwrap();
    tx.insert(&skills, 0, "Rust").unwrap();
    tx.commit();
    copies.scenario = copies.plan.fork().with_actor(ActorId::from([2]));
    let mut tx = copies.scenario.transaction();
    tx.insert(&skills, 1, "Go").unwrap();
    tx.commit();
    let diff = copies.diff();
    assert_eq!(changes(&diff), [("a", None, Some(RowChange::Changed), false, false)]);
    assert_eq!(diff.rows[0].fields[0].scenario, json!({ "skills": ["Rust", "Go"] }));
}

#[derive(Debug, Clone)]
enum Step {
    Set(bool, u8, bool),
    Delete(bool, u8),
    Add(bool, u8),
    Total(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0..5u8, any::<bool>()).prop_map(|(side, row, field)| Step::Set(side, row, field)),
        1 => (any::<bool>(), 0..5u8).prop_map(|(side, row)| Step::Delete(side, row)),
        1 => (any::<bool>(), 0..3u8).prop_map(|(side, row)| Step::Add(side, row)),
        1 => any::<bool>().prop_map(Step::Total),
    ];
    proptest::collection::vec(step, 0..25)
}

/// Makes random edits of both copies. All values differ, so that no edit restores an earlier value.
fn after(steps: Vec<Step>) -> Copies {
    let mut copies = Copies::new();
    for (step, value) in steps.into_iter().zip(100..) {
        let name = |is_plan: bool, row: u8| match row {
            0..3 => ["a", "b", "c"][usize::from(row)].to_owned(),
            // Rows that this copy has added.
            row => format!("{} {row}", if is_plan { "plan" } else { "scenario" }),
        };
        let (is_plan, change) = match step {
            Step::Set(side, row, true) => (side, set(&name(side, row), BUDGET, Budget::Int(value))),
            Step::Set(side, row, false) => (side, set(&name(side, row), LOCATION, format!("City {value}"))),
            Step::Delete(side, row) => (side, delete(&name(side, row))),
            Step::Add(side, row) => (side, Edit::Add(position(&name(side, row + 3), "HR", value))),
            Step::Total(side) => {
                let total = PlanPatch { total_budget: Some(Budget::Int(value)), ..PlanPatch::default() };
                (side, Edit::Describe(total))
            }
        };
        let doc = if is_plan { &mut copies.plan } else { &mut copies.scenario };
        // The row may not exist in this copy, or exist already.
        let _ = run(doc, &change, &Author { name: "cfo".to_owned(), now: 1_790_000_000_000 });
    }
    copies
}

/// The values of a field: the winner, and those that lost.
fn values_of(position: &Position, field: FieldId) -> BTreeSet<String> {
    let losing = position.conflicts.get(field.key()).into_iter().flatten();
    position.fields[field].iter().chain(losing).map(ToString::to_string).collect()
}

/// The positions of a document, each with the values of its fields.
fn rows_of(doc: &Automerge) -> BTreeMap<String, Vec<BTreeSet<String>>> {
    let view = View::new(doc, Renderings::default());
    let fields = |position: &Position| FieldId::all().map(|field| values_of(position, field)).collect();
    view.rows().map(|row| (row.position.id.to_string(), fields(&row.position))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn comparison_tells_what_a_merge_does(steps in steps()) {
        let copies = after(steps);
        let diff = copies.diff();
        let (merged, plan) = (copies.merged(), View::new(&copies.plan, Renderings::default()));
        let merged = View::new(&merged, Renderings::default());
        let compared: BTreeMap<&str, &RowDiff> = diff.rows.iter().map(|row| (row.id.as_str(), row)).collect();
        for row in plan.rows().filter(|row| !compared.contains_key(&*row.position.id)) {
            prop_assert_eq!(merged.get(&row.position.id).map(|row| &row.position), Some(&row.position));
        }
        for (id, row) in compared {
            let is_deleted = [row.plan, row.scenario].contains(&Some(RowChange::Deleted));
            prop_assert_eq!(merged.get(id).is_none(), is_deleted, "{}", id);
            let Some(position) = merged.get(id).map(|row| &row.position) else { continue };
            for field in [BUDGET, LOCATION] {
                let changed = row.fields.iter().find(|changed| changed.field == field.key());
                let Some(changed) = changed else { continue };
                let expected = match (changed.by_plan, changed.by_scenario) {
                    (true, true) => [&changed.plan, &changed.scenario].map(ToString::to_string).into(),
                    (false, true) => BTreeSet::from([changed.scenario.to_string()]),
                    _ => BTreeSet::from([changed.plan.to_string()]),
                };
                prop_assert_eq!(values_of(position, field), expected, "{} {}", id, field.key());
                prop_assert_eq!(changed.is_conflict(), changed.by_plan && changed.by_scenario);
            }
        }
    }

    #[test]
    fn sums_are_those_of_each_state(steps in steps()) {
        let copies = after(steps);
        let diff = copies.diff();
        let total = |doc: &Automerge| -> f64 {
            let view = View::new(doc, Renderings::default());
            view.rows().filter_map(|row| row.position.amount(BUDGET)).map(Budget::as_f64).sum()
        };
        let sum = |of: fn(&DepartmentSum) -> f64| -> f64 { diff.sums.iter().map(of).sum() };
        prop_assert_eq!(sum(|sum| sum.plan), total(&copies.plan));
        prop_assert_eq!(sum(|sum| sum.scenario), total(&copies.scenario));
        prop_assert_eq!(sum(|sum| sum.base), 30.0);
    }

    #[test]
    fn merging_by_position_equals_merging_the_whole(steps in steps(), first in proptest::collection::btree_set(0..8usize, 0..4)) {
        let mut copies = after(steps);
        let merged = copies.merged();
        let ids = ["a", "b", "c", "scenario 3", "scenario 4", "scenario 5", "plan 3", "x"];
        let rows: Vec<&str> = first.into_iter().map(|index| ids[index]).collect();
        copies.pick(Some(&rows));
        copies.pick(None);
        prop_assert_eq!(rows_of(&copies.plan), rows_of(&merged));
        let state = crate::position::read_plan(&copies.plan).scenarios.unwrap().entries[copies.id.as_str()].state.clone();
        prop_assert_eq!(state.as_deref(), Some(ScenarioState::Merged.name()));
        let diff = copies.diff();
        prop_assert!(diff.rows.iter().all(|row| row.scenario.is_none()), "{:?}", changes(&diff));
        prop_assert!(diff.settings.iter().all(|setting| !setting.by_scenario));
        prop_assert!(copies.pick(None).rows.is_empty(), "nothing is left");
    }
}
