use automerge::transaction::Transactable;
use automerge::{ActorId, Change};
use proptest::prelude::*;

use super::*;
use crate::edit::{Edit, run};
use crate::fields::{BUDGET, DEPARTMENT, LOCATION, START, STATUS};
use crate::{Budget, Form, LastEdit, Renderings, View, csv};

/// The row of JSON is that of `Debug`: it has all values, conflicts and unknown content.
const RENDERINGS: Renderings = Renderings {
    json: |position, out| out.extend(format!("{position:?}").into_bytes()),
    additional: |_, _| {},
    csv: |position, out| csv::write_position(out, position),
};

fn author() -> Author {
    Author { name: "cfo".to_owned(), now: 1_790_000_000_000 }
}

fn id() -> DocumentId {
    DocumentId::from_random([5; 16])
}

fn new_plan() -> NewPlan {
    NewPlan { id: id(), settings: PlanPatch { name: Some("Growth".to_owned()), ..PlanPatch::default() } }
}

fn exports(doc: &Automerge) -> [String; 3] {
    let view = View::new(doc, RENDERINGS);
    let export = |form| {
        let mut out = Vec::new();
        view.join(form, b"\n", &mut out);
        String::from_utf8(out).unwrap()
    };
    [export(Form::Json), export(Form::Csv), format!("{:?}", view.plan())]
}

/// Whether the changes of a document and its snapshot give the same document.
fn assert_stored(doc: &Automerge) {
    assert_eq!(exports(&Automerge::load(&doc.save()).unwrap()), exports(doc), "the snapshot");
    let mut copy = Automerge::new();
    copy.apply_changes(doc.get_changes(&[])).unwrap();
    assert_eq!((copy.get_heads(), exports(&copy)), (doc.get_heads(), exports(doc)), "the changes");
}

fn in_portions(doc: &mut Automerge, new_plan: Option<NewPlan>, positions: &[NewPosition]) -> Result<usize, EditError> {
    add_in_portions(doc, new_plan, positions.iter().cloned(), &author(), &mut |_| ())
}

/// A plan in which two clients have created a map of positions each, with a row that was deleted and a row that exists.
fn used_plan() -> Automerge {
    let mut doc = Automerge::new().with_actor(ActorId::from([1; 16]));
    let create = Edit::Create { id: id(), plan: PlanPatch::default(), positions: Vec::new() };
    run(&mut doc, &create, &author()).unwrap();
    let mut other = Automerge::new().with_actor(ActorId::from([2; 16]));
    run(&mut other, &create, &author()).unwrap();
    for (doc, name) in [(&mut doc, "kept"), (&mut other, "gone")] {
        run(doc, &Edit::Add(NewPosition::new(name, name)), &author()).unwrap();
    }
    doc.merge(&mut other).unwrap();
    run(&mut doc, &Edit::Delete { id: "gone".to_owned() }, &author()).unwrap();
    doc
}

fn positions() -> impl Strategy<Value = Vec<NewPosition>> {
    let text = || prop_oneof![3 => "[a-zé\u{1f600}]{0,6}", 1 => "[a-z]{200}"];
    let position = (
        ("[a-e]{1,2}|gone", "[A-Z]{1,9}", text(), text()),
        proptest::option::of(0..9_u64),
        prop_oneof![Just(""), Just("open")],
        prop_oneof![Just(""), Just("2027-06")],
        proptest::option::of(0..9_i64),
        proptest::option::of((proptest::option::of("[a-z]{1,4}"), proptest::option::of(0..9_i64))),
    );
    let position =
        position.prop_map(|((id, designation, department, location), budget, status, start, created, by)| {
            let position = NewPosition::new(id, designation)
                .with(DEPARTMENT, department)
                .with(LOCATION, location)
                .with(BUDGET, budget.map(Budget::Int))
                .with(STATUS, status)
                .with(START, start);
            let updated = by.map(|(by, at)| LastEdit { by, at });
            NewPosition { created_at: created, updated, ..position }
        });
    proptest::collection::vec(position, 0..30).prop_map(|mut positions| {
        let mut ids = HashSet::new();
        positions.retain(|position| ids.insert(position.id.clone()));
        positions
    })
}

proptest! {
    #[test]
    fn rows_are_the_same_added_alone_together_or_in_portions(positions in positions()) {
        for is_new in [true, false] {
            let start = |actor: u8| if is_new { Automerge::new() } else { used_plan() }.with_actor(ActorId::from([actor; 16]));
            let [mut alone, mut together, mut portions] = [3, 4, 5].map(start);
            let NewPlan { id, settings } = new_plan();
            if is_new {
                let create = Edit::Create { id: id.clone(), plan: settings.clone(), positions: Vec::new() };
                run(&mut alone, &create, &author()).unwrap();
                let create = Edit::Create { id, plan: settings, positions: positions.clone() };
                run(&mut together, &create, &author()).unwrap();
            } else {
                run(&mut together, &Edit::AddAll(positions.clone()), &author()).unwrap();
            }
            for position in &positions {
                run(&mut alone, &Edit::Add(position.clone()), &author()).unwrap();
            }
            in_portions(&mut portions, is_new.then(new_plan), &positions).unwrap();
            prop_assert_eq!(exports(&together), exports(&alone));
            prop_assert_eq!(exports(&portions), exports(&alone));
            let held = View::new(&alone, RENDERINGS).len();
            prop_assert_eq!((count_positions(&portions), count_positions(&together)), (held, held));
            assert_stored(&together);
            assert_stored(&portions);
        }
    }

    #[test]
    fn added_rows_can_be_edited_like_others(positions in positions(), value in 10..20_u64) {
        let mut doc = used_plan().with_actor(ActorId::from([6; 16]));
        in_portions(&mut doc, None, &positions).unwrap();
        for position in &positions {
            let patch = crate::PositionPatch::set(BUDGET, Budget::Int(value)).with(LOCATION, "Pune");
            run(&mut doc, &Edit::Patch { id: position.id.clone(), patch }, &author()).unwrap();
        }
        let view = View::new(&doc, RENDERINGS);
        for position in &positions {
            let row = &view.get(&position.id).unwrap().position;
            prop_assert_eq!((row.amount(BUDGET), row.text(LOCATION)), (Some(Budget::Int(value)), Some("Pune")));
        }
        assert_stored(&doc);
    }
}

#[test]
fn changes_are_bounded_and_say_how_far_they_are() {
    let positions: Vec<NewPosition> = (0..20).map(|row| NewPosition::new(format!("row {row}"), "Engineer")).collect();
    let mut doc = Automerge::new();
    let mut seen = Vec::new();
    let changes =
        add_in_portions(&mut doc, Some(new_plan()), positions.into_iter(), &author(), &mut |done| seen.push(done));
    let made = doc.get_changes(&[]);
    assert_eq!((changes.unwrap(), seen.len(), seen.last()), (made.len(), made.len(), Some(&20)));
    // The first change has the settings as well.
    assert!(made.len() > 1 && made[1..].iter().all(|change| change.len() <= OPERATIONS), "{}", made.len());
    let messages: Vec<&str> = made.iter().filter_map(Change::message).collect();
    assert_eq!(messages[0], format!("cfo: new plan with {} positions ({} of 20)", seen[0], seen[0]));
    assert_eq!(messages[1], format!("cfo: added {} positions ({} of 20)", seen[1] - seen[0], seen[1]));
}

#[test]
fn few_positions_are_one_change_like_an_edit() {
    let position = || NewPosition::new("row", "Engineer");
    let mut doc = Automerge::new();
    in_portions(&mut doc, Some(new_plan()), &[position()]).unwrap();
    let made = doc.get_changes(&[]);
    assert_eq!(
        made.iter().map(|change| change.message().unwrap()).collect::<Vec<_>>(),
        ["cfo: new plan with 1 positions"]
    );
    let mut empty = Automerge::new();
    assert_eq!(in_portions(&mut empty, Some(new_plan()), &[]).unwrap(), 1, "a plan without positions is a plan");
    assert_eq!(in_portions(&mut empty, None, &[]).unwrap(), 0);
}

#[test]
fn position_that_is_larger_than_a_change_may_be_is_added_alone() {
    let long = |id: &str| NewPosition::new(id, "x".repeat(2 * OPERATIONS));
    let mut doc = used_plan();
    let before = doc.get_heads();
    in_portions(&mut doc, None, &[NewPosition::new("a", "A"), long("b"), long("c")]).unwrap();
    assert_eq!(doc.get_changes(&before).len(), 3);
}

#[test]
fn invalid_and_existing_positions_are_rejected() {
    let of = |id: &str| NewPosition::new(id, "Engineer");
    let many = |last: NewPosition| (0..20).map(|row| of(&format!("row {row}"))).chain([last]).collect::<Vec<_>>();
    for (last, message) in [
        (of("row 1"), "there is a position with the id \"row 1\" already"),
        (of("kept"), "there is a position with the id \"kept\" already"),
        (of(""), "id: must not be empty"),
        (NewPosition::new("new", " "), "designation: must not be empty"),
    ] {
        let error = in_portions(&mut used_plan(), None, &many(last)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn rejected_batch_leaves_the_document_as_it_was() {
    let mut doc = used_plan();
    let before = (doc.get_heads(), exports(&doc));
    let edit = Edit::AddAll(vec![NewPosition::new("new", "New"), NewPosition::new("kept", "Kept")]);
    assert!(matches!(run(&mut doc, &edit, &author()), Err(EditError::Exists(id)) if id == "kept"));
    assert_eq!((doc.get_heads(), exports(&doc)), before);
    // A transaction that fails after some rows takes them back.
    let map = position_maps(&doc).pop().unwrap();
    let mut tx = doc.transaction();
    add_rows(&mut tx, &map, &[NewPosition::new("new", "New"), NewPosition::new("other", "Other")], &author()).unwrap();
    tx.delete(&map, "kept").unwrap();
    tx.rollback();
    assert_eq!((doc.get_heads(), exports(&doc)), before);
    assert_stored(&doc);
}
