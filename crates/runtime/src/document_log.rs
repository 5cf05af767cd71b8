//! A document and its log: makes batches durable, and recovers from failed writes. Shared by the server
//! ([`crate::hub`]) and the offline replica (crate `client`).
//!
//! After a failed write the document in memory is not trusted: it is reloaded from disk. If the store rejects further
//! appends, a full copy is written as soon as that succeeds.

mod heal;

use std::sync::Arc;

use automerge::ActorId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use offload::run_cpu_bound;
use plan::ViewChange;
use primitives::DocumentId;
use store::{After, Appended, Batch, BatchKind, Lengths, Position, Store, StoreError, UnavailableReason};
use sync_engine::{Authors, LogEntry};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::document::{Applied, Document};
use super::retry_gate::RetryGate;

/// Logs smaller than this load in milliseconds and are not compacted.
const MIN_LOG_TO_COMPACT: u64 = 256 << 10;
/// The log is compacted when it has this multiple of the snapshot's size. A change takes about twenty times as much
/// space in the log as in a snapshot, so a fifth of all changes are in the log: compaction is rare, and the log does
/// not double the time to open a document.
const LOG_PER_SNAPSHOT: u64 = 4;

/// Source of actor ids. Each document that is opened writes under a new actor, never derived from a user or a device.
#[derive(Clone)]
pub struct ActorSource(Arc<dyn Fn() -> ActorId + Send + Sync>);

impl Default for ActorSource {
    fn default() -> Self {
        Self::new(|| ActorId::from(rand::random::<[u8; 16]>()))
    }
}

impl ActorSource {
    /// Uses another source than random numbers. It must never return the same id twice.
    #[must_use]
    pub fn new(source: impl Fn() -> ActorId + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Returns an id that was never used.
    #[must_use]
    pub fn fresh(&self) -> ActorId {
        (self.0)()
    }
}

/// The outcome of appending a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// The batch is durable.
    Stored,
    /// Nothing was stored: another process has appended to the log.
    Behind,
}

/// The result of taking over batches that other processes have appended.
#[derive(Debug)]
pub enum CaughtUp {
    /// The changes are in the document, and in the batch to publish.
    Absorbed {
        /// Whether the access record has changed in between: read it before the next append.
        access_changed: bool,
    },
    /// The document in memory cannot take them: see [`DocumentLog::rewind`].
    MustRewind,
}

/// The log of one document, and the state of its recovery.
pub struct DocumentLog {
    store: Arc<dyn Store>,
    id: DocumentId,
    actors: ActorSource,
    /// The known end of the log.
    position: Position,
    lengths: Lengths,
    /// The store rejects appends until a full copy was written.
    refused_by_store: bool,
    /// The document in memory differs from the stored one, and could not be reloaded yet.
    memory_is_stale: bool,
    /// Back-off of failed reloads.
    reload_gate: RetryGate,
    /// Row changes that became visible through a reload, and were not published yet.
    reload_changes: ViewChange,
    /// Published changes that the store had lost, and that were stored again.
    healed_changes: usize,
    compaction: Option<JoinHandle<()>>,
    /// Size of the log at the last attempt to compact it. A failed attempt is not repeated at every append.
    last_compaction_size: u64,
}

/// The content of a stored log.
#[derive(Default)]
struct StoredLog {
    /// All changes, as chunks.
    chunks: Vec<u8>,
    /// The provenance of these changes, as lines.
    authors: Vec<u8>,
}

impl DocumentLog {
    /// The log of a document that was just loaded: its end and its sizes in the store.
    pub fn new(
        store: Arc<dyn Store>,
        id: DocumentId,
        actors: ActorSource,
        position: Position,
        lengths: Lengths,
    ) -> Self {
        Self {
            store,
            id,
            actors,
            position,
            lengths,
            refused_by_store: false,
            memory_is_stale: false,
            reload_gate: RetryGate::default(),
            reload_changes: ViewChange::default(),
            healed_changes: 0,
            compaction: None,
            last_compaction_size: 0,
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whether the document in memory differs from the stored one, and must not be published.
    #[must_use]
    pub fn needs_reload(&self) -> bool {
        self.memory_is_stale
    }

    /// Whether [`DocumentLog::recover`] is needed.
    #[must_use]
    pub fn needs_recovery(&self) -> bool {
        self.memory_is_stale || self.refused_by_store
    }

    /// Recovers from an earlier failure, if there was one. Returns false if the stored document cannot be read, so
    /// that nothing can be appended.
    pub async fn recover(&mut self, document: &mut Document) -> bool {
        if self.needs_recovery() { Box::pin(self.recover_if_due(document)).await } else { true }
    }

    /// Whether the next reload is delayed after repeated failures.
    #[must_use]
    pub fn is_backing_off(&self) -> bool {
        self.memory_is_stale && !self.reload_gate.delay(Instant::now()).is_zero()
    }

    /// Reloads are expensive, so they are subject to back-off. Writing a full copy is not: every new batch is a
    /// reason to try whether the disk works again.
    async fn recover_if_due(&mut self, document: &mut Document) -> bool {
        if !self.is_backing_off() {
            self.try_recover(document).await;
            if self.memory_is_stale {
                self.reload_gate.record_failure(Instant::now());
            } else {
                self.reload_gate.reset();
            }
        }
        !self.memory_is_stale
    }

    async fn try_recover(&mut self, document: &mut Document) {
        if self.memory_is_stale {
            self.reload(document).await;
        }
        if self.refused_by_store && !self.memory_is_stale {
            match self.store.recover(&self.id, run_cpu_bound(|| document.engine.save())).await {
                Ok(lengths) => {
                    tracing::info!(document = %self.id, "the document can be stored again");
                    self.lengths = lengths;
                    self.refused_by_store = false;
                }
                // The next append fails too, and its sender gets the error.
                Err(error) => tracing::warn!(document = %self.id, %error, "the document still cannot be stored"),
            }
        }
    }

    /// Makes a batch durable: the provenance of its changes, and the changes. [`Append::Behind`]: another process has appended to
    /// the log meanwhile, nothing was stored, and the batch must go through [`DocumentLog::catch_up`] first.
    ///
    /// # Errors
    /// When the batch is not durable. Pass `document` to [`DocumentLog::reload`] before it is used again.
    pub async fn append_batch(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
        time_ms: i64,
    ) -> Result<Append, StoreError> {
        let batch = Batch::changes(std::mem::take(&mut applied.chunks), applied.authors(time_ms));
        match self.store.append(&self.id, self.position, batch).await {
            Ok(Appended::Stored { at, lengths }) => {
                (self.position, self.lengths) = (at, lengths);
                document.engine.note_authors(applied, time_ms);
                Ok(Append::Stored)
            }
            Ok(Appended::Behind) => {
                applied.restore_chunks();
                Ok(Append::Behind)
            }
            Err(error) => {
                // Only the store knows whether the failed write could be undone.
                let unavailable = self.store.health().unavailable;
                self.refused_by_store = unavailable.contains(&(self.id.clone(), UnavailableReason::NeedsRecovery));
                // The provenance may be stored without the changes.
                document.engine.note_authors(applied, time_ms);
                Err(error)
            }
        }
    }

    /// Reads the batches that other processes have appended, and absorbs them into the document. `pending` is a batch that was
    /// applied in memory and is not stored; the default if there is none. Afterwards it includes the absorbed changes, and must be
    /// published once its chunks are stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn catch_up(&mut self, document: &mut Document, pending: &mut Applied) -> Result<CaughtUp, StoreError> {
        match self.store.after(&self.id, self.position).await? {
            After::Same => Ok(CaughtUp::Absorbed { access_changed: false }),
            After::Reload => Ok(CaughtUp::MustRewind),
            After::Batches(batches) => Ok(self.absorb(document, &batches, pending)),
        }
    }

    /// Absorbs the batches that follow the known end of the log.
    pub fn absorb(
        &mut self,
        document: &mut Document,
        batches: &[(Position, Batch)],
        pending: &mut Applied,
    ) -> CaughtUp {
        let (mut access_changed, mut entries, mut bytes) = (false, Vec::new(), 0);
        let mut end = self.position;
        for (at, batch) in batches {
            end = *at;
            match batch.kind {
                BatchKind::Changes => {
                    bytes += batch.chunks.len() as u64;
                    entries.push(LogEntry { chunks: &batch.chunks, authors: &batch.authors });
                }
                BatchKind::Access => access_changed = true,
                BatchKind::Deletion => return CaughtUp::MustRewind,
            }
        }
        match run_cpu_bound(|| document.engine.absorb(&entries, pending)) {
            Ok(()) => {
                self.position = end;
                self.lengths.log += bytes;
                CaughtUp::Absorbed { access_changed }
            }
            Err(error) => {
                tracing::debug!(document = %self.id, %error, "the document is rewound");
                CaughtUp::MustRewind
            }
        }
    }

    /// Drops the changes that are not stored and reads the log again, without resetting the peers. Returns the changes since the last
    /// published state, which must be published; `None` if the document must be reloaded instead.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn rewind(&mut self, document: &mut Document) -> Result<Option<Applied>, StoreError> {
        let StoredLog { chunks, authors } = self.load().await?;
        let (authors, _) = Authors::read(&authors);
        let actor = self.actors.fresh();
        let rewound = run_cpu_bound(|| document.rewind(&chunks, authors, actor));
        rewound.map(Some).or_else(|error| {
            tracing::debug!(document = %self.id, %error, "the document is reloaded");
            Ok(None)
        })
    }

    /// Reads the log, and records its end.
    async fn load(&mut self) -> Result<StoredLog, StoreError> {
        loop {
            if let Some(loaded) = self.store.load(&self.id).await? {
                (self.position, self.lengths) = (loaded.position, loaded.lengths());
                return Ok(StoredLog { chunks: loaded.bytes, authors: loaded.authors });
            }
            (self.position, self.lengths) = (Position::START, Lengths { snapshot: 0, log: 0 });
            // The log of a document that does not exist may begin with access records.
            let After::Batches(batches) = self.store.after(&self.id, Position::START).await? else {
                return Ok(StoredLog::default());
            };
            if let Some((end, _)) = batches.last()
                && batches.iter().all(|(_, batch)| batch.kind != BatchKind::Changes)
            {
                self.position = *end;
                return Ok(StoredLog::default());
            }
            // Another process has created the document in between.
        }
    }

    /// The known end of the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Replaces the document in memory by the stored one. If the store is shared and has lost published changes, they are stored
    /// again first.
    pub async fn reload(&mut self, document: &mut Document) {
        let reloaded = self.try_to_reload(document).await;
        self.memory_is_stale = reloaded.is_err();
        match reloaded {
            Ok(change) => {
                self.reload_changes.rows.extend(change.rows);
                let earlier = self.reload_changes.plan.take();
                self.reload_changes.plan = match change.plan {
                    Some(event) => Some(event.after(earlier)),
                    None => earlier,
                };
            }
            Err(error) => tracing::error!(document = %self.id, error, "cannot reload the document"),
        }
    }

    async fn try_to_reload(&mut self, document: &mut Document) -> Result<ViewChange, String> {
        let told = |error: StoreError| error.to_string();
        if !self.store.is_shared() {
            let log = self.load().await.map_err(told)?;
            return run_cpu_bound(|| document.reload(&log.chunks, self.actors.fresh()))
                .map_err(|error| error.to_string());
        }
        let StoredLog { chunks, authors } = self.load_healed(document).await.map_err(told)?;
        // Other processes have stored lines too, and lines of batches that were not stored are not valid.
        let (authors, _) = Authors::read(&authors);
        let change =
            run_cpu_bound(|| document.reload(&chunks, self.actors.fresh())).map_err(|error| error.to_string())?;
        document.engine.set_authors(authors);
        Ok(change)
    }

    /// Requires a reload before the document in memory is used again.
    pub fn require_reload(&mut self) {
        self.memory_is_stale = true;
    }

    /// The number of published changes that the store had lost, and that were stored again since the last call.
    #[must_use]
    pub fn take_healed_changes(&mut self) -> usize {
        std::mem::take(&mut self.healed_changes)
    }

    /// Returns the row changes that became visible through reloads since the last call.
    #[must_use]
    pub fn take_reload_changes(&mut self) -> ViewChange {
        std::mem::take(&mut self.reload_changes)
    }

    /// Sizes of the stored document.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        self.lengths
    }

    /// Replaces the log by a snapshot once the log has outgrown the last one. Appends continue meanwhile. `document`
    /// must equal the stored document. Calls `done` on success.
    pub fn compact_if_due(&mut self, document: &Document, done: impl FnOnce() + Send + 'static) {
        let Lengths { snapshot, log } = self.lengths;
        if log < self.last_compaction_size {
            // The log is shorter, so the last attempt succeeded.
            self.last_compaction_size = 0;
        }
        let due = snapshot
            .saturating_mul(LOG_PER_SNAPSHOT)
            .max(MIN_LOG_TO_COMPACT)
            .max(self.last_compaction_size.saturating_mul(2));
        if log < due || self.compaction.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.last_compaction_size = log;
        let (store, id, at) = (Arc::clone(&self.store), self.id.clone(), self.position);
        let bytes = run_cpu_bound(|| document.engine.save());
        let mut compaction: BoxFuture<'static, ()> = Box::pin(async move {
            match store.compact(&id, at, bytes).await {
                Ok(_) => done(),
                Err(error) => {
                    tracing::warn!(document = %id, %error, "cannot compact the log; it keeps growing")
                }
            }
        });
        // Polled once here, so that it is queued before later appends and replaces exactly what was saved.
        if (&mut compaction).now_or_never().is_none() {
            self.compaction = Some(tokio::spawn(compaction));
        }
    }

    /// Closes the file, after a running compaction.
    pub async fn close(&mut self) {
        if let Some(compaction) = self.compaction.take() {
            let _ = compaction.await;
        }
        self.store.close(&self.id).await;
    }
}
