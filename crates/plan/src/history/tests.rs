//! A history has every change once, with the effect that its author saw, in a stable order.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use serde_json::json;

use super::*;

pub(super) const ALL: Query = Query { position: None, field: None, before: None, limit: MAX_ENTRIES };

pub(super) fn plan() -> AutoCommit {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([0u8]));
    doc.put_object(ROOT, "positions", ObjType::Map).unwrap();
    commit(&mut doc, 1, "");
    doc
}

pub(super) fn commit(doc: &mut AutoCommit, time: i64, message: &str) {
    doc.commit_with(CommitOptions::default().with_time(time).with_message(message));
}

pub(super) fn map(doc: &AutoCommit) -> Option<ObjId> {
    let (value, map) = doc.get(ROOT, "positions").unwrap()?;
    value.is_object().then_some(map)
}

pub(super) fn add(doc: &mut AutoCommit, id: &str, designation: &str) -> ObjId {
    let map = map(doc).unwrap();
    let row = doc.put_object(&map, id, ObjType::Map).unwrap();
    text(doc, &row, "designation", designation);
    doc.put(&row, "budget", 1).unwrap();
    row
}

pub(super) fn text(doc: &mut AutoCommit, object: &ObjId, key: &str, value: &str) -> ObjId {
    let text = doc.put_object(object, key, ObjType::Text).unwrap();
    doc.splice_text(&text, 0, 0, value).unwrap();
    text
}

pub(super) fn history_of(doc: &mut AutoCommit, query: &Query) -> Vec<Entry> {
    let doc = Automerge::load(&doc.save()).unwrap();
    History::of(&doc).unwrap().page(&doc, query).unwrap().entries
}

/// The written fields, as `position.field: old > new`.
pub(super) fn sets(entry: &Entry) -> Vec<String> {
    let of = |set: &FieldChange| set.row.as_ref().map_or("plan".to_owned(), |row| row.position.to_string());
    entry.fields.iter().map(|set| format!("{}.{}: {} > {}", of(set), set.field, set.old, set.new)).collect()
}

fn names(rows: &[super::Row]) -> Vec<String> {
    let name = |row: &super::Row| format!("{} {}", row.position, row.designation.as_deref().unwrap_or("?"));
    rows.iter().map(name).collect()
}

#[test]
fn entry_has_old_and_new_values() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    commit(&mut doc, 10, "cfo: added UI");
    doc.put(&ui, "budget", 2.5).unwrap();
    text(&mut doc, &ui, "updatedBy", "somebody else");
    doc.put(&ui, "note", "not in the schema").unwrap();
    text(&mut doc, &ROOT, "name", "Growth");
    doc.put(ROOT, "totalBudget", 100).unwrap();
    commit(&mut doc, 20, "cfo: UI: budget 2.5");
    doc.delete(&ui, "budget").unwrap();
    commit(&mut doc, 0, "");
    doc.delete(map(&doc).unwrap(), "ui").unwrap();
    commit(&mut doc, 40, "cfo: deleted UI");
    let entries = history_of(&mut doc, &ALL);
    let said: Vec<_> = entries.iter().map(|entry| (entry.time, entry.message.as_deref())).collect();
    let added = (Some(10), Some("cfo: added UI"));
    let expected = [
        (Some(40), Some("cfo: deleted UI")),
        (None, None),
        (Some(20), Some("cfo: UI: budget 2.5")),
        added,
        (Some(1), None),
    ];
    assert_eq!(said, expected);
    assert_eq!((names(&entries[0].deleted), sets(&entries[0])), (vec!["ui UI".to_owned()], vec![]));
    assert_eq!(sets(&entries[1]), ["ui.budget: 2.5 > null"]);
    let plan = ["plan.name: null > \"Growth\"", "plan.totalBudget: null > 100"];
    let row = ["ui.budget: 1 > 2.5", "ui.updatedBy: null > \"somebody else\""];
    let row = [&row[..], &["ui.note: null > \"not in the schema\""]].concat();
    assert_eq!(sets(&entries[2]), [row, plan.to_vec()].concat());
    assert_eq!(names(&entries[3].added), ["ui UI"]);
    assert_eq!(sets(&entries[3]), ["ui.designation: null > \"UI\"", "ui.budget: null > 1"]);
    assert!(entries[4].fields.is_empty() && entries[4].added.is_empty());
}

#[test]
fn concurrent_writes_keep_the_old_value_their_authors_saw() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    commit(&mut doc, 10, "");
    let mut other = doc.fork().with_actor(ActorId::from([9u8]));
    doc.put(&ui, "budget", 2).unwrap();
    commit(&mut doc, 30, "one");
    other.put(&ui, "budget", 3).unwrap();
    commit(&mut other, 20, "other");
    doc.merge(&mut other).unwrap();
    doc.put(&ui, "budget", 4).unwrap();
    commit(&mut doc, 25, "settled by a slow clock");
    let entries = history_of(&mut doc, &ALL);
    let set: Vec<_> = entries.iter().flat_map(sets).take(3).collect();
    assert_eq!(set, ["ui.budget: 3 > 4", "ui.budget: 1 > 2", "ui.budget: 1 > 3"]);
    let heads: Vec<usize> = entries.iter().map(|entry| entry.heads.as_ref().unwrap().len()).collect();
    assert_eq!(heads, [1, 2, 1, 1, 1]);
    // At the heads of the earlier change the later one does not exist yet.
    assert_eq!(entries[2].heads.as_deref(), Some(&[entries[2].hash][..]));
}

#[test]
fn conflict_resolved_by_one_of_its_values_is_recorded() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    commit(&mut doc, 10, "");
    let mut other = doc.fork().with_actor(ActorId::from([9u8]));
    for (doc, budget) in [(&mut doc, 2), (&mut other, 3)] {
        doc.put(&ui, "budget", budget).unwrap();
        commit(doc, 20, "");
    }
    doc.merge(&mut other).unwrap();
    let mut stubborn = doc.fork().with_actor(ActorId::from([8u8]));
    let mut third = doc.fork().with_actor(ActorId::from([7u8]));
    let mut cleared = doc.fork().with_actor(ActorId::from([6u8]));
    // The library writes none of the two values again: it deletes the other one.
    for (doc, budget, expected) in
        [(&mut doc, 2, "ui.budget: 3 > 2"), (&mut stubborn, 3, "ui.budget: 3 > 3"), (&mut third, 4, "ui.budget: 3 > 4")]
    {
        doc.put(&ui, "budget", budget).unwrap();
        commit(doc, 30, "");
        let entries = history_of(doc, &ALL);
        assert_eq!(sets(&entries[0]), [expected]);
        assert_eq!(entries[0].fields[0].settled, [json!(3), json!(2)], "the one that was shown first");
        assert!(entries[1..].iter().flat_map(|entry| &entry.fields).all(|set| set.settled.is_empty()));
    }
    cleared.delete(&ui, "budget").unwrap();
    commit(&mut cleared, 30, "");
    let entries = history_of(&mut cleared, &ALL);
    assert_eq!((sets(&entries[0]), entries[0].fields[0].settled.len()), (vec!["ui.budget: 3 > null".to_owned()], 2));
}

#[test]
fn resolved_conflict_of_texts_has_both_values() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    commit(&mut doc, 10, "");
    let mut other = doc.fork().with_actor(ActorId::from([9u8]));
    for (doc, name) in [(&mut doc, "UX"), (&mut other, "UY")] {
        text(doc, &ui, "designation", name);
        commit(doc, 20, "");
    }
    doc.merge(&mut other).unwrap();
    text(&mut doc, &ui, "designation", "UX");
    commit(&mut doc, 30, "");
    let set = &history_of(&mut doc, &ALL)[0].fields[0];
    assert_eq!((&set.old, &set.new, &set.settled), (&json!("UY"), &json!("UX"), &vec![json!("UY"), json!("UX")]));
}

/// As the server writes it: sets the field in the winning position, and deletes it in the other one.
#[test]
fn conflict_of_two_positions_with_one_id_is_resolved_once() {
    let mut doc = plan();
    let mut other = doc.fork().with_actor(ActorId::from([9u8]));
    let losing = add(&mut doc, "ui", "UI");
    doc.put(&losing, "budget", 2).unwrap();
    commit(&mut doc, 10, "");
    let shown = add(&mut other, "ui", "UI");
    commit(&mut other, 10, "");
    doc.merge(&mut other).unwrap();
    doc.put(&shown, "budget", 4).unwrap();
    doc.delete(&losing, "budget").unwrap();
    commit(&mut doc, 20, "");
    let entries = history_of(&mut doc, &ALL);
    assert_eq!(sets(&entries[0]), ["ui.budget: 1 > 4"]);
    assert_eq!(entries[0].fields[0].settled, [json!(1), json!(2)]);
}

#[test]
fn replacement_of_two_positions_has_old_values_of_both() {
    let mut one = plan();
    let mut other = one.fork().with_actor(ActorId::from([1u8]));
    let row = add(&mut one, "a", "cook");
    text(&mut one, &row, "department", "Kitchen");
    add(&mut other, "a", "cook");
    one.merge(&mut other).unwrap();
    add(&mut one, "a", "chef");
    let entries = history_of(&mut one, &ALL);
    assert_eq!(
        sets(&entries[0]),
        [r#"a.designation: "cook" > "chef""#, "a.budget: 1 > 1", r#"a.department: "Kitchen" > null"#]
    );
}

#[test]
fn recreated_position_is_restored() {
    let mut doc = plan();
    add(&mut doc, "ui", "UI");
    commit(&mut doc, 10, "");
    doc.delete(map(&doc).unwrap(), "ui").unwrap();
    commit(&mut doc, 20, "");
    add(&mut doc, "ui", "UX");
    commit(&mut doc, 30, "");
    // Replaced by another one with the same id: it existed before, and exists.
    let ui = doc.put_object(map(&doc).unwrap(), "ui", ObjType::Map).unwrap();
    doc.put(&ui, "budget", 7).unwrap();
    commit(&mut doc, 40, "");
    // Created and deleted by one change.
    add(&mut doc, "brief", "Brief");
    doc.delete(map(&doc).unwrap(), "brief").unwrap();
    doc.put(&ui, "budget", 8).unwrap();
    commit(&mut doc, 50, "");
    // Written and then deleted by one change.
    doc.put(&ui, "budget", 9).unwrap();
    doc.delete(map(&doc).unwrap(), "ui").unwrap();
    commit(&mut doc, 60, "");
    let entries = history_of(&mut doc, &Query { position: Some("ui".to_owned()), ..ALL });
    let effects: Vec<_> = entries
        .iter()
        .map(|entry| (names(&entry.added), names(&entry.restored), names(&entry.deleted), sets(entry)))
        .map(|(added, restored, deleted, sets)| {
            format!("+{} ^{} -{} {}", added.join(","), restored.join(","), deleted.join(","), sets.join("; "))
        })
        .collect();
    assert_eq!(
        effects,
        [
            "+ ^ -ui ? ",
            "+ ^ - ui.budget: 7 > 8",
            "+ ^ - ui.budget: 1 > 7; ui.designation: \"UX\" > null",
            "+ ^ui UX - ui.designation: null > \"UX\"; ui.budget: null > 1",
            "+ ^ -ui UI ",
            "+ui UI ^ - ui.designation: null > \"UI\"; ui.budget: null > 1",
        ]
    );
    let brief = Query { position: Some("brief".to_owned()), ..ALL };
    let doc = Automerge::load(&doc.save()).unwrap();
    let unknown = History::of(&doc).unwrap().page(&doc, &brief).unwrap_err();
    assert_eq!(unknown, PageError::UnknownPosition("brief".to_owned()));
}

#[test]
fn texts_edited_in_place_have_their_values_at_the_time() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    commit(&mut doc, 10, "");
    let (_, designation) = doc.get(&ui, "designation").unwrap().unwrap();
    for (time, letters) in [(20, " de"), (30, "si"), (40, "gner")] {
        let end = doc.text(&designation).unwrap().len();
        doc.splice_text(&designation, end, 0, letters).unwrap();
        commit(&mut doc, time, "");
    }
    text(&mut doc, &ui, "designation", "UX");
    commit(&mut doc, 50, "");
    doc.put(&ui, "budget", 3).unwrap();
    commit(&mut doc, 60, "");
    let entries = history_of(&mut doc, &ALL);
    let set: Vec<_> = entries[1..5].iter().map(|entry| sets(entry).join("; ")).collect();
    assert_eq!(
        set,
        [
            "ui.designation: \"UI designer\" > \"UX\"",
            "ui.designation: \"UI desi\" > \"UI designer\"",
            "ui.designation: \"UI de\" > \"UI desi\"",
            "ui.designation: \"UI\" > \"UI de\"",
        ]
    );
    let names: Vec<_> =
        entries[..6].iter().map(|entry| entry.fields[0].row.as_ref().unwrap().designation.clone().unwrap()).collect();
    assert_eq!(
        names.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["UX", "UX", "UI designer", "UI desi", "UI de", "UI"]
    );
}

#[test]
fn texts_are_read_for_any_way_of_writing() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    commit(&mut doc, 10, "");
    // By one change: typed with a mistake that was deleted, and with an insertion at the start.
    let location = text(&mut doc, &ui, "location", "Punee");
    doc.splice_text(&location, 4, 1, "").unwrap();
    doc.splice_text(&location, 0, 0, "near ").unwrap();
    doc.put(&ui, "department", "a scalar").unwrap();
    text(&mut doc, &ui, "updatedBy", "first");
    text(&mut doc, &ui, "updatedBy", "then");
    doc.put(&ui, "createdAt", ScalarValue::Bytes(vec![1])).unwrap();
    doc.put(&ui, "updatedAt", ScalarValue::counter(5)).unwrap();
    commit(&mut doc, 20, "");
    doc.increment(&ui, "updatedAt", 2).unwrap();
    commit(&mut doc, 30, "");
    doc.put(&ui, "updatedAt", true).unwrap();
    let long = "x".repeat(2_000);
    text(&mut doc, &ui, "department", &long);
    commit(&mut doc, 40, "");
    let entries = history_of(&mut doc, &ALL);
    let last = &entries[0].fields;
    assert_eq!((&last[1].old, last[1].new.as_str().unwrap().len(), last[1].cut), (&json!("a scalar"), 1_000, true));
    assert_eq!((sets(&entries[0])[0].as_str(), last[0].cut), ("ui.updatedAt: 7 > true", false));
    assert_eq!(sets(&entries[1]), ["ui.updatedAt: 5 > 7"]);
    let expected = [
        "ui.location: null > \"near Pune\"",
        "ui.department: null > \"a scalar\"",
        "ui.updatedBy: null > \"then\"",
        r#"ui.createdAt: null > {"$bytes":"AQ=="}"#,
        "ui.updatedAt: null > 5",
    ];
    assert_eq!(sets(&entries[2]), expected);
}

#[test]
fn replaced_position_settles_its_conflicts() {
    let mut doc = plan();
    let row = add(&mut doc, "ui", "UI");
    commit(&mut doc, 10, "");
    let mut other = doc.fork();
    for (doc, value) in [(&mut doc, 2), (&mut other, 3)] {
        for field in ["budget", "location"] {
            doc.put(&row, field, value).unwrap();
        }
        commit(doc, 20, "");
    }
    doc.merge(&mut other).unwrap();
    add(&mut doc, "ui", "UX");
    commit(&mut doc, 30, "");
    let entries = history_of(&mut doc, &ALL);
    let [_, budget, location] = &entries[0].fields[..] else { panic!("{:?}", sets(&entries[0])) };
    let shown = &budget.old;
    assert_eq!((&*budget.field, &budget.new, &location.old, &location.new), ("budget", &json!(1), shown, &json!(null)));
    for set in [budget, location] {
        let mut settled = set.settled.clone();
        assert_eq!(settled.first(), Some(shown), "{}: the winner first", set.field);
        settled.sort_by_key(|value| value.as_i64());
        assert_eq!(settled, [json!(2), json!(3)], "{}", set.field);
    }
}

#[test]
fn replaced_map_of_positions_deletes_its_positions() {
    let mut doc = plan();
    for id in ["a", "b", "c"] {
        add(&mut doc, id, id);
    }
    commit(&mut doc, 10, "");
    doc.put_object(ROOT, "positions", ObjType::Map).unwrap();
    let b = add(&mut doc, "b", "other");
    commit(&mut doc, 20, "");
    doc.put(&b, "budget", 9).unwrap();
    commit(&mut doc, 30, "");
    let entries = history_of(&mut doc, &ALL);
    assert_eq!(names(&entries[1].deleted), ["a a", "c c"]);
    assert_eq!(
        (&entries[1].added, sets(&entries[1])),
        (&vec![], vec!["b.designation: \"b\" > \"other\"".to_owned(), "b.budget: 1 > 1".to_owned(),])
    );
    let a = history_of(&mut doc, &Query { position: Some("a".to_owned()), ..ALL });
    assert_eq!(a.iter().map(|entry| entry.deleted.len()).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn large_change_is_partial_but_complete_for_a_position() {
    let mut doc = plan();
    for row in 0..600 {
        add(&mut doc, &format!("row {row:03}"), "UI");
    }
    commit(&mut doc, 10, "");
    let entries = history_of(&mut doc, &ALL);
    let listed = entries[0].added.len() + entries[0].fields.len();
    assert_eq!((listed, entries[0].omitted), (1_000, 800));
    let last = history_of(&mut doc, &Query { position: Some("row 599".to_owned()), ..ALL });
    assert_eq!((last[0].added.len(), last[0].fields.len(), last[0].omitted), (1, 2, 0));
}

#[test]
fn page_of_large_changes_ends_early_and_continues() {
    let mut doc = plan();
    let ui = add(&mut doc, "ui", "UI");
    for change in 0..30 {
        for field in ["designation", "department", "location"] {
            for _ in 0..2 {
                doc.put(&ui, field, format!("{change}{}", "ü".repeat(2_000))).unwrap();
            }
        }
        for row in 0..20 {
            add(&mut doc, &format!("{change} {row}"), &"é".repeat(1_000));
        }
        commit(&mut doc, change, "");
    }
    let doc = Automerge::load(&doc.save()).unwrap();
    let history = History::of(&doc).unwrap();
    let (mut pages, mut found, mut before) = (0, 0, None);
    loop {
        let page = history.page(&doc, &Query { before, ..ALL }).unwrap();
        let size = |set: &FieldChange| set.new.as_str().map_or(0, str::len) + set.old.as_str().map_or(0, str::len);
        let bytes: usize = page.entries.iter().flat_map(|entry| &entry.fields).map(size).sum();
        assert!(bytes < 3 << 20, "{bytes}");
        (pages, found, before) = (pages + 1, found + page.entries.len(), page.next);
        if before.is_none() {
            break;
        }
    }
    assert!(pages > 1);
    assert_eq!(found, history.len());
}

#[test]
fn cost_of_a_page_does_not_grow_with_the_history() {
    let mut doc = plan();
    let (often, seldom) = (add(&mut doc, "often", "UI"), add(&mut doc, "seldom", "UI"));
    commit(&mut doc, 1, "");
    for change in 0..2_000 {
        let row = if change % 500 == 7 { &seldom } else { &often };
        doc.put(row, "budget", change).unwrap();
        commit(&mut doc, change, "");
    }
    let doc = Automerge::load(&doc.save()).unwrap();
    let history = History::of(&doc).unwrap();
    let page = |query: Query| {
        let page = history.page(&doc, &query).unwrap();
        (page.entries.len(), page.next.is_some(), page.examined)
    };
    // One more than the page has, to know whether there is a next page.
    assert_eq!(page(Query { limit: 50, ..ALL }), (50, true, 51));
    let middle = history.order.cursor(history.order.ranked()[1_000]);
    assert_eq!(page(Query { limit: 50, before: Some(middle), ..ALL }), (50, true, 51));
    let seldom = || Some("seldom".to_owned());
    assert_eq!(page(Query { position: seldom(), limit: 3, ..ALL }), (3, true, 4));
    assert_eq!(page(Query { position: seldom(), ..ALL }), (5, false, 5));
    let named = Query { position: seldom(), field: Some("designation".to_owned()), ..ALL };
    assert_eq!(page(named), (1, false, 5));
}

/// Many peers replace the map of positions concurrently. The number of recorded removals is bounded.
#[test]
fn repeated_replacement_of_all_positions_is_bounded() {
    let mut doc = plan();
    for row in 0..1_000 {
        doc.put_object(map(&doc).unwrap(), format!("row {row}"), ObjType::Map).unwrap();
    }
    commit(&mut doc, 1, "");
    let before = doc.fork();
    for actor in 1..=250u8 {
        let mut fork = before.clone().with_actor(ActorId::from([actor]));
        fork.put_object(ROOT, "positions", ObjType::Map).unwrap();
        commit(&mut fork, 2, "");
        doc.merge(&mut fork).unwrap();
    }
    let doc = Automerge::load(&doc.save()).unwrap();
    let history = History::of(&doc).unwrap();
    let page = history.page(&doc, &ALL).unwrap();
    let mut entries = page.entries;
    let mut next = page.next;
    while let Some(before) = next {
        let page = history.page(&doc, &Query { before: Some(before), ..ALL }).unwrap();
        entries.extend(page.entries);
        next = page.next;
    }
    let listed = entries.iter().filter(|entry| entry.deleted.len() == 1_000).count();
    let not_listed = entries.iter().filter(|entry| entry.deleted.is_empty() && entry.omitted >= 1_000).count();
    assert_eq!((listed + not_listed, not_listed > 0, listed > 100), (250, true, true), "{listed} {not_listed}");
}
