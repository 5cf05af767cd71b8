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
use store::{Lengths, Store, StoreError, UnavailableReason};
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

/// The log of one document, and how it is.
pub struct DocumentLog {
    store: Arc<dyn Store>,
    id: DocumentId,
    actors: Actors,
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
    /// The log of a document that was just loaded. `lengths`: how large it is in the store.
    pub fn new(store: Arc<dyn Store>, id: DocumentId, actors: Actors, lengths: Lengths) -> Self {
        Self {
            store,
            id,
            actors,
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

    async fn append(&mut self, chunks: Vec<u8>) -> Result<(), StoreError> {
        match self.store.append(&self.id, chunks).await {
            Ok(lengths) => {
                self.lengths = lengths;
                Ok(())
            }
            Err(error) => {
                // Only the store knows whether the failed write was rolled back.
                let unavailable = self.store.health().unavailable;
                self.refused = unavailable.contains(&(self.id.clone(), UnavailableReason::NeedsRecovery));
                Err(error)
            }
        }
    }

    /// Makes a batch durable: first the lines of who brought its changes in, as no change may be stored of which that is not
    /// known; then its chunks.
    ///
    /// # Errors
    /// When it is not durable: then `document` must be given to [`DocumentLog::reload`] before it is used again.
    pub async fn append_batch(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
        time_ms: i64,
    ) -> Result<(), StoreError> {
        let authors = applied.authors(time_ms);
        if !authors.is_empty() {
            self.store.append_authors(&self.id, authors).await?;
            document.engine.note_authors(applied, time_ms);
        }
        self.append(std::mem::take(&mut applied.chunks)).await
    }

    /// Drops what is in memory and reads what is durable.
    pub async fn reload(&mut self, document: &mut Document) {
        let reloaded = match self.store.load(&self.id).await {
            Ok(loaded) => {
                let log = loaded.map(|loaded| loaded.bytes).unwrap_or_default();
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
        let (store, id, bytes) = (Arc::clone(&self.store), self.id.clone(), run_cpu_bound(|| document.engine.save()));
        let mut compaction: BoxFuture<'static, ()> = Box::pin(async move {
            match store.compact(&id, bytes).await {
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
