//! The store as the world sees it: it may take its time, and one call is over before the next begins, so that a seed
//! always makes the same calls in the same order.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use happierwork::format::DocumentId;
use happierwork::store::{FileStore, Health, Lengths, Loaded, PeerRecord, Store, StoreError};
use tokio::sync::{Mutex, watch};

use super::mutants::Mutant;

pub struct GatedStore {
    inner: Arc<FileStore>,
    one_at_a_time: Arc<Mutex<()>>,
    /// Appends wait until this is true.
    open: watch::Receiver<bool>,
    mutant: Mutant,
}

impl GatedStore {
    /// The store, and what opens and shuts its gate. It is open at first.
    pub fn new(inner: FileStore, mutant: Mutant) -> (Self, watch::Sender<bool>) {
        let (gate, open) = watch::channel(true);
        (Self { inner: Arc::new(inner), one_at_a_time: Arc::default(), open, mutant }, gate)
    }

    fn serially<'a, T: Send + 'a>(&'a self, work: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        async move {
            let _turn = self.one_at_a_time.lock().await;
            work.await
        }
        .boxed()
    }
}

impl Store for GatedStore {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        self.serially(self.inner.load(id))
    }

    fn append(&self, id: &DocumentId, bytes: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let (inner, turn, mut open, id) =
            (Arc::clone(&self.inner), Arc::clone(&self.one_at_a_time), self.open.clone(), id.clone());
        let early = self.mutant == Mutant::PublishBeforeAppend;
        let length = bytes.len() as u64;
        let write = async move {
            // The world is torn down while something waits: then it never was written.
            let _ = open.wait_for(|open| *open).await;
            let _turn = turn.lock().await;
            inner.append(&id, bytes).await
        };
        if !early {
            return write.boxed();
        }
        async move {
            tokio::spawn(write);
            Ok(Lengths { snapshot: 0, log: length })
        }
        .boxed()
    }

    fn compact(&self, id: &DocumentId, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        self.serially(self.inner.compact(id, snapshot))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        self.serially(self.inner.list())
    }

    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()> {
        self.serially(self.inner.close(id))
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        self.serially(self.inner.recover(id, full_copy))
    }

    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>> {
        self.serially(self.inner.load_peers(id))
    }

    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.serially(self.inner.save_peers(id, records))
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.serially(self.inner.probe())
    }
}
