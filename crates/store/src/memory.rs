//! An in-memory store for tests.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use primitives::DocumentId;

use super::integrity::{self, VerifiedContent};
use super::{AccessRecords, Health, Lengths, Loaded, PeerRecord, SnapshotError, Store, StoreError};

/// Keeps documents in memory. Fulfils every guarantee of a [`Store`], except that they are lost when the process ends.
#[derive(Default)]
pub struct MemoryStore {
    documents: Arc<Mutex<BTreeMap<DocumentId, Vec<u8>>>>,
    peers: Mutex<HashMap<DocumentId, Vec<PeerRecord>>>,
    sidecars: Mutex<Sidecars>,
    failing_appends: AtomicUsize,
}

/// Data about documents that is stored next to them.
#[derive(Clone, Default)]
struct Sidecars {
    authors: HashMap<DocumentId, Vec<u8>>,
    access: BTreeMap<DocumentId, Vec<u8>>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The store that a new process would find after a crash: all documents, but no remembered peers.
    #[must_use]
    pub fn crash(&self) -> Self {
        Self {
            documents: Arc::new(Mutex::new(self.documents.lock().clone())),
            sidecars: Mutex::new(self.sidecars.lock().clone()),
            ..Self::default()
        }
    }

    /// Makes the next `count` appends fail with [`StoreError::Full`].
    pub fn fail_appends(&self, count: usize) {
        self.failing_appends.store(count, Ordering::SeqCst);
    }

    fn append_now(&self, id: &DocumentId, bytes: &[u8]) -> Result<Lengths, StoreError> {
        debug_assert!(integrity::are_whole_chunks(bytes), "only whole chunks are appended");
        let failing =
            self.failing_appends.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
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
        is_valid: impl FnOnce(&VerifiedContent, &VerifiedContent) -> bool,
    ) -> Result<Lengths, StoreError> {
        let invalid = |reason| StoreError::InvalidSnapshot { id: id.clone(), reason };
        let content =
            VerifiedContent::from_whole_chunks(&new).map_err(|damage| invalid(SnapshotError::Unloadable(damage)))?;
        let mut documents = self.documents.lock();
        let document = documents.entry(id.clone()).or_default();
        let old = VerifiedContent::from_whole_chunks(document)
            .map_err(|damage| invalid(SnapshotError::Unloadable(damage)))?;
        if !is_valid(&content, &old) {
            return Err(invalid(SnapshotError::DifferentHeads));
        }
        *document = new;
        Ok(lengths(document))
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
            Ok(self.documents.lock().get(&id).map(|bytes| Loaded {
                bytes: bytes.clone(),
                document: None,
                snapshot_len: lengths(bytes).snapshot,
                repair: None,
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
                return Err(StoreError::InvalidSnapshot { id, reason: SnapshotError::NothingStored });
            }
            self.replace(&id, snapshot, VerifiedContent::has_same_changes)
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
        ready(Ok(self.sidecars.lock().authors.get(id).cloned().unwrap_or_default())).boxed()
    }

    fn append_authors(&self, id: &DocumentId, lines: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            self.sidecars.lock().authors.entry(id).or_default().extend(lines);
            Ok(())
        }
        .boxed()
    }

    fn load_access(&self) -> BoxFuture<'_, Result<AccessRecords, StoreError>> {
        ready(Ok(self.sidecars.lock().access.clone().into_iter().collect())).boxed()
    }

    fn save_access(&self, id: &DocumentId, record: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            self.sidecars.lock().access.insert(id, record);
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
    use crate::conformance::{self, TestEditor, id};

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
        assert!(matches!(store.append(&id(1), chunk.clone()).await, Err(StoreError::Full { .. })));
        assert!(store.load(&id(1)).await.expect("loads").is_none());
        store.append(&id(1), chunk).await.expect("appends");
    }
}
