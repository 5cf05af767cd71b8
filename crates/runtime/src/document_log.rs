//! A document and its log: how the changes of a batch become durable, and how to get back to solid ground when they do
//! not. What a server ([`crate::hub`]) and an offline replica (the `client` crate) have in common.
//!
//! After a failed write nothing in memory is trusted: the document is read again from what is durable. A document that
//! the store refuses is mended by writing a full copy, as soon as that works.

use std::sync::Arc;

use automerge::ActorId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use offload::run_cpu_bound;
use plan::ViewChange;
use primitives::DocumentId;
use store::{
    After, Appended, Batch, BatchKind, Lengths, Loaded, Position, Store, StoreError, UnavailableReason,
};
use sync_engine::{Authors, LogEntry};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::back_off::Damper;
use super::document::{Applied, Document};

/// A log below this is not worth compacting: it loads in a few milliseconds.
const MIN_LOG_TO_COMPACT: u64 = 256 << 10;
/// How many times the snapshot's size a log grows to. A change takes about twenty times the place in the log that it takes
/// in a snapshot, so this is some fifth of all changes: rare enough that making and checking snapshots costs little per
/// edit, and few enough that the log does not double the time in which a document is opened.
const LOG_PER_SNAPSHOT: u64 = 4;

/// Actors to write under: one per opening that nobody else writes under, never derived from a user or a device.
#[derive(Clone)]
pub struct Actors(Arc<dyn Fn() -> ActorId + Send + Sync>);

impl Default for Actors {
    fn default() -> Self {
        Self::new(|| ActorId::from(rand::random::<[u8; 16]>()))
    }
}

impl Actors {
    /// From another source than chance. It must never give the same one twice.
    #[must_use]
    pub fn new(source: impl Fn() -> ActorId + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// One that was never used.
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

/// How a document took over what other processes have appended.
#[derive(Debug)]
pub enum CaughtUp {
    /// The changes are in the document, and in the batch to publish.
    Absorbed {
        /// Access records that were stored in between, with their versions.
        access: Vec<(u64, Vec<u8>)>,
    },
    /// The document in memory cannot take them: see [`DocumentLog::rewind`].
    MustRewind,
}

/// The log of one document, and how it is.
pub struct DocumentLog {
    store: Arc<dyn Store>,
    id: DocumentId,
    actors: Actors,
    /// Where the log ends, as far as it is known here.
    position: Position,
    lengths: Lengths,
    /// The store refuses the document until a full copy was written.
    refused: bool,
    /// What is in memory is not what is durable, and could not be read again yet.
    lost: bool,
    /// How often reading it again has failed.
    failing: Damper,
    /// What reading again has brought to light that nobody has been told.
    news: ViewChange,
    compaction: Option<JoinHandle<()>>,
    /// How large the log was when it was last to be compacted: one that fails is not tried again at every append.
    tried_at: u64,
}

impl DocumentLog {
    /// The log of a document that was just loaded. `lengths` is its size in the store.
    pub fn new(
        store: Arc<dyn Store>,
        id: DocumentId,
        actors: Actors,
        position: Position,
        lengths: Lengths,
    ) -> Self {
        Self {
            store,
            id,
            actors,
            position,
            lengths,
            refused: false,
            lost: false,
            failing: Damper::default(),
            news: ViewChange::default(),
            compaction: None,
            tried_at: 0,
        }
    }

    /// Where it is kept.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whether what is in memory may not be shown, as it is not what is durable.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether something is to be mended: see [`DocumentLog::mend`].
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.lost || self.refused
    }

    /// Mends what an earlier failure broke, if anything. False: what is durable cannot be read, so nothing may be added.
    pub async fn mend(&mut self, document: &mut Document) -> bool {
        if self.is_broken() { Box::pin(self.mend_if_due(document)).await } else { true }
    }

    /// Whether reading it again has failed so often that it is put off.
    #[must_use]
    pub fn is_put_off(&self) -> bool {
        self.lost && !self.failing.pause(Instant::now()).is_zero()
    }

    /// To read a document is a lot of work: what fails again and again is not tried at every occasion. (To write a copy is,
    /// as whoever brings something is a reason to look whether the disk is well again.)
    async fn mend_if_due(&mut self, document: &mut Document) -> bool {
        if !self.is_put_off() {
            self.try_to_mend(document).await;
            if self.lost {
                self.failing.failed(Instant::now());
            } else {
                self.failing.works();
            }
        }
        !self.lost
    }

    async fn try_to_mend(&mut self, document: &mut Document) {
        if self.lost {
            self.reload(document).await;
        }
        if self.refused && !self.lost {
            match self.store.recover(&self.id, run_cpu_bound(|| document.engine.save())).await {
                Ok(lengths) => {
                    tracing::info!(document = %self.id, "the document can be written again");
                    self.lengths = lengths;
                    self.refused = false;
                }
                // The next append fails as well, and its sender is told.
                Err(error) => tracing::warn!(document = %self.id, %error, "the document still cannot be written"),
            }
        }
    }

    /// Makes a batch durable: the lines of its authors, and its chunks. [`Append::Behind`]: another process has appended to the
    /// log meanwhile, nothing was stored, and the batch must be taken through [`DocumentLog::catch_up`] first.
    ///
    /// # Errors
    /// When it is not durable: then `document` must be given to [`DocumentLog::reload`] before it is used again.
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
            Ok(Appended::Behind) => Ok(Append::Behind),
            Err(error) => {
                // The failed write may have been taken back, or not: the store knows.
                let unavailable = self.store.health().unavailable;
                self.refused = unavailable.contains(&(self.id.clone(), UnavailableReason::NeedsRecovery));
                // The lines of the authors may be stored without the chunks.
                document.engine.note_authors(applied, time_ms);
                Err(error)
            }
        }
    }

    /// Drops what is in memory and reads what is durable.
    pub async fn reload(&mut self, document: &mut Document) {
        let reloaded = match self.load().await {
            Ok(log) => {
                run_cpu_bound(|| document.reload(&log, self.actors.fresh())).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        self.lost = reloaded.is_err();
        match reloaded {
            Ok(change) => {
                self.news.rows.extend(change.rows);
                self.news.plan = change.plan.or(self.news.plan.take());
            }
            Err(error) => tracing::error!(document = %self.id, error, "the document could not be read again"),
        }
    }

    /// Reads the log, and notes where it ends.
    async fn load(&mut self) -> Result<Vec<u8>, StoreError> {
        let loaded = self.store.load(&self.id).await?;
        self.position = loaded.as_ref().map_or(Position::START, |loaded| loaded.position);
        self.lengths = loaded.as_ref().map_or(Lengths { snapshot: 0, log: 0 }, Loaded::lengths);
        Ok(loaded.map(|loaded| loaded.bytes).unwrap_or_default())
    }

    /// Where the log ends, as far as it is known here.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Reads the batches that other processes have appended, and absorbs them into the document. `pending` is a batch that was
    /// applied in memory and is not stored; the default if there is none. Afterwards it includes the absorbed changes, and must be
    /// published once its chunks are stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn catch_up(
        &mut self,
        document: &mut Document,
        pending: &mut Applied,
    ) -> Result<CaughtUp, StoreError> {
        match self.store.after(&self.id, self.position).await? {
            After::Same => Ok(CaughtUp::Absorbed { access: Vec::new() }),
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
        let (mut access, mut entries, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut end = self.position;
        for (at, batch) in batches {
            end = *at;
            match batch.kind {
                BatchKind::Changes => {
                    bytes += batch.chunks.len() as u64;
                    entries.push(LogEntry { chunks: &batch.chunks, authors: &batch.authors });
                }
                BatchKind::Access => access.push((at.seq, batch.chunks.clone())),
                BatchKind::Deletion => return CaughtUp::MustRewind,
            }
        }
        match run_cpu_bound(|| document.engine.absorb(&entries, pending)) {
            Ok(()) => {
                self.position = end;
                self.lengths.log += bytes;
                CaughtUp::Absorbed { access }
            }
            Err(error) => {
                tracing::debug!(document = %self.id, %error, "the document is read again");
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
        // Later lines than those of the log do no harm: they are absorbed once more with their batch.
        let log = self.load().await?;
        let (authors, _) = Authors::read(&self.store.load_authors(&self.id).await?);
        let actor = self.actors.fresh();
        let rewound = run_cpu_bound(|| document.rewind(&log, authors, actor));
        rewound.map(Some).or_else(|error| {
            tracing::debug!(document = %self.id, %error, "the document is reloaded");
            Ok(None)
        })
    }

    /// What changed for those who look at rows when the document was last read again.
    #[must_use]
    pub fn take_news(&mut self) -> ViewChange {
        std::mem::take(&mut self.news)
    }

    /// How large the document is on disk.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        self.lengths
    }

    /// Replaces the log by a snapshot once it has outgrown the last one; appends go on meanwhile. `document` must be what
    /// is durable. `done` is called when it has worked.
    pub fn compact_if_due(&mut self, document: &Document, done: impl FnOnce() + Send + 'static) {
        let Lengths { snapshot, log } = self.lengths;
        if log < self.tried_at {
            // It has become shorter: the last one worked.
            self.tried_at = 0;
        }
        let due =
            snapshot.saturating_mul(LOG_PER_SNAPSHOT).max(MIN_LOG_TO_COMPACT).max(self.tried_at.saturating_mul(2));
        if log < due || self.compaction.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.tried_at = log;
        let (store, id, at) = (Arc::clone(&self.store), self.id.clone(), self.position);
        let bytes = run_cpu_bound(|| document.engine.save());
        let mut compaction: BoxFuture<'static, ()> = Box::pin(async move {
            match store.compact(&id, at, bytes).await {
                Ok(_) => done(),
                Err(error) => {
                    tracing::warn!(document = %id, %error, "the log could not be compacted; it goes on growing")
                }
            }
        });
        // Polled once here, so that it takes its place before any later append: what was saved is what is replaced.
        if (&mut compaction).now_or_never().is_none() {
            self.compaction = Some(tokio::spawn(compaction));
        }
    }

    /// Lets go of the file. A compaction in progress is waited for.
    pub async fn close(&mut self) {
        if let Some(compaction) = self.compaction.take() {
            let _ = compaction.await;
        }
        self.store.close(&self.id).await;
    }
}
