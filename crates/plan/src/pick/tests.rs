use automerge::ActorId;
use primitives::DocumentId;

use super::*;
use crate::PositionPatch;
use crate::edit::{Edit, run};
use crate::fields::{BUDGET, LOCATION};
use crate::scenarios::ScenarioEdit;
use crate::shared_map::COLUMNS_MAP;
use crate::{Budget, NewPosition, PlanPatch, Renderings, View};

fn author() -> Author {
    Author { name: "cfo".to_owned(), now: 1_790_000_000_000 }
}

fn id() -> DocumentId {
    DocumentId::from_random([2; 16])
}

/// A plan with two positions, and a copy of it.
fn copies() -> (Automerge, Automerge) {
    let mut plan = Automerge::new().with_actor(ActorId::from([1]));
    let positions = ["a", "b"].map(|id| NewPosition::new(id, id)).to_vec();
    let create = Edit::Create { id: DocumentId::from_random([1; 16]), plan: PlanPatch::default(), positions };
    run(&mut plan, &create, &author()).unwrap();
    let scenario = plan.fork().with_actor(ActorId::from([2]));
    (plan, scenario)
}

fn set_budget(doc: &mut Automerge, row: &str, budget: u64) {
    let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
    run(doc, &Edit::Patch { id: row.to_owned(), patch }, &author()).unwrap();
}

fn pick_rows(plan: &Automerge, scenario: &Automerge, rows: &[&str]) -> Pick {
    let rows = rows.iter().map(|row| (*row).to_owned()).collect();
    crate::diff::pick(plan, scenario, &id(), Some(&rows))
}

fn merge(plan: &mut Automerge, pick: Pick) -> Result<(), EditError> {
    let edit = Edit::Scenario { id: id(), edit: Box::new(ScenarioEdit::Pick(pick)) };
    run(plan, &edit, &author()).map(|_| ())
}

fn row_of(doc: &Automerge, id: &str) -> ObjId {
    let (_, positions) = doc.get(ROOT, POSITIONS).unwrap().unwrap();
    doc.get(positions, id).unwrap().unwrap().1
}

#[test]
fn values_of_all_types_are_copied() {
    let (mut plan, mut scenario) = copies();
    let row = row_of(&scenario, "a");
    let mut tx = scenario.transaction();
    let scalars = [
        ("bytes", ScalarValue::Bytes(vec![1, 2])),
        ("counter", ScalarValue::counter(3)),
        ("time", ScalarValue::Timestamp(7)),
        ("null", ScalarValue::Null),
        ("unsigned", ScalarValue::Uint(u64::MAX)),
        ("float", ScalarValue::F64(0.5)),
        ("flag", ScalarValue::Boolean(true)),
    ];
    for (key, value) in &scalars {
        tx.put(&row, *key, value.clone()).unwrap();
    }
    let team = tx.put_object(&row, "team", ObjType::Map).unwrap();
    let skills = tx.put_object(&team, "skills", ObjType::List).unwrap();
    tx.insert(&skills, 0, "Rust").unwrap();
    let inner = tx.insert_object(&skills, 1, ObjType::Map).unwrap();
    tx.put(&inner, "level", 3).unwrap();
    let text = tx.insert_object(&skills, 2, ObjType::Text).unwrap();
    tx.splice_text(&text, 0, 0, "Ünïcode").unwrap();
    tx.commit();

    let pick = pick_rows(&plan, &scenario, &["a"]);
    merge(&mut plan, pick).unwrap();
    let row = row_of(&plan, "a");
    for (key, value) in scalars {
        let (found, _) = plan.get(&row, key).unwrap().unwrap();
        assert_eq!(found.as_scalar(), Some(&value), "{key}");
    }
    let shown = View::new(&plan, Renderings::default());
    let extra = shown.get("a").unwrap().position.extra.clone().unwrap();
    let expected = View::new(&scenario, Renderings::default()).get("a").unwrap().position.extra.clone().unwrap();
    assert_eq!(extra, expected);
}

#[test]
fn only_changed_values_of_a_nested_map_are_written() {
    let (mut plan, _) = copies();
    let row = row_of(&plan, "a");
    let mut tx = plan.transaction();
    let team = tx.put_object(&row, "team", ObjType::Map).unwrap();
    tx.put(&team, "lead", "Anita").unwrap();
    tx.put(&team, "size", 3).unwrap();
    tx.put(&team, "floor", 1).unwrap();
    tx.commit();
    let mut scenario = plan.fork().with_actor(ActorId::from([2]));
    let mut tx = scenario.transaction();
    tx.put(&team, "size", 4).unwrap();
    tx.delete(&team, "floor").unwrap();
    tx.commit();
    let mut tx = plan.transaction();
    tx.put(&team, "lead", "Ravi").unwrap();
    tx.commit();

    let pick = pick_rows(&plan, &scenario, &["a"]);
    merge(&mut plan, pick).unwrap();
    assert_eq!(plan.get_all(&row, "team").unwrap().len(), 1, "it is still the same map");
    let text = |key: &str| plan.get(&team, key).unwrap().map(|(value, _)| value.to_string());
    assert_eq!((text("lead").as_deref(), text("size").as_deref(), text("floor")), (Some("\"Ravi\""), Some("4"), None));
}

#[test]
fn fields_that_both_have_edited_become_conflicts() {
    let (mut plan, mut scenario) = copies();
    set_budget(&mut plan, "a", 12);
    set_budget(&mut scenario, "a", 4);
    let pick = pick_rows(&plan, &scenario, &["a"]);
    merge(&mut plan, pick).unwrap();
    let view = View::new(&plan, Renderings::default());
    let position = &view.get("a").unwrap().position;
    let mut values = vec![position.fields[BUDGET].clone().unwrap()];
    values.extend(position.conflicts["budget"].clone());
    values.sort_by_key(ToString::to_string);
    assert_eq!(values, [12, 4]);
}

#[test]
fn row_that_the_scenario_has_deleted_is_deleted() {
    let (mut plan, mut scenario) = copies();
    run(&mut scenario, &Edit::Delete { id: "b".to_owned() }, &author()).unwrap();
    set_budget(&mut plan, "b", 5);
    let pick = pick_rows(&plan, &scenario, &["b"]);
    assert_eq!(pick.rows[0].writes, None);
    merge(&mut plan, pick).unwrap();
    assert!(View::new(&plan, Renderings::default()).get("b").is_none());
}

#[test]
fn added_row_is_created_once() {
    let (mut plan, mut scenario) = copies();
    run(&mut scenario, &Edit::Add(NewPosition::new("new", "New")), &author()).unwrap();
    let pick = pick_rows(&plan, &scenario, &["new"]);
    merge(&mut plan, pick).unwrap();
    set_budget(&mut plan, "new", 1);
    let patch = PositionPatch::set(LOCATION, "Pune");
    run(&mut scenario, &Edit::Patch { id: "new".to_owned(), patch }, &author()).unwrap();
    let rest = crate::diff::pick(&plan, &scenario, &id(), None);
    merge(&mut plan, rest).unwrap();
    let (_, positions) = plan.get(ROOT, POSITIONS).unwrap().unwrap();
    assert_eq!(plan.get_all(positions, "new").unwrap().len(), 1);
    let view = View::new(&plan, Renderings::default());
    let position = &view.get("new").unwrap().position;
    assert_eq!((position.fields[BUDGET].clone(), position.text(LOCATION)), (Some(1.into()), Some("Pune")));
}

#[test]
fn rows_without_changes_are_left_out() {
    let (plan, mut scenario) = copies();
    set_budget(&mut scenario, "a", 4);
    let picked =
        |rows: &[&str]| pick_rows(&plan, &scenario, rows).rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(picked(&["a", "b", "missing"]), ["a"]);
    assert_eq!(picked(&[]), Vec::<String>::new());
}

/// Automerge would write the row on top of the heads that it knows, and ignore the others.
#[test]
fn base_that_the_plan_lacks_is_refused() {
    let (mut plan, mut scenario) = copies();
    set_budget(&mut scenario, "a", 4);
    let mut pick = pick_rows(&plan, &scenario, &["a"]);
    pick.rows[0].base.push(ChangeHash([7; 32]));
    let before = plan.get_heads();
    assert!(matches!(merge(&mut plan, pick), Err(EditError::Changed)));
    assert_eq!(plan.get_heads(), before);
}

#[test]
fn settings_are_part_of_the_rest_only() {
    let (mut plan, mut scenario) = copies();
    let total = PlanPatch { total_budget: Some(Budget::Int(5)), ..PlanPatch::default() };
    run(&mut scenario, &Edit::Describe(total), &author()).unwrap();
    set_budget(&mut scenario, "a", 4);
    let pick = pick_rows(&plan, &scenario, &["a"]);
    merge(&mut plan, pick).unwrap();
    let total = |plan: &Automerge| crate::position::read_plan(plan).total_budget;
    assert_eq!(total(&plan), None);
    let rest = crate::diff::pick(&plan, &scenario, &id(), None);
    assert_eq!(rest.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), [SETTINGS]);
    merge(&mut plan, rest).unwrap();
    assert_eq!(total(&plan), Some(5.0));
}

#[test]
fn shared_map_of_both_gets_the_entries_of_the_scenario() {
    let (mut plan, mut scenario) = copies();
    for (doc, key) in [(&mut plan, "one"), (&mut scenario, "other")] {
        COLUMNS_MAP.prepare(doc).unwrap();
        let mut tx = doc.transaction();
        let map = COLUMNS_MAP.open(&mut tx).unwrap().unwrap();
        let column = tx.put_object(&map, key, ObjType::Map).unwrap();
        tx.put(&column, "title", key).unwrap();
        tx.commit();
    }
    let rest = crate::diff::pick(&plan, &scenario, &id(), None);
    merge(&mut plan, rest).unwrap();
    assert_eq!(plan.get_all(ROOT, COLUMNS_MAP.key).unwrap().len(), 1, "there is one map");
    let (_, map) = plan.get(ROOT, COLUMNS_MAP.key).unwrap().unwrap();
    assert_eq!(plan.keys(&map).collect::<Vec<_>>(), ["one", "other"]);
}

#[test]
fn shared_map_of_the_scenario_alone_is_created_in_the_plan() {
    let (mut plan, mut scenario) = copies();
    COLUMNS_MAP.prepare(&mut scenario).unwrap();
    let mut tx = scenario.transaction();
    let map = COLUMNS_MAP.open(&mut tx).unwrap().unwrap();
    tx.put_object(&map, "other", ObjType::Map).unwrap();
    tx.commit();
    let rest = crate::diff::pick(&plan, &scenario, &id(), None);
    merge(&mut plan, rest).unwrap();
    let (_, map) = plan.get(ROOT, COLUMNS_MAP.key).unwrap().unwrap();
    assert_eq!(plan.keys(&map).collect::<Vec<_>>(), ["other"]);
    // Somebody who creates the map in another copy creates the same one.
    let mut other = copies().0.with_actor(ActorId::from([3]));
    COLUMNS_MAP.prepare(&mut other).unwrap();
    plan.merge(&mut other).unwrap();
    assert_eq!(plan.get_all(ROOT, COLUMNS_MAP.key).unwrap().len(), 1);
}
