//! What every [`Store`] must do, whatever it keeps its documents in. For tests.

use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, ReadDoc};
use primitives::DocumentId;

use super::{Lengths, Loaded, PeerRecord, SnapshotError, Store, StoreError};

/// Somebody who edits one document and hands out each edit as the chunk to append.
#[derive(Default)]
pub struct Author {
    document: AutoCommit,
    edits: u64,
}

impl Author {
    /// The author of a new document.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An author who goes on from what a store holds.
    ///
    /// # Panics
    /// When the bytes do not load.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let document = AutoCommit::load(bytes).expect("what a store holds is a document");
        Self { edits: document.keys(ROOT).count() as u64, document }
    }

    /// Makes an edit; returns its change as a chunk.
    ///
    /// # Panics
    /// Never: an edit of the root map succeeds.
    pub fn edit(&mut self) -> Vec<u8> {
        self.edits += 1;
        // Every third is long enough to be deflated, so that files hold all kinds of chunks.
        let value = if self.edits.is_multiple_of(3) { "x".repeat(400) } else { self.edits.to_string() };
        self.document.put(ROOT, format!("edit {}", self.edits), value).expect("an edit of the root");
        self.document.commit();
        self.document.get_last_local_change().expect("a change was just made").bytes().into_owned()
    }

    /// The whole document as one chunk.
    pub fn save(&mut self) -> Vec<u8> {
        self.document.save()
    }

    /// The names of the edits that are in these bytes, in order.
    ///
    /// # Panics
    /// When the bytes do not load.
    #[must_use]
    pub fn edits_in(bytes: &[u8]) -> usize {
        let document = AutoCommit::load(bytes).expect("what a store holds is a document");
        let edits = document.keys(ROOT).count();
        for number in 1..=edits {
            let found = document.get(ROOT, format!("edit {number}")).expect("readable");
            assert!(found.is_some(), "edit {number} of {edits} is missing");
        }
        edits
    }
}

/// The id made of sixteen times this byte.
#[must_use]
pub fn id(byte: u8) -> DocumentId {
    DocumentId::from_random([byte; 16])
}

/// Runs the suite.
///
/// `make` makes a place that holds nothing yet, as a function that opens a store on it. Calling that again, after the
/// store before was dropped, opens what that one had made durable.
///
/// # Panics
/// When the store does not keep a promise.
pub async fn run<W: FnMut() -> Arc<dyn Store>>(make: impl Fn() -> W) {
    what_was_never_stored_is_none(make()).await;
    what_is_appended_comes_back_in_order(make()).await;
    documents_do_not_mix(make()).await;
    appending_nothing_changes_nothing(make()).await;
    lengths_tell_snapshot_and_log_apart(make()).await;
    a_compaction_keeps_every_change(make()).await;
    a_snapshot_of_something_else_is_refused(make()).await;
    a_full_copy_replaces_the_document(make()).await;
    a_closed_document_opens_again(make()).await;
    peers_are_remembered(make()).await;
    who_brought_what_in_is_kept_in_order(make()).await;
    who_may_do_what_is_kept(make()).await;
    what_is_removed_is_gone_and_what_is_beside_it_stays(make()).await;
    a_store_that_works_is_healthy(make()).await;
}

async fn load(store: &Arc<dyn Store>, id: &DocumentId) -> Option<Loaded> {
    store.load(id).await.expect("loads")
}

async fn append(store: &Arc<dyn Store>, id: &DocumentId, bytes: &[u8]) -> Lengths {
    store.append(id, bytes.to_vec()).await.expect("appends")
}

async fn what_was_never_stored_is_none<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let store = open();
    for never in [id(1), id(9)] {
        assert!(load(&store, &never).await.is_none());
    }
    // One of the two may be the default document, which is always listed.
    assert!(store.list().await.expect("lists").len() <= 1, "asking for a document does not make it");
}

async fn what_is_appended_comes_back_in_order<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let (store, mut author, mut expected) = (open(), Author::new(), Vec::new());
    for _ in 0..5 {
        let chunk = author.edit();
        append(&store, &id(1), &chunk).await;
        expected.extend(chunk);
        assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes).as_ref(), Some(&expected));
    }
    drop(store);
    let store = open();
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes).as_ref(), Some(&expected), "after reopening");
    append(&store, &id(1), &author.edit()).await;
    let loaded = load(&store, &id(1)).await.expect("stored");
    assert_eq!(Author::edits_in(&loaded.bytes), 6);
}

async fn documents_do_not_mix<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let store = open();
    let (one, two) = (Author::new().edit(), Author::new().edit());
    let (first, second) = (id(1), id(2));
    let (one_stored, two_stored) =
        futures_util::join!(store.append(&first, one.clone()), store.append(&second, two.clone()));
    assert!(one_stored.is_ok() && two_stored.is_ok());
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes), Some(one));
    assert_eq!(load(&store, &id(2)).await.map(|loaded| loaded.bytes), Some(two));
    let listed = store.list().await.expect("lists");
    assert!(listed.contains(&id(1)) && listed.contains(&id(2)) && listed.is_sorted(), "{listed:?}");
}

async fn appending_nothing_changes_nothing<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let store = open();
    assert_eq!(append(&store, &id(1), &[]).await, Lengths { snapshot: 0, log: 0 });
    assert!(load(&store, &id(1)).await.is_none());
}

async fn lengths_tell_snapshot_and_log_apart<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let (store, mut author) = (open(), Author::new());
    author.edit();
    let (snapshot, change) = (author.save(), author.edit());
    let (s, c) = (snapshot.len() as u64, change.len() as u64);
    assert_eq!(append(&store, &id(1), &snapshot).await, Lengths { snapshot: s, log: 0 });
    assert_eq!(append(&store, &id(1), &change).await, Lengths { snapshot: s, log: c });
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.lengths()), Some(Lengths { snapshot: s, log: c }));
    assert_eq!(append(&store, &id(2), &Author::new().edit()).await.snapshot, 0, "no leading snapshot");
}

async fn a_compaction_keeps_every_change<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let (store, mut author) = (open(), Author::new());
    for _ in 0..4 {
        append(&store, &id(1), &author.edit()).await;
    }
    let snapshot = author.save();
    let lengths = store.compact(&id(1), snapshot.clone()).await.expect("compacts");
    assert_eq!(lengths, Lengths { snapshot: snapshot.len() as u64, log: 0 });
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes), Some(snapshot));
    append(&store, &id(1), &author.edit()).await;
    drop(store);
    let loaded = load(&open(), &id(1)).await.expect("stored");
    assert_eq!(Author::edits_in(&loaded.bytes), 5);
}

async fn a_snapshot_of_something_else_is_refused<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let (store, mut author) = (open(), Author::new());
    let chunk = author.edit();
    append(&store, &id(1), &chunk).await;
    let older = author.save();
    let next = author.edit();
    append(&store, &id(1), &next).await;
    author.edit();
    for (other, name) in [(older, "older"), (author.save(), "newer"), (b"nonsense".to_vec(), "nonsense")] {
        let refused = store.compact(&id(1), other).await;
        assert!(matches!(refused, Err(StoreError::Snapshot { .. })), "{name}: {refused:?}");
    }
    let nothing = store.compact(&id(2), author.save()).await;
    assert!(matches!(nothing, Err(StoreError::Snapshot { why: SnapshotError::NothingStored, .. })), "{nothing:?}");
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes), Some([chunk, next].concat()));
}

async fn a_full_copy_replaces_the_document<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let (store, mut author) = (open(), Author::new());
    append(&store, &id(1), &author.edit()).await;
    let lacking = Author::new().save();
    assert!(store.recover(&id(1), lacking).await.is_err(), "a copy that lacks what was acknowledged is refused");
    author.edit();
    let copy = author.save();
    store.recover(&id(1), copy.clone()).await.expect("recovers");
    store.recover(&id(2), copy.clone()).await.expect("a document that was not stored yet, too");
    drop(store);
    let store = open();
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes).as_ref(), Some(&copy));
    assert_eq!(load(&store, &id(2)).await.map(|loaded| loaded.bytes), Some(copy));
}

async fn a_closed_document_opens_again<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let (store, mut author) = (open(), Author::new());
    append(&store, &id(1), &author.edit()).await;
    store.close(&id(1)).await;
    store.close(&id(1)).await;
    store.close(&id(2)).await;
    append(&store, &id(1), &author.edit()).await;
    store.close(&id(1)).await;
    let loaded = load(&store, &id(1)).await.expect("stored");
    assert_eq!(Author::edits_in(&loaded.bytes), 2);
}

async fn peers_are_remembered<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let store = open();
    let record = |name: &str| PeerRecord { storage_id: name.into(), shared_heads: vec![[7; 32]], seen: 1_750_000_000 };
    assert_eq!(store.load_peers(&id(1)).await.expect("loads"), []);
    store.save_peers(&id(1), vec![record("ceo"), record("cfo")]).await.expect("saves");
    store.save_peers(&id(1), vec![record("cfo")]).await.expect("saves");
    assert_eq!(store.load_peers(&id(1)).await.expect("loads"), [record("cfo")]);
    assert_eq!(store.load_peers(&id(2)).await.expect("loads"), []);
    store.save_peers(&id(1), vec![]).await.expect("saves");
    assert_eq!(store.load_peers(&id(1)).await.expect("loads"), []);
    assert!(load(&store, &id(1)).await.is_none(), "peers do not make a document");
}

/// A call that failed and was made again may have left its lines twice.
async fn who_brought_what_in_is_kept_in_order<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let store = open();
    assert!(store.load_authors(&id(1)).await.expect("loads").is_empty());
    for lines in ["one\ntwo\n", "three\n", "four\n"] {
        store.append_authors(&id(1), lines.into()).await.expect("appends");
    }
    store.append_authors(&id(2), b"of another\n".to_vec()).await.expect("appends");
    drop(store);
    let kept = String::from_utf8(open().load_authors(&id(1)).await.expect("loads")).expect("text");
    let mut lines: Vec<&str> = kept.lines().collect();
    let mut seen = std::collections::HashSet::new();
    lines.retain(|line| seen.insert(*line));
    assert_eq!(lines, ["one", "two", "three", "four"]);
}

async fn who_may_do_what_is_kept<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let store = open();
    assert!(store.load_access().await.expect("loads").is_empty());
    for (document, record) in [(1, "first"), (2, "other"), (1, "second")] {
        store.save_access(&id(document), record.into()).await.expect("saves");
    }
    drop(store);
    let store = open();
    let mut records = store.load_access().await.expect("loads");
    records.sort();
    let mut expected = [(id(1), b"second".to_vec()), (id(2), b"other".to_vec())];
    expected.sort();
    assert_eq!(records, expected);
    assert!(load(&store, &id(1)).await.is_none(), "that is no document");
}

async fn what_is_removed_is_gone_and_what_is_beside_it_stays<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let store = open();
    append(&store, &id(9), &Author::new().edit()).await;
    store.append_authors(&id(9), b"somebody\n".to_vec()).await.expect("appends");
    store.save_access(&id(9), b"deleted".to_vec()).await.expect("saves");
    store.close(&id(9)).await;
    for _ in 0..2 {
        store.remove(&id(9)).await.expect("removes, also what is gone already");
        assert!(load(&store, &id(9)).await.is_none());
    }
    drop(store);
    let store = open();
    assert!(load(&store, &id(9)).await.is_none());
    assert!(!store.list().await.expect("lists").contains(&id(9)));
    assert!(store.load_authors(&id(9)).await.expect("loads").starts_with(b"somebody\n"));
    assert_eq!(store.load_access().await.expect("loads"), [(id(9), b"deleted".to_vec())]);
}

async fn a_store_that_works_is_healthy<W: FnMut() -> Arc<dyn Store>>(mut open: W) {
    let store = open();
    append(&store, &id(1), &Author::new().edit()).await;
    store.probe().await.expect("writable");
    assert!(store.health().is_ok());
    assert_eq!(store.health().to_string(), "ok");
}
