use automerge::marks::{ExpandMark, Mark};
use serde_json::{Value as Json, json};

use super::*;
use crate::fields::BUDGET;
use crate::past::SharedCopy;
use crate::{Budget, Edit, NewPosition, PlanPatch, PositionPatch, Renderings, View, content, edit};

const MAX: usize = 1 << 20;

fn author() -> Author {
    Author { name: "cfo".to_owned(), now: 1_790_000_000_000 }
}

fn id(seed: u8) -> DocumentId {
    DocumentId::from_random([seed; 16])
}

/// The whole content, with the values that lost.
fn content_of(doc: &Automerge) -> Json {
    let past = SharedCopy::default().at(doc, doc.get_heads()).unwrap();
    serde_json::from_slice(&content(&past, MAX).unwrap()).unwrap()
}

/// The content without the keys that a successor has of its own.
fn copied(doc: &Automerge) -> Json {
    let mut content = content_of(doc);
    let root = content.as_object_mut().unwrap();
    for key in NOT_COPIED {
        root.remove(key);
    }
    content
}

fn run(doc: &mut Automerge, change: &Edit) {
    edit::run(doc, change, &author()).unwrap();
}

fn write_with(doc: &mut Automerge, write: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>) {
    commit(doc, &author(), String::new(), write).unwrap();
}

/// A plan with two positions.
fn plan() -> Automerge {
    let mut doc = Automerge::new().with_actor(ActorId::from([1; 16]));
    let settings = PlanPatch { name: Some("Growth".to_owned()), ..PlanPatch::default() };
    let positions = ["p1", "p2"].map(|id| NewPosition::new(id, "Cook").with(BUDGET, Budget::Int(20)));
    run(&mut doc, &Edit::Create { id: id(1), plan: settings, positions: positions.into() });
    doc
}

fn row(doc: &Automerge, id: &str) -> ObjId {
    let (_, positions) = doc.get(ROOT, POSITIONS).unwrap().unwrap();
    doc.get(positions, id).unwrap().unwrap().1
}

fn successor_of(doc: &Automerge) -> Successor {
    successor(doc, &id(2), &id(1), ActorId::from([9; 16]), &author()).unwrap()
}

#[track_caller]
fn copy_is_whole(doc: &Automerge) -> Automerge {
    let Successor { document, left_out } = successor_of(doc);
    assert_eq!(left_out, LeftOut::default());
    assert_eq!(copied(&document), copied(doc));
    let loaded = Automerge::load(&document.save()).unwrap();
    assert_eq!(copied(&loaded), copied(doc), "also after saving and loading");
    document
}

#[test]
fn successor_has_the_content_without_the_history() {
    let mut doc = plan();
    for budget in 1..50 {
        let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
        run(&mut doc, &Edit::Patch { id: "p1".into(), patch });
    }
    let new = copy_is_whole(&doc);
    assert!(new.get_changes(&[]).len() < 10, "{}", new.get_changes(&[]).len());
    let root = content_of(&new);
    assert_eq!(root[DOCUMENT_ID], json!(id(2).as_str()));
    assert_eq!(root[PREDECESSOR], json!(id(1).url()));
    let (old, new) = (View::new(&doc, Renderings::default()), View::new(&new, Renderings::default()));
    assert_eq!(new.plan().predecessor, Some(id(1)));
    let positions = |view: &View| view.rows().map(|row| row.position.clone()).collect::<Vec<_>>();
    assert_eq!(positions(&new), positions(&old), "with their dates and editors");
}

#[test]
fn values_of_all_types_are_copied() {
    let mut doc = plan();
    let object = row(&doc, "p1");
    write_with(&mut doc, |tx| {
        tx.put(&object, "score", ScalarValue::counter(3))?;
        tx.increment(&object, "score", 4)?;
        tx.put(&object, "when", ScalarValue::Timestamp(1_790_000_000_000))?;
        tx.put(&object, "photo", ScalarValue::Bytes(vec![1, 2, 3]))?;
        tx.put(&object, "plain", "a scalar string")?;
        tx.put(&object, "large", u64::MAX)?;
        tx.put(&object, "ratio", f64::NAN)?;
        tx.put(&object, "nothing", ScalarValue::Null)?;
        let list = tx.put_object(&object, "skills", ObjType::List)?;
        tx.insert(&list, 0, "Rust")?;
        let nested = tx.insert_object(&list, 1, ObjType::Map)?;
        tx.put(&nested, "level", 3)?;
        let text = tx.put_object(&object, "notes", ObjType::Text)?;
        tx.splice_text(&text, 0, 0, "bold and plain")?;
        tx.mark(&text, Mark::new("bold".to_owned(), true, 0, 4), ExpandMark::Both)?;
        tx.split_block(&text, 9).map(drop)
    });
    let new = copy_is_whole(&doc);
    let (value, _) = new.get(row(&new, "p1"), "score").unwrap().unwrap();
    assert!(matches!(value.as_scalar(), Some(ScalarValue::Counter(_))), "still a counter: {value:?}");
}

#[test]
fn losing_values_are_copied() {
    let mut doc = plan();
    let object = row(&doc, "p1");
    write_with(&mut doc, |tx| {
        let list = tx.put_object(&object, "list", ObjType::List)?;
        tx.insert(&list, 0, "first")?;
        tx.insert(&list, 1, "second")
    });
    let mut copies: Vec<Automerge> = (2..5).map(|seed| doc.fork().with_actor(ActorId::from([seed; 16]))).collect();
    for (budget, copy) in (21..).zip(&mut copies) {
        let list = copy.get(row(copy, "p1"), "list").unwrap().unwrap().1;
        write_with(copy, |tx| {
            tx.put(&object, "budget", budget)?;
            put_text(tx, &ROOT, "name", &format!("Growth {budget}"))?;
            let map = tx.put_object(&object, "made", ObjType::Map)?;
            tx.put(&map, "by", budget)?;
            tx.put(&list, 1, budget)
        });
    }
    // One key has two values, the others three.
    write_with(&mut copies[0], |tx| tx.put(&object, "grade", "A"));
    write_with(&mut copies[1], |tx| tx.put(&object, "grade", "B"));
    for mut copy in copies {
        doc.merge(&mut copy).unwrap();
    }
    let shown = content_of(&doc);
    assert_eq!(shown["positions"]["p1"]["$conflicts"]["budget"].as_array().unwrap().len(), 2, "{shown}");
    copy_is_whole(&doc);
}

#[test]
fn positions_created_twice_stay_conflicts() {
    let mut doc = plan();
    let mut other = doc.fork().with_actor(ActorId::from([2; 16]));
    for (doc, budget) in [(&mut doc, 1), (&mut other, 2)] {
        run(doc, &Edit::Add(NewPosition::new("twice", "Cook").with(BUDGET, Budget::Int(budget))));
    }
    doc.merge(&mut other).unwrap();
    copy_is_whole(&doc);
}

#[test]
fn shared_maps_can_still_be_created_by_others() {
    let mut doc = plan();
    let department_budgets = [("HR".to_owned(), Some(Budget::Int(4)))].into();
    run(&mut doc, &Edit::Describe(PlanPatch { department_budgets, ..PlanPatch::default() }));
    let mut new = copy_is_whole(&doc);
    let mut other = plan();
    let department_budgets = [("IT".to_owned(), Some(Budget::Int(5)))].into();
    run(&mut other, &Edit::Describe(PlanPatch { department_budgets, ..PlanPatch::default() }));
    new.merge(&mut other).unwrap();
    assert_eq!(content_of(&new)["departmentBudgets"], json!({ "HR": 4, "IT": 5 }));
}

#[test]
fn what_is_left_out_is_counted() {
    let mut doc = plan();
    let edit = crate::ScenarioEdit::Add { name: "Freeze".to_owned(), base: doc.get_heads() };
    run(&mut doc, &Edit::Scenario { id: id(5), edit: Box::new(edit) });
    VERSIONS_MAP.prepare(&mut doc).unwrap();
    let mut deep = row(&doc, "p1");
    write_with(&mut doc, |tx| {
        let map = VERSIONS_MAP.open(tx)?.unwrap();
        tx.put(&map, "v1", "heads")?;
        for _ in 0..=MAX_CONTENT_DEPTH {
            deep = tx.put_object(&deep, "in", ObjType::Map)?;
        }
        Ok(())
    });
    let Successor { document, left_out } = successor_of(&doc);
    assert_eq!(left_out, LeftOut { scenarios: 1, versions: 1, values: 1 });
    assert!(content_of(&document).get("scenarios").is_none());
}

#[test]
fn many_positions_are_written_in_several_changes() {
    let mut doc = plan();
    let positions: Vec<NewPosition> = (0..50).map(|row| NewPosition::new(format!("row-{row}"), "Cook")).collect();
    run(&mut doc, &Edit::AddAll(positions));
    let new = copy_is_whole(&doc);
    let changes = new.get_changes(&[]);
    assert!(changes.len() > 5, "{}", changes.len());
    assert!(changes.iter().all(|change| change.len() < 3 * OPERATIONS), "of bounded size");
}

#[test]
fn any_document_can_have_a_successor() {
    let mut doc = Automerge::new().with_actor(ActorId::from([1; 16]));
    write_with(&mut doc, |tx| {
        tx.put(ROOT, "positions", "none")?;
        tx.put(ROOT, "columns", 7)?;
        tx.put(ROOT, "count", ScalarValue::counter(1))
    });
    copy_is_whole(&doc);
    let root = content_of(&successor_of(&Automerge::new()).document);
    assert_eq!(root[DOCUMENT_ID], json!(id(2).as_str()));
}

#[test]
fn predecessor_names_its_successor() {
    let mut doc = plan();
    run(&mut doc, &Edit::NameSuccessor(id(2)));
    let view = View::new(&doc, Renderings::default());
    assert_eq!((view.plan().successor.clone(), view.plan().archived), (Some(id(2)), true));
    assert!(view.extra().is_none(), "{:?}", view.extra());
}
