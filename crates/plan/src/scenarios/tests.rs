use std::sync::Arc;

use automerge::ActorId;
use serde_json::json;

use super::*;
use crate::edit::{Edit, run as run_edit};
use crate::extra::read_root_extra;
use crate::position::read_plan;
use crate::{NewPosition, PlanPatch};

fn author(name: &str) -> Author {
    Author { name: name.to_owned(), now: 1_795_357_260_000 }
}

fn id(seed: u8) -> DocumentId {
    DocumentId::from_random([seed; 16])
}

fn plan() -> Automerge {
    let mut doc = Automerge::new().with_actor(ActorId::from([1]));
    let positions = vec![NewPosition::new("a", "a")];
    let create = Edit::Create { id: id(1), plan: PlanPatch::default(), positions };
    run_edit(&mut doc, &create, &author("ceo")).unwrap();
    doc
}

fn edit(doc: &mut Automerge, id: &DocumentId, edit: ScenarioEdit, by: &str) -> Result<bool, EditError> {
    let edit = Edit::Scenario { id: id.clone(), edit: Box::new(edit) };
    run_edit(doc, &edit, &author(by)).map(|done| done.changed)
}

fn add(doc: &mut Automerge, id: &DocumentId, name: &str, by: &str) {
    let base = doc.get_heads();
    assert!(edit(doc, id, ScenarioEdit::Add { name: name.to_owned(), base }, by).unwrap());
}

fn listed(doc: &Automerge) -> Arc<ScenarioMap> {
    read_plan(doc).scenarios.unwrap()
}

#[test]
fn entry_holds_name_maker_time_and_base() {
    let mut doc = plan();
    assert_eq!(read_plan(&doc).scenarios, None);
    let base = doc.get_heads();
    add(&mut doc, &id(2), "Hiring freeze", "cfo");
    let map = listed(&doc);
    let expected = ScenarioEntry {
        name: Some("Hiring freeze".to_owned()),
        created_at: Some(1_795_357_260_000),
        created_by: Some("cfo".to_owned()),
        state: Some("open".to_owned()),
    };
    assert_eq!(map.entries[id(2).as_str()], expected);
    assert_eq!(read_entry(&doc, &id(2)), expected);
    let stored = &map.stored[id(2).as_str()];
    assert_eq!((&stored["base"], &stored["picked"]), (&json!([base[0].to_string()]), &json!({})));
    assert_eq!(read_root_extra(&doc), None, "the map is known");
}

/// Two assignments of a new map would conflict, and the entries of one of them would disappear.
#[test]
fn scenarios_added_offline_at_once_both_remain() {
    let mut one = plan();
    let mut other = one.fork().with_actor(ActorId::from([2]));
    add(&mut one, &id(2), "One", "ceo");
    add(&mut other, &id(3), "Other", "cfo");
    one.merge(&mut other).unwrap();
    assert_eq!(one.get_all(ROOT, SCENARIOS_MAP.key).unwrap().len(), 1, "no conflict");
    let names: Vec<Option<String>> = listed(&one).entries.values().map(|entry| entry.name.clone()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&Some("One".to_owned())) && names.contains(&Some("Other".to_owned())));
}

#[test]
fn entry_is_changed_field_by_field() {
    let mut one = plan();
    add(&mut one, &id(2), "One", "ceo");
    let mut other = one.fork().with_actor(ActorId::from([2]));
    assert!(edit(&mut one, &id(2), ScenarioEdit::Rename("First".to_owned()), "ceo").unwrap());
    assert!(edit(&mut other, &id(2), ScenarioEdit::SetState(ScenarioState::Dropped), "cfo").unwrap());
    one.merge(&mut other).unwrap();
    let entry = read_entry(&one, &id(2));
    assert_eq!((entry.name.as_deref(), entry.state.as_deref()), (Some("First"), Some("dropped")));
    assert_eq!(entry.created_by.as_deref(), Some("ceo"));
}

#[test]
fn conflicting_names_are_both_shown() {
    let mut one = plan();
    add(&mut one, &id(2), "One", "ceo");
    // Another program replaces the whole entry while somebody else does, too.
    let replace = |doc: &mut Automerge, value: &str| {
        let mut tx = doc.transaction();
        let (_, map) = tx.get(ROOT, SCENARIOS_MAP.key).unwrap().unwrap();
        tx.put(map, id(2).as_str(), value).unwrap();
        tx.commit();
    };
    let mut other = one.fork().with_actor(ActorId::from([2]));
    replace(&mut one, "mine");
    replace(&mut other, "theirs");
    one.merge(&mut other).unwrap();
    let conflicts = read_root_extra(&one).unwrap().conflicts;
    assert_eq!(conflicts.keys().collect::<Vec<_>>(), [&format!("scenarios.{}", id(2))]);
    let map = listed(&one);
    assert!(map.entries.is_empty() && map.stored[id(2).as_str()].is_string(), "{map:?}");
    assert_eq!(read_entry(&one, &id(2)), ScenarioEntry::default());
}

#[test]
fn edit_without_effect_makes_no_change() {
    let mut doc = plan();
    add(&mut doc, &id(2), "One", "ceo");
    let heads = doc.get_heads();
    assert!(!edit(&mut doc, &id(2), ScenarioEdit::Rename("One".to_owned()), "cfo").unwrap());
    assert!(!edit(&mut doc, &id(2), ScenarioEdit::SetState(ScenarioState::Open), "cfo").unwrap());
    assert_eq!(doc.get_heads(), heads);
}

#[test]
fn scenario_of_a_stock_client_gets_an_entry_when_it_is_renamed() {
    let mut doc = plan();
    assert!(edit(&mut doc, &id(2), ScenarioEdit::Rename("Found".to_owned()), "cfo").unwrap());
    let entry = read_entry(&doc, &id(2));
    assert_eq!((entry.name.as_deref(), entry.state.as_deref()), (Some("Found"), Some("open")));
}

#[test]
fn invalid_names_are_refused() {
    let mut doc = plan();
    let heads = doc.get_heads();
    for name in ["", " \u{200b}", &"x".repeat(1_001)] {
        for change in
            [ScenarioEdit::Add { name: name.to_owned(), base: Vec::new() }, ScenarioEdit::Rename(name.to_owned())]
        {
            let refused = edit(&mut doc, &id(2), change, "cfo");
            assert!(matches!(refused, Err(EditError::Invalid { field: "name", .. })), "{name:?}: {refused:?}");
        }
    }
    assert_eq!(doc.get_heads(), heads);
    assert!(check_name(&"é".repeat(1_000)).is_ok());
}

#[test]
fn foreign_value_in_the_place_of_the_map_is_kept() {
    let mut doc = plan();
    let mut tx = doc.transaction();
    tx.put(ROOT, SCENARIOS_MAP.key, "none").unwrap();
    tx.commit();
    let refused = edit(&mut doc, &id(2), ScenarioEdit::SetState(ScenarioState::Merged), "cfo");
    assert!(matches!(refused, Err(EditError::Invalid { field: "scenarios", .. })), "{refused:?}");
    assert_eq!(read_plan(&doc).scenarios, None);
    assert_eq!(read_root_extra(&doc).unwrap().fields["scenarios"], json!("none"));
}

#[test]
fn picked_rows_are_recorded_with_both_heads() {
    let mut doc = plan();
    add(&mut doc, &id(2), "One", "ceo");
    assert!(!is_picked(&doc, &id(2)));
    let mut scenario = doc.fork().with_actor(ActorId::from([2]));
    let patch = crate::PositionPatch::set(crate::fields::LOCATION, "Pune");
    run_edit(&mut scenario, &Edit::Patch { id: "a".to_owned(), patch }, &author("cfo")).unwrap();
    let rows = ["a".to_owned()].into();
    let pick = crate::diff::pick(&doc, &scenario, &id(2), Some(&rows));
    assert!(edit(&mut doc, &id(2), ScenarioEdit::Pick(pick), "cfo").unwrap());
    assert!(is_picked(&doc, &id(2)) && !is_picked(&doc, &id(3)));
    let at = picked_at(&doc, &id(2), "a").unwrap();
    assert_eq!(at.scenario, scenario.get_heads());
    assert!(at.plan.iter().all(|head| doc.get_change_meta_by_hash(head).is_some()) && !at.plan.is_empty());
    assert_eq!(picked_at(&doc, &id(2), "b"), None);
}
