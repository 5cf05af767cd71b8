//! Runs the conformance suite on a disk on which any one call fails, in every way in which calls fail. After an error, the
//! caller does what the [`Store`] requires and retries. Then every guarantee must hold.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::*;
use crate::faults::{DiskFault, Op};
use crate::{
    AccessChanged, Appended, Batch, Health, Lengths, Loaded, PeerRecord, Position, StoreError, StoredAccess,
    UnavailableReason,
};

/// A disk with an injected fault, and the content that stores on it have acknowledged.
#[derive(Clone)]
struct FaultCase {
    disk: FaultyDisk,
    fault: DiskFault,
    acknowledged: Arc<Mutex<BTreeMap<DocumentId, Vec<u8>>>>,
}

impl FaultCase {
    /// Injects the fault after `skip` calls that succeed.
    fn new(fault: DiskFault, skip: usize) -> Self {
        let disk = disk();
        disk.inject(fault, skip);
        Self { disk, fault, acknowledged: Arc::default() }
    }

    fn acknowledged(&self, id: &DocumentId) -> Vec<u8> {
        self.acknowledged.lock().get(id).cloned().unwrap_or_default()
    }

    fn open(&self) -> FileStore {
        let failed = self.disk.failed_calls().len();
        let error = match open_on(&self.disk) {
            Ok(store) => return store,
            Err(error) => error,
        };
        assert!(self.disk.failed_calls().len() > failed, "{error}");
        assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
        self.disk.heal();
        open_on(&self.disk).expect("opens on a working disk")
    }

    /// Checks that the acknowledged content, or one of `alternatives`, is found after a power cut, whichever part of the
    /// unsynced data has reached the disk.
    async fn assert_survives_power_cut(&self, id: &DocumentId, alternatives: &[Vec<u8>]) {
        let acknowledged = self.acknowledged(id);
        for part in 0..3 {
            let after = self.disk.crash(|most| most * part / 2);
            let store = open_on(&after).expect("opens after a power cut");
            let found = stored(&store, id).await;
            assert!(
                found == acknowledged || alternatives.contains(&found),
                "{} bytes were acknowledged, and {} are found",
                acknowledged.len(),
                found.len()
            );
        }
    }
}

/// A store that retries failed calls.
struct RetryingStore {
    store: FileStore,
    case: FaultCase,
}

impl RetryingStore {
    /// Makes a call until it does not fail because of the disk. `outcome`: the content of the document if the call takes
    /// effect.
    async fn retry<'a, T: Debug>(
        &'a self,
        id: &DocumentId,
        outcome: Option<Vec<u8>>,
        call: impl Fn() -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync,
    ) -> Result<T, StoreError> {
        for _ in 0..3 {
            let failed = self.case.disk.failed_calls().len();
            let error = match call().await {
                Err(error) if self.case.disk.failed_calls().len() > failed => error,
                result => return result,
            };
            if let StoreError::InvalidSnapshot { .. } = error {
                // A failing disk does not affect whether the snapshot is valid.
                self.case.disk.heal();
                let again = call().await;
                assert!(matches!(again, Err(StoreError::InvalidSnapshot { .. })), "first {error:?}, then {again:?}");
                return again;
            }
            self.check_and_recover(id, outcome.as_slice(), &error).await;
        }
        panic!("the call still fails on a working disk");
    }

    /// After a failed call: checks that the acknowledged content exists without any effect of the call, and makes the document
    /// available again.
    async fn check_and_recover(&self, id: &DocumentId, outcome: &[Vec<u8>], error: &StoreError) {
        let FaultCase { disk, fault, .. } = &self.case;
        let is_full = matches!(fault, DiskFault::FullOnce | DiskFault::FullFromThen);
        let expected = match error {
            StoreError::Full { .. } => is_full,
            StoreError::Write { .. } => !is_full,
            // A call that writes returns a write error instead.
            StoreError::Open(OpenError::Io { .. }) => outcome.is_empty(),
            StoreError::Read { .. } => !is_full,
            StoreError::NeedsRecovery { .. } | StoreError::Folder { .. } => true,
            StoreError::Open(_)
            | StoreError::InvalidSnapshot { .. }
            | StoreError::ExternalChange { .. }
            | StoreError::Contended { .. } => false,
            StoreError::Database(_) => false,
        };
        assert!(expected, "{fault:?}: {error:?}");
        self.case.assert_survives_power_cut(id, outcome).await;
        disk.heal();
        let (acknowledged, found) = (self.case.acknowledged(id), stored(&self.store, id).await);
        if acknowledged.is_empty() && outcome.contains(&found) {
            // A new document was created, and could not be removed again. It is durable once it was loaded.
            return self.acknowledge(id, found).await;
        }
        assert_eq!(found, acknowledged, "{fault:?}: {error:?}");
        let needs_recovery =
            || self.store.health().unavailable.contains(&(id.clone(), UnavailableReason::NeedsRecovery));
        assert!(needs_recovery() || !matches!(error, StoreError::NeedsRecovery { .. }));
        if needs_recovery() {
            let rejected = self.store.append_chunks(id, TestEditor::new().edit()).await;
            assert!(matches!(rejected, Err(StoreError::NeedsRecovery { .. })), "{rejected:?}");
            self.store.recover(id, acknowledged).await.expect("recovers on a working disk");
            assert!(!needs_recovery());
        }
        self.case.assert_survives_power_cut(id, outcome).await;
    }

    /// Saves peers once, and checks that a failure is atomic.
    async fn save_peers_once(
        &self,
        id: DocumentId,
        before: Vec<PeerRecord>,
        records: Vec<PeerRecord>,
    ) -> Result<(), StoreError> {
        let saved = self.store.save_peers(&id, records.clone()).await;
        if saved.is_err() {
            let found = self.load_peers(&id).await?;
            assert!(found == before || found == records, "a part of them: {found:?}");
        }
        saved
    }

    /// Records an acknowledged call, and checks that its effect survives a power cut.
    async fn acknowledge(&self, id: &DocumentId, bytes: Vec<u8>) {
        self.case.acknowledged.lock().insert(id.clone(), bytes);
        if !self.case.disk.failed_calls().is_empty() {
            self.case.assert_survives_power_cut(id, &[]).await;
        }
    }
}

impl Store for RetryingStore {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        let id = id.clone();
        async move { self.retry(&id, None, || self.store.load(&id)).await }.boxed()
    }

    fn append(&self, id: &DocumentId, at: Position, batch: Batch) -> BoxFuture<'_, Result<Appended, StoreError>> {
        let id = id.clone();
        async move {
            let after = [self.case.acknowledged(&id), batch.chunks.clone()].concat();
            let append = || {
                let is_stored = self.case.acknowledged(&id) == after;
                let chunks = if is_stored { Vec::new() } else { batch.chunks.clone() };
                self.store.append(&id, at, Batch { chunks, ..batch.clone() })
            };
            let appended = self.retry(&id, Some(after.clone()), append).await?;
            self.acknowledge(&id, after).await;
            Ok(appended)
        }
        .boxed()
    }

    fn compact(&self, id: &DocumentId, at: Position, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move {
            let compact = || self.store.compact(&id, at, snapshot.clone());
            let lengths = self.retry(&id, Some(snapshot.clone()), compact).await?;
            self.acknowledge(&id, snapshot).await;
            Ok(lengths)
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        async { self.retry(&default_id(), None, || self.store.list()).await }.boxed()
    }

    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()> {
        self.store.close(id)
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move {
            let recover = || self.store.recover(&id, full_copy.clone());
            let lengths = self.retry(&id, Some(full_copy.clone()), recover).await?;
            self.acknowledge(&id, full_copy).await;
            Ok(lengths)
        }
        .boxed()
    }

    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>> {
        let id = id.clone();
        async move {
            let failed = self.case.disk.failed_calls().len();
            let loaded = self.retry(&id, None, || self.store.load_peers(&id)).await?;
            if self.case.disk.failed_calls().len() == failed {
                return Ok(loaded);
            }
            // Unreadable records are ignored.
            assert_eq!(loaded, []);
            self.case.disk.heal();
            self.store.load_peers(&id).await
        }
        .boxed()
    }

    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            let before = self.load_peers(&id).await?;
            let save = || self.save_peers_once(id.clone(), before.clone(), records.clone()).boxed();
            self.retry(&id, None, save).await
        }
        .boxed()
    }

    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let id = id.clone();
        async move { self.retry(&id, None, || self.store.load_authors(&id)).await }.boxed()
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Vec<StoredAccess>, StoreError>> {
        async { self.retry(&default_id(), None, || self.store.load_access()).await }.boxed()
    }

    fn change_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: Vec<u8>,
    ) -> BoxFuture<'_, Result<AccessChanged, StoreError>> {
        let id = id.clone();
        async move { self.retry(&id, None, || self.store.change_access(&id, expected, record.clone())).await }.boxed()
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            // A failed removal may have removed a part.
            let mut removed = self.store.remove(&id).await;
            while removed.is_err() {
                self.case.disk.heal();
                removed = self.store.remove(&id).await;
            }
            self.acknowledge(&id, Vec::new()).await;
            removed
        }
        .boxed()
    }

    fn health(&self) -> Health {
        self.store.health()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async { self.retry(&default_id(), None, || self.store.probe()).await }.boxed()
    }
}

/// Runs the suite with the fault at the first disk call, then at the second, and so on, until no call fails. `expected`:
/// operations of which at least one call must have failed.
async fn run_with_fault_at_every_call(fault: DiskFault, expected: &[Op]) {
    let mut all_failed = Vec::new();
    for skip in 0.. {
        let disks = Mutex::new(Vec::new());
        conformance::run(|| {
            let case = FaultCase::new(fault, skip);
            disks.lock().push(case.disk.clone());
            move || -> Arc<dyn Store> { Arc::new(RetryingStore { store: case.open(), case: case.clone() }) }
        })
        .await;
        let disks = disks.into_inner();
        let failed: Vec<Op> = disks.iter().flat_map(FaultyDisk::failed_calls).collect();
        if failed.is_empty() {
            break;
        }
        all_failed.extend(failed);
    }
    for op in expected {
        assert!(all_failed.contains(op), "{fault:?}: no {op:?} has failed");
    }
}

#[tokio::test]
async fn guarantees_hold_when_any_call_fails() {
    let expected = [
        Op::Open,
        Op::Create,
        Op::Read,
        Op::Write,
        Op::Sync,
        Op::Rename,
        Op::Remove,
        Op::CreateDir,
        Op::SyncDir,
        Op::List,
        Op::Lock,
    ];
    run_with_fault_at_every_call(DiskFault::FailOnce, &expected).await;
}

#[tokio::test]
async fn guarantees_hold_when_any_call_fails_after_its_effect() {
    let expected = [Op::Create, Op::Write, Op::Sync, Op::Rename, Op::Remove, Op::CreateDir, Op::SyncDir];
    run_with_fault_at_every_call(DiskFault::FailOnceAfterEffect, &expected).await;
}

#[tokio::test]
async fn guarantees_hold_when_any_write_is_short() {
    run_with_fault_at_every_call(DiskFault::ShortWrite, &[Op::Write]).await;
}

#[tokio::test]
async fn guarantees_hold_when_any_call_finds_the_disk_full() {
    let expected = [Op::Create, Op::Write, Op::Sync, Op::Rename, Op::CreateDir, Op::Lock];
    run_with_fault_at_every_call(DiskFault::FullOnce, &expected).await;
}

#[tokio::test]
async fn guarantees_hold_when_the_disk_is_full_from_any_call_on() {
    let expected = [Op::Create, Op::Write, Op::Rename, Op::CreateDir, Op::Lock];
    run_with_fault_at_every_call(DiskFault::FullFromThen, &expected).await;
}

#[tokio::test]
async fn guarantees_hold_when_all_calls_fail_from_any_call_on() {
    let expected = [Op::Open, Op::Create, Op::Read, Op::Write, Op::Sync, Op::Truncate, Op::Remove, Op::List, Op::Lock];
    run_with_fault_at_every_call(DiskFault::FailFromThen, &expected).await;
}
