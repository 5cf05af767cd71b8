//! The document as a whole: batches, edits, peers, and failures.

use std::panic::AssertUnwindSafe;

use automerge::sync::SyncDoc;
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, Automerge, ObjType, ROOT, ReadDoc, sync};
use plan::fields::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use plan::{Author, Budget, Edit, NewPosition, PlanPatch, Position, PositionPatch, RowEvent, read_view, without_noise};
use sync_engine::{BadMessage, MAX_ORPHANS};

use super::*;

pub(super) const NO_FORMS: Renderings = Renderings { json: |_, _| {}, additional: |_, _| {}, csv: |_, _| {} };

pub(super) fn id() -> DocumentId {
    DocumentId::from_random([7; 16])
}

pub(super) fn load(log: &[u8]) -> Document {
    Document::load(id(), log, ActorId::from([1u8]), NO_FORMS, MessageLimits::default()).unwrap()
}

pub(super) fn author() -> Author {
    Author { name: "cfo".to_owned(), now: 1_795_357_260_000 }
}

pub(super) fn position(id: &str) -> NewPosition {
    NewPosition::new(id, "UI").with(DEPARTMENT, "Engineering").with(BUDGET, Budget::Int(45)).with(LOCATION, "Pune")
}

/// A document with one position, and its log.
pub(super) fn plan() -> (Document, Vec<u8>) {
    let mut document = load(&[]);
    let create = Edit::Create { id: id(), plan: PlanPatch::default(), positions: vec![position("p")] };
    let log = edit(&mut document, create).unwrap();
    (document, log)
}

/// Runs an edit through all steps, and returns the chunks to store.
fn edit(document: &mut Document, edit: Edit) -> Result<Vec<u8>, String> {
    let mut applied =
        document.engine.apply(vec![Item::Edit { edit: AuthoredEdit { edit, author: author() }, by: None }]);
    let chunks = std::mem::take(&mut applied.chunks);
    let outcome = applied.outcomes.pop().unwrap();
    document.publish(&mut applied, |_| true);
    match outcome {
        Outcome::Edited(Ok(_)) => Ok(chunks),
        Outcome::Edited(Err(error)) => Err(error.to_string()),
        other => panic!("{other:?}"),
    }
}

fn row(document: &mut Document, id: &str) -> Option<Position> {
    let view = document.view();
    let view = read_view(&view);
    view.get(id).map(|row| row.position.clone())
}

/// A stock peer.
pub(super) struct Remote {
    pub(super) key: PeerKey,
    pub(super) doc: AutoCommit,
    pub(super) state: sync::State,
}

impl Remote {
    pub(super) fn new(key: u64) -> Self {
        let doc = AutoCommit::new().with_actor(ActorId::from(key.to_be_bytes()));
        Self { key: PeerKey(key), doc, state: sync::State::new() }
    }

    pub(super) fn message(&mut self) -> Option<Item> {
        let message = self.doc.sync().generate_sync_message(&mut self.state)?;
        Some(Item::Sync { peer: self.key, bytes: message.encode().into() })
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.doc.sync().receive_sync_message(&mut self.state, sync::Message::decode(bytes).unwrap()).unwrap();
    }

    /// Exchanges messages until both sides are quiet.
    pub(super) fn settle(&mut self, document: &mut Document) {
        for _ in 0..20 {
            let Some(item) = self.message() else { return };
            let mut applied = document.engine.apply(vec![item]);
            assert!(applied.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Synced)), "{applied:?}");
            for delivery in document.publish(&mut applied, |_| true).deliveries {
                if delivery.peer == self.key {
                    self.receive(&delivery.message);
                }
            }
        }
        panic!("never quiet");
    }
}

/// A message with exactly these changes, regardless of what the receiver has.
pub(super) fn carrying(peer: PeerKey, heads: &[ChangeHash], changes: &[Change]) -> Item {
    let message = sync::Message {
        heads: heads.to_vec(),
        need: Vec::new(),
        have: Vec::new(),
        changes: changes.iter().map(|change| change.raw_bytes().to_vec()).collect::<Vec<_>>().into(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    Item::Sync { peer, bytes: message.encode().into() }
}

#[test]
fn every_prefix_of_the_log_is_a_document() {
    let (mut document, mut log) = plan();
    let mut ends = vec![log.len()];
    for budget in 1..20 {
        let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
        log.extend(edit(&mut document, Edit::Patch { id: "p".to_owned(), patch }).unwrap());
        ends.push(log.len());
    }
    for (edits, end) in ends.into_iter().enumerate() {
        let reopened = load(&log[..end]);
        assert_eq!(reopened.engine.size().0, edits as u64 + 1);
    }
}

#[test]
fn batch_is_invisible_before_it_is_published() {
    let (mut document, _) = plan();
    let mut remote = Remote::new(9);
    document.engine.join(remote.key, Vec::new());
    remote.settle(&mut document);
    assert_eq!(row(&mut document, "q"), None, "creates the view");
    let mut applied = document
        .engine
        .apply(vec![Item::Edit { edit: AuthoredEdit { edit: Edit::Add(position("q")), author: author() }, by: None }]);
    assert!(!applied.chunks.is_empty());
    assert_eq!(row(&mut document, "q"), None);
    let published = document.publish(&mut applied, |_| true);
    assert_eq!(published.deliveries.len(), 1);
    assert!(row(&mut document, "q").is_some());
}

#[test]
fn invalid_message_in_a_batch_rejects_only_its_sender() {
    let (mut document, log) = plan();
    let mut good = Remote::new(8);
    let mut forger = Remote::new(9);
    for remote in [&mut good, &mut forger] {
        document.engine.join(remote.key, Vec::new());
        remote.settle(&mut document);
    }
    // The forger writes under the good peer's actor and sequence number, so the two changes exclude each other.
    let mut forged = AutoCommit::load(&log).unwrap().with_actor(good.doc.get_actor().clone());
    forged.put(ROOT, "name", "forged").unwrap();
    forged.commit();
    good.doc.put(ROOT, "name", "honest").unwrap();
    good.doc.commit();
    let changes = forged.get_changes(&document.engine.heads());
    let items = vec![good.message().unwrap(), carrying(forger.key, &forged.get_heads(), &changes)];
    let applied = document.engine.apply(items);
    assert!(matches!(applied.outcomes[0], Outcome::Synced), "{:?}", applied.outcomes);
    assert!(matches!(applied.outcomes[1], Outcome::Refused(BadMessage::DoesNotApply(_))), "{:?}", applied.outcomes);
    assert_eq!(applied.change_count, 1);
}

#[test]
fn corrupt_change_rejects_the_whole_message() {
    let (mut document, _) = plan();
    let mut remote = Remote::new(9);
    document.engine.join(remote.key, Vec::new());
    remote.settle(&mut document);
    remote.doc.put(ROOT, "name", "x").unwrap();
    remote.doc.commit();
    let Some(Item::Sync { bytes, .. }) = remote.message() else { panic!("a message") };
    let heads = document.engine.heads();
    let start = bytes.windows(4).position(|window| window == automerge_chunks::chunk::MAGIC).unwrap();
    for at in start + 4..start + 30 {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1;
        let applied = document.engine.apply(vec![Item::Sync { peer: remote.key, bytes: flipped.into() }]);
        assert!(matches!(applied.outcomes[0], Outcome::Refused(_)), "byte {at}: {:?}", applied.outcomes);
        assert_eq!(document.engine.heads(), heads);
    }
}

#[test]
fn orphaned_change_is_stored_when_it_applies() {
    let (mut document, log) = plan();
    let mut author = AutoCommit::load(&log).unwrap().with_actor(ActorId::from([5u8]));
    let start = author.get_heads();
    for value in 0..2 {
        author.put(ROOT, "value", value).unwrap();
        author.commit();
    }
    let changes = author.get_changes(&start);
    let heads = author.get_heads();
    let sync_of = |change: &Change| carrying(PeerKey(3), &heads, std::slice::from_ref(change));
    document.engine.join(PeerKey(3), Vec::new());
    let (second, first) = (sync_of(&changes[1]), sync_of(&changes[0]));
    let mut applied = document.engine.apply(vec![second]);
    assert!(applied.chunks.is_empty(), "orphaned changes are not stored");
    let asked = document.publish(&mut applied, |_| true).deliveries;
    let need = sync::Message::decode(&asked[0].message).unwrap().need;
    assert_eq!(need, [changes[0].hash()], "the peer is asked for the missing change");
    let applied = document.engine.apply(vec![first]);
    assert_eq!(applied.change_count, 2);
    let reopened = load(&[log, applied.chunks].concat());
    assert_eq!(reopened.engine.heads(), author.get_heads());
}

#[test]
fn orphaned_change_is_in_no_snapshot_or_copy() {
    let (mut document, log) = plan();
    let mut author = AutoCommit::load(&log).unwrap().with_actor(ActorId::from([5u8]));
    let start = author.get_heads();
    for value in 0..2 {
        author.put(ROOT, "value", value).unwrap();
        author.commit();
    }
    let (changes, heads) = (author.get_changes(&start), author.get_heads());
    document.engine.join(PeerKey(3), Vec::new());
    let mut applied = document.engine.apply(vec![carrying(PeerKey(3), &heads, &changes[1..])]);
    document.publish(&mut applied, |_| true);
    assert_eq!(document.engine.orphaned_changes(), 1);
    let whole = |bytes: &[u8]| {
        let mut copy = AutoCommit::load(bytes).unwrap();
        assert!(copy.get_changes(&[]).iter().all(|change| change.hash() != changes[1].hash()));
        Automerge::load(bytes).unwrap().get_missing_deps(&[]).is_empty()
    };
    assert!(whole(&document.engine.save()));
    // For a peer that is known to have nothing, and for one whose heads are unknown.
    for (key, heads) in [(8, Vec::new()), (9, heads)] {
        document.engine.join(PeerKey(key), Vec::new());
        let mut flags = sync::MessageFlags::new();
        flags.set(sync::MessageFlags::SUPPORTS_SYNC_RESET);
        let message = sync::Message {
            heads,
            need: Vec::new(),
            have: vec![sync::Have::default()],
            changes: sync::ChunkList::empty(),
            flags: Some(flags),
            version: sync::MessageVersion::V1,
        };
        let mut applied =
            document.engine.apply(vec![Item::Sync { peer: PeerKey(key), bytes: message.encode().into() }]);
        let sent = document.publish(&mut applied, |_| true).deliveries;
        let [delivery] = sent.as_slice() else { panic!("{sent:?}") };
        let answer = sync::Message::decode(&delivery.message).unwrap();
        let chunks: Vec<&[u8]> = answer.changes.iter().collect();
        let [chunk] = chunks.as_slice() else { panic!("one document: {}", chunks.len()) };
        assert!(whole(chunk), "peer {key}");
    }
}

#[test]
fn orphaned_change_survives_a_conflicting_change() {
    let (mut document, log) = plan();
    let mut author = AutoCommit::load(&log).unwrap().with_actor(ActorId::from([5u8]));
    let mut twin = AutoCommit::load(&log).unwrap().with_actor(ActorId::from([5u8]));
    let start = author.get_heads();
    for value in 0..3 {
        author.put(ROOT, "value", value).unwrap();
        author.commit();
    }
    twin.put(ROOT, "value", "another").unwrap();
    twin.commit();
    let (changes, heads) = (author.get_changes(&start), author.get_heads());
    for key in [3, 4] {
        document.engine.join(PeerKey(key), Vec::new());
    }
    let mut send = |peer, heads: &[ChangeHash], changes: &[Change]| {
        let mut applied = document.engine.apply(vec![carrying(PeerKey(peer), heads, changes)]);
        document.publish(&mut applied, |_| true);
        (applied.change_count, matches!(applied.outcomes[0], Outcome::Synced))
    };
    assert_eq!(send(3, &heads, &changes[..1]), (1, true));
    assert_eq!(send(3, &heads, &changes[2..]), (0, true), "orphaned until the second arrives");
    assert_eq!(send(4, &twin.get_heads(), &twin.get_changes(&start)), (0, false), "two first changes of one actor");
    assert_eq!(send(3, &heads, &changes[1..2]), (2, true), "the orphan was kept");
}

#[test]
fn reload_asks_peers_for_unstored_changes() {
    let (mut document, log) = plan();
    let mut remote = Remote::new(9);
    document.engine.join(remote.key, Vec::new());
    remote.settle(&mut document);
    remote.doc.put(ROOT, "name", "not stored").unwrap();
    remote.doc.commit();
    // The append of this batch fails.
    let applied = document.engine.apply(vec![remote.message().unwrap()]);
    assert_eq!(applied.change_count, 1);
    document.reload(&log, ActorId::from([2u8])).unwrap();
    for delivery in document.engine.receive_acknowledgements(applied, |_| true) {
        remote.receive(&delivery.message);
    }
    remote.settle(&mut document);
    assert_eq!(document.engine.heads(), remote.doc.get_heads());
}

#[test]
fn peer_cannot_change_the_document_id() {
    let (mut document, mut log) = plan();
    let mut remote = Remote::new(9);
    document.engine.join(remote.key, Vec::new());
    remote.settle(&mut document);
    for vandalism in 0..2 {
        match vandalism {
            0 => remote.doc.put(ROOT, "documentId", "another").unwrap(),
            _ => remote.doc.delete(ROOT, "documentId").unwrap(),
        }
        remote.doc.commit();
        let mut applied = document.engine.apply(vec![remote.message().unwrap()]);
        assert_eq!(applied.change_count, 2, "the change, and the one that restores the id");
        log.extend(std::mem::take(&mut applied.chunks));
        for delivery in document.publish(&mut applied, |_| true).deliveries {
            remote.receive(&delivery.message);
        }
        remote.settle(&mut document);
        assert_eq!(Document::carried_id(&Automerge::load(&log).unwrap()), Some(id()));
    }
    assert!(remote.doc.get(ROOT, "documentId").unwrap().is_some());
}

#[test]
fn invalid_edits_change_nothing() {
    let (mut document, _) = plan();
    let heads = document.engine.heads();
    let patch = |patch: PositionPatch| Edit::Patch { id: "p".to_owned(), patch };
    for (bad, reason) in [
        (Edit::Add(position("q").with(DESIGNATION, " ")), "designation: must not be empty"),
        (
            Edit::Add(position("q").with(LOCATION, "x".repeat(1_001))),
            "location: must not be longer than 1000 characters",
        ),
        (Edit::Add(position("")), "id: must not be empty"),
        (Edit::Add(position("a\nb")), "id: must not hold control characters"),
        (Edit::Add(position("p")), "there is a position with the id \"p\" already"),
        (Edit::AddAll(vec![position("q"), position("q")]), "there is a position with the id \"q\" already"),
        (Edit::Delete { id: "q".to_owned() }, "there is no position with the id \"q\""),
        (patch(PositionPatch::set(DESIGNATION, String::new())), "designation: must not be empty"),
        (Edit::Describe(PlanPatch { currency: Some("rupees".to_owned()), ..Default::default() }), "currency: must be"),
        (Edit::Describe(PlanPatch { unit: Some(Budget::Int(0)), ..Default::default() }), "unit: must be more than 0"),
        (Edit::SetTotalAmount(f64::NAN), "totalBudget: "),
    ] {
        let error = edit(&mut document, bad).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
        assert_eq!(document.engine.heads(), heads);
    }
}

#[test]
fn edit_without_effect_makes_no_change() {
    let (mut document, _) = plan();
    let same = PositionPatch::set(DESIGNATION, "UI").with(BUDGET, Budget::new_f64(45.0).unwrap());
    assert!(edit(&mut document, Edit::Patch { id: "p".to_owned(), patch: same }).unwrap().is_empty());
    assert!(!edit(&mut document, Edit::SetTotalAmount(2e8)).unwrap().is_empty());
    assert!(edit(&mut document, Edit::SetTotalAmount(2e8)).unwrap().is_empty());
    let view = document.view();
    assert_eq!(read_view(&view).plan().total_budget, Some(2_000.0), "20 crore are 2,000 lakh");
}

#[test]
fn edit_has_a_message_and_is_readable_text() {
    let (mut document, log) = plan();
    let patch = PositionPatch::set(BUDGET, Budget::Int(45_000));
    let chunks = edit(&mut document, Edit::Patch { id: "p".to_owned(), patch }).unwrap();
    let mut doc = AutoCommit::load(&[log, chunks].concat()).unwrap();
    let change = doc.get_changes(&[]).pop().unwrap();
    assert_eq!(change.message(), Some("cfo: UI: budget 45000"));
    assert_eq!(change.timestamp(), 1_795_357_260, "commit time is in seconds");
    let positions = doc.get(ROOT, "positions").unwrap().unwrap().1;
    let row = doc.get(&positions, "p").unwrap().unwrap().1;
    let (designation, _) = doc.get(&row, "designation").unwrap().unwrap();
    assert_eq!(designation, automerge::Value::Object(ObjType::Text));
}

#[test]
fn change_is_acknowledged_despite_a_later_message_in_the_batch() {
    let (mut document, _) = plan();
    let mut remote = Remote::new(9);
    document.engine.join(remote.key, Vec::new());
    remote.settle(&mut document);

    remote.doc.put(ROOT, "theirs", 1).unwrap();
    remote.doc.commit();
    let change = remote.message().unwrap();
    // Its message when an earlier message of ours crosses its change.
    let says = sync::Message {
        heads: remote.doc.get_heads(),
        need: Vec::new(),
        have: Vec::new(),
        changes: sync::ChunkList::empty(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    let more = Item::Sync { peer: remote.key, bytes: says.encode().into() };
    let mut applied = document.engine.apply(vec![change, more]);
    let answer = document.publish(&mut applied, |_| true).deliveries.pop().expect("an answer");
    assert_eq!(sync::Message::decode(&answer.message).unwrap().heads, document.engine.heads());
    // The exchange is complete.
    remote.receive(&answer.message);
    remote.settle(&mut document);
    assert_eq!(remote.doc.get_heads(), document.engine.heads());
}

#[test]
fn only_the_sender_of_too_many_orphans_is_rejected() {
    let (mut document, _) = plan();
    let mut attacker = AutoCommit::new().with_actor(ActorId::from([6u8]));
    for value in 0..=i64::try_from(MAX_ORPHANS).unwrap() + 1 {
        attacker.put(ROOT, "value", value).unwrap();
        attacker.commit();
    }
    let orphans = &attacker.get_changes(&[])[1..];
    let mut honest = Remote::new(9);
    for key in [PeerKey(6), honest.key] {
        document.engine.join(key, Vec::new());
    }
    honest.settle(&mut document);
    honest.doc.put(ROOT, "theirs", 1).unwrap();
    honest.doc.commit();
    let heads = attacker.get_heads();
    let items = vec![carrying(PeerKey(6), &heads, orphans), honest.message().unwrap()];
    let applied = document.engine.apply(items);
    assert!(matches!(applied.outcomes[0], Outcome::Refused(BadMessage::TooManyOrphans(_))), "{:?}", applied.outcomes);
    assert!(matches!(applied.outcomes[1], Outcome::Synced), "{:?}", applied.outcomes);
    assert_eq!((applied.change_count, document.engine.orphaned_changes()), (1, 0));
}

#[test]
fn typed_total_has_no_floating_point_noise() {
    let (mut document, _) = plan();
    for crore in 1..3_000 {
        let crore = f64::from(crore) / 100.0;
        edit(&mut document, Edit::SetTotalAmount(crore * 1e7)).unwrap();
        let total = read_view(&document.view()).plan().total_budget.unwrap();
        assert!(total.to_string().len() <= 8, "{crore} crore became {total}");
        assert_eq!(without_noise(total * 100_000.0 / 1e7), crore);
    }
}

#[test]
fn reload_reports_rows_that_a_failed_publish_missed() {
    let (mut document, mut log) = plan();
    assert!(row(&mut document, "p").is_some(), "creates the view");
    let mut remote = Remote::new(9);
    document.engine.join(remote.key, Vec::new());
    remote.settle(&mut document);
    let mut applied = document
        .engine
        .apply(vec![Item::Edit { edit: AuthoredEdit { edit: Edit::Add(position("q")), author: author() }, by: None }]);
    log.extend_from_slice(&applied.chunks);
    let published = catch_unwind(AssertUnwindSafe(|| document.publish(&mut applied, |_| panic!("a failure"))));
    assert!(published.is_err());
    let change = document.reload(&log, ActorId::from([2u8])).unwrap();
    assert!(matches!(change.rows.as_slice(), [RowEvent::Added(row)] if &*row.position.id == "q"), "{change:?}");
}

#[test]
fn view_that_failed_halfway_reports_all_current_rows() {
    thread_local!(static FAILS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    let renderings = Renderings { json: |_, _| assert!(!FAILS.replace(false), "a failure"), ..NO_FORMS };
    let (_, mut log) = plan();
    let mut document = Document::load(id(), &log, ActorId::from([1u8]), renderings, MessageLimits::default()).unwrap();
    assert!(row(&mut document, "p").is_some(), "creates the view");
    let mut applied = document
        .engine
        .apply(vec![Item::Edit { edit: AuthoredEdit { edit: Edit::Add(position("q")), author: author() }, by: None }]);
    log.extend_from_slice(&applied.chunks);
    FAILS.set(true);
    assert!(catch_unwind(AssertUnwindSafe(|| document.publish(&mut applied, |_| true))).is_err());
    let change = document.reload(&log, ActorId::from([2u8])).unwrap();
    let mut changed: Vec<_> = change.rows.iter().map(|event| event.id().to_string()).collect();
    changed.sort_unstable();
    assert_eq!((changed, change.plan.is_some()), (vec!["p".to_owned(), "q".to_owned()], true));
    assert!(document.reload(&log, ActorId::from([3u8])).unwrap().rows.is_empty(), "once");
}
