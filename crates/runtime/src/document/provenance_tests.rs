//! Provenance and rights of peers, tested with whole documents.

use automerge::sync::MessageFlags;
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ROOT, sync};
use plan::Edit;
use sync_engine::{Authors, BadMessage, Contributor, PeerRole, Surface, reply_without_document};

use super::tests::{Remote, author, carrying, load, plan, position};
use super::*;

const NOW: i64 = 1_795_357_260_000;

fn by(user: &str) -> Contributor {
    Contributor { user: user.into(), surface: Surface::Sync }
}

fn user(document: &mut Document, key: u64, user: &str, read_only: bool) -> Remote {
    let remote = Remote::new(key);
    document.engine.join(remote.key, Vec::new());
    document.engine.introduce(remote.key, PeerRole { by: Some(by(user)), read_only });
    remote
}

/// Runs a batch through all steps. Returns the outcomes, and the provenance lines.
fn run(document: &mut Document, items: Vec<Item>) -> (Vec<Outcome>, Vec<u8>) {
    let mut applied = document.engine.apply(items);
    let lines = applied.authors(NOW);
    document.engine.note_authors(&applied, NOW);
    let outcomes = std::mem::take(&mut applied.outcomes);
    document.publish(&mut applied, |_| true);
    (outcomes, lines)
}

fn contributor_of(document: &Document, change: &ChangeHash) -> Option<String> {
    document.engine.authors().of(change).map(|provenance| provenance.user.to_string())
}

/// The next change of an actor, made in a copy of the document, and that copy.
fn next(log: &[u8], actor: &[u8], value: i64) -> (Change, Vec<u8>) {
    let mut doc = AutoCommit::load(log).unwrap().with_actor(ActorId::from(actor));
    let before = doc.get_heads();
    doc.put(ROOT, "value", value).unwrap();
    doc.commit();
    let change = doc.get_changes(&before).remove(0);
    (change, doc.save())
}

#[test]
fn provenance_is_independent_of_the_change_and_survives_restart() {
    let (mut document, log) = plan();
    let (mut ceo, mut cfo) = (user(&mut document, 8, "ceo", false), user(&mut document, 9, "cfo", false));
    ceo.settle(&mut document);
    cfo.settle(&mut document);
    let mut written = Vec::new();
    for (remote, claim) in [(&mut ceo, "cfo"), (&mut cfo, "cfo")] {
        remote.doc.put(ROOT, "updatedBy", claim).unwrap();
        remote.doc.commit();
        let message = remote.message().unwrap();
        written.extend(run(&mut document, vec![message]).1);
    }
    let edit = Edit::Add(position("q"));
    let api = Contributor { user: "coo".into(), surface: Surface::Api };
    written.extend(
        run(&mut document, vec![Item::Edit { edit: AuthoredEdit { edit, author: author() }, by: Some(api) }]).1,
    );

    let changes: Vec<ChangeHash> =
        document.engine.automerge().get_changes(&[]).iter().map(|change| change.hash()).collect();
    let (read, unreadable) = Authors::read(&written);
    assert_eq!(unreadable, 0);
    for authors in [document.engine.authors(), &read] {
        let of = |index: usize| authors.of(&changes[index]);
        assert_eq!(of(0), None, "it is older than authentication");
        assert_eq!(of(1), Some(Provenance { user: "ceo".into(), surface: Surface::Sync, time_ms: NOW }));
        assert_eq!(of(2).unwrap().user.as_ref(), "cfo");
        assert_eq!(of(3), Some(Provenance { user: "coo".into(), surface: Surface::Api, time_ms: NOW }));
    }
    let _ = log;
}

#[test]
fn foreign_actor_is_rejected_and_copies_are_accepted() {
    let (mut document, log) = plan();
    user(&mut document, 8, "ceo", false);
    user(&mut document, 9, "cfo", false);
    let (first, then) = next(&log, b"ceo's device", 1);
    let (second, _) = next(&then, b"ceo's device", 2);
    let sends = |key: u64, changes: &[Change]| vec![carrying(PeerKey(key), &[changes[0].hash()], changes)];
    run(&mut document, sends(8, std::slice::from_ref(&first)));
    let heads = document.engine.heads();

    let forged = run(&mut document, sends(9, std::slice::from_ref(&second))).0;
    assert!(matches!(forged[0], Outcome::Refused(BadMessage::ForeignActor)), "{forged:?}");
    assert_eq!(document.engine.heads(), heads);
    let copy = run(&mut document, sends(9, std::slice::from_ref(&first))).0;
    assert!(matches!(copy[0], Outcome::Synced), "{copy:?}");
    let genuine = run(&mut document, sends(8, std::slice::from_ref(&second))).0;
    assert!(matches!(genuine[0], Outcome::Synced), "{genuine:?}");
    let relayed = run(&mut document, sends(9, &[first.clone(), second.clone()])).0;
    assert!(matches!(relayed[0], Outcome::Synced), "{relayed:?}");
    for change in [&first, &second] {
        assert_eq!(contributor_of(&document, &change.hash()).as_deref(), Some("ceo"));
    }
}

#[test]
fn new_actor_belongs_to_its_first_contributor() {
    let (mut document, log) = plan();
    user(&mut document, 8, "ceo", false);
    user(&mut document, 9, "cfo", false);
    let [(one, _), (other, _)] = [1, 2].map(|value| next(&log, b"a new device", value));
    let items = [(8, &one), (9, &other)]
        .map(|(key, change)| carrying(PeerKey(key), &[change.hash()], std::slice::from_ref(change)))
        .to_vec();
    let (outcomes, _) = run(&mut document, items);
    assert!(matches!(outcomes[0], Outcome::Synced), "{outcomes:?}");
    assert!(matches!(outcomes[1], Outcome::Refused(BadMessage::ForeignActor)), "{outcomes:?}");
}

#[test]
fn copy_is_accepted_in_the_batch_of_its_original() {
    let (mut document, log) = plan();
    for (key, name) in [(8, "ceo"), (9, "cfo"), (10, "coo")] {
        user(&mut document, key, name, false);
    }
    let (first, then) = next(&log, b"ceo's device", 1);
    let (second, _) = next(&then, b"ceo's device", 2);
    let items = [(8, vec![first.clone()]), (9, vec![first.clone()]), (10, vec![first.clone(), second.clone()])]
        .map(|(key, changes)| carrying(PeerKey(key), &[changes[0].hash()], &changes))
        .to_vec();
    let (outcomes, written) = run(&mut document, items);
    assert!(matches!(outcomes[..2], [Outcome::Synced, Outcome::Synced]), "{outcomes:?}");
    assert!(matches!(outcomes[2], Outcome::Refused(BadMessage::ForeignActor)), "{outcomes:?}");
    assert_eq!(contributor_of(&document, &first.hash()).as_deref(), Some("ceo"));
    assert_eq!(contributor_of(&document, &second.hash()), None);
    assert_eq!(Authors::read(&written).0.of(&first.hash()).unwrap().user.as_ref(), "ceo");
}

#[test]
fn server_actor_is_reserved() {
    let (mut document, log) = plan();
    user(&mut document, 9, "cfo", false);
    let own = document.engine.automerge().get_actor().clone();
    let forge = |log: &[u8], value| next(log, own.to_bytes(), value).0;
    // Before and after the server has written a change for a known user.
    for round in 0..2 {
        let forged = forge(&log, round);
        let items = vec![carrying(PeerKey(9), &[forged.hash()], std::slice::from_ref(&forged))];
        let (outcomes, _) = run(&mut document, items);
        assert!(matches!(outcomes[0], Outcome::Refused(BadMessage::ForeignActor)), "{outcomes:?}");
        let edit = Edit::Add(position("q"));
        run(&mut document, vec![Item::Edit { edit: AuthoredEdit { edit, author: author() }, by: Some(by("coo")) }]);
    }
}

#[test]
fn user_restores_a_lost_change_of_another_server() {
    let (mut document, log) = plan();
    let edit = |name| Item::Edit {
        edit: AuthoredEdit { edit: Edit::Add(position(name)), author: author() },
        by: Some(by("coo")),
    };
    let mut applied = document.engine.apply(vec![edit("first")]);
    let kept = [&log[..], &applied.chunks].concat();
    let lines = applied.authors(NOW);
    document.engine.note_authors(&applied, NOW);
    let _ = document.publish(&mut applied, |_| true);
    let lost = document.engine.apply(vec![edit("second")]).chunks;
    let lost = automerge::Change::from_bytes(lost).unwrap();

    // Another server has read the log without the second change.
    let mut other = document;
    other.reload(&kept, ActorId::from([7u8])).unwrap();
    other.engine.set_authors(Authors::read(&lines).0);
    user(&mut other, 9, "cfo", false);
    let items = vec![carrying(PeerKey(9), &[lost.hash()], std::slice::from_ref(&lost))];
    let (outcomes, _) = run(&mut other, items);
    assert!(matches!(outcomes[0], Outcome::Synced), "{outcomes:?}");
    assert_eq!(contributor_of(&other, &lost.hash()).as_deref(), Some("cfo"), "the user who sent it again");
}

#[test]
fn orphaned_change_is_attributed_to_its_contributor() {
    let (mut document, log) = plan();
    user(&mut document, 8, "ceo", false);
    user(&mut document, 9, "cfo", false);
    let (first, then) = next(&log, b"ceo's device", 1);
    let (second, _) = next(&then, b"cfo's device", 2);
    let waits = run(&mut document, vec![carrying(PeerKey(9), &[second.hash()], std::slice::from_ref(&second))]);
    assert!(waits.1.is_empty(), "nothing is stored, and no provenance recorded");
    run(&mut document, vec![carrying(PeerKey(8), &[first.hash()], std::slice::from_ref(&first))]);
    assert_eq!(contributor_of(&document, &first.hash()).as_deref(), Some("ceo"));
    assert_eq!(contributor_of(&document, &second.hash()).as_deref(), Some("cfo"));
}

#[test]
fn actor_is_released_when_its_changes_were_not_stored() {
    let (mut document, log) = plan();
    user(&mut document, 8, "ceo", false);
    user(&mut document, 9, "cfo", false);
    let (change, _) = next(&log, b"a device", 1);
    let from = |key| vec![carrying(PeerKey(key), &[change.hash()], std::slice::from_ref(&change))];
    assert_eq!(document.engine.apply(from(8)).change_count, 1);
    document.reload(&log, ActorId::from([2u8])).unwrap();
    let (outcomes, _) = run(&mut document, from(9));
    assert!(matches!(outcomes[0], Outcome::Synced), "{outcomes:?}");
    assert_eq!(contributor_of(&document, &change.hash()).as_deref(), Some("cfo"));
    // Provenance that was recorded before the append failed is kept.
    let (change, _) = next(&log, b"another device", 1);
    let from = |key| vec![carrying(PeerKey(key), &[change.hash()], std::slice::from_ref(&change))];
    let applied = document.engine.apply(from(8));
    document.engine.note_authors(&applied, NOW);
    document.reload(&log, ActorId::from([3u8])).unwrap();
    let (outcomes, _) = run(&mut document, from(9));
    assert!(matches!(outcomes[0], Outcome::Refused(BadMessage::ForeignActor)), "{outcomes:?}");
}

#[test]
fn unreadable_provenance_lines_are_skipped_and_counted() {
    let (mut document, log) = plan();
    user(&mut document, 8, "ceo", false);
    let (change, _) = next(&log, b"a device", 1);
    let (_, lines) = run(&mut document, vec![carrying(PeerKey(8), &[change.hash()], std::slice::from_ref(&change))]);
    let garbled =
        [&b"{\"user\":\n\n"[..], &lines, b"{\"user\":\"x\",\"surface\":\"sync\",\"time\":1,\"changes\":[\"?\"]}\n"];
    let (authors, unreadable) = Authors::read(&garbled.concat());
    assert_eq!(unreadable, 2);
    assert_eq!(authors.of(&change.hash()).unwrap().user.as_ref(), "ceo");
}

#[test]
fn read_only_peer_is_notified_and_changes_nothing() {
    let (mut document, log) = plan();
    let mut viewer = user(&mut document, 9, "intern", true);
    viewer.settle(&mut document);
    assert!(viewer.state.peer_read_only, "a stock client stops sending changes");
    assert_eq!(viewer.doc.get_heads(), document.engine.heads(), "reading works");
    // A modified client, which ignores the role and sends its change repeatedly.
    let (change, _) = next(&log, b"a modified client", 1);
    let heads = document.engine.heads();
    let mut answers = 0;
    for _ in 0..10 {
        let mut applied =
            document.engine.apply(vec![carrying(viewer.key, &[change.hash()], std::slice::from_ref(&change))]);
        assert!(matches!(applied.outcomes[0], Outcome::Synced) && applied.chunks.is_empty(), "{applied:?}");
        for delivery in document.publish(&mut applied, |_| true).deliveries {
            let message = sync::Message::decode(&delivery.message).unwrap();
            assert!(message.flags.unwrap().contains(MessageFlags::READ_ONLY) && message.need.is_empty(), "{message:?}");
            answers += 1;
        }
    }
    assert_eq!(document.engine.heads(), heads);
    assert!(answers <= 1, "{answers} answers to ten equal messages");
    // It still receives changes of others.
    let edit = Item::Edit { edit: AuthoredEdit { edit: Edit::Add(position("q")), author: author() }, by: None };
    let mut applied = document.engine.apply(vec![edit]);
    assert_eq!(document.publish(&mut applied, |_| true).deliveries.len(), 1);
}

#[test]
fn peer_made_writable_sends_its_earlier_changes() {
    let (mut document, _) = plan();
    let mut remote = user(&mut document, 9, "cfo", true);
    remote.settle(&mut document);
    remote.doc.put(ROOT, "name", "mine").unwrap();
    remote.doc.commit();
    remote.settle(&mut document);
    let before = document.engine.heads();
    assert_ne!(remote.doc.get_heads(), before);
    document.engine.introduce(remote.key, PeerRole { by: Some(by("cfo")), read_only: false });
    let delivery = document.engine.greet(remote.key).expect("a message with the new role");
    remote.receive(&delivery.message);
    remote.settle(&mut document);
    assert_eq!(document.engine.heads(), remote.doc.get_heads());
    // And read-only again.
    document.engine.introduce(remote.key, PeerRole { by: Some(by("cfo")), read_only: true });
    let delivery = document.engine.greet(remote.key).expect("a message with the new role");
    remote.receive(&delivery.message);
    assert!(remote.state.peer_read_only);
}

#[test]
fn read_only_peers_share_one_state() {
    let (mut document, _) = plan();
    let mut viewers: Vec<Remote> = (10..40).map(|key| user(&mut document, key, "intern", true)).collect();
    for viewer in &mut viewers {
        viewer.settle(&mut document);
    }
    assert_eq!(document.engine.peers().distinct_states(), 1);
    let before = document.engine.peers().generations();
    let mut applied = document
        .engine
        .apply(vec![Item::Edit { edit: AuthoredEdit { edit: Edit::Add(position("q")), author: author() }, by: None }]);
    assert_eq!(document.publish(&mut applied, |_| true).deliveries.len(), viewers.len());
    assert_eq!(document.engine.peers().generations() - before, 1);
}

#[test]
fn missing_document_answers_like_an_empty_one() {
    let mut empty = load(&[]);
    let mut remote = Remote::new(9);
    remote.doc.put(ROOT, "name", "mine").unwrap();
    remote.doc.commit();
    let Some(Item::Sync { peer, bytes }) = remote.message() else { panic!("a message") };
    empty.engine.join(peer, Vec::new());
    let mut applied = empty.engine.apply(vec![Item::Sync { peer, bytes: bytes.clone() }]);
    let said = empty.publish(&mut applied, |_| true).deliveries;
    assert_eq!(reply_without_document(Some(&bytes)), Some(said[0].message.clone()));
    empty.engine.join(PeerKey(1), Vec::new());
    assert_eq!(reply_without_document(None), Some(empty.engine.greet(PeerKey(1)).unwrap().message));
    assert_eq!(reply_without_document(Some(b"nonsense")), None);
}

#[test]
fn history_reports_user_and_claimed_name() {
    let (mut document, log) = plan();
    let intern = user(&mut document, 10, "an intern", false);
    let mut doc = AutoCommit::load(&log).unwrap();
    let before = doc.get_heads();
    doc.put(ROOT, "updatedBy", "the CEO").unwrap();
    doc.commit();
    let forged: Vec<Change> = doc.get_changes(&before).into_iter().collect();
    run(&mut document, vec![carrying(intern.key, &doc.get_heads(), &forged)]);
    let history = History::of(&document.copy()).unwrap();
    assert!(document.set_history(Box::new(history)));
    let query = Query { before: None, limit: 10, position: None, field: None };
    let AttributedPage { page, provenance, .. } = document.history_page(&query).unwrap().unwrap();
    assert_eq!(page.entries[0].hash, forged[0].hash());
    assert_eq!(provenance[0], Some(Provenance { user: "an intern".into(), surface: Surface::Sync, time_ms: NOW }));
    assert_eq!(provenance[1], None);
}

#[test]
fn relayed_changes_are_attributed_and_bind_no_actors() {
    let (mut document, log) = plan();
    let mut office = Remote::new(8);
    let by = Contributor { user: "peer:office".into(), surface: Surface::Peer };
    document.engine.join(office.key, Vec::new());
    document.engine.introduce(office.key, PeerRole { by: Some(by), read_only: false });
    let (mut ceo, mut cfo) = (user(&mut document, 9, "ceo", false), user(&mut document, 10, "cfo", false));
    for remote in [&mut office, &mut ceo, &mut cfo] {
        remote.settle(&mut document);
    }
    // The CEO writes directly, then at the other server, and then directly again, always under one actor.
    let (first, log) = next(&log, b"ceo", 1);
    let (second, log) = next(&log, b"ceo", 2);
    let (third, log) = next(&log, b"ceo", 3);
    // The CFO writes at the other server first.
    let (fourth, log) = next(&log, b"cfo", 4);
    let (fifth, _) = next(&log, b"cfo", 5);
    let mut written = Vec::new();
    for (remote, change, expected) in [
        (&ceo, &first, "ceo"),
        (&office, &second, "peer:office"),
        (&ceo, &third, "ceo"),
        (&office, &fourth, "peer:office"),
        (&cfo, &fifth, "cfo"),
    ] {
        let (outcomes, lines) = run(&mut document, vec![carrying(remote.key, &[], std::slice::from_ref(change))]);
        assert!(matches!(outcomes[..], [Outcome::Synced]), "{outcomes:?}");
        assert_eq!(contributor_of(&document, &change.hash()).as_deref(), Some(expected));
        written.extend(lines);
    }
    let text = String::from_utf8(written.clone()).unwrap();
    let relayed: Vec<&str> = text.lines().filter(|line| line.contains("peer:office")).collect();
    assert_eq!(relayed.len(), 2);
    assert!(relayed.iter().all(|line| line.contains(r#""surface":"peer""#) && !line.contains("actors")), "{relayed:?}");
    let (read, unreadable) = Authors::read(&written);
    assert_eq!((unreadable, read.of(&fifth.hash()).unwrap().user.as_ref()), (0, "cfo"));
}
