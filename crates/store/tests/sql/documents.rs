//! The guarantees of every store for documents: the cases of `store::conformance` on the contract with positions.

use store::conformance::{TestEditor, id};
use store::sql::{DatabaseError, Engine, SqlStore};
use store::{After, Appended, Batch, BatchKind, Lengths, PeerRecord, Position, SnapshotError};

use crate::place::Place;

/// Appends changes after a position.
pub async fn append<E: Engine>(
    store: &SqlStore<E>,
    document: u8,
    after: Position,
    chunks: &[u8],
) -> (Position, Lengths) {
    let batch = Batch::changes(chunks.to_vec(), Vec::new());
    match store.append(&id(document), after, batch).await.expect("appends") {
        Appended::Stored { at, lengths } => (at, lengths),
        Appended::Behind => panic!("behind {after}"),
    }
}

pub async fn bytes<E: Engine>(store: &SqlStore<E>, document: u8) -> Option<Vec<u8>> {
    store.load(&id(document)).await.expect("loads").map(|stored| stored.bytes)
}

pub async fn unknown_document_is_none<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    assert!(bytes(&store, 1).await.is_none());
    assert_eq!(store.after(&id(1), Position::START).await.expect("reads"), After::Same);
    assert!(store.list().await.expect("lists").is_empty());
    assert!(store.load_authors(&id(1)).await.expect("loads").is_empty());
    assert_eq!(store.raw(&id(1)).await.expect("loads"), None);
    store.remove(&id(1)).await.expect("nothing to remove");
    let default = store.choose_default_document(&id(7)).await.expect("chosen");
    assert_eq!(store.choose_default_document(&id(8)).await.expect("the first choice stays"), default);
    assert_eq!(store.list().await.expect("lists"), [id(7)]);
}

pub async fn appends_come_back_in_order<P: Place>() {
    let place = P::new().await;
    let (store, mut author, mut expected, mut at) =
        (place.open().await, TestEditor::new(), Vec::new(), Position::START);
    for number in 1..=5 {
        let chunk = author.edit();
        (at, _) = append(&store, 1, at, &chunk).await;
        assert_eq!(at.seq, number);
        expected.extend(chunk);
        assert_eq!(bytes(&store, 1).await.as_ref(), Some(&expected));
    }
    store.shut_down().await;
    drop(store);
    let store = place.open().await;
    let stored = store.load(&id(1)).await.expect("loads").expect("stored");
    assert_eq!((&stored.bytes, stored.position), (&expected, at));
    append(&store, 1, at, &author.edit()).await;
    assert_eq!(TestEditor::count_edits(&bytes(&store, 1).await.expect("stored")), 6);
    assert_eq!(store.raw(&id(1)).await.expect("reads"), bytes(&store, 1).await);
}

pub async fn documents_do_not_mix<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let (one, two) = (TestEditor::new().edit(), TestEditor::new().edit());
    futures_util::join!(append(&store, 1, Position::START, &one), append(&store, 2, Position::START, &two));
    assert_eq!(bytes(&store, 1).await, Some(one));
    assert_eq!(bytes(&store, 2).await, Some(two));
    let listed = store.list().await.expect("lists");
    assert!(listed.contains(&id(1)) && listed.contains(&id(2)) && listed.is_sorted(), "{listed:?}");
}

pub async fn empty_append_changes_nothing<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let (at, lengths) = append(&store, 1, Position::START, &[]).await;
    assert_eq!((at, lengths), (Position::START, Lengths { snapshot: 0, log: 0 }));
    assert!(bytes(&store, 1).await.is_none());
}

pub async fn large_batches_come_back<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let mut document = automerge::AutoCommit::new();
    let mut noise = 1_u64;
    // Text that does not compress well, in one change of more than a mebibyte.
    let text: String = (0..3_000_000)
        .map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'0' + (noise >> 60) as u8)
        })
        .collect();
    automerge::transaction::Transactable::put(&mut document, automerge::ROOT, "large", text).expect("put");
    let chunk = document.save();
    assert!(chunk.len() > 1 << 20, "{}", chunk.len());
    append(&store, 1, Position::START, &chunk).await;
    assert_eq!(bytes(&place.open().await, 1).await, Some(chunk));
}

pub async fn lengths_separate_snapshot_and_log<P: Place>() {
    let place = P::new().await;
    let (store, mut author) = (place.open().await, TestEditor::new());
    author.edit();
    let (snapshot, change) = (author.save(), author.edit());
    let (s, c) = (snapshot.len() as u64, change.len() as u64);
    let (at, lengths) = append(&store, 1, Position::START, &snapshot).await;
    assert_eq!(lengths, Lengths { snapshot: s, log: 0 });
    let (at, lengths) = append(&store, 1, at, &change).await;
    assert_eq!(lengths, Lengths { snapshot: s, log: c });
    assert_eq!(store.load(&id(1)).await.expect("loads").map(|stored| stored.lengths()), Some(lengths));
    let next = author.edit();
    let other = place.open().await;
    let (_, lengths) = append(&other, 1, at, &next).await;
    assert_eq!(lengths, Lengths { snapshot: s, log: c + next.len() as u64 }, "of a node that has not loaded it");
    assert_eq!(
        append(&store, 2, Position::START, &TestEditor::new().edit()).await.1.snapshot,
        0,
        "no leading snapshot"
    );
}

pub async fn compaction_keeps_every_change<P: Place>() {
    let place = P::new().await;
    let (store, mut author, mut at) = (place.open().await, TestEditor::new(), Position::START);
    for number in 0..4 {
        let batch = Batch::changes(author.edit(), format!("author {number}\n").into_bytes());
        let Appended::Stored { at: next, .. } = store.append(&id(1), at, batch).await.expect("appends") else {
            panic!()
        };
        at = next;
    }
    let snapshot = author.save();
    let lengths = store.compact(&id(1), at, snapshot.clone()).await.expect("compacts");
    assert_eq!(lengths, Lengths { snapshot: snapshot.len() as u64, log: 0 });
    let stored = store.load(&id(1)).await.expect("loads").expect("stored");
    assert_eq!((&stored.bytes, stored.position), (&snapshot, at));
    assert_eq!(store.compact(&id(1), at, snapshot).await.expect("does nothing"), lengths);
    let (at, _) = append(&store, 1, at, &author.edit()).await;
    let (at, _) = append(&store, 1, at, &author.edit()).await;
    store.compact(&id(1), at, author.save()).await.expect("compacts again");
    append(&store, 1, at, &author.edit()).await;
    let stored = place.open().await.load(&id(1)).await.expect("loads").expect("stored");
    assert_eq!(TestEditor::count_edits(&stored.bytes), 7);
    assert_eq!(stored.authors, b"author 0\nauthor 1\nauthor 2\nauthor 3\n");
}

pub async fn foreign_snapshot_is_refused<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let mut author = TestEditor::new();
    let chunk = author.edit();
    let (at, _) = append(&store, 1, Position::START, &chunk).await;
    let older = author.save();
    let next = author.edit();
    let (at, _) = append(&store, 1, at, &next).await;
    author.edit();
    for (other, name) in [(older, "older"), (author.save(), "newer"), (b"nonsense".to_vec(), "nonsense")] {
        let refused = store.compact(&id(1), at, other).await;
        assert!(matches!(refused, Err(DatabaseError::Snapshot { .. })), "{name}: {refused:?}");
    }
    let nothing = store.compact(&id(2), at, author.save()).await;
    assert!(matches!(nothing, Err(DatabaseError::Snapshot { why: SnapshotError::NothingStored, .. })), "{nothing:?}");
    assert_eq!(bytes(&store, 1).await, Some([chunk, next].concat()));
}

pub async fn full_copy_recovers_document<P: Place>() {
    let place = P::new().await;
    let (store, mut author) = (place.open().await, TestEditor::new());
    let (at, _) = append(&store, 1, Position::START, &author.edit()).await;
    let lacking = TestEditor::new().save();
    assert!(store.recover(&id(1), lacking).await.is_err(), "a copy that lacks acknowledged changes is refused");
    let same = store.recover(&id(1), author.save()).await.expect("nothing to do");
    assert_eq!(same.0, at);
    author.edit();
    let copy = author.save();
    let (recovered, _) = store.recover(&id(1), copy.clone()).await.expect("recovers");
    assert_eq!(recovered.seq, 2);
    store.recover(&id(2), copy.clone()).await.expect("a document that was not stored yet, too");
    let store = place.open().await;
    assert_eq!(TestEditor::count_edits(&bytes(&store, 1).await.expect("stored")), 2);
    assert_eq!(bytes(&store, 2).await, Some(copy));
}

pub async fn closed_document_opens_again<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let mut author = TestEditor::new();
    let (at, _) = append(&store, 1, Position::START, &author.edit()).await;
    store.close(&id(1));
    store.close(&id(1));
    store.close(&id(2));
    append(&store, 1, at, &author.edit()).await;
    store.close(&id(1));
    assert_eq!(TestEditor::count_edits(&bytes(&store, 1).await.expect("stored")), 2);
}

pub async fn peers_are_remembered<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    let record =
        |name: &str| PeerRecord { storage_id: name.into(), shared_heads: vec![[7; 32]], last_seen: 1_750_000_000 };
    assert_eq!(store.load_peers(&id(1)).await.expect("loads"), []);
    store.save_peers(&id(1), vec![record("ceo"), record("cfo")]).await.expect("saves");
    store.save_peers(&id(1), vec![record("cfo")]).await.expect("saves");
    assert_eq!(store.load_peers(&id(1)).await.expect("loads"), [record("cfo")]);
    assert_eq!(store.load_peers(&id(2)).await.expect("loads"), []);
    let other = place.open().await;
    other.save_peers(&id(1), vec![record("of another node \0 ")]).await.expect("saves");
    store.save_peers(&id(1), vec![]).await.expect("saves");
    assert_eq!(
        store.load_peers(&id(1)).await.expect("loads"),
        [record("of another node \0 ")],
        "a node forgets its own"
    );
    let many: Vec<PeerRecord> = (0..500).map(|number| record(&format!("peer {number:03}"))).collect();
    store.save_peers(&id(3), many.clone()).await.expect("saves");
    assert_eq!(place.open().await.load_peers(&id(3)).await.expect("loads"), many);
    assert!(bytes(&store, 1).await.is_none(), "peers do not make a document");
}

pub async fn access_records_have_versions<P: Place>() {
    use store::AccessChanged::{Behind, Stored};
    let place = P::new().await;
    let store = place.open().await;
    assert!(store.load_access().await.expect("loads").is_empty());
    let change = async |document, expected, record: &str| {
        store.change_access(&id(document), expected, record.into()).await.expect("stores")
    };
    assert_eq!(change(1, 0, "first").await, Stored(1));
    assert_eq!(change(2, 0, "other").await, Stored(1));
    assert_eq!(change(1, 0, "late").await, Behind);
    assert_eq!(change(1, 1, "second").await, Stored(2));
    assert_eq!(change(1, 1, "late").await, Behind);
    assert_eq!(change(1, 7, "early").await, Behind);
    let store = place.open().await;
    let mut records = store.load_access().await.expect("loads");
    records.sort();
    let mut expected = [(id(1), 2, b"second".to_vec()), (id(2), 1, b"other".to_vec())];
    expected.sort();
    assert_eq!(records, expected);
    assert_eq!(store.load_access_of(&id(1)).await.expect("loads"), Some((2, b"second".to_vec())));
    assert_eq!(store.load_access_of(&id(3)).await.expect("loads"), None);
    assert_eq!(bytes(&store, 1).await.expect("has a log"), b"", "without content");
    assert!(store.list().await.expect("lists").is_empty(), "that is no document");
    let (revision, controls) = store.control_since(0).await.expect("reads");
    let keys: Vec<_> = controls.into_iter().map(|control| control.key).collect();
    assert_eq!((revision, keys), (3, vec![id(1).to_string(), id(2).to_string(), id(1).to_string()]));
    assert_eq!(store.control_since(3).await.expect("reads"), (3, vec![]));
}

pub async fn log_of_access_records_is_an_empty_document<P: Place>() {
    let place = P::new().await;
    let (store, mut author) = (place.open().await, TestEditor::new());
    store.change_access(&id(1), 0, b"{}".to_vec()).await.expect("stores");
    let loaded = store.load(&id(1)).await.expect("loads").expect("has a log");
    assert_eq!((loaded.bytes.len(), loaded.position.seq), (0, 1));
    let batch = Batch::changes(author.edit(), Vec::new());
    let stored = store.append(&id(1), loaded.position, batch).await.expect("answers");
    assert!(matches!(stored, Appended::Stored { .. }), "appends continue at its end");
    assert_eq!(TestEditor::count_edits(&bytes(&store, 1).await.expect("stored")), 1);
}

pub async fn access_change_makes_appends_behind<P: Place>() {
    let place = P::new().await;
    let (store, other, mut author) = (place.open().await, place.open().await, TestEditor::new());
    let (at, _) = append(&store, 1, Position::START, &author.edit()).await;
    other.change_access(&id(1), 0, b"{}".to_vec()).await.expect("stores");
    let batch = Batch::changes(author.edit(), Vec::new());
    assert_eq!(store.append(&id(1), at, batch.clone()).await.expect("answers"), Appended::Behind);
    let After::Batches(batches) = store.after(&id(1), at).await.expect("reads") else { panic!("nothing follows") };
    assert_eq!(batches.len(), 1);
    assert_eq!((batches[0].1.kind, &batches[0].1.chunks[..]), (BatchKind::Access, &b"{}"[..]));
    let stored = store.append(&id(1), batches[0].0, batch).await.expect("answers");
    assert!(matches!(stored, Appended::Stored { .. }));
    assert_eq!(TestEditor::count_edits(&bytes(&store, 1).await.expect("stored")), 2);
}

pub async fn removed_document_stays_removed<P: Place>() {
    let place = P::new().await;
    let (store, mut author) = (place.open().await, TestEditor::new());
    let batch = Batch::changes(author.edit(), b"ceo\n".to_vec());
    store.append(&id(9), Position::START, batch.clone()).await.expect("appends");
    let other = place.open().await;
    let at = other.load(&id(9)).await.expect("loads").expect("stored").position;
    let (at, _) = append(&other, 9, at, &author.edit()).await;
    other.compact(&id(9), at, author.save()).await.expect("compacts");
    other.change_access(&id(9), 0, b"deleted".to_vec()).await.expect("stores");
    let After::Batches(batches) = other.after(&id(9), at).await.expect("reads") else { panic!("an access record") };
    let at = batches.last().expect("one").0;
    for _ in 0..2 {
        store.remove(&id(9)).await.expect("removes, even if it was removed before");
        assert!(bytes(&store, 9).await.is_none());
    }
    let store = place.open().await;
    assert!(bytes(&store, 9).await.is_none());
    assert!(!store.list().await.expect("lists").contains(&id(9)));
    assert_eq!(store.load_authors(&id(9)).await.expect("loads"), b"ceo\n");
    assert_eq!(store.load_access().await.expect("loads"), [(id(9), 1, b"deleted".to_vec())]);
    // Neither from the start, nor by a node that had it open, nor after the removal.
    assert_eq!(store.append(&id(9), Position::START, batch.clone()).await.expect("answers"), Appended::Behind);
    assert_eq!(other.append(&id(9), at, batch.clone()).await.expect("answers"), Appended::Behind);
    let After::Batches(batches) = other.after(&id(9), at).await.expect("reads") else { panic!("a deletion") };
    assert_eq!(batches[0].1.kind, BatchKind::Deletion);
    assert_eq!(other.append(&id(9), batches[0].0, batch).await.expect("answers"), Appended::Behind);
    assert_eq!(other.after(&id(9), Position::START).await.expect("reads"), After::Reload);
    assert!(other.recover(&id(9), author.save()).await.is_err());
    assert!(other.compact(&id(9), batches[0].0, author.save()).await.is_err());
    let changed = store.change_access(&id(9), 1, b"really".to_vec()).await.expect("stores");
    assert_eq!(changed, store::AccessChanged::Stored(2), "the record of a removed document can change");
    assert!(bytes(&store, 9).await.is_none());
}

pub async fn working_store_is_healthy<P: Place>() {
    let place = P::new().await;
    let store = place.open().await;
    append(&store, 1, Position::START, &TestEditor::new().edit()).await;
    store.probe().await.expect("writable");
    assert_eq!(store.health().to_string(), "ok");
    let other = place.open().await;
    other.probe().await.expect("writable");
    assert_eq!(other.nodes().await.expect("reads").len(), 2);
    other.shut_down().await;
    assert_eq!(store.nodes().await.expect("reads").len(), 1);
    assert_eq!(place.open().await.storage_id(), store.storage_id(), "all nodes of a cluster share it");
}
