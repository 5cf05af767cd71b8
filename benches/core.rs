//! What the core costs, without sockets and disk: `cargo bench --bench core`.
//!
//! Where the library has an operation of its own for the same thing, it is measured beside ours.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be set up must stop")]

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use automerge::sync::{self, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, Change, ROOT, ReadDoc};
use bytes::Bytes;
use divan::{Bencher, black_box};
use happierwork::document::{
    Author, Document, Edit, Form, Incoming, Item, MessageLimits, NewPosition, PeerKey, PlanPatch, PositionPatch,
};
use happierwork::format::{Budget, DocumentId};
use happierwork::server::renderings::RENDERINGS;
use happierwork::wire::repo;

/// Changes in the history.
const HISTORIES: [usize; 3] = [100, 10_000, 100_000];
const VIEWERS: u64 = 1_000;

fn main() {
    divan::main();
}

fn id() -> DocumentId {
    DocumentId::from_random([7; 16])
}

fn author() -> Author {
    Author { name: "cfo".to_owned(), now: 1_700_000_000_000 }
}

/// A plan of so many positions and with so many changes, as a snapshot. Made once.
fn snapshot(positions: usize, changes: usize) -> Vec<u8> {
    static MADE: OnceLock<Mutex<HashMap<(usize, usize), Vec<u8>>>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
    made.entry((positions, changes)).or_insert_with(|| make_snapshot(positions, changes)).clone()
}

fn make_snapshot(positions: usize, changes: usize) -> Vec<u8> {
    let rows = (0..positions).map(|index| NewPosition {
        id: format!("position-{index:05}"),
        designation: format!("Engineer {index}"),
        department: "UI".to_owned(),
        budget: Budget::Int(45_000),
        location: "Pune".to_owned(),
        created_at: Some(1_600_000_000_000 + i64::try_from(index).unwrap()),
        updated: None,
    });
    let mut document = load(&[]);
    let plan = PlanPatch { name: Some("Growth".to_owned()), ..PlanPatch::default() };
    let create = Edit::Create { id: id(), plan, positions: rows.collect() };
    let applied = document.apply(vec![Item::Edit { edit: create, author: author() }]);
    let mut doc = Automerge::load(&applied.chunks).unwrap().with_actor(ActorId::from([8u8; 16]));
    for change in 1..changes {
        edit(&mut doc, change % positions, i64::try_from(change).unwrap());
    }
    doc.save()
}

/// One change that sets one field of one position.
fn edit(doc: &mut Automerge, position: usize, budget: i64) {
    let (_, map) = doc.get(ROOT, "positions").unwrap().unwrap();
    let (_, row) = doc.get(&map, format!("position-{position:05}")).unwrap().unwrap();
    let mut transaction = doc.transaction();
    transaction.put(&row, "budget", budget).unwrap();
    transaction.commit_with(CommitOptions::default().with_time(1_700_000_000));
}

fn load(log: &[u8]) -> Document {
    Document::load(id(), log, ActorId::from([9u8; 16]), RENDERINGS, MessageLimits::default()).unwrap()
}

/// A document, and what one edit of somebody else brings it.
struct Case {
    document: Document,
    library: Automerge,
    change: Change,
    /// That edit as the sync message of `WRITER`.
    message: Bytes,
    /// What a viewer who has that edit answers.
    acknowledgement: Bytes,
}

const WRITER: PeerKey = PeerKey(0);

/// A document that `viewers` and a writer are in sync with.
fn case(positions: usize, changes: usize, viewers: u64) -> Case {
    let log = snapshot(positions, changes);
    let mut document = load(&log);
    let library = Automerge::load(&log).unwrap();

    // What somebody who has the document says first, and after each message.
    let mut theirs = library.clone().with_actor(ActorId::from([10u8; 16]));
    let mut state = sync::State::new();
    let mut peers: Vec<PeerKey> = (1..=viewers).map(PeerKey).collect();
    peers.push(WRITER);
    for peer in &peers {
        document.join(*peer, Vec::new());
    }
    for _ in 0..4 {
        let Some(said) = theirs.generate_sync_message(&mut state).map(|said| Bytes::from(said.encode())) else { break };
        let items = peers.iter().map(|peer| Item::Sync { peer: *peer, bytes: said.clone() }).collect();
        let mut applied = document.apply(items);
        let published = document.publish(&mut applied, |_| true);
        let Some(answer) = published.deliveries.first() else { break };
        theirs.receive_sync_message(&mut state, sync::Message::decode(&answer.message).unwrap()).unwrap();
    }
    edit(&mut theirs, positions / 2, -1);
    let message = Bytes::from(theirs.generate_sync_message(&mut state).unwrap().encode());
    let change = theirs.get_last_local_change().unwrap();

    // A viewer's answer is made by a viewer.
    let mut viewer = library.clone();
    let mut seen = state.clone();
    seen.in_flight = false;
    seen.last_sent_heads = viewer.get_heads();
    seen.sent_hashes.clear();
    viewer.receive_sync_message(&mut seen, sync::Message::decode(&message).unwrap()).unwrap();
    let acknowledgement = Bytes::from(viewer.generate_sync_message(&mut seen).unwrap().encode());
    Case { document, library, change, message, acknowledgement }
}

fn sync(peer: PeerKey, bytes: &Bytes) -> Item {
    Item::Sync { peer, bytes: bytes.clone() }
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn publish_one_edit_to_1000_peers(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let mut case = case(100, changes, VIEWERS);
            let applied = case.document.apply(vec![sync(WRITER, &case.message)]);
            (case, applied)
        })
        .bench_local_refs(|(case, applied)| {
            let published = case.document.publish(applied, |_| true);
            assert_eq!(published.deliveries.len(), usize::try_from(VIEWERS).unwrap() + 1);
            published.deliveries.len()
        });
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn receive_1000_acknowledgements(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let mut case = case(100, changes, VIEWERS);
            let mut applied = case.document.apply(vec![sync(WRITER, &case.message)]);
            case.document.publish(&mut applied, |_| true);
            case
        })
        .bench_local_refs(|case| {
            // As they come: in batches.
            let peers: Vec<u64> = (1..=VIEWERS).collect();
            for batch in peers.chunks(25) {
                let items = batch.iter().map(|peer| sync(PeerKey(*peer), &case.acknowledgement)).collect();
                let mut applied = case.document.apply(items);
                let published = case.document.publish(&mut applied, |_| true);
                assert!(published.deliveries.is_empty());
            }
        });
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn receive_1_acknowledgement_nobody_sent_before(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let mut case = case(100, changes, 1);
            let mut applied = case.document.apply(vec![sync(WRITER, &case.message)]);
            case.document.publish(&mut applied, |_| true);
            case
        })
        .bench_local_refs(|case| {
            let mut applied = case.document.apply(vec![sync(PeerKey(1), &case.acknowledgement)]);
            case.document.publish(&mut applied, |_| true).deliveries.len()
        });
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn library_receives_1_acknowledgement(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let case = case(100, changes, 0);
            let mut doc = case.library;
            doc.apply_changes([case.change]).unwrap();
            let mut state = sync::State::new();
            state.their_have = Some(Vec::new());
            state.their_heads = Some(doc.get_heads());
            state.their_need = Some(Vec::new());
            state.sent_hashes = doc.get_heads().into_iter().collect();
            (doc, state, sync::Message::decode(&case.acknowledgement).unwrap())
        })
        .bench_local_refs(|(doc, state, message)| doc.receive_sync_message(state, message.clone()).unwrap());
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn one_edit_apply_and_publish_to_its_author(bencher: Bencher, changes: usize) {
    bencher.with_inputs(|| case(100, changes, 0)).bench_local_refs(|case| {
        let mut applied = case.document.apply(vec![sync(WRITER, &case.message)]);
        case.document.publish(&mut applied, |_| true).deliveries.len()
    });
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn library_applies_one_change(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| case(100, changes, 0))
        .bench_local_refs(|case| case.library.apply_changes([case.change.clone()]).unwrap());
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn one_edit_by_the_server(bencher: Bencher, changes: usize) {
    let patch = PositionPatch { budget: Some(Budget::Int(1)), ..PositionPatch::default() };
    bencher.with_inputs(|| case(100, changes, 0)).bench_local_refs(|case| {
        let edit = Edit::Patch { id: "position-00007".to_owned(), patch: patch.clone() };
        let mut applied = case.document.apply(vec![Item::Edit { edit, author: author() }]);
        case.document.publish(&mut applied, |_| true).deliveries.len()
    });
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn library_generates_for_one_peer(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let case = case(100, changes, 0);
            let mut state = sync::State::new();
            state.their_have = Some(Vec::new());
            state.their_need = Some(Vec::new());
            state.shared_heads = case.library.get_heads();
            state.their_heads = Some(case.library.get_heads());
            state.last_sent_heads = case.library.get_heads();
            state.have_responded = true;
            let mut doc = case.library;
            doc.apply_changes([case.change]).unwrap();
            (doc, state)
        })
        .bench_local_refs(|(doc, state)| doc.generate_sync_message(state));
}

#[divan::bench(args = [100, 5_000], sample_count = 20, sample_size = 1)]
fn view_patch_of_one_row(bencher: Bencher, positions: usize) {
    let change = case(positions, 100, 0).change;
    bencher
        .with_inputs(|| {
            let case = case(positions, 100, 0);
            let view = happierwork::document::View::new(&case.library, RENDERINGS);
            let mut doc = case.library;
            doc.apply_changes([change.clone()]).unwrap();
            (view, doc)
        })
        .bench_local_refs(|(view, doc)| view.update(doc, std::slice::from_ref(&change)));
}

#[divan::bench(args = [100, 5_000], sample_count = 50)]
fn view_joined_for_an_export(bencher: Bencher, positions: usize) {
    let document = load(&snapshot(positions, 100));
    let view = document.view();
    bencher.bench_local(|| {
        let mut out = Vec::new();
        happierwork::document::read_view(&view).join(Form::Json, b",", &mut out);
        out
    });
}

#[divan::bench(args = [100, 10_000, 100_000], sample_count = 10, sample_size = 1)]
fn load_a_document(bencher: Bencher, changes: usize) {
    let log = snapshot(100, changes);
    bencher.bench_local(|| load(&log));
}

#[divan::bench(args = [100, 10_000, 100_000], sample_count = 10, sample_size = 1)]
fn save_a_document(bencher: Bencher, changes: usize) {
    let document = load(&snapshot(100, changes));
    bencher.bench_local(|| document.save());
}

#[divan::bench]
fn decode_a_sync_message(bencher: Bencher) {
    let message = case(100, 100, 0).message;
    bencher.bench_local(|| Incoming::decode(black_box(&message), &MessageLimits::default()).unwrap());
}

#[divan::bench]
fn repo_codec_decodes_an_acknowledgement(bencher: Bencher) {
    let case = case(100, 100, 0);
    let frame = sync_frame(&case.acknowledgement);
    bencher.bench_local(|| repo::decode(black_box(&frame)).unwrap());
}

#[divan::bench]
fn repo_codec_encodes_a_sync_message(bencher: Bencher) {
    let case = case(100, 100, 0);
    bencher.bench_local(|| sync_frame(black_box(&case.message)));
}

fn sync_frame(data: &Bytes) -> Bytes {
    let peer = |name: &str| repo::PeerId::new(name).unwrap();
    let (sender, target) = (peer("peer-0123456789abcdef"), peer("storage-server-happierwork"));
    Bytes::from(repo::Message::Sync { sender, target, document: id(), data: data.clone() }.encode())
}
