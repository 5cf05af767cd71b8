use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, Automerge, ObjType, ROOT, SaveOptions, ScalarValue};

use super::*;

fn plain(doc: &Automerge) -> Vec<u8> {
    doc.save_with_options(SaveOptions { deflate: false, retain_orphans: false })
}

/// All operations with their successors.
fn read(chunk: &[u8]) -> Result<Vec<(Operation<'_>, Vec<Id>)>, Malformed> {
    let mut operations = Operations::of(chunk)?;
    let mut read = Vec::new();
    while let Some(operation) = operations.read()? {
        read.push((operation, operations.successors().to_vec()));
    }
    Ok(read)
}

fn id(counter: u32, actor: u32) -> Id {
    Id { counter, actor }
}

#[test]
fn operations_have_objects_keys_values_and_successors() {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([1]));
    let map = doc.put_object(ROOT, "map", ObjType::Map).unwrap();
    doc.put(&map, "budget", -7).unwrap();
    let text = doc.put_object(&map, "name", ObjType::Text).unwrap();
    doc.splice_text(&text, 0, 0, "aé").unwrap();
    doc.commit();
    doc.put(&map, "budget", 8_u64).unwrap();
    doc.splice_text(&text, 1, 1, "").unwrap();
    doc.delete(&map, "name").unwrap();
    doc.commit();
    let chunk = plain(doc.document());
    let operations = Operations::of(&chunk).unwrap();
    assert_eq!(operations.actors(), [&[1_u8][..]]);
    let values = operations.values();
    let found: Vec<_> = read(&chunk)
        .unwrap()
        .into_iter()
        .map(|(operation, successors)| {
            let Operation { id, object, key, insert, action, value } = operation;
            let value = Scalar::read(value.kind, &values[value.start..value.start + value.len]).unwrap();
            (id.counter, object.map(|object| object.counter), key, insert, action, value, successors)
        })
        .collect();
    let (map, text) = (Some(1), Some(3));
    let after = |counter| Key::Element(id(counter, 0));
    assert_eq!(
        found,
        [
            (1, None, Key::Map("map"), false, Action::MakeMap, Scalar::Null, vec![]),
            (2, map, Key::Map("budget"), false, Action::Put, Scalar::Int(-7), vec![id(6, 0)]),
            (6, map, Key::Map("budget"), false, Action::Put, Scalar::Uint(8), vec![]),
            (3, map, Key::Map("name"), false, Action::MakeText, Scalar::Null, vec![id(8, 0)]),
            (4, text, Key::Head, true, Action::Put, Scalar::Text("a"), vec![]),
            (5, text, after(4), true, Action::Put, Scalar::Text("é"), vec![id(7, 0)]),
        ]
    );
}

#[test]
fn every_type_of_value_is_read() {
    let mut doc = Automerge::new();
    let mut tx = doc.transaction();
    let values = [
        (ScalarValue::Null, Scalar::Null),
        (ScalarValue::Boolean(true), Scalar::Boolean(true)),
        (ScalarValue::Boolean(false), Scalar::Boolean(false)),
        (ScalarValue::Uint(u64::MAX), Scalar::Uint(u64::MAX)),
        (ScalarValue::Int(i64::MIN), Scalar::Int(i64::MIN)),
        (ScalarValue::F64(-0.5), Scalar::Float(-0.5)),
        (ScalarValue::Str("text".into()), Scalar::Text("text")),
        (ScalarValue::Bytes(vec![1, 2]), Scalar::Bytes),
        (ScalarValue::counter(3), Scalar::Counter),
        (ScalarValue::Timestamp(-1), Scalar::Timestamp(-1)),
    ];
    for (index, (value, _)) in values.iter().enumerate() {
        tx.put(ROOT, format!("{index:02}"), value.clone()).unwrap();
    }
    tx.commit_with(CommitOptions::default());
    let chunk = plain(&doc);
    let stored = Operations::of(&chunk).unwrap().values();
    let found = read(&chunk).unwrap().into_iter().map(|(Operation { value, .. }, _)| {
        Scalar::read(value.kind, &stored[value.start..value.start + value.len]).unwrap()
    });
    assert_eq!(found.collect::<Vec<_>>(), values.map(|(_, expected)| expected));
}

#[test]
fn other_chunks_and_damage_are_errors() {
    let mut doc = AutoCommit::new();
    doc.put(ROOT, "key", "value".repeat(100)).unwrap();
    doc.commit();
    let change = doc.get_last_local_change().unwrap();
    assert_eq!(read(change.raw_bytes()), Err(Malformed), "a change");
    assert_eq!(read(&doc.save()), Err(Malformed), "deflated columns");
    let chunk = plain(doc.document());
    assert!(read(&chunk).is_ok());
    let readable = (0..chunk.len()).find(|len| read(&chunk[..*len]).is_ok());
    // After the columns come only the places of the heads, which are not read.
    assert!(readable.is_some_and(|len| chunk.len() - len < 4), "{readable:?} of {} bytes", chunk.len());
    // Any other bytes are read to an end without a panic.
    for index in 0..chunk.len() {
        let mut damaged = chunk.clone();
        damaged[index] ^= 0x55;
        if let Ok(mut operations) = Operations::of(&damaged) {
            for _ in 0..1_000 {
                if !matches!(operations.read(), Ok(Some(_))) {
                    break;
                }
            }
        }
    }
}

#[test]
fn documents_without_operations_are_empty() {
    let mut doc = Automerge::new();
    assert_eq!(read(&plain(&doc)), Ok(Vec::new()));
    doc.empty_commit(CommitOptions::default());
    assert_eq!(read(&plain(&doc)), Ok(Vec::new()));
}
