//! The replica's file: appending, and what happens when that fails.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::fresh_actor;
use crate::document::Document;
use crate::format::DocumentId;
use crate::store::{FileStore, Lengths, Store, StoreError};

/// A log below this is not worth compacting.
const MIN_LOG_TO_COMPACT: u64 = 64 << 10;

/// The store of one document, and how it is.
pub(super) struct Disk {
    store: Arc<FileStore>,
    id: DocumentId,
    lengths: Lengths,
    /// The store refuses the document until a full copy was written.
    broken: bool,
    /// What is in memory is not what is durable, and could not be read again yet.
    lost: bool,
    compaction: Option<JoinHandle<()>>,
}

impl Disk {
    pub(super) fn new(store: Arc<FileStore>, id: DocumentId, lengths: Lengths) -> Self {
        Self { store, id, lengths, broken: false, lost: false, compaction: None }
    }

    pub(super) fn store(&self) -> &FileStore {
        &self.store
    }

    /// Before a batch: mends what an earlier failure broke. False: nothing may be applied.
    pub(super) async fn prepare(&mut self, document: &mut Document) -> bool {
        if self.lost {
            self.reload(document).await;
        }
        if self.broken && !self.lost {
            match self.store.recover(&self.id, document.save()).await {
                Ok(lengths) => {
                    self.lengths = lengths;
                    self.broken = false;
                }
                // The append will fail as well, and tell whoever waits for it.
                Err(error) => tracing::warn!(document = %self.id, %error, "the replica still cannot be written"),
            }
        }
        !self.lost
    }

    /// Makes the chunks of a batch durable. After an error what is in memory must be dropped: see [`Disk::reload`].
    pub(super) async fn append(&mut self, chunks: Vec<u8>) -> Result<(), StoreError> {
        match self.store.append(&self.id, chunks).await {
            Ok(lengths) => {
                self.lengths = lengths;
                Ok(())
            }
            Err(error) => {
                self.broken |= matches!(error, StoreError::Refused { .. });
                Err(error)
            }
        }
    }

    /// Drops what is in memory and reads what is durable.
    pub(super) async fn reload(&mut self, document: &mut Document) {
        let reloaded = match self.store.load(&self.id).await {
            Ok(loaded) => {
                let log = loaded.map(|loaded| loaded.bytes).unwrap_or_default();
                document.reload(&log, fresh_actor()).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        self.lost = reloaded.is_err();
        if let Err(error) = reloaded {
            tracing::error!(document = %self.id, error, "the replica could not be read again");
        }
    }

    /// Replaces the log by a snapshot once it has outgrown the last one. `document` must be what is durable.
    pub(super) fn compact_if_due(&mut self, document: &Document) {
        let Lengths { snapshot, log } = self.lengths;
        if log < snapshot.max(MIN_LOG_TO_COMPACT) || self.compaction.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (store, id, bytes) = (Arc::clone(&self.store), self.id.clone(), document.save());
        let mut compaction = Box::pin(async move {
            if let Err(error) = store.compact(&id, bytes).await {
                tracing::warn!(document = %id, %error, "the log could not be compacted; it goes on growing");
            }
        });
        // Polled once here, so that it takes its place before any later append: what was saved is what is replaced.
        if (&mut compaction).now_or_never().is_none() {
            self.compaction = Some(tokio::spawn(compaction));
        }
        self.lengths.log = 0;
    }

    /// Lets go of the file. A compaction in progress is waited for.
    pub(super) async fn close(mut self) {
        if let Some(compaction) = self.compaction.take() {
            let _ = compaction.await;
        }
        self.store.close(&self.id).await;
    }
}
