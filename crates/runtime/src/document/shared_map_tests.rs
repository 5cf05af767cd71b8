//! Changes that everyone makes with the same bytes, brought by several users.

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ROOT};
use plan::shared_map::{DEPARTMENT_BUDGETS_MAP, SCENARIOS_MAP, SharedMap};
use sync_engine::{Authors, BadMessage, Contributor, PeerRole, Surface};

use super::tests::{Remote, carrying, plan};
use super::*;

const NOW: i64 = 1_795_357_260_000;
const CEO: PeerKey = PeerKey(8);
const CFO: PeerKey = PeerKey(9);
const SERVER: PeerKey = PeerKey(10);

/// A plan with two users and another server.
fn shared_plan() -> (Document, Vec<u8>) {
    let (mut document, log) = plan();
    for (key, user, surface) in
        [(CEO, "ceo", Surface::Sync), (CFO, "cfo", Surface::Plain), (SERVER, "peer:office", Surface::Peer)]
    {
        document.engine.join(Remote::new(key.0).key, Vec::new());
        let by = Some(Contributor { user: user.into(), surface });
        document.engine.introduce(key, PeerRole { by, read_only: false });
    }
    (document, log)
}

fn creation(map: SharedMap) -> Change {
    Change::from_bytes(map.change_bytes().to_vec()).unwrap()
}

fn send(document: &mut Document, from: PeerKey, changes: &[Change]) -> (Outcome, Vec<u8>) {
    let mut applied = document.engine.apply(vec![carrying(from, &[changes[0].hash()], changes)]);
    let lines = applied.authors(NOW);
    document.engine.note_authors(&applied, NOW);
    let outcome = applied.outcomes.remove(0);
    document.publish(&mut applied, |_| true);
    (outcome, lines)
}

#[test]
fn everyone_may_bring_the_change_of_a_shared_map() {
    let (mut document, _) = shared_plan();
    let change = creation(DEPARTMENT_BUDGETS_MAP);
    for from in [CEO, CFO, SERVER] {
        let (outcome, lines) = send(&mut document, from, std::slice::from_ref(&change));
        assert!(matches!(outcome, Outcome::Synced), "{outcome:?}");
        assert!(!String::from_utf8(lines).unwrap().contains("actors"), "the actor is bound to nobody");
    }
    assert_eq!(document.engine.authors().of(&change.hash()).unwrap().user.as_ref(), "ceo", "the first");
}

#[test]
fn shared_map_may_come_from_another_user_after_a_failure() {
    let (mut document, log) = shared_plan();
    let change = creation(DEPARTMENT_BUDGETS_MAP);
    let bad = AutoCommit::load(&log).unwrap().with_actor(ActorId::from(b"a forger"));
    let forged = |mut doc: AutoCommit| {
        doc.put(ROOT, "value", 1).unwrap();
        let mut change = doc.get_last_local_change().unwrap().decode();
        change.start_op = std::num::NonZeroU64::new(1).unwrap();
        Change::from(change)
    };
    let (outcome, _) = send(&mut document, CEO, &[change.clone(), forged(bad)]);
    assert!(matches!(outcome, Outcome::Refused(BadMessage::OperationNumbers)), "{outcome:?}");
    // The lines are stored before the changes, whose append fails here.
    let applied = document.engine.apply(vec![carrying(CEO, &[change.hash()], std::slice::from_ref(&change))]);
    document.engine.note_authors(&applied, NOW);
    document.reload(&log, ActorId::from([2u8])).unwrap();
    let (outcome, _) = send(&mut document, CFO, std::slice::from_ref(&change));
    assert!(matches!(outcome, Outcome::Synced), "{outcome:?}");
    assert_eq!(document.engine.authors().of(&change.hash()).unwrap().user.as_ref(), "cfo");
}

#[test]
fn actor_of_a_shared_map_is_reserved_for_its_change() {
    let (mut document, _) = shared_plan();
    let first = creation(DEPARTMENT_BUDGETS_MAP);
    let actor = first.actor_id().clone();
    let mut other = AutoCommit::new().with_actor(actor.clone());
    other.put(ROOT, "departmentBudgets", "none").unwrap();
    let other = other.get_last_local_change().unwrap();
    let mut next = AutoCommit::new();
    next.apply_changes([first.clone()]).unwrap();
    next.set_actor(actor);
    next.put(ROOT, "name", "mine").unwrap();
    let next = next.get_last_local_change().unwrap();
    for from in [CEO, SERVER] {
        for changes in [vec![other.clone()], vec![first.clone(), next.clone()]] {
            let (outcome, _) = send(&mut document, from, &changes);
            assert!(matches!(outcome, Outcome::Refused(BadMessage::ForeignActor)), "{outcome:?}");
        }
    }
    let (outcome, _) = send(&mut document, CFO, &[first]);
    assert!(matches!(outcome, Outcome::Synced), "{outcome:?}");
}

#[test]
fn older_binding_of_a_shared_map_excludes_nobody() {
    let (mut document, _) = shared_plan();
    let change = creation(SCENARIOS_MAP);
    let line = format!(
        "{{\"user\":\"ceo\",\"surface\":\"sync\",\"time\":1,\"changes\":[],\"actors\":[\"{}\"]}}\n",
        change.actor_id()
    );
    let (authors, unreadable) = Authors::read(line.as_bytes());
    assert_eq!(unreadable, 0);
    document.engine.set_authors(authors);
    let (outcome, _) = send(&mut document, CFO, &[change]);
    assert!(matches!(outcome, Outcome::Synced), "{outcome:?}");
}
