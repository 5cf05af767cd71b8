//! A store in memory, for tests.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use primitives::DocumentId;

use super::content::{self, Content};
use super::{Health, Lengths, Loaded, PeerRecord, Records, SnapshotError, Store, StoreError};

/// Documents in memory. Keeps every promise of a [`Store`], except that "durable" means until the process ends.
#[derive(Default)]
pub struct MemoryStore {
    documents: Arc<Mutex<BTreeMap<DocumentId, Vec<u8>>>>,
    peers: Mutex<HashMap<DocumentId, Vec<PeerRecord>>>,
    beside: Mutex<Beside>,
    failing: AtomicUsize,
}

/// What is kept beside documents.
#[derive(Clone, Default)]
struct Beside {
    authors: HashMap<DocumentId, Vec<u8>>,
    access: BTreeMap<DocumentId, Vec<u8>>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the next process would find after this one was killed: the documents, and no remembered peers.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self {
            documents: Arc::new(Mutex::new(self.documents.lock().clone())),
            beside: Mutex::new(self.beside.lock().clone()),
            ..Self::default()
        }
    }

    /// Lets the next `count` appends fail as a full disk does.
    pub fn fail_appends(&self, count: usize) {
        self.failing.store(count, Ordering::SeqCst);
    }

    fn append_now(&self, id: &DocumentId, bytes: &[u8]) -> Result<Lengths, StoreError> {
        debug_assert!(content::are_chunks(bytes), "only whole chunks are appended");
        let failing = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
        if failing.is_ok() {
            return Err(StoreError::write(id, io::Error::from(io::ErrorKind::StorageFull)));
        }
        if bytes.is_empty() {
            return Ok(self.documents.lock().get(id).map_or(lengths(&[]), |document| lengths(document)));
        }
        let mut documents = self.documents.lock();
        let document = documents.entry(id.clone()).or_default();
        document.extend_from_slice(bytes);
        Ok(lengths(document))
    }

    fn replace(
        &self,
        id: &DocumentId,
        new: Vec<u8>,
        fits: impl FnOnce(&Content, &Content) -> bool,
    ) -> Result<Lengths, StoreError> {
        let refused = |why| StoreError::Snapshot { id: id.clone(), why };
        let content = Content::whole(&new).map_err(|damage| refused(SnapshotError::Unloadable(damage)))?;
        let mut documents = self.documents.lock();
        let document = documents.entry(id.clone()).or_default();
        let old = Content::whole(document).map_err(|damage| refused(SnapshotError::Unloadable(damage)))?;
        if !fits(&content, &old) {
            return Err(refused(SnapshotError::OtherHeads));
        }
        *document = new;
        Ok(lengths(document))
    }
}

fn lengths(bytes: &[u8]) -> Lengths {
    let snapshot = content::snapshot_len(bytes);
    Lengths { snapshot, log: bytes.len() as u64 - snapshot }
}

impl Store for MemoryStore {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        let id = id.clone();
        async move {
            Ok(self.documents.lock().get(&id).map(|bytes| Loaded {
                bytes: bytes.clone(),
                document: None,
                snapshot_len: lengths(bytes).snapshot,
                repaired: None,
            }))
        }
        .boxed()
    }

    fn append(&self, id: &DocumentId, bytes: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move { self.append_now(&id, &bytes) }.boxed()
    }

    fn compact(&self, id: &DocumentId, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move {
            if !self.documents.lock().contains_key(&id) {
                return Err(StoreError::Snapshot { id, why: SnapshotError::NothingStored });
            }
            self.replace(&id, snapshot, Content::same_as)
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        async move { Ok(self.documents.lock().keys().cloned().collect()) }.boxed()
    }

    fn close(&self, _: &DocumentId) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move { self.replace(&id, full_copy, Content::contains) }.boxed()
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
        ready(Ok(self.beside.lock().authors.get(id).cloned().unwrap_or_default())).boxed()
    }

    fn append_authors(&self, id: &DocumentId, lines: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            self.beside.lock().authors.entry(id).or_default().extend(lines);
            Ok(())
        }
        .boxed()
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Records, StoreError>> {
        ready(Ok(self.beside.lock().access.clone().into_iter().collect())).boxed()
    }

    fn save_access(&self, id: &DocumentId, record: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            self.beside.lock().access.insert(id, record);
            Ok(())
        }
        .boxed()
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            self.documents.lock().remove(&id);
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
    use crate::conformance::{self, Author, id};

    #[tokio::test]
    async fn the_memory_store_keeps_every_promise_of_a_store() {
        conformance::run(|| {
            let mut now = Arc::new(MemoryStore::new());
            move || -> Arc<dyn Store> {
                now = Arc::new(now.crash());
                Arc::clone(&now) as Arc<dyn Store>
            }
        })
        .await;
    }

    #[tokio::test]
    async fn it_can_fail_as_a_full_disk_does() {
        let (store, chunk) = (MemoryStore::new(), Author::new().edit());
        store.fail_appends(1);
        assert!(matches!(store.append(&id(1), chunk.clone()).await, Err(StoreError::Full { .. })));
        assert!(store.load(&id(1)).await.expect("loads").is_none());
        store.append(&id(1), chunk).await.expect("appends");
    }
}
