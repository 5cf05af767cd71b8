//! Restores published changes that the store has lost.
//!
//! A failover of a database to a replica that lags loses its last transactions, although servers have acknowledged them. A server
//! that finds its position missing in the log still has the changes in memory. It appends those that the log lacks, before
//! it reloads the document from the log. Several servers may do so at the same time: the second one finds the changes in
//! the log.

use offload::run_cpu_bound;
use store::{Appended, Batch, StoreError};

use super::{DocumentLog, StoredLog};
use crate::document::Document;

/// How often the log may move on meanwhile.
const MAX_ATTEMPTS: usize = 100;
/// How often a log that cannot be loaded may turn out not to be empty. After that, the document counts as removed.
const MAX_EMPTY: usize = 3;

impl DocumentLog {
    /// Reads the log, and appends the published changes of `document` that it lacks.
    ///
    /// # Errors
    /// When the store cannot be read or written. The document in memory must be kept: it may hold the only copy of the changes.
    pub(super) async fn load_healed(&mut self, document: &Document) -> Result<StoredLog, StoreError> {
        let mut empty = 0;
        for _ in 0..MAX_ATTEMPTS {
            let mut log = self.load().await?;
            let lost = match run_cpu_bound(|| document.engine.lost_changes(&log.chunks)) {
                Ok(None) => return Ok(log),
                Ok(Some(lost)) => lost,
                Err(error) => {
                    tracing::error!(document = %self.id, %error, "the store has lost changes, and they cannot be stored again");
                    return Ok(log);
                }
            };
            let batch = Batch::changes(lost.chunks.clone(), lost.authors.clone());
            match self.store.append(&self.id, self.position, batch).await? {
                Appended::Stored { at, lengths } => {
                    tracing::warn!(document = %self.id, changes = lost.count, "the store had lost changes; they are stored again");
                    (self.position, self.lengths) = (at, lengths);
                    self.healed_changes += lost.count;
                    log.chunks.extend_from_slice(&lost.chunks);
                    log.authors.extend_from_slice(&lost.authors);
                    return Ok(log);
                }
                Appended::Behind if log.chunks.is_empty() && empty >= MAX_EMPTY => return Ok(log),
                Appended::Behind => empty += usize::from(log.chunks.is_empty()),
            }
        }
        Err(StoreError::Contended { id: self.id.clone() })
    }
}
