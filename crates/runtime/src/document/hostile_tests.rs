//! Malformed and hostile messages: each is rejected, and leaves no trace in the document.

use std::num::NonZeroU64;

use automerge::legacy::{self, ElementId, Key, ObjectId, OpId, OpType};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, Automerge, Change, ChangeHash, ExpandedChange, ObjType, ROOT, ScalarValue, sync};
use automerge_chunks::cost::TooCostly;
use automerge_chunks::testing::round_robin_changes;
use plan::{Author, Edit, PlanPatch};
use sha2::{Digest, Sha256};
use sync_engine::{BadMessage, DocumentFull, Incoming, envelope_size};

use super::tests::{NO_FORMS, carrying, load, plan};
use super::*;

const PEER: PeerKey = PeerKey(66);

fn unsigned(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let part = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(part);
            return bytes;
        }
        bytes.push(part | 0x80);
    }
}

fn signed(mut value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let part = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && part & 0x40 == 0) || (value == -1 && part & 0x40 != 0) {
            bytes.push(part);
            return bytes;
        }
        bytes.push(part | 0x80);
    }
}

fn length_prefixed(bytes: &[u8]) -> Vec<u8> {
    [unsigned(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A run of one value.
fn run(times: i64, value: &[u8]) -> Vec<u8> {
    [signed(times), value.to_vec()].concat()
}

/// A run of nulls.
fn nulls(times: u64) -> Vec<u8> {
    [signed(0), unsigned(times)].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    flate2::read::DeflateEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut out).unwrap();
    out
}

fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    let hashed = [vec![kind], length_prefixed(body)].concat();
    [&[0x85, 0x6f, 0x4a, 0x83][..], &Sha256::digest(&hashed)[..4], &hashed].concat()
}

fn columns(columns: &[(u32, Vec<u8>)]) -> (Vec<u8>, Vec<u8>) {
    let mut heads = unsigned(columns.len() as u64);
    for (spec, data) in columns {
        heads.extend(unsigned(u64::from(*spec)));
        heads.extend(unsigned(data.len() as u64));
    }
    (heads, columns.iter().flat_map(|(_, data)| data.clone()).collect())
}

const KEY: u32 = 0x15;
const INSERT: u32 = 0x34;
const ACTION: u32 = 0x42;
const VALUE_META: u32 = 0x56;
const PREDECESSORS: u32 = 0x70;

fn change(with: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let (heads, data) = columns(with);
    let body = [unsigned(0), length_prefixed(&[66; 16]), vec![1, 1, 0, 0, 0], heads, data].concat();
    chunk(1, &body)
}

/// Columns that set one key of the root `rows` times.
fn honest(rows: i64) -> Vec<(u32, Vec<u8>)> {
    vec![
        (KEY, run(rows, &length_prefixed(b"k"))),
        (INSERT, unsigned(rows.unsigned_abs())),
        (ACTION, run(rows, &[1])),
        (VALUE_META, run(rows, &[0])),
        (PREDECESSORS, run(rows, &[0])),
    ]
}

fn with(column: u32, data: Vec<u8>) -> Vec<u8> {
    let mut columns = honest(1);
    columns.iter_mut().find(|(spec, _)| *spec == column).unwrap().1 = data;
    change(&columns)
}

/// A document by one actor, with `changes` changes that claim `claim` operations each, and with these operation
/// columns.
fn document(changes: i64, claim: i64, operations: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let dependencies = [signed(-1), vec![0], run(changes - 1, &[1])].concat();
    let of_changes = [
        (0x01, run(changes, &[0])),
        (0x03, run(changes, &[1])),
        (0x13, run(changes, &signed(claim))),
        (0x23, run(changes, &[0])),
        (0x40, dependencies),
        (0x43, [signed(-1), vec![0], run(changes - 2, &[1])].concat()),
        (0x56, run(changes, &[6])),
    ];
    let (change_heads, change_data) = columns(&of_changes);
    let (heads, data) = columns(operations);
    let body = [
        unsigned(1),
        length_prefixed(&[66; 16]),
        unsigned(1),
        vec![0; 32],
        change_heads,
        heads,
        change_data,
        data,
        vec![0],
    ];
    chunk(0, &body.concat())
}

/// Operation columns of a document that sets one key of the root `rows` times.
fn operations(rows: i64) -> Vec<(u32, Vec<u8>)> {
    vec![
        (KEY, run(rows, &length_prefixed(b"k"))),
        (0x21, run(rows, &[0])),
        (0x23, run(rows, &[1])),
        (INSERT, unsigned(rows.unsigned_abs())),
        (ACTION, run(rows, &[1])),
        (VALUE_META, run(rows, &[0])),
        (0x80, run(rows, &[0])),
    ]
}

fn message(chunks: Vec<Vec<u8>>) -> Vec<u8> {
    let message = sync::Message {
        heads: Vec::new(),
        need: Vec::new(),
        have: Vec::new(),
        changes: chunks.into(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    message.encode()
}

fn decode(chunk: Vec<u8>) -> Result<usize, String> {
    let decoded = Incoming::decode(&message(vec![chunk]), &MessageLimits::default().ordinary());
    decoded.map(|incoming| incoming.changes.len()).map_err(|error| error.to_string())
}

#[test]
fn handmade_chunks_are_readable() {
    assert_eq!(decode(change(&honest(3))), Ok(1));
    let mut doc = AutoCommit::new();
    doc.put(ROOT, "k", 1).unwrap();
    assert_eq!(decode(doc.save()), Ok(1));
}

#[test]
fn small_change_cannot_expand_to_millions_of_operations() {
    let far = 1 << 40;
    for bomb in [
        with(ACTION, run(far, &[1])),
        with(ACTION, nulls(1 << 62)),
        with(KEY, nulls(1 << 40)),
        with(INSERT, unsigned(u64::MAX)),
        with(INSERT, [unsigned(1), unsigned(u64::MAX), unsigned(u64::MAX)].concat()),
        with(PREDECESSORS, run(1, &unsigned(1 << 60))),
        with(PREDECESSORS, run(1 << 30, &unsigned(1 << 30))),
        with(VALUE_META, run(i64::MAX, &[0])),
        change(&honest(2_000_001)),
    ] {
        let refused = decode(bomb).unwrap_err();
        assert!(refused.contains("too many operations"), "{refused}");
    }
    let refused = decode(with(KEY, run(1_000_000, &length_prefixed(&[b'k'; 1_000])))).unwrap_err();
    assert!(refused.contains("keys and messages are too long"), "{refused}");
}

#[test]
fn message_with_a_whole_document_is_bounded() {
    let decode = |chunk| Incoming::decode(&message(vec![chunk]), &MessageLimits::default()).map(|_| ());
    for bomb in [with(ACTION, run(1 << 40, &[1])), change(&honest(5_000_001))] {
        assert!(decode(bomb).unwrap_err().is_over_a_limit());
    }
    let ordinary = MessageLimits::default().ordinary();
    let large = change(&honest(200_001));
    let refused = Incoming::decode(&message(vec![large]), &ordinary).unwrap_err();
    assert!(refused.is_over_a_limit(), "accepted as a whole document: {refused}");
    let unlimited = MessageLimits::for_documents(u64::MAX, u64::MAX, u64::MAX);
    assert!(Incoming::decode(&message(vec![change(&honest(1 << 33))]), &unlimited).is_err());
}

#[test]
fn run_with_more_values_than_bytes_is_malformed() {
    for bomb in
        [with(ACTION, signed(i64::MIN)), with(KEY, run(i64::MAX, &unsigned(u64::MAX))), with(ACTION, vec![0x80])]
    {
        assert!(decode(bomb).unwrap_err().contains("malformed"));
    }
}

#[test]
fn small_document_cannot_expand_beyond_limits() {
    let too_many = |chunk: Vec<u8>, what: &str| {
        assert!(chunk.len() < 2_000_000, "{}", chunk.len());
        let refused = decode(chunk).unwrap_err();
        assert!(refused.contains(what), "{refused}");
    };
    too_many(document(1 << 40, 1, &operations(1)), "too many");
    too_many(document(500_001, 1, &operations(500_001)), "too many");
    too_many(document(2, 1, &operations(1 << 40)), "too long");
    too_many(document(2, 1, &operations(1 << 40)[1..]), "too many operations");
    // The library would allocate memory for the claimed operations before it notices that they are missing.
    too_many(document(400_000, 1_000, &operations(10)), "too many operations");
    let mut successors = operations(1);
    successors.push((0x81, nulls(1 << 50)));
    too_many(document(2, 1, &successors), "too many operations");
    // Seventy million bytes, compressed to a hundred thousand.
    let zeros = deflated(&vec![0; 70 << 20]);
    too_many(document(2, 1, &[(0x57 | 8, zeros)]), "inflate");
}

#[test]
fn inflated_sizes_of_columns_are_summed() {
    let zeros = deflated(&vec![0; 20 << 20]);
    let of_operations: Vec<_> = (0..4).map(|id| ((id << 4) | 0xf, zeros.clone())).collect();
    assert!(decode(document(2, 1, &of_operations)).unwrap_err().contains("inflate"));
    let one = document(2, 1, &of_operations[..1]);
    let refused = Incoming::decode(
        &message(vec![one.clone(), one.clone(), one.clone(), one]),
        &MessageLimits::default().ordinary(),
    );
    assert!(refused.is_err());
}

#[test]
fn too_long_or_too_many_actor_ids_are_rejected() {
    let (heads, data) = columns(&honest(1));
    let long = [unsigned(0), length_prefixed(&[66; 1_000_000]), vec![1, 1, 0, 0, 0], heads, data].concat();
    assert!(decode(chunk(1, &long)).unwrap_err().contains("actor ids"));
    // The library clears a table of all actors for each change.
    let (heads, data) = columns(&[(0x01, run(100_000, &[0])), (0x03, run(100_000, &[1])), (0x13, run(100_000, &[1]))]);
    let many =
        [unsigned(100_000), length_prefixed(&[1]).repeat(100_000), unsigned(0), heads, unsigned(0), data].concat();
    assert!(decode(chunk(0, &many)).unwrap_err().contains("too many actors"));
}

/// Message type, no heads, no needs, then one entry of what the sender has.
fn filter(entries: u64, bits: u64, probes: u64, bytes: usize) -> Vec<u8> {
    let filter = [unsigned(entries), unsigned(bits), unsigned(probes), vec![0; bytes]].concat();
    [vec![0x42, 0, 0, 1, 0], length_prefixed(&filter), vec![0]].concat()
}

#[test]
fn malformed_or_oversized_filter_is_rejected() {
    let decode = |bytes: &[u8]| Incoming::decode(bytes, &MessageLimits::default()).map(|_| ());
    assert!(decode(&filter(1, 10, 7, 2)).is_ok());
    assert!(matches!(decode(&filter(1, 10, u64::from(u32::MAX), 2)), Err(BadMessage::BadFilter)));
    // The library divides by the filter's length.
    assert!(matches!(decode(&filter(1, 0, 7, 0)), Err(BadMessage::BadFilter)));
    let many = [vec![0x42, 0, 0], unsigned(8_000_000), vec![0; 16_000_001]].concat();
    assert!(matches!(decode(&many), Err(BadMessage::BadFilter)));
    let long = |count: u64| [unsigned(count), vec![7; 32 * usize::try_from(count).unwrap()]].concat();
    for (heads, needs, shared, is_taken) in
        [(10_000, 10_000, 10_000, true), (10_001, 0, 0, false), (0, 10_001, 0, false), (0, 0, 10_001, false)]
    {
        let list_reservation = [vec![0x42], long(heads), long(needs), vec![1], long(shared), vec![0]].concat();
        let message = [list_reservation.as_slice(), &[0]].concat();
        assert_eq!(envelope_size(&message), list_reservation.len());
        let taken = decode(&message);
        assert!(taken.is_ok() == is_taken && (is_taken || matches!(taken, Err(BadMessage::TooManyHeads { .. }))));
    }
    let large = |bytes| [vec![0x42, 0, 0, 2, 0], vec![0], vec![0], length_prefixed(&vec![0; bytes]), vec![0]].concat();
    assert!(decode(&large(2_000_000)).is_ok());
    assert!(matches!(decode(&large(2_000_001)), Err(BadMessage::BadFilter)));
    let empty_chunks = [vec![0x42, 0, 0, 0], unsigned(16_000_000), vec![0; 16_000_000]].concat();
    assert!(matches!(decode(&empty_chunks), Err(BadMessage::TooManyChunks { .. })));
}

#[test]
fn ordinary_documents_are_accepted() {
    let mut doc = AutoCommit::new();
    let list = doc.put_object(ROOT, "list", ObjType::List).unwrap();
    let text = doc.put_object(ROOT, "text", ObjType::Text).unwrap();
    for edit in 0..300_u32 {
        doc.put(ROOT, format!("key {}", edit % 7), i64::from(edit)).unwrap();
        doc.insert(&list, 0, "x").unwrap();
        doc.splice_text(&text, 0, isize::try_from(edit % 2).unwrap(), "hello ").unwrap();
        if edit % 10 == 0 {
            doc.delete(ROOT, "key 3").unwrap();
            doc.empty_change(automerge::transaction::CommitOptions::default().with_message("nothing"));
        }
        doc.commit();
        if edit % 20 == 0 {
            let mut fork = doc.fork();
            fork.put(ROOT, "fork", i64::from(edit)).unwrap();
            doc.put(ROOT, "fork", -1).unwrap();
            doc.merge(&mut fork).unwrap();
        }
    }
    let history = doc.get_changes(&[]);
    let hashes: Vec<ChangeHash> = history.iter().map(Change::hash).collect();
    let bundle = doc.document().bundle(hashes).unwrap().bytes().to_vec();
    for chunk in [doc.save(), doc.save_nocompress(), bundle] {
        assert_eq!(decode(chunk), Ok(history.len()));
    }
    let mut document = load(&[]);
    document.engine.join(PEER, Vec::new());
    let applied = document.engine.apply(vec![carrying(PEER, &doc.get_heads(), &history)]);
    assert!(matches!(applied.outcomes.as_slice(), [Outcome::Synced]), "{applied:?}");
    assert_eq!(document.engine.heads(), doc.get_heads());
}

/// A change by an unknown actor, with these operations.
fn forged(doc: &Document, operations: Vec<legacy::Op>) -> ExpandedChange {
    ExpandedChange {
        operations,
        actor_id: ActorId::from([66; 16]),
        hash: None,
        seq: 1,
        start_op: NonZeroU64::new(doc.engine.max_op() + 1).unwrap(),
        time: 0,
        message: None,
        deps: doc.engine.heads(),
        extra_bytes: Vec::new(),
        author: None,
    }
}

fn put(key: &str, value: impl Into<ScalarValue>, pred: Vec<OpId>) -> legacy::Op {
    legacy::Op {
        action: OpType::Put(value.into()),
        obj: ObjectId::Root,
        key: Key::Map(key.into()),
        pred: pred.into(),
        insert: false,
    }
}

fn unknown_operation(counter: u64) -> OpId {
    OpId(counter, ActorId::from([66; 16]))
}

/// Sends changes and returns the outcome. With any outcome the document must be readable from its log and from a
/// snapshot.
fn send(document: &mut Document, log: &mut Vec<u8>, changes: &[Change]) -> Result<(), String> {
    document.engine.join(PEER, Vec::new());
    let mut applied = document.engine.apply(vec![carrying(PEER, &[], changes)]);
    let poisoned = applied.poisoned().map(ToString::to_string);
    let result = if let Some(error) = poisoned {
        assert!(applied.chunks.is_empty(), "changes that corrupt a document are not stored");
        document.reload(log, ActorId::from([2])).unwrap();
        Err(error)
    } else {
        log.extend_from_slice(&applied.chunks);
        match applied.outcomes.pop().unwrap() {
            Outcome::Refused(error) => Err(error.to_string()),
            _ => Ok(()),
        }
    };
    document.publish(&mut applied, |_| true);
    let reopened = Automerge::load(log).expect("the log is a document");
    assert_eq!(reopened.get_heads(), document.engine.heads());
    let snapshot = document.engine.save();
    let again = Automerge::load(&snapshot).expect("a snapshot is a document");
    assert_eq!(again.get_heads(), document.engine.heads());
    assert_eq!(again.get_changes(&[]).len(), reopened.get_changes(&[]).len());
    let patch = PlanPatch { name: Some("still there".to_owned()), ..PlanPatch::default() };
    let edit = Item::Edit {
        edit: AuthoredEdit { edit: Edit::Describe(patch), author: Author { name: "cfo".to_owned(), now: 0 } },
        by: None,
    };
    assert!(
        matches!(document.engine.apply(vec![edit]).outcomes.as_slice(), [Outcome::Edited(Ok(_))]),
        "it can be edited"
    );
    document.reload(log, ActorId::from([3])).unwrap();
    result
}

fn case(make: impl FnOnce(&Document) -> Vec<ExpandedChange>) -> Result<(), String> {
    let (mut document, mut log) = plan();
    let changes: Vec<Change> = make(&document).into_iter().map(Change::from).collect();
    send(&mut document, &mut log, &changes)
}

#[test]
fn well_formed_forged_change_is_accepted() {
    assert_eq!(case(|doc| vec![forged(doc, vec![put("k", 1, vec![])])]), Ok(()));
}

#[test]
fn missing_predecessor_is_rejected() {
    for counter in [1, 77, u64::from(u32::MAX), u64::MAX >> 1] {
        let refused = case(|doc| vec![forged(doc, vec![put("k", 1, vec![OpId(counter, ActorId::from([66; 16]))])])]);
        assert!(refused.is_err(), "{counter}");
    }
}

/// Why a change that could be applied is still validated.
#[test]
fn automerge_applies_a_change_it_cannot_reload() {
    let (document, log) = plan();
    let forged = Change::from(forged(&document, vec![put("k", 1, vec![unknown_operation(77)])]));
    let mut doc = Automerge::load(&log).unwrap();
    doc.apply_changes([forged]).expect("it is applied");
    let reread = Automerge::load(&doc.save());
    assert!(reread.is_err(), "its snapshots are unreadable from then on");
}

#[test]
fn unknown_object_or_list_element_is_rejected() {
    let elsewhere =
        |obj, key| legacy::Op { action: OpType::Put(1.into()), obj, key, pred: Vec::new().into(), insert: false };
    for op in [
        elsewhere(ObjectId::Id(unknown_operation(500)), Key::Map("k".into())),
        elsewhere(ObjectId::Root, Key::Seq(ElementId::Id(unknown_operation(500)))),
        elsewhere(ObjectId::Root, Key::Seq(ElementId::Head)),
        legacy::Op { insert: true, ..elsewhere(ObjectId::Root, Key::Seq(ElementId::Id(unknown_operation(500)))) },
        legacy::Op { insert: true, ..elsewhere(ObjectId::Root, Key::Map("k".into())) },
    ] {
        assert!(case(|doc| vec![forged(doc, vec![op.clone()])]).is_err(), "{op:?}");
    }
    let in_list = |key, insert| {
        case(|doc| {
            let start = doc.engine.max_op() + 1;
            let list = legacy::Op { action: OpType::Make(ObjType::List), ..put("list", 0, vec![]) };
            let item = legacy::Op { insert, ..elsewhere(ObjectId::Id(unknown_operation(start)), key) };
            vec![forged(doc, vec![list, item])]
        })
    };
    assert_eq!(in_list(Key::Seq(ElementId::Head), true), Ok(()));
    assert!(in_list(Key::Seq(ElementId::Id(unknown_operation(500))), true).is_err());
    assert!(in_list(Key::Seq(ElementId::Id(unknown_operation(500))), false).is_err());
    assert!(in_list(Key::Map("k".into()), false).is_err());
}

#[test]
fn inconsistent_sequence_and_operation_numbers_are_rejected() {
    let with = |edit: &dyn Fn(&mut ExpandedChange)| {
        case(|doc| {
            let mut change = forged(doc, vec![put("k", 1, vec![])]);
            edit(&mut change);
            vec![change]
        })
    };
    for start in [1, 2, u64::from(u32::MAX) - 1, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX] {
        assert!(with(&|change| change.start_op = NonZeroU64::new(start).unwrap()).is_err(), "start {start}");
    }
    for seq in [0, 2, 1 << 32, (1 << 32) + 1, u64::MAX] {
        assert!(with(&|change| change.seq = seq).is_err(), "seq {seq}");
    }
    // The library encodes the difference of two times.
    for time in [i64::MIN, i64::MAX] {
        assert!(with(&|change| change.time = time).is_err(), "time {time}");
    }
    for time in [-(1 << 53), 1 << 53] {
        assert_eq!(with(&|change| change.time = time), Ok(()), "time {time}");
    }
    for start in [200, 1 << 22] {
        assert_eq!(with(&|change| change.start_op = NonZeroU64::new(start).unwrap()), Ok(()), "a gap");
    }
}

#[test]
fn empty_change_leaves_no_gap() {
    let nothing = |gap| {
        case(|doc| {
            let mut change = forged(doc, vec![]);
            change.start_op = NonZeroU64::new(doc.engine.max_op() + 1 + gap).unwrap();
            vec![change]
        })
    };
    assert_eq!(nothing(0), Ok(()));
    assert!(nothing(1).is_err());
    // The empty change arrives before its dependency.
    let (mut document, mut log) = plan();
    let first = Change::from(forged(&document, vec![put("a", 1, vec![])]));
    let mut second = forged(&document, vec![]);
    (second.seq, second.deps) = (2, vec![first.hash()]);
    second.start_op = NonZeroU64::new(first.max_op() + 2).unwrap();
    assert!(send(&mut document, &mut log, &[Change::from(second), first]).is_err());
}

#[test]
fn reused_operation_numbers_are_rejected() {
    let twice = case(|doc| {
        let first = forged(doc, vec![put("a", 1, vec![]), put("b", 1, vec![])]);
        let second = ExpandedChange { seq: 2, ..forged(doc, vec![put("c", 1, vec![])]) };
        vec![first, second]
    });
    assert!(twice.is_err());
}

#[test]
fn later_change_of_an_actor_must_build_on_the_earlier() {
    let next = |doc: &Document, count: u64| ExpandedChange {
        seq: 2,
        start_op: NonZeroU64::new(doc.engine.max_op() + 1 + count).unwrap(),
        ..forged(doc, vec![put("b", 1, vec![])])
    };
    let beside = case(|doc| vec![forged(doc, vec![put("a", 1, vec![])]), next(doc, 1)]);
    assert!(beside.unwrap_err().contains("does not build on the one before it"));
    let on_it = case(|doc| {
        let first = forged(doc, vec![put("a", 1, vec![])]);
        let deps = vec![Change::from(first.clone()).hash()];
        vec![first, ExpandedChange { deps, ..next(doc, 1) }]
    });
    on_it.expect("the usual way");
}

#[test]
fn change_after_many_foreign_changes_is_accepted() {
    let (mut document, mut log) = plan();
    let mut mine = AutoCommit::load(&log).unwrap().with_actor(ActorId::from([68]));
    mine.put(ROOT, "a", 1).unwrap();
    mine.commit();
    let mut others = mine.fork().with_actor(ActorId::from([69]));
    for count in 0..1_500 {
        others.put(ROOT, "b", count).unwrap();
        others.commit();
    }
    mine.merge(&mut others).unwrap();
    mine.put(ROOT, "a", 2).unwrap();
    mine.commit();
    let changes = mine.get_changes(&document.engine.heads());
    assert_eq!(changes.len(), 1_502);
    send(&mut document, &mut log, &changes).unwrap();
}

#[test]
fn change_numbered_before_its_dependency_is_rejected() {
    let (mut document, mut log) = plan();
    let first = Change::from(forged(&document, vec![put("a", 1, vec![]), put("b", 1, vec![])]));
    let mut second = forged(&document, vec![put("c", 1, vec![])]);
    second.actor_id = ActorId::from([67; 16]);
    second.deps = vec![first.hash()];
    let second = Change::from(second);
    for together in [true, false] {
        let result = if together {
            send(&mut document, &mut log, &[second.clone(), first.clone()])
        } else {
            document.engine.join(PEER, Vec::new());
            let mut applied = document.engine.apply(vec![carrying(PEER, &[], std::slice::from_ref(&second))]);
            document.publish(&mut applied, |_| true);
            send(&mut document, &mut log, std::slice::from_ref(&first))
        };
        assert!(result.is_err(), "together: {together}");
    }
}

#[test]
fn extreme_values_are_accepted() {
    for value in [
        ScalarValue::Int(i64::MIN),
        ScalarValue::Uint(u64::MAX),
        ScalarValue::F64(f64::NAN),
        ScalarValue::Timestamp(i64::MAX),
        ScalarValue::Timestamp(i64::MIN),
        ScalarValue::counter(i64::MAX),
        ScalarValue::Bytes(Vec::new()),
        ScalarValue::Null,
    ] {
        assert_eq!(case(|doc| vec![forged(doc, vec![put("budget", value.clone(), vec![])])]), Ok(()), "{value:?}");
    }
    assert_eq!(case(|doc| vec![forged(doc, vec![put("", 1, vec![])])]), Ok(()), "an empty key");
}

#[test]
fn counter_overflow_does_not_break_the_document() {
    let _ = case(|doc| {
        let start = doc.engine.max_op() + 1;
        let counter = put("counter", ScalarValue::counter(i64::MAX), vec![]);
        let more =
            |by| legacy::Op { action: OpType::Increment(by), ..put("counter", 0, vec![unknown_operation(start)]) };
        vec![forged(doc, vec![counter, more(i64::MAX), more(1)])]
    });
}

#[test]
fn noncanonical_encoding_of_a_change_is_rejected() {
    let (mut document, mut log) = plan();
    let start = u8::try_from(document.engine.max_op() + 1).unwrap();
    let write = |columns_of: &[(u32, Vec<u8>)], others: Vec<u8>, extra: &[u8]| {
        let (heads, data) = columns(columns_of);
        let deps: Vec<u8> = document.engine.heads().iter().flat_map(|head| head.0).collect();
        let body =
            [unsigned(1), deps, length_prefixed(&[66; 16]), vec![1, start, 0, 0], others, heads, data, extra.to_vec()]
                .concat();
        Change::from_bytes(chunk(1, &body)).unwrap()
    };
    let usual = vec![
        (KEY, [signed(-1), length_prefixed(b"k")].concat()),
        (INSERT, vec![1]),
        (ACTION, [signed(-1), vec![1]].concat()),
        (VALUE_META, [signed(-1), vec![0]].concat()),
        (PREDECESSORS, [signed(-1), vec![0]].concat()),
    ];
    let with = |spec: u32, data: Vec<u8>| {
        let mut columns = usual.clone();
        columns.retain(|(other, _)| *other != spec);
        columns.push((spec, data));
        columns.sort_by_key(|(spec, _)| *spec);
        columns
    };
    let unusual = [
        write(&with(ACTION, run(1, &[1])), vec![0], b""),
        write(&with(0x95, nulls(1)), vec![0], b""),
        write(&with(0xf2, run(1, &[1])), vec![0], b""),
        write(&usual, [unsigned(1), length_prefixed(&[99])].concat(), b""),
    ];
    let plain = write(&usual, vec![0], b"");
    for (index, change) in unusual.into_iter().enumerate() {
        assert!(send(&mut document, &mut log, &[change]).is_err(), "{index}");
    }
    assert_eq!(send(&mut document, &mut log, &[plain]), Ok(()));
}

#[test]
fn cost_estimate_grows_with_changes_times_actors() {
    let changes = |count| round_robin_changes(count, count).iter().map(|change| change.raw_bytes().to_vec()).collect();
    let ordinary = MessageLimits::default().ordinary();
    let taken = Incoming::decode(&message(changes(2_000)), &ordinary).unwrap();
    assert!(taken.memory_estimate > 2_000 * 2_000 / 4, "{}", taken.memory_estimate);
    let many = message(changes(4_001));
    let refused = Incoming::decode(&many, &ordinary).unwrap_err();
    assert!(matches!(refused, BadMessage::TooCostly(TooCostly::ActorChanges)) && refused.is_over_a_limit());
    Incoming::decode(&many, &MessageLimits::default()).expect("accepted as a whole document");
    let limit = MessageLimits::default().with_actor_changes(0).document_actor_changes;
    assert_eq!(limit, 0);
}

#[test]
fn document_limit_counts_changes_times_actors() {
    let limits = MessageLimits::default().with_actor_changes(900);
    let mut document = Document::load(super::tests::id(), &[], ActorId::from([1u8]), NO_FORMS, limits).unwrap();
    let changes = round_robin_changes(31, 31);
    let heads = [changes[29].hash()];
    let send = |document: &mut Document, changes: &[Change]| {
        document.engine.join(PEER, Vec::new());
        let mut applied = document.engine.apply(vec![carrying(PEER, &heads, changes)]);
        let outcome = applied.outcomes.pop().unwrap();
        let _ = document.publish(&mut applied, |_| true);
        outcome
    };
    assert!(matches!(send(&mut document, &changes[..30]), Outcome::Synced));
    let full = send(&mut document, &changes[30..]);
    assert!(matches!(full, Outcome::Refused(BadMessage::Full(DocumentFull::ActorChanges(900)))), "{full:?}");
    assert_eq!(document.engine.size().0, 30, "it can still be read");
}
