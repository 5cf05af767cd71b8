//! The conformance suite on a disk on which any one call fails, in every way in which calls fail. Those who call the store
//! do what a caller has to do after an error, and try again: then every promise of a store is kept.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::*;
use crate::faults::{Op, Trouble};
use crate::{Health, Lengths, Loaded, PeerRecord, Records, Refusal, StoreError};

/// A disk, and what stores on it have promised.
#[derive(Clone)]
struct Place {
    disk: FaultyDisk,
    trouble: Trouble,
    acknowledged: Arc<Mutex<BTreeMap<DocumentId, Vec<u8>>>>,
}

impl Place {
    /// One on which the call after `skip` others fails.
    fn new(trouble: Trouble, skip: usize) -> Self {
        let disk = disk();
        disk.trouble(trouble, skip);
        Self { disk, trouble, acknowledged: Arc::default() }
    }

    fn of(&self, id: &DocumentId) -> Vec<u8> {
        self.acknowledged.lock().get(id).cloned().unwrap_or_default()
    }

    fn open(&self) -> FileStore {
        let failed = self.disk.failed().len();
        let error = match open_on(&self.disk) {
            Ok(store) => return store,
            Err(error) => error,
        };
        assert!(self.disk.failed().len() > failed, "{error}");
        assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
        self.disk.heal();
        open_on(&self.disk).expect("opens once the disk is well")
    }

    /// After a power cut there is what was acknowledged, or what was about to take its place; whatever of that was not
    /// synced has reached the disk or has not.
    async fn survives(&self, id: &DocumentId, or_else: &[Vec<u8>]) {
        let acknowledged = self.of(id);
        for part in 0..3 {
            let after = self.disk.crash(|most| most * part / 2);
            let store = open_on(&after).expect("opens after a power cut");
            let found = stored(&store, id).await;
            assert!(
                found == acknowledged || or_else.contains(&found),
                "of {} bytes that were acknowledged there are {}",
                acknowledged.len(),
                found.len()
            );
        }
    }
}

/// A store whose callers try again.
struct TriesAgain {
    store: FileStore,
    place: Place,
}

impl TriesAgain {
    /// Makes a call until it does not fail because of the disk. `would_leave`: what the document is if it takes effect.
    async fn persevere<'a, T: Debug>(
        &'a self,
        id: &DocumentId,
        would_leave: Option<Vec<u8>>,
        call: impl Fn() -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync,
    ) -> Result<T, StoreError> {
        for _ in 0..3 {
            let failed = self.place.disk.failed().len();
            let error = match call().await {
                Err(error) if self.place.disk.failed().len() > failed => error,
                result => return result,
            };
            if let StoreError::Snapshot { .. } = error {
                // A disk that fails says nothing about a copy.
                self.place.disk.heal();
                let again = call().await;
                assert!(matches!(again, Err(StoreError::Snapshot { .. })), "first {error:?}, then {again:?}");
                return again;
            }
            self.get_over(id, would_leave.as_slice(), &error).await;
        }
        panic!("it still fails although the disk is well");
    }

    /// A call failed: what was acknowledged is there, nothing of the call is, and the document comes back to service.
    async fn get_over(&self, id: &DocumentId, would_leave: &[Vec<u8>], error: &StoreError) {
        let Place { disk, trouble, .. } = &self.place;
        let is_full = matches!(trouble, Trouble::Full | Trouble::StaysFull);
        let expected = match error {
            StoreError::Full { .. } => is_full,
            StoreError::Write { .. } => !is_full,
            // Whoever writes hears of that.
            StoreError::Open(OpenError::Io { .. }) => would_leave.is_empty(),
            StoreError::Read { .. } => !is_full,
            StoreError::Refused { .. } | StoreError::Folder { .. } => true,
            StoreError::Open(_) | StoreError::Snapshot { .. } | StoreError::Displaced { .. } => false,
        };
        assert!(expected, "{trouble:?}: {error:?}");
        self.place.survives(id, would_leave).await;
        disk.heal();
        let (acknowledged, found) = (self.place.of(id), stored(&self.store, id).await);
        if acknowledged.is_empty() && would_leave.contains(&found) {
            // A new document that was made and could not be taken back. Whoever sees it finds it durable.
            return self.holds(id, found).await;
        }
        assert_eq!(found, acknowledged, "{trouble:?}: {error:?}");
        let is_refused = || self.store.health().refused.contains(&(id.clone(), Refusal::Unwritable));
        assert!(is_refused() || !matches!(error, StoreError::Refused { .. }));
        if is_refused() {
            let refused = self.store.append(id, Author::new().edit()).await;
            assert!(matches!(refused, Err(StoreError::Refused { .. })), "{refused:?}");
            self.store.recover(id, acknowledged).await.expect("recovers once the disk is well");
            assert!(!is_refused());
        }
        self.place.survives(id, would_leave).await;
    }

    /// Peers are saved all or not at all.
    async fn save_peers_once(
        &self,
        id: DocumentId,
        before: Vec<PeerRecord>,
        records: Vec<PeerRecord>,
    ) -> Result<(), StoreError> {
        let saved = self.store.save_peers(&id, records.clone()).await;
        if saved.is_err() {
            let found = self.load_peers(&id).await?;
            assert!(found == before || found == records, "half of them: {found:?}");
        }
        saved
    }

    /// A call was acknowledged: its effect survives a power cut.
    async fn holds(&self, id: &DocumentId, bytes: Vec<u8>) {
        self.place.acknowledged.lock().insert(id.clone(), bytes);
        if !self.place.disk.failed().is_empty() {
            self.place.survives(id, &[]).await;
        }
    }
}

impl Store for TriesAgain {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        let id = id.clone();
        async move { self.persevere(&id, None, || self.store.load(&id)).await }.boxed()
    }

    fn append(&self, id: &DocumentId, bytes: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move {
            let after = [self.place.of(&id), bytes.clone()].concat();
            let append = || {
                let made_already = self.place.of(&id) == after;
                self.store.append(&id, if made_already { Vec::new() } else { bytes.clone() })
            };
            let lengths = self.persevere(&id, Some(after.clone()), append).await?;
            self.holds(&id, after).await;
            Ok(lengths)
        }
        .boxed()
    }

    fn compact(&self, id: &DocumentId, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move {
            let compact = || self.store.compact(&id, snapshot.clone());
            let lengths = self.persevere(&id, Some(snapshot.clone()), compact).await?;
            self.holds(&id, snapshot).await;
            Ok(lengths)
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        async { self.persevere(&default_id(), None, || self.store.list()).await }.boxed()
    }

    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()> {
        self.store.close(id)
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move {
            let recover = || self.store.recover(&id, full_copy.clone());
            let lengths = self.persevere(&id, Some(full_copy.clone()), recover).await?;
            self.holds(&id, full_copy).await;
            Ok(lengths)
        }
        .boxed()
    }

    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>> {
        let id = id.clone();
        async move {
            let failed = self.place.disk.failed().len();
            let loaded = self.persevere(&id, None, || self.store.load_peers(&id)).await?;
            if self.place.disk.failed().len() == failed {
                return Ok(loaded);
            }
            // They could not be read, and count as none.
            assert_eq!(loaded, []);
            self.place.disk.heal();
            self.store.load_peers(&id).await
        }
        .boxed()
    }

    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            let before = self.load_peers(&id).await?;
            let save = || self.save_peers_once(id.clone(), before.clone(), records.clone()).boxed();
            self.persevere(&id, None, save).await
        }
        .boxed()
    }

    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let id = id.clone();
        async move { self.persevere(&id, None, || self.store.load_authors(&id)).await }.boxed()
    }

    fn append_authors(&self, id: &DocumentId, lines: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move { self.persevere(&id, None, || self.store.append_authors(&id, lines.clone())).await }.boxed()
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Records, StoreError>> {
        async { self.persevere(&default_id(), None, || self.store.load_access()).await }.boxed()
    }

    fn save_access(&self, id: &DocumentId, record: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move { self.persevere(&id, None, || self.store.save_access(&id, record.clone())).await }.boxed()
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move {
            // One that failed may have removed it, or not.
            let mut removed = self.store.remove(&id).await;
            while removed.is_err() {
                self.place.disk.heal();
                removed = self.store.remove(&id).await;
            }
            self.holds(&id, Vec::new()).await;
            removed
        }
        .boxed()
    }

    fn health(&self) -> Health {
        self.store.health()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async { self.persevere(&default_id(), None, || self.store.probe()).await }.boxed()
    }
}

/// Runs the suite, with the first call of the disk failing, then the second, and so on until none is left to fail. `reaches`:
/// what must have failed by then.
async fn at_every_call(trouble: Trouble, reaches: &[Op]) {
    let mut struck = Vec::new();
    for skip in 0.. {
        let disks = Mutex::new(Vec::new());
        conformance::run(|| {
            let place = Place::new(trouble, skip);
            disks.lock().push(place.disk.clone());
            move || -> Arc<dyn Store> { Arc::new(TriesAgain { store: place.open(), place: place.clone() }) }
        })
        .await;
        let disks = disks.into_inner();
        let failed: Vec<Op> = disks.iter().flat_map(FaultyDisk::failed).collect();
        if failed.is_empty() {
            break;
        }
        struck.extend(failed);
    }
    for op in reaches {
        assert!(struck.contains(op), "{trouble:?}: no {op:?} has failed");
    }
}

#[tokio::test]
async fn every_promise_is_kept_when_any_one_call_fails() {
    let reaches = [
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
    at_every_call(Trouble::Fails, &reaches).await;
}

#[tokio::test]
async fn every_promise_is_kept_when_any_one_call_does_what_it_should_and_says_that_it_failed() {
    let reaches = [Op::Create, Op::Write, Op::Sync, Op::Rename, Op::Remove, Op::CreateDir, Op::SyncDir];
    at_every_call(Trouble::FailsAfterwards, &reaches).await;
}

#[tokio::test]
async fn every_promise_is_kept_when_any_one_write_ends_in_the_middle() {
    at_every_call(Trouble::ShortWrite, &[Op::Write]).await;
}

#[tokio::test]
async fn every_promise_is_kept_when_there_is_no_room_for_any_one_call() {
    at_every_call(Trouble::Full, &[Op::Create, Op::Write, Op::Sync, Op::Rename, Op::CreateDir, Op::Lock]).await;
}

#[tokio::test]
async fn every_promise_is_kept_when_from_any_call_on_there_is_no_room_until_somebody_makes_some() {
    at_every_call(Trouble::StaysFull, &[Op::Create, Op::Write, Op::Rename, Op::CreateDir, Op::Lock]).await;
}

#[tokio::test]
async fn every_promise_is_kept_when_from_any_call_on_all_fail_until_the_disk_is_well_again() {
    let reaches = [Op::Open, Op::Create, Op::Read, Op::Write, Op::Sync, Op::Truncate, Op::Remove, Op::List, Op::Lock];
    at_every_call(Trouble::Dies, &reaches).await;
}
