//! The guarantees of every [`Store`], as a test suite.

use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, ReadDoc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use primitives::DocumentId;

use super::{
    AccessChanged, After, Appended, Batch, Lengths, Loaded, PeerRecord, Position, SnapshotError, Store, StoreError,
};

/// Edits one document, and returns each edit as a chunk to append.
#[derive(Default)]
pub struct TestEditor {
    document: AutoCommit,
    edits: u64,
}

impl TestEditor {
    /// Starts with a new document.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Continues from the stored bytes of a document.
    ///
    /// # Panics
    /// When the bytes do not load.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let document = AutoCommit::load(bytes).expect("stored bytes are a document");
        Self { edits: document.keys(ROOT).count() as u64, document }
    }

    /// Makes an edit and returns its change as a chunk.
    ///
    /// # Panics
    /// Never: an edit of the root map succeeds.
    pub fn edit(&mut self) -> Vec<u8> {
        self.edits += 1;
        // Every third value is long enough to be deflated, so that files contain all kinds of chunks.
        let value = if self.edits.is_multiple_of(3) { "x".repeat(400) } else { self.edits.to_string() };
        self.document.put(ROOT, format!("edit {}", self.edits), value).expect("an edit of the root");
        self.document.commit();
        self.document.get_last_local_change().expect("a change was just made").bytes().into_owned()
    }

    /// Returns the whole document as one chunk.
    pub fn save(&mut self) -> Vec<u8> {
        self.document.save()
    }

    /// Counts the edits in these bytes, and checks that none of them is missing.
    ///
    /// # Panics
    /// When the bytes do not load, or an edit is missing.
    #[must_use]
    pub fn count_edits(bytes: &[u8]) -> usize {
        let document = AutoCommit::load(bytes).expect("stored bytes are a document");
        let edits = document.keys(ROOT).count();
        for number in 1..=edits {
            let found = document.get(ROOT, format!("edit {number}")).expect("readable");
            assert!(found.is_some(), "edit {number} of {edits} is missing");
        }
        edits
    }
}

/// The document id that consists of 16 times this byte.
#[must_use]
pub fn id(byte: u8) -> DocumentId {
    DocumentId::from_random([byte; 16])
}

/// Runs the suite.
///
/// Each call of `make` prepares new, empty storage, and returns a function that opens a store on it. The next call of that
/// function, after the previous store was dropped, opens a store with what was durable.
///
/// # Panics
/// When the store breaks a guarantee.
pub async fn run<Open: FnMut() -> Arc<dyn Store>>(make: impl Fn() -> Open) {
    unknown_document_loads_as_none(make()).await;
    appended_chunks_are_loaded_in_order(make()).await;
    documents_are_independent(make()).await;
    empty_append_changes_nothing(make()).await;
    lengths_separate_snapshot_and_log(make()).await;
    compaction_keeps_every_change(make()).await;
    snapshot_with_other_changes_is_rejected(make()).await;
    recovery_replaces_the_document(make()).await;
    closed_document_opens_again(make()).await;
    peer_records_are_replaced(make()).await;
    author_lines_are_kept_in_order(make()).await;
    changes_are_loaded_with_their_authors(make()).await;
    access_records_are_replaced(make()).await;
    removal_keeps_authors_and_access(make()).await;
    working_store_is_healthy(make()).await;
}

async fn load(store: &Arc<dyn Store>, id: &DocumentId) -> Option<Loaded> {
    store.load(id).await.expect("loads")
}

async fn append(store: &Arc<dyn Store>, id: &DocumentId, bytes: &[u8]) -> Lengths {
    store.append_chunks(id, bytes.to_vec()).await.expect("appends")
}

async fn append_authors(store: &Arc<dyn Store>, id: &DocumentId, lines: &str) {
    append_batch(&**store, id, Batch::changes(Vec::new(), lines.into())).await.expect("appends");
}

/// Compacts the whole log.
async fn compact(store: &Arc<dyn Store>, id: &DocumentId, snapshot: Vec<u8>) -> Result<Lengths, StoreError> {
    let at = log_end(&**store, id).await?;
    store.compact(id, at, snapshot).await
}

async fn change_access(store: &Arc<dyn Store>, id: &DocumentId, record: &str) {
    let version = store.load_access_of(id).await.expect("loads").map_or(0, |stored| stored.version);
    let changed = store.change_access(id, version, record.into()).await.expect("saves");
    assert!(matches!(changed, AccessChanged::Stored(_)));
}

async fn access(store: &Arc<dyn Store>) -> Vec<(DocumentId, Vec<u8>)> {
    let stored = store.load_access().await.expect("loads");
    let mut records: Vec<_> = stored.into_iter().map(|stored| (stored.document, stored.record)).collect();
    records.sort();
    records
}

/// Where the log of a document ends.
async fn log_end<S: Store + ?Sized>(store: &S, id: &DocumentId) -> Result<Position, StoreError> {
    let at = store.load(id).await?.map_or(Position::START, |loaded| loaded.position);
    Ok(match store.after(id, at).await? {
        After::Batches(batches) => batches.last().map_or(at, |(last, _)| *last),
        After::Same | After::Reload => at,
    })
}

async fn append_batch<S: Store + ?Sized>(store: &S, id: &DocumentId, batch: Batch) -> Result<Lengths, StoreError> {
    let mut at = Position::START;
    loop {
        match store.append(id, at, batch.clone()).await? {
            Appended::Stored { lengths, .. } => return Ok(lengths),
            Appended::Behind => at = log_end(store, id).await?,
        }
    }
}

/// Appends chunks at the end of the log.
pub trait AppendChunks: Store {
    /// Appends chunks without authors.
    ///
    /// # Errors
    /// As for [`Store::append`].
    fn append_chunks<'a>(&'a self, id: &DocumentId, bytes: Vec<u8>) -> BoxFuture<'a, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move { append_batch(self, &id, Batch::changes(bytes, Vec::new())).await }.boxed()
    }
}

impl<S: Store + ?Sized> AppendChunks for S {}

async fn unknown_document_loads_as_none<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    for unknown in [id(1), id(9)] {
        assert!(load(&store, &unknown).await.is_none());
    }
    // One of them may be the default document, which is always listed.
    assert!(store.list().await.expect("lists").len() <= 1, "loading a document does not create it");
}

async fn appended_chunks_are_loaded_in_order<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let (store, mut editor, mut expected) = (open(), TestEditor::new(), Vec::new());
    for _ in 0..5 {
        let chunk = editor.edit();
        append(&store, &id(1), &chunk).await;
        expected.extend(chunk);
        assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes).as_ref(), Some(&expected));
    }
    drop(store);
    let store = open();
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes).as_ref(), Some(&expected), "after reopening");
    append(&store, &id(1), &editor.edit()).await;
    let loaded = load(&store, &id(1)).await.expect("stored");
    assert_eq!(TestEditor::count_edits(&loaded.bytes), 6);
}

async fn documents_are_independent<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    let (one, two) = (TestEditor::new().edit(), TestEditor::new().edit());
    let (first, second) = (id(1), id(2));
    let (one_stored, two_stored) =
        futures_util::join!(store.append_chunks(&first, one.clone()), store.append_chunks(&second, two.clone()));
    assert!(one_stored.is_ok() && two_stored.is_ok());
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes), Some(one));
    assert_eq!(load(&store, &id(2)).await.map(|loaded| loaded.bytes), Some(two));
    let listed = store.list().await.expect("lists");
    assert!(listed.contains(&id(1)) && listed.contains(&id(2)) && listed.is_sorted(), "{listed:?}");
}

async fn empty_append_changes_nothing<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    assert_eq!(append(&store, &id(1), &[]).await, Lengths { snapshot: 0, log: 0 });
    assert!(load(&store, &id(1)).await.is_none());
}

async fn lengths_separate_snapshot_and_log<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let (store, mut editor) = (open(), TestEditor::new());
    editor.edit();
    let (snapshot, change) = (editor.save(), editor.edit());
    let (s, c) = (snapshot.len() as u64, change.len() as u64);
    assert_eq!(append(&store, &id(1), &snapshot).await, Lengths { snapshot: s, log: 0 });
    assert_eq!(append(&store, &id(1), &change).await, Lengths { snapshot: s, log: c });
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.lengths()), Some(Lengths { snapshot: s, log: c }));
    assert_eq!(append(&store, &id(2), &TestEditor::new().edit()).await.snapshot, 0, "no leading snapshot");
}

async fn compaction_keeps_every_change<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let (store, mut editor) = (open(), TestEditor::new());
    for _ in 0..4 {
        append(&store, &id(1), &editor.edit()).await;
    }
    let snapshot = editor.save();
    let lengths = compact(&store, &id(1), snapshot.clone()).await.expect("compacts");
    assert_eq!(lengths, Lengths { snapshot: snapshot.len() as u64, log: 0 });
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes), Some(snapshot));
    append(&store, &id(1), &editor.edit()).await;
    drop(store);
    let loaded = load(&open(), &id(1)).await.expect("stored");
    assert_eq!(TestEditor::count_edits(&loaded.bytes), 5);
}

async fn snapshot_with_other_changes_is_rejected<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let (store, mut editor) = (open(), TestEditor::new());
    let chunk = editor.edit();
    append(&store, &id(1), &chunk).await;
    let older = editor.save();
    let next = editor.edit();
    append(&store, &id(1), &next).await;
    editor.edit();
    for (other, name) in [(older, "older"), (editor.save(), "newer"), (b"nonsense".to_vec(), "nonsense")] {
        let rejected = compact(&store, &id(1), other).await;
        assert!(matches!(rejected, Err(StoreError::InvalidSnapshot { .. })), "{name}: {rejected:?}");
    }
    let nothing = compact(&store, &id(2), editor.save()).await;
    assert!(
        matches!(nothing, Err(StoreError::InvalidSnapshot { reason: SnapshotError::NothingStored, .. })),
        "{nothing:?}"
    );
    assert_eq!(load(&store, &id(1)).await.map(|loaded| loaded.bytes), Some([chunk, next].concat()));
}

async fn recovery_replaces_the_document<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let (store, mut editor) = (open(), TestEditor::new());
    append(&store, &id(1), &editor.edit()).await;
    let incomplete = TestEditor::new().save();
    assert!(store.recover(&id(1), incomplete).await.is_err(), "a copy without acknowledged changes is rejected");
    editor.edit();
    let copy = editor.save();
    store.recover(&id(1), copy.clone()).await.expect("recovers");
    store.recover(&id(2), copy.clone()).await.expect("also creates a document");
    drop(store);
    let store = open();
    for document in [1, 2] {
        // A store may append what it lacks, and keep the chunks that it has.
        let loaded = load(&store, &id(document)).await.expect("stored");
        assert_eq!(TestEditor::count_edits(&loaded.bytes), 2);
        let mut stored = AutoCommit::load(&loaded.bytes).expect("a document");
        assert_eq!(stored.get_heads(), AutoCommit::load(&copy).expect("a document").get_heads());
    }
}

async fn closed_document_opens_again<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let (store, mut editor) = (open(), TestEditor::new());
    append(&store, &id(1), &editor.edit()).await;
    store.close(&id(1)).await;
    store.close(&id(1)).await;
    store.close(&id(2)).await;
    append(&store, &id(1), &editor.edit()).await;
    store.close(&id(1)).await;
    let loaded = load(&store, &id(1)).await.expect("stored");
    assert_eq!(TestEditor::count_edits(&loaded.bytes), 2);
}

async fn peer_records_are_replaced<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    let record =
        |name: &str| PeerRecord { storage_id: name.into(), shared_heads: vec![[7; 32]], last_seen: 1_750_000_000 };
    assert_eq!(store.load_peers(&id(1)).await.expect("loads"), []);
    store.save_peers(&id(1), vec![record("ceo"), record("cfo")]).await.expect("saves");
    store.save_peers(&id(1), vec![record("cfo")]).await.expect("saves");
    assert_eq!(store.load_peers(&id(1)).await.expect("loads"), [record("cfo")]);
    assert_eq!(store.load_peers(&id(2)).await.expect("loads"), []);
    store.save_peers(&id(1), vec![]).await.expect("saves");
    assert_eq!(store.load_peers(&id(1)).await.expect("loads"), []);
    assert!(load(&store, &id(1)).await.is_none(), "peer records do not create a document");
}

/// A retry after a failed call may store its lines twice.
async fn author_lines_are_kept_in_order<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    assert!(store.load_authors(&id(1)).await.expect("loads").is_empty());
    for lines in ["one\ntwo\n", "three\n", "four\n"] {
        append_authors(&store, &id(1), lines).await;
    }
    append_authors(&store, &id(2), "of another\n").await;
    drop(store);
    let kept = String::from_utf8(open().load_authors(&id(1)).await.expect("loads")).expect("text");
    let mut lines: Vec<&str> = kept.lines().collect();
    let mut seen = std::collections::HashSet::new();
    lines.retain(|line| seen.insert(*line));
    assert_eq!(lines, ["one", "two", "three", "four"]);
}

/// Two reads would not do: a failover in between can lose lines whose changes were read.
async fn changes_are_loaded_with_their_authors<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    append(&store, &id(1), &TestEditor::new().edit()).await;
    append_authors(&store, &id(1), "cfo\n").await;
    let loaded = load(&store, &id(1)).await.expect("is stored");
    assert!(loaded.authors.starts_with(b"cfo\n"));
    compact(&store, &id(1), loaded.bytes).await.expect("compacts");
    assert!(load(&store, &id(1)).await.expect("is stored").authors.starts_with(b"cfo\n"));
}

async fn access_records_are_replaced<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    assert!(store.load_access().await.expect("loads").is_empty());
    for (document, record) in [(1, "first"), (2, "other"), (1, "second")] {
        change_access(&store, &id(document), record).await;
    }
    drop(store);
    let store = open();
    let records = access(&store).await;
    let mut expected = [(id(1), b"second".to_vec()), (id(2), b"other".to_vec())];
    expected.sort();
    assert_eq!(records, expected);
    let content = load(&store, &id(1)).await.map(|loaded| loaded.bytes).unwrap_or_default();
    assert!(content.is_empty(), "an access record does not create a document");
    assert!(!store.list().await.expect("lists").contains(&id(2)), "an access record does not create a document");
}

async fn removal_keeps_authors_and_access<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    append(&store, &id(9), &TestEditor::new().edit()).await;
    append_authors(&store, &id(9), "cfo\n").await;
    change_access(&store, &id(9), "deleted").await;
    store.close(&id(9)).await;
    for _ in 0..2 {
        store.remove(&id(9)).await.expect("removes, even if it was removed before");
        assert!(load(&store, &id(9)).await.is_none());
    }
    drop(store);
    let store = open();
    assert!(load(&store, &id(9)).await.is_none());
    assert!(!store.list().await.expect("lists").contains(&id(9)));
    assert!(store.load_authors(&id(9)).await.expect("loads").starts_with(b"cfo\n"));
    assert_eq!(access(&store).await, [(id(9), b"deleted".to_vec())]);
}

async fn working_store_is_healthy<Open: FnMut() -> Arc<dyn Store>>(mut open: Open) {
    let store = open();
    append(&store, &id(1), &TestEditor::new().edit()).await;
    store.probe().await.expect("writable");
    assert!(store.health().is_ok());
    assert_eq!(store.health().to_string(), "ok");
}
