//! A history has changes of fields beyond the schema.

use automerge::transaction::Transactable;
use automerge::{AutoCommit, Automerge, ObjType, ROOT, ScalarValue};

use super::tests::{ALL, add, commit, history_of, plan, sets};
use super::*;

#[test]
fn root_keys_of_any_document_are_settings() {
    let mut doc = AutoCommit::new();
    let todo = doc.put_object(ROOT, "todo", ObjType::List).unwrap();
    doc.put(ROOT, "positions", "a text").unwrap();
    let notes = doc.put_object(ROOT, "notes", ObjType::Text).unwrap();
    commit(&mut doc, 10, "begun");
    doc.insert(&todo, 0, "buy milk").unwrap();
    doc.splice_text(&notes, 0, 0, "typed later").unwrap();
    commit(&mut doc, 20, "more");
    let entries = history_of(&mut doc, &ALL);
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.added.is_empty() && entry.omitted == 0));
    let expected = [r#"plan.todo: [] > ["buy milk"]"#, r#"plan.notes: "" > "typed later""#];
    assert_eq!(
        (sets(&entries[0]), entries[0].message.as_deref()),
        (expected.map(str::to_owned).to_vec(), Some("more"))
    );
    assert_eq!(sets(&entries[1]), ["plan.todo: null > []", "plan.notes: null > \"\""]);
}

#[test]
fn unknown_fields_have_their_top_level_key() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    doc.put(&ui, "headcount", 3).unwrap();
    let team = doc.put_object(&ui, "team", ObjType::Map).unwrap();
    let skills = doc.put_object(&team, "skills", ObjType::List).unwrap();
    doc.insert(&skills, 0, "Rust").unwrap();
    commit(&mut doc, 10, "");
    doc.put(&ui, "headcount", 4).unwrap();
    doc.insert(&skills, 1, "SQL").unwrap();
    let lead = doc.put_object(&team, "lead", ObjType::Text).unwrap();
    doc.splice_text(&lead, 0, 0, "Anita").unwrap();
    doc.put(&ui, "due", ScalarValue::Timestamp(1_795_357_260_020)).unwrap();
    commit(&mut doc, 20, "");
    doc.splice_text(&lead, 5, 0, " Rao").unwrap();
    doc.put(&ui, "name", "a field, not the plan's setting").unwrap();
    commit(&mut doc, 30, "");
    doc.put(&ui, "team", "none").unwrap();
    commit(&mut doc, 40, "");
    let entries = history_of(&mut doc, &ALL);
    assert_eq!(sets(&entries[0]), [r#"ui.team: {"lead":"Anita Rao","skills":["Rust","SQL"]} > "none""#]);
    let nested = r#"ui.team: {"lead":"Anita","skills":["Rust","SQL"]} > {"lead":"Anita Rao","skills":["Rust","SQL"]}"#;
    assert_eq!(sets(&entries[1]), [nested, r#"ui.name: null > "a field, not the plan's setting""#]);
    assert_eq!(
        sets(&entries[2]),
        [
            "ui.headcount: 3 > 4",
            r#"ui.team: {"skills":["Rust"]} > {"lead":"Anita","skills":["Rust","SQL"]}"#,
            r#"ui.due: null > "2026-11-22T14:21:00.020Z""#,
        ]
    );
    let team = history_of(&mut doc, &Query { field: Some("team".to_owned()), position: Some("ui".to_owned()), ..ALL });
    assert_eq!(team.len(), 4);
    let doc = Automerge::load(&doc.save()).unwrap();
    let unknown = Query { field: Some("color".to_owned()), ..ALL };
    let unknown = History::of(&doc).unwrap().page(&doc, &unknown).unwrap_err();
    assert_eq!(unknown, PageError::UnknownField("color".to_owned()));
}

#[test]
fn large_nested_value_is_truncated() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    let list = doc.put_object(&ui, "list", ObjType::List).unwrap();
    for index in 0..2_000 {
        doc.insert(&list, index, 7).unwrap();
    }
    commit(&mut doc, 10, "");
    let entries = history_of(&mut doc, &ALL);
    let set = entries[0].fields.iter().find(|set| &*set.field == "list").unwrap();
    assert!(set.cut && set.new.as_array().unwrap().len() < 1_000, "{}", set.new);
}
