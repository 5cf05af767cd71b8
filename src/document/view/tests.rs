//! The view is what a fresh reading of the document is, whatever happened and in whatever order it arrived.

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjType, ROOT, ScalarValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NO_FORMS: Renderings = Renderings { json: |_, _| {}, legacy: |_, _| {}, csv: |_, _| {} };

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

/// A server's copy with its view, fed change by change.
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
        assert_eq!(snapshot(&self.view()), snapshot(&View::new(&self.doc, NO_FORMS)), "as if read afresh");
        change
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        read_view(&self.view)
    }

    fn position(&self, id: &str) -> Position {
        self.view().get(id).unwrap().position.clone()
    }
}

#[test]
fn a_change_is_told_as_what_became_of_its_rows() {
    let (mut doc, positions) = plan();
    let mut server = Server::new(&mut doc);
    let added = row(&mut doc, &positions, "a", 1);
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Added(row)] if &*row.position.id == "a"));
    doc.put(&added, "budget", 2).unwrap();
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Edited(_)]));
    doc.put(&added, "budget", 2).unwrap();
    doc.put(&added, "note", "not in the schema").unwrap();
    assert_eq!(server.take(&mut doc).rows, [], "nothing that is shown has changed");
    doc.delete(&positions, "a").unwrap();
    assert!(matches!(server.take(&mut doc).rows.as_slice(), [RowEvent::Deleted(id)] if &**id == "a"));
}

#[test]
fn the_newest_row_is_first_and_rows_without_a_moment_come_last() {
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
fn values_that_lost_are_named_until_the_field_is_written_again() {
    let (mut doc, positions) = plan();
    let object = row(&mut doc, &positions, "a", 1);
    let mut server = Server::new(&mut doc);
    // Three at once: the third, which loses as well, is no patch to the library.
    for (actor, budget) in [(3u8, 30), (2, 20), (1, 10)] {
        let mut fork = doc.fork().with_actor(ActorId::from([actor]));
        fork.put(&object, "budget", budget).unwrap();
        server.take(&mut fork);
        if actor != 3 {
            doc.merge(&mut fork).unwrap();
        } else {
            // Kept apart, so that the forks stay concurrent.
            let mut other = fork.fork();
            server.take(&mut other);
        }
    }
    let losing = server.position("a").conflicts.get("budget").cloned().unwrap();
    assert!(!losing.is_empty() && !losing.contains(server.position("a").budget.as_ref().unwrap()));
    let mut settled = AutoCommit::load(&server.doc.save()).unwrap();
    settled.put(&object, "budget", 25).unwrap();
    server.take(&mut settled);
    assert_eq!((server.position("a").budget.clone(), server.position("a").conflicts.len()), (Some(json!(25)), 0));
}

#[test]
fn of_two_rows_under_one_id_the_winner_is_shown_and_the_other_is_named_and_kept_current() {
    let (mut doc, positions) = plan();
    let mut one = doc.fork().with_actor(ActorId::from([1u8]));
    let mut two = doc.fork().with_actor(ActorId::from([2u8]));
    let losing = row(&mut one, &positions, "a", 10);
    row(&mut two, &positions, "a", 20);
    let mut server = Server::new(&mut doc);
    server.take(&mut two);
    server.take(&mut one);
    assert_eq!(server.position("a").budget, Some(json!(20)));
    assert_eq!(server.position("a").conflicts["budget"], [json!(10)]);
    // The library has no patch for this one either.
    one.put(&losing, "budget", 11).unwrap();
    assert!(matches!(server.take(&mut one).rows.as_slice(), [RowEvent::Edited(_)]));
    assert_eq!(server.position("a").conflicts["budget"], [json!(11)]);
}

#[test]
fn several_maps_of_positions_are_shown_as_one() {
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
fn both_kinds_of_text_are_read_and_a_splice_is_seen() {
    let (mut doc, positions) = plan();
    let object = doc.put_object(&positions, "a", ObjType::Map).unwrap();
    doc.put(&object, "department", "scalar").unwrap();
    let designation = text(&mut doc, &object, "designation", "object");
    let mut server = Server::new(&mut doc);
    assert_eq!(server.position("a").department, Some(json!("scalar")));
    doc.splice_text(&designation, 0, 0, "an ").unwrap();
    server.take(&mut doc);
    assert_eq!(server.position("a").designation, Some(json!("an object")));
}

#[test]
fn odd_rows_are_shown_with_what_can_be_read_and_break_nothing() {
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
    assert_eq!((&position.budget, &position.designation), (&Some(json!("lots")), &None));
    assert_eq!((&position.location, &position.department), (&None, &Some(json!(null))));
    assert_eq!((position.created_at, &position.updated_by), (None, &None));
    assert_eq!(server.position("a number").budget, None);
}

#[test]
fn a_document_of_another_kind_has_no_positions_and_no_plan() {
    let mut doc = AutoCommit::new();
    doc.put(ROOT, "positions", "a text").unwrap();
    doc.put(ROOT, "unit", "a text").unwrap();
    let server = Server::new(&mut doc);
    assert!(server.view().is_empty());
    assert_eq!(server.view().plan(), &Plan::default());
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
        2 => (who.clone(), who.clone()).prop_map(|(a, b)| Step::Merge(a, b)),
        4 => who.prop_map(Step::Send),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever three people do, concurrently and in whatever order it arrives: the view equals a fresh reading.
    #[test]
    fn the_view_never_drifts(steps in steps()) {
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
                    people[who].put(&row, fields[usize::from(field)], value).unwrap();
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
