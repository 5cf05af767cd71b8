//! An updated view equals a new view of the document, for any changes in any order.

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjType, ROOT, ScalarValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fields::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};

const NO_FORMS: Renderings = Renderings { json: |_, _| {}, additional: |_, _| {}, csv: |_, _| {} };

fn plan() -> (AutoCommit, ObjId) {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([0u8]));
    let positions = doc.put_object(ROOT, "positions", ObjType::Map).unwrap();
    doc.commit();
    (doc, positions)
}

fn text(doc: &mut AutoCommit, object: &ObjId, key: &str, value: &str) -> ObjId {
    let text = doc.put_object(object, key, ObjType::Text).unwrap();
    doc.splice_text(&text, 0, 0, value).unwrap();
    text
}

fn row(doc: &mut AutoCommit, positions: &ObjId, id: &str, budget: i64) -> ObjId {
    let row = doc.put_object(positions, id, ObjType::Map).unwrap();
    text(doc, &row, "designation", id);
    doc.put(&row, "budget", budget).unwrap();
    doc.put(&row, "createdAt", ScalarValue::Timestamp(budget)).unwrap();
    row
}

/// A document with its view, updated change by change.
struct Server {
    doc: Automerge,
    view: SharedView,
}

impl Server {
    fn new(from: &mut AutoCommit) -> Self {
        let doc = Automerge::load(&from.save()).unwrap();
        let view = Arc::new(RwLock::new(View::new(&doc, NO_FORMS)));
        Self { doc, view }
    }

    fn take(&mut self, from: &mut AutoCommit) -> ViewChange {
        let ours = self.doc.get_heads();
        let changes: Vec<Change> = from
            .get_changes(&[])
            .into_iter()
            .filter(|change| self.doc.get_change_by_hash(&change.hash()).is_none())
            .collect();
        self.doc.apply_changes(changes.clone()).unwrap();
        assert!(changes.is_empty() || ours != self.doc.get_heads());
        let change = View::update(&self.view, &self.doc, &changes);
        let fresh = View::new(&self.doc, NO_FORMS);
        assert_eq!(snapshot(&self.view()), snapshot(&fresh), "equal to a fresh reading");
        assert_eq!(
            (self.view().extra(), self.view().plan()),
            (fresh.extra(), fresh.plan()),
            "equal to a fresh reading"
        );
        let problems = |view: &View| (view.problem_count(), view.problems().collect::<Vec<_>>());
        let (count, listed) = problems(&self.view());
        assert_eq!(count, listed.len());
        assert_eq!((count, listed), problems(&fresh), "equal to a fresh reading");
        change
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        read_view(&self.view)
    }

    fn extra(&self, id: &str) -> Extra {
        self.position(id).extra.map(|extra| *extra).unwrap_or_default()
    }

    fn position(&self, id: &str) -> Position {
        self.view().get(id).unwrap().position.clone()
    }
}

#[test]
fn update_returns_the_changed_rows() {
    let (mut doc, positions) = plan();
    let mut server = Server::new(&mut doc);
    let added = row(&mut doc, &positions, "a", 1);
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Added(row)] if &*row.position.id == "a"));
    doc.put(&added, "budget", 2).unwrap();
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Edited(_)]));
    doc.put(&added, "budget", 2).unwrap();
    assert_eq!(server.take(&mut doc).rows, [], "nothing that is shown has changed");
    doc.put(&added, "note", "not in the schema").unwrap();
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Extended(_)]));
    doc.delete(&positions, "a").unwrap();
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Deleted(id)] if &**id == "a"));
}

#[test]
fn timestamp_is_reread_like_the_first_time() {
    let (mut doc, positions) = plan();
    let object = row(&mut doc, &positions, "a", 1);
    let mut server = Server::new(&mut doc);
    doc.put(&object, "updatedAt", ScalarValue::Timestamp(1_795_357_260_020)).unwrap();
    server.take(&mut doc);
    assert_eq!(server.position("a").updated_at, Some(1_795_357_260_020));
}

#[test]
fn newest_row_is_first_and_untimed_rows_are_last() {
    let (mut doc, positions) = plan();
    for (id, created) in [("old", 1), ("new", 3), ("b", 2), ("a", 2)] {
        row(&mut doc, &positions, id, created);
    }
    doc.put_object(&positions, "timeless", ObjType::Map).unwrap();
    let server = Server::new(&mut doc);
    let view = server.view();
    let order: Vec<&str> = view.rows().map(|row| &*row.position.id).collect();
    assert_eq!(order, ["new", "a", "b", "old", "timeless"]);
}

#[test]
fn losing_values_are_shown_until_the_next_write() {
    let (mut doc, positions) = plan();
    let object = row(&mut doc, &positions, "a", 1);
    let mut server = Server::new(&mut doc);
    // Three concurrent values: the library has no patch for the third, which loses as well.
    for (actor, budget) in [(3u8, 30), (2, 20), (1, 10)] {
        let mut fork = doc.fork().with_actor(ActorId::from([actor]));
        fork.put(&object, "budget", budget).unwrap();
        server.take(&mut fork);
        if actor != 3 {
            doc.merge(&mut fork).unwrap();
        } else {
            // Not merged yet, so that the forks stay concurrent.
            let mut other = fork.fork();
            server.take(&mut other);
        }
    }
    let losing = server.position("a").conflicts.get("budget").cloned().unwrap();
    assert!(!losing.is_empty() && !losing.contains(server.position("a").fields[BUDGET].as_ref().unwrap()));
    let mut settled = AutoCommit::load(&server.doc.save()).unwrap();
    settled.put(&object, "budget", 25).unwrap();
    server.take(&mut settled);
    assert_eq!(
        (server.position("a").fields[BUDGET].clone(), server.position("a").conflicts.len()),
        (Some(json!(25)), 0)
    );
}

#[test]
fn losing_row_with_the_same_id_is_shown_as_conflict() {
    let (mut doc, positions) = plan();
    let mut one = doc.fork().with_actor(ActorId::from([1u8]));
    let mut two = doc.fork().with_actor(ActorId::from([2u8]));
    let losing = row(&mut one, &positions, "a", 10);
    row(&mut two, &positions, "a", 20);
    let mut server = Server::new(&mut doc);
    server.take(&mut two);
    server.take(&mut one);
    assert_eq!(server.position("a").fields[BUDGET], Some(json!(20)));
    assert_eq!(server.position("a").conflicts["budget"], [json!(10)]);
    // The library has no patch for this change either.
    one.put(&losing, "budget", 11).unwrap();
    assert!(matches!(server.take(&mut one).rows.as_slice(), [RowEvent::Edited(_)]));
    assert_eq!(server.position("a").conflicts["budget"], [json!(11)]);
}

#[test]
fn several_maps_of_positions_are_merged() {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([0u8]));
    doc.put(ROOT, "name", "plan").unwrap();
    doc.commit();
    let mut one = doc.fork().with_actor(ActorId::from([1u8]));
    let mut two = doc.fork().with_actor(ActorId::from([2u8]));
    let mut server = Server::new(&mut doc);
    for (fork, id) in [(&mut one, "a"), (&mut two, "b")] {
        let positions = fork.put_object(ROOT, "positions", ObjType::Map).unwrap();
        row(fork, &positions, id, 1);
        server.take(fork);
    }
    assert_eq!(server.view().len(), 2);
}

#[test]
fn texts_and_strings_are_read_and_splices_update() {
    let (mut doc, positions) = plan();
    let object = doc.put_object(&positions, "a", ObjType::Map).unwrap();
    doc.put(&object, "department", "scalar").unwrap();
    let designation = text(&mut doc, &object, "designation", "object");
    let mut server = Server::new(&mut doc);
    assert_eq!(server.position("a").fields[DEPARTMENT], Some(json!("scalar")));
    doc.splice_text(&designation, 0, 0, "an ").unwrap();
    server.take(&mut doc);
    assert_eq!(server.position("a").fields[DESIGNATION], Some(json!("an object")));
}

#[test]
fn malformed_rows_are_shown_as_far_as_possible() {
    let (mut doc, positions) = plan();
    doc.put(&positions, "a number", 5).unwrap();
    doc.put_object(&positions, "a list", ObjType::List).unwrap();
    let odd = doc.put_object(&positions, "odd", ObjType::Map).unwrap();
    doc.put(&odd, "budget", "lots").unwrap();
    doc.put(&odd, "designation", ScalarValue::Bytes(vec![1])).unwrap();
    doc.put_object(&odd, "location", ObjType::Map).unwrap();
    doc.put(&odd, "department", ScalarValue::Null).unwrap();
    doc.put(&odd, "createdAt", f64::NAN).unwrap();
    doc.put(&odd, "updatedBy", 7).unwrap();
    row(&mut doc, &positions, "fine", 1);
    let server = Server::new(&mut doc);
    assert_eq!(server.view().len(), 4);
    let position = server.position("odd");
    let expected = [json!({ "$bytes": "AQ==" }), json!(null), json!("lots"), json!({})];
    for (field, expected) in [DESIGNATION, DEPARTMENT, BUDGET, LOCATION].into_iter().zip(expected) {
        assert_eq!(position.fields[field], Some(expected), "{field}");
    }
    assert_eq!((position.created_at, position.updated_by), (None, None));
    let extra = server.extra("odd");
    assert_eq!(json!(extra.fields), json!({ "createdAt": null, "updatedBy": 7 }));
    assert_eq!(extra.omitted, 1, "a number that JSON does not have");
    assert_eq!(server.position("a number").fields[BUDGET], None);
    assert_eq!((server.extra("a number").value, server.extra("a list").value), (Some(json!(5)), Some(json!([]))));
    assert_eq!(server.position("fine").extra, None);
}

#[test]
fn values_that_do_not_fit_the_schema_are_listed_until_corrected() {
    let (mut doc, positions) = plan();
    let object = row(&mut doc, &positions, "a", 1);
    let mut server = Server::new(&mut doc);
    let listed = |server: &Server| -> Vec<(Option<String>, Option<String>, String)> {
        let place = |problem: PlacedProblem| {
            let PlacedProblem { position, problem } = problem;
            (position.map(|id| id.to_string()), problem.field.map(|field| field.to_string()), problem.found)
        };
        server.view().problems().map(place).collect()
    };
    let of = |position: Option<&str>, field: Option<&str>, found: &str| {
        (position.map(str::to_owned), field.map(str::to_owned), found.to_owned())
    };
    assert_eq!(listed(&server), []);
    text(&mut doc, &object, "budget", "twelve");
    doc.put(&object, "status", "frozen").unwrap();
    doc.put(&object, "createdAt", "yesterday").unwrap();
    doc.put(&positions, "b", 5).unwrap();
    doc.put(ROOT, "totalBudget", "a lot").unwrap();
    let departments = doc.put_object(ROOT, "departmentBudgets", ObjType::Map).unwrap();
    doc.put(&departments, "Sales", true).unwrap();
    server.take(&mut doc);
    assert_eq!(
        listed(&server),
        [
            of(None, Some("totalBudget"), "\"a lot\""),
            of(None, Some("departmentBudgets.Sales"), "true"),
            of(Some("a"), Some("budget"), "\"twelve\""),
            of(Some("a"), Some("status"), "\"frozen\""),
            of(Some("a"), Some("createdAt"), "\"yesterday\""),
            of(Some("b"), None, "5"),
        ]
    );
    doc.put(&object, "budget", 12).unwrap();
    doc.put(ROOT, "totalBudget", 100).unwrap();
    doc.delete(&departments, "Sales").unwrap();
    doc.delete(&positions, "b").unwrap();
    server.take(&mut doc);
    assert_eq!(listed(&server).len(), 2);
    doc.delete(&positions, "a").unwrap();
    server.take(&mut doc);
    assert_eq!((listed(&server).len(), server.view().problem_count()), (0, 0));
}

#[test]
fn unknown_fields_are_shown_and_updated() {
    let (mut doc, positions) = plan();
    let object = row(&mut doc, &positions, "a", 1);
    let mut server = Server::new(&mut doc);
    let team = doc.put_object(&object, "team", ObjType::Map).unwrap();
    let skills = doc.put_object(&team, "skills", ObjType::List).unwrap();
    doc.insert(&skills, 0, "Rust").unwrap();
    let notes = text(&mut doc, &object, "notes", "from");
    server.take(&mut doc);
    assert_eq!(json!(server.extra("a").fields), json!({ "team": { "skills": ["Rust"] }, "notes": "from" }));
    // Each inside of an existing value.
    doc.splice_text(&notes, 4, 0, " March").unwrap();
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Extended(_)]));
    let inner = doc.insert_object(&skills, 1, ObjType::Map).unwrap();
    doc.put(&inner, "level", 3).unwrap();
    server.take(&mut doc);
    doc.put(&inner, "level", 4).unwrap();
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Extended(_)]));
    let expected = json!({ "team": { "skills": ["Rust", { "level": 4 }] }, "notes": "from March" });
    assert_eq!(json!(server.extra("a").fields), expected);
    doc.delete(&object, "team").unwrap();
    doc.delete(&object, "notes").unwrap();
    server.take(&mut doc);
    assert_eq!(server.position("a").extra, None);
    // A field of the schema with a nested value, which is then replaced.
    let odd = doc.put_object(&object, "budget", ObjType::List).unwrap();
    server.take(&mut doc);
    doc.insert(&odd, 0, 5).unwrap();
    server.take(&mut doc);
    assert_eq!(server.position("a").fields[BUDGET], Some(json!([5])));
}

#[test]
fn unknown_root_keys_are_shown_and_updated() {
    let (mut doc, _) = plan();
    let mut server = Server::new(&mut doc);
    assert_eq!(server.view().extra(), None);
    let scenario = doc.put_object(ROOT, "scenario", ObjType::Map).unwrap();
    doc.put(&scenario, "name", "freeze").unwrap();
    let change = server.take(&mut doc);
    assert_eq!((change.rows, change.plan), (vec![], None), "no setting has changed");
    doc.put(&scenario, "name", "growth").unwrap();
    doc.put(ROOT, "unit", "lakh").unwrap();
    server.take(&mut doc);
    let fields = server.view().extra().map(|extra| json!(extra.fields));
    assert_eq!(fields, Some(json!({ "scenario": { "name": "growth" }, "unit": "lakh" })));
}

#[test]
fn conflicts_beyond_the_schema_show_losing_values() {
    let (mut doc, positions) = plan();
    let object = row(&mut doc, &positions, "a", 1);
    let mut other = doc.fork().with_actor(ActorId::from([9u8]));
    for (doc, value) in [(&mut doc, 3), (&mut other, 4)] {
        doc.put(&object, "headcount", value).unwrap();
        doc.put(ROOT, "totalBudget", value).unwrap();
    }
    doc.merge(&mut other).unwrap();
    let server = Server::new(&mut doc);
    let extra = server.extra("a");
    assert_eq!((json!(extra.fields), json!(extra.conflicts)), (json!({ "headcount": 4 }), json!({ "headcount": [3] })));
    let root = server.view().extra().map(|extra| json!(extra.conflicts));
    assert_eq!((root, server.view().plan().total_budget), (Some(json!({ "totalBudget": [3] })), Some(4.0)));
}

#[test]
fn values_beyond_the_row_limit_are_counted() {
    let (mut doc, positions) = plan();
    let object = row(&mut doc, &positions, "a", 1);
    let notes = text(&mut doc, &object, "notes", &"x".repeat(70_000));
    doc.put(&object, "small", 1).unwrap();
    let mut server = Server::new(&mut doc);
    assert_eq!((json!(server.extra("a").fields), server.extra("a").omitted), (json!({ "small": 1 }), 1));
    doc.splice_text(&notes, 0, 69_000, "").unwrap();
    server.take(&mut doc);
    assert_eq!((server.extra("a").fields.len(), server.extra("a").omitted), (2, 0));
}

#[test]
fn document_of_another_kind_has_no_positions() {
    let mut doc = AutoCommit::new();
    doc.put(ROOT, "positions", "a text").unwrap();
    doc.put(ROOT, "unit", "a text").unwrap();
    let server = Server::new(&mut doc);
    assert!(server.view().is_empty());
    assert_eq!(server.view().plan(), &Plan::default());
    let fields = server.view().extra().map(|extra| json!(extra.fields));
    assert_eq!(fields, Some(json!({ "positions": "a text", "unit": "a text" })), "all of it is kept");
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, u8, u8, i64),
    Text(usize, u8, u8, String),
    Splice(usize, u8, String),
    Row(usize, u8),
    Delete(usize, u8),
    DeleteField(usize, u8, u8),
    Map(usize),
    Nest(usize, u8, i64),
    Inner(usize, u8, i64),
    RootKey(usize, i64),
    Merge(usize, usize),
    Send(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (who, id, field) = (0..3usize, 0..4u8, 0..7u8);
    let step = prop_oneof![
        4 => (who.clone(), id.clone(), field.clone(), 0..9i64).prop_map(|(w, i, f, v)| Step::Put(w, i, f, v)),
        3 => (who.clone(), id.clone(), field.clone(), "[a-c]{0,3}").prop_map(|(w, i, f, v)| Step::Text(w, i, f, v)),
        2 => (who.clone(), id.clone(), "[x-z]{1,2}").prop_map(|(w, i, v)| Step::Splice(w, i, v)),
        3 => (who.clone(), id.clone()).prop_map(|(w, i)| Step::Row(w, i)),
        2 => (who.clone(), id.clone()).prop_map(|(w, i)| Step::Delete(w, i)),
        1 => (who.clone(), id, field).prop_map(|(w, i, f)| Step::DeleteField(w, i, f)),
        1 => who.clone().prop_map(Step::Map),
        2 => (who.clone(), 0..4u8, 0..9i64).prop_map(|(w, i, v)| Step::Nest(w, i, v)),
        3 => (who.clone(), 0..4u8, 0..9i64).prop_map(|(w, i, v)| Step::Inner(w, i, v)),
        2 => (who.clone(), 0..9i64).prop_map(|(w, v)| Step::RootKey(w, v)),
        2 => (who.clone(), who.clone()).prop_map(|(a, b)| Step::Merge(a, b)),
        4 => who.prop_map(Step::Send),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Three peers make random concurrent changes, which arrive in any order.
    #[test]
    fn view_equals_a_new_view_after_any_changes(steps in steps()) {
        let (mut doc, positions) = plan();
        row(&mut doc, &positions, "row 0", 1);
        let mut people: Vec<AutoCommit> =
            (1..4u8).map(|actor| doc.fork().with_actor(ActorId::from([actor]))).collect();
        let mut server = Server::new(&mut doc);
        let fields = ["designation", "department", "budget", "location", "createdAt", "updatedAt", "updatedBy"];
        for step in steps {
            let map = |doc: &AutoCommit| match doc.get(ROOT, "positions") {
                Ok(Some((value, map))) if value.is_object() => Some(map),
                _ => None,
            };
            let find = |doc: &AutoCommit, id: u8| {
                let (value, row) = doc.get(map(doc)?, format!("row {id}")).ok()??;
                value.is_object().then_some(row)
            };
            match step {
                Step::Put(who, id, field, value) => if let Some(row) = find(&people[who], id) {
                    let field = fields[usize::from(field)];
                    let timestamp = ScalarValue::Timestamp(value);
                    let value = if field.ends_with("At") { timestamp } else { ScalarValue::Int(value) };
                    people[who].put(&row, field, value).unwrap();
                },
                Step::Text(who, id, field, value) => if let Some(row) = find(&people[who], id) {
                    text(&mut people[who], &row, fields[usize::from(field)], &value);
                },
                Step::Splice(who, id, value) => if let Some(row) = find(&people[who], id)
                    && let Ok(Some((automerge::Value::Object(ObjType::Text), text))) =
                        people[who].get(&row, "designation")
                {
                    people[who].splice_text(&text, 0, 0, &value).unwrap();
                },
                Step::Row(who, id) => if let Some(map) = map(&people[who]) {
                    row(&mut people[who], &map, &format!("row {id}"), i64::from(id));
                },
                Step::Delete(who, id) => if let Some(map) = map(&people[who]) {
                    people[who].delete(&map, format!("row {id}")).unwrap();
                },
                Step::DeleteField(who, id, field) => if let Some(row) = find(&people[who], id) {
                    people[who].delete(&row, fields[usize::from(field)]).unwrap();
                },
                Step::Map(who) => { people[who].put_object(ROOT, "positions", ObjType::Map).unwrap(); },
                Step::Nest(who, id, value) => if let Some(row) = find(&people[who], id) {
                    let field = ["team", "budget", "updatedBy"][usize::try_from(value % 3).unwrap()];
                    let nested = people[who].put_object(&row, field, ObjType::Map).unwrap();
                    let list = people[who].put_object(&nested, "list", ObjType::List).unwrap();
                    people[who].insert(&list, 0, value).unwrap();
                },
                Step::Inner(who, id, value) => if let Some(row) = find(&people[who], id) {
                    let field = ["team", "budget", "updatedBy"][usize::try_from(value % 3).unwrap()];
                    let nested = people[who].get(&row, field).unwrap().filter(|(value, _)| value.is_object());
                    let list = nested.and_then(|(_, nested)| people[who].get(&nested, "list").ok().flatten());
                    if let Some((_, list)) = list {
                        people[who].insert(&list, 0, value).unwrap();
                    }
                },
                Step::RootKey(who, value) => match people[who].get(ROOT, "scenario").unwrap() {
                    Some((automerge::Value::Object(_), map)) if value > 1 => {
                        people[who].put(&map, "name", value).unwrap();
                    }
                    _ => { people[who].put_object(ROOT, "scenario", ObjType::Map).unwrap(); }
                },
                Step::Merge(one, two) => if one != two {
                    let mut other = people[two].fork();
                    people[one].merge(&mut other).unwrap();
                },
                Step::Send(who) => { server.take(&mut people[who]); },
            }
        }
        for person in &mut people {
            server.take(person);
        }
    }
}
