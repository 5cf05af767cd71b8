//! An in-memory store for tests. Several stores can share one memory, as several processes share a database.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::future::{BoxFuture, ready};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use primitives::DocumentId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::integrity::{self, VerifiedContent};
use super::{
    AccessChanged, After, Appended, Batch, BatchKind, Control, ControlKind, Health, Lengths, Loaded, News, PeerRecord,
    Position, SnapshotError, Store, StoreError, StoredAccess,
};

/// Most messages that wait for a process that does not read its news.
const NEWS_CAPACITY: usize = 1_024;

/// Keeps documents in memory. Fulfils every guarantee of a [`Store`], except that they are lost when the process ends.
pub struct MemoryStore {
    database: Arc<Mutex<Database>>,
    /// The news of all processes, each with the process that tells it.
    news: broadcast::Sender<(u64, News)>,
    process: u64,
    processes: Arc<AtomicU64>,
    peers: Mutex<HashMap<DocumentId, Vec<PeerRecord>>>,
    failing_appends: AtomicUsize,
    failing_loads: AtomicUsize,
    /// Shared by all processes.
    obstructed_appends: Arc<AtomicUsize>,
}

/// The data that all stores on one memory share.
#[derive(Clone, Default)]
struct Database {
    documents: BTreeMap<DocumentId, MemoryDocument>,
    access: BTreeMap<DocumentId, (u64, Vec<u8>)>,
    control: Vec<Control>,
}

#[derive(Clone, Default)]
struct MemoryDocument {
    /// The chunks of all batches, or of the last snapshot and the batches after it.
    content: Vec<u8>,
    authors: Vec<u8>,
    /// The batches since the last compaction.
    batches: Vec<(Position, Batch)>,
    /// Where `batches` begin.
    base: Position,
    position: Position,
}

impl MemoryDocument {
    fn append(&mut self, batch: Batch) -> Position {
        if batch.kind == BatchKind::Changes {
            self.content.extend_from_slice(&batch.chunks);
        }
        self.authors.extend_from_slice(&batch.authors);
        self.position = self.position.next(&batch);
        self.batches.push((self.position, batch));
        self.position
    }

    fn after(&self, at: Position) -> After {
        if at == self.position {
            return After::Same;
        }
        let place = self.batches.iter().position(|(position, _)| *position == at).map(|place| place + 1);
        match place.or_else(|| (at == self.base).then_some(0)) {
            Some(place) => After::Batches(self.batches[place..].to_vec()),
            None => After::Reload,
        }
    }

    fn is_removed(&self) -> bool {
        self.batches.last().is_some_and(|(_, batch)| batch.kind == BatchKind::Deletion)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            database: Arc::default(),
            news: broadcast::Sender::new(NEWS_CAPACITY),
            process: 0,
            processes: Arc::default(),
            peers: Mutex::default(),
            failing_appends: AtomicUsize::new(0),
            failing_loads: AtomicUsize::new(0),
            obstructed_appends: Arc::default(),
        }
    }
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The store of another process on the same memory.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            database: Arc::clone(&self.database),
            news: self.news.clone(),
            process: self.processes.fetch_add(1, Ordering::Relaxed) + 1,
            processes: Arc::clone(&self.processes),
            obstructed_appends: Arc::clone(&self.obstructed_appends),
            ..Self::default()
        }
    }

    fn tell_all(&self, news: News) {
        // Fails if no process follows the news.
        let _ = self.news.send((self.process, news));
    }

    /// The store that a new process would find after a crash: all documents, but no remembered peers.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self { database: Arc::new(Mutex::new(self.database.lock().clone())), ..Self::default() }
    }

    /// Forgets the last `count` batches of a document, as a failover of a database to a replica that lags does. The document must not be
    /// compacted.
    ///
    /// # Panics
    /// When the document has fewer batches.
    pub fn forget_batches(&self, id: &DocumentId, count: usize) {
        let mut database = self.database.lock();
        let document = database.documents.get_mut(id).expect("a document");
        let mut batches = std::mem::take(document).batches;
        batches.truncate(batches.len().checked_sub(count).expect("as many batches"));
        for (_, batch) in batches {
            document.append(batch);
        }
    }

    /// Replaces the access record of a document by an earlier one, as such a failover does.
    pub fn forget_access(&self, id: &DocumentId, earlier: StoredAccess) {
        self.database.lock().access.insert(id.clone(), (earlier.version, earlier.record));
    }

    /// Makes the next `count` appends fail with [`StoreError::Full`].
    pub fn fail_appends(&self, count: usize) {
        self.failing_appends.store(count, Ordering::SeqCst);
    }

    /// Makes the next `count` loads fail.
    pub fn fail_loads(&self, count: usize) {
        self.failing_loads.store(count, Ordering::SeqCst);
    }

    /// Makes the next `count` appends of any process answer [`Appended::Behind`], as if there were a batch of another process
    /// that a failover then forgets.
    pub fn obstruct_appends(&self, count: usize) {
        self.obstructed_appends.store(count, Ordering::SeqCst);
    }

    fn append_now(&self, id: &DocumentId, after: Position, batch: Batch) -> Result<Appended, StoreError> {
        debug_assert!(integrity::are_whole_chunks(&batch.chunks), "only whole chunks are appended");
        let failing =
            self.failing_appends.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
        if failing.is_ok() {
            return Err(StoreError::write(id, io::Error::from(io::ErrorKind::StorageFull)));
        }
        let mut database = self.database.lock();
        if batch.is_empty() {
            let lengths = database.documents.get(id).map_or(lengths(&[]), |document| lengths(&document.content));
            return Ok(Appended::Stored { at: after, lengths });
        }
        let document = database.documents.entry(id.clone()).or_default();
        let obstructed =
            self.obstructed_appends.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
        if document.position != after || obstructed.is_ok() {
            return Ok(Appended::Behind);
        }
        let at = document.append(batch.clone());
        let lengths = lengths(&document.content);
        drop(database);
        // Fails only if no process listens.
        self.tell_all(News::Moved { id: id.clone(), at, batch: Some(batch) });
        Ok(Appended::Stored { at, lengths })
    }

    fn change_access_now(&self, id: &DocumentId, expected: u64, record: Vec<u8>) -> AccessChanged {
        let mut database = self.database.lock();
        if database.access.get(id).map_or(0, |(version, _)| *version) != expected {
            return AccessChanged::Behind;
        }
        let batch = Batch::access(record.clone());
        let at = database.documents.entry(id.clone()).or_default().append(batch.clone());
        database.access.insert(id.clone(), (at.seq, record));
        database.control.push(Control { kind: ControlKind::Access, key: id.to_string() });
        let revision = database.control.len() as u64;
        drop(database);
        self.tell_all(News::Moved { id: id.clone(), at, batch: Some(batch) });
        self.tell_all(News::Control(revision));
        AccessChanged::Stored(at.seq)
    }

    fn replace(
        &self,
        id: &DocumentId,
        new: Vec<u8>,
        is_valid: impl FnOnce(&VerifiedContent, &VerifiedContent) -> bool,
    ) -> Result<Lengths, StoreError> {
        let invalid = |reason| StoreError::InvalidSnapshot { id: id.clone(), reason };
        let content =
            VerifiedContent::from_whole_chunks(&new).map_err(|damage| invalid(SnapshotError::Unloadable(damage)))?;
        let mut database = self.database.lock();
        let document = database.documents.entry(id.clone()).or_default();
        let old = VerifiedContent::from_whole_chunks(&document.content)
            .map_err(|damage| invalid(SnapshotError::Unloadable(damage)))?;
        if !is_valid(&content, &old) {
            return Err(invalid(SnapshotError::DifferentHeads));
        }
        document.content = new;
        document.batches.clear();
        document.base = document.position;
        Ok(lengths(&document.content))
    }
}

fn lengths(bytes: &[u8]) -> Lengths {
    let snapshot = integrity::snapshot_len(bytes);
    Lengths { snapshot, log: bytes.len() as u64 - snapshot }
}

impl Store for MemoryStore {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        let id = id.clone();
        async move {
            let failing =
                self.failing_loads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
            if failing.is_ok() {
                return Err(StoreError::Read { id, source: io::Error::other("made to fail") });
            }
            let database = self.database.lock();
            let is_stored = |document: &&MemoryDocument| {
                !document.is_removed() && (document.position != Position::START || !document.content.is_empty())
            };
            let document = database.documents.get(&id).filter(is_stored);
            Ok(document.map(|MemoryDocument { content, position, authors, .. }| Loaded {
                bytes: content.clone(),
                authors: authors.clone(),
                document: None,
                snapshot_len: lengths(content).snapshot,
                repair: None,
                position: *position,
            }))
        }
        .boxed()
    }

    fn append(&self, id: &DocumentId, after: Position, batch: Batch) -> BoxFuture<'_, Result<Appended, StoreError>> {
        let id = id.clone();
        async move { self.append_now(&id, after, batch) }.boxed()
    }

    fn after(&self, id: &DocumentId, at: Position) -> BoxFuture<'_, Result<After, StoreError>> {
        let after = match self.database.lock().documents.get(id) {
            Some(document) => document.after(at),
            None if at == Position::START => After::Same,
            None => After::Reload,
        };
        ready(Ok(after)).boxed()
    }

    fn positions(&self, ids: Vec<DocumentId>) -> BoxFuture<'_, Result<Vec<(DocumentId, Position)>, StoreError>> {
        let database = self.database.lock();
        let position = |id: DocumentId| database.documents.get(&id).map(|document| (id.clone(), document.position));
        ready(Ok(ids.into_iter().filter_map(position).collect())).boxed()
    }

    fn compact(&self, id: &DocumentId, at: Position, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move {
            let invalid = |reason| StoreError::InvalidSnapshot { id: id.clone(), reason };
            let position = self.database.lock().documents.get(&id).map(|document| document.position);
            match position {
                None => Err(invalid(SnapshotError::NothingStored)),
                Some(position) if position != at => Err(invalid(SnapshotError::DifferentHeads)),
                Some(_) => self.replace(&id, snapshot, VerifiedContent::has_same_changes),
            }
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        async move {
            let database = self.database.lock();
            let stored = database.documents.iter().filter(|(_, document)| !document.content.is_empty());
            Ok(stored.map(|(id, _)| id.clone()).collect())
        }
        .boxed()
    }

    fn close(&self, _: &DocumentId) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move { self.replace(&id, full_copy, VerifiedContent::contains_changes_of) }.boxed()
    }

    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>> {
        let id = id.clone();
        async move { Ok(self.peers.lock().get(&id).cloned().unwrap_or_default()) }.boxed()
    }

    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            self.peers.lock().insert(id, records);
            Ok(())
        }
        .boxed()
    }

    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let authors = self.database.lock().documents.get(id).map(|document| document.authors.clone());
        ready(Ok(authors.unwrap_or_default())).boxed()
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Vec<StoredAccess>, StoreError>> {
        let stored = |(document, (version, record)): (&DocumentId, &(u64, Vec<u8>))| StoredAccess {
            document: document.clone(),
            version: *version,
            record: record.clone(),
        };
        ready(Ok(self.database.lock().access.iter().map(stored).collect())).boxed()
    }

    fn change_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: Vec<u8>,
    ) -> BoxFuture<'_, Result<AccessChanged, StoreError>> {
        ready(Ok(self.change_access_now(id, expected, record))).boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn control_since(&self, revision: u64) -> BoxFuture<'_, Result<(u64, Vec<Control>), StoreError>> {
        let database = self.database.lock();
        let since = usize::try_from(revision).unwrap_or(usize::MAX).min(database.control.len());
        ready(Ok((database.control.len() as u64, database.control[since..].to_vec()))).boxed()
    }

    fn news(&self) -> Option<BoxStream<'static, News>> {
        let own = self.process;
        let next = move |mut receiver: broadcast::Receiver<(u64, News)>| async move {
            loop {
                match receiver.recv().await {
                    Ok((process, _)) if process == own => {}
                    Ok((_, news)) => return Some((news, receiver)),
                    Err(RecvError::Lagged(_)) => return Some((News::LookAtAll, receiver)),
                    Err(RecvError::Closed) => return None,
                }
            }
        };
        Some(stream::unfold(self.news.subscribe(), next).boxed())
    }

    fn tell(&self, message: Vec<u8>) {
        self.tell_all(News::Ephemeral(message));
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            if let Some(document) = self.database.lock().documents.get_mut(&id)
                && !document.is_removed()
            {
                let at = document.append(Batch::deletion());
                document.content.clear();
                document.base = at;
                document.batches.retain(|(position, _)| *position == at);
            }
            self.peers.lock().remove(&id);
            Ok(())
        }
        .boxed()
    }

    fn health(&self) -> Health {
        Health::default()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, AppendChunks, TestEditor, id};

    #[tokio::test]
    async fn memory_store_passes_the_conformance_suite() {
        conformance::run(|| {
            let mut store = Arc::new(MemoryStore::new());
            move || -> Arc<dyn Store> {
                store = Arc::new(store.crash());
                Arc::clone(&store) as Arc<dyn Store>
            }
        })
        .await;
    }

    #[tokio::test]
    async fn failing_append_stores_nothing() {
        let (store, chunk) = (MemoryStore::new(), TestEditor::new().edit());
        store.fail_appends(1);
        assert!(matches!(store.append_chunks(&id(1), chunk.clone()).await, Err(StoreError::Full { .. })));
        assert!(store.load(&id(1)).await.expect("loads").is_none());
        store.append_chunks(&id(1), chunk).await.expect("appends");
    }
}
