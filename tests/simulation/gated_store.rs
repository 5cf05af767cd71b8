//! The simulated store: it can be slow, and each call ends before the next begins, so that a seed always makes the same
//! calls in the same order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use primitives::DocumentId;
use store::{
    AccessChanged, Appended, Batch, FileStore, Health, Lengths, Loaded, PeerRecord, Position, Store, StoreError,
    StoredAccess,
};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use super::mutants::Mutant;

/// Duration of every call. The clock moves only when nothing else can run. So a call, which runs on another thread,
/// begins when all tasks wait, and does not race with them.
pub const LATENCY: Duration = Duration::from_millis(1);

pub struct GatedStore {
    inner: Arc<FileStore>,
    one_at_a_time: Arc<Mutex<()>>,
    /// Appends wait until this is true.
    open: watch::Receiver<bool>,
    busy: Busy,
    mutant: Mutant,
}

/// The number of running calls.
#[derive(Clone, Default)]
pub struct Busy(Arc<AtomicUsize>);

/// A running call, until it is dropped.
struct Call(Arc<AtomicUsize>);

impl Busy {
    fn enter(&self) -> Call {
        self.0.fetch_add(1, Ordering::SeqCst);
        Call(Arc::clone(&self.0))
    }

    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl GatedStore {
    /// Returns the store, the switch of its gate, and the count of running calls. The gate is open at first.
    pub fn new(inner: FileStore, mutant: Mutant) -> (Self, watch::Sender<bool>, Busy) {
        let (gate, open) = watch::channel(true);
        let busy = Busy::default();
        let store = Self { inner: Arc::new(inner), one_at_a_time: Arc::default(), open, busy: busy.clone(), mutant };
        (store, gate, busy)
    }

    fn serially<'a, T: Send + 'a>(&'a self, work: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        async move {
            let _busy = self.busy.enter();
            let _turn = self.one_at_a_time.lock().await;
            sleep(LATENCY).await;
            work.await
        }
        .boxed()
    }
}

impl Store for GatedStore {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        self.serially(self.inner.load(id))
    }

    fn append(&self, id: &DocumentId, after: Position, batch: Batch) -> BoxFuture<'_, Result<Appended, StoreError>> {
        let (inner, turn, mut open, busy, id) = (
            Arc::clone(&self.inner),
            Arc::clone(&self.one_at_a_time),
            self.open.clone(),
            self.busy.clone(),
            id.clone(),
        );
        let early = self.mutant == Mutant::PublishBeforeAppend;
        let length = batch.chunks.len() as u64;
        let write = async move {
            // If the world is torn down while an append waits, the append was never written.
            let _ = open.wait_for(|open| *open).await;
            let _busy = busy.enter();
            let _turn = turn.lock().await;
            sleep(LATENCY).await;
            inner.append(&id, after, batch).await
        };
        if !early {
            return write.boxed();
        }
        async move {
            tokio::spawn(write);
            Ok(Appended::Stored { at: Position::START, lengths: Lengths { snapshot: 0, log: length } })
        }
        .boxed()
    }

    fn compact(&self, id: &DocumentId, at: Position, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        self.serially(self.inner.compact(id, at, snapshot))
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

    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        self.serially(self.inner.load_authors(id))
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Vec<StoredAccess>, StoreError>> {
        self.serially(self.inner.load_access())
    }

    fn change_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: Vec<u8>,
    ) -> BoxFuture<'_, Result<AccessChanged, StoreError>> {
        self.serially(self.inner.change_access(id, expected, record))
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.serially(self.inner.remove(id))
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.serially(self.inner.probe())
    }
}
