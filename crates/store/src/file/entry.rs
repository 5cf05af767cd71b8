//! The open documents of a file store, and how long their files stay open.

use std::sync::Arc;

use primitives::DocumentId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::Inner;
use super::log::Log;
use crate::StoreError;

/// Number of least recently used files that are tried to find one that can be closed.
const EVICTION_CANDIDATES: usize = 8;

/// The log of a document and its locks, which are taken in the order of the fields.
#[derive(Default)]
pub(super) struct DocumentEntry {
    /// Held while the file is replaced or closed.
    pub(super) rewrite: Arc<AsyncMutex<()>>,
    /// Held by every call that uses the file. Contains `None` while the document is not open.
    pub(super) log: Arc<AsyncMutex<Option<Log>>>,
}

/// Exclusive access to the log of a document.
pub(super) type LogGuard = OwnedMutexGuard<Option<Log>>;

impl Inner {
    pub(super) fn entry(&self, id: &DocumentId) -> Arc<DocumentEntry> {
        Arc::clone(self.entries.lock().entry(id.clone()).or_default())
    }

    /// Runs `work` on the log of a document, then updates open files, health and the document's entry.
    pub(super) fn run_on_log<T>(
        &self,
        id: &DocumentId,
        entry: Arc<DocumentEntry>,
        mut log: LogGuard,
        work: impl FnOnce(&Self, &DocumentId, &mut Option<Log>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = work(self, id, &mut log);
        self.limit_open_files(id, log.as_mut());
        self.update_health(id, log.as_ref());
        drop(log);
        self.remove_entry_if_closed(id, entry);
        result
    }

    /// Decides whether a document's file stays open after a use.
    pub(super) fn limit_open_files(&self, id: &DocumentId, log: Option<&mut Log>) {
        // The default document stays open, because its lock belongs to the open file.
        if *id == self.default_id {
            return;
        }
        match log {
            Some(log) if log.is_open() => {
                let keep = (log.was_written() || self.open_files.contains(id)) && self.keep_open(id);
                if !keep && log.close_file() {
                    self.open_files.remove(id);
                }
            }
            _ => self.open_files.remove(id),
        }
    }

    /// Keeps the file of a document open, and closes an unused one instead if necessary. Returns whether there was room.
    fn keep_open(&self, id: &DocumentId) -> bool {
        if self.open_files.insert(id) {
            return true;
        }
        for other in self.open_files.least_recently_used(EVICTION_CANDIDATES) {
            let entry = self.entries.lock().get(&other).cloned();
            let closed = entry
                .as_ref()
                .is_none_or(|entry| entry.log.try_lock().is_ok_and(|mut log| log.as_mut().is_none_or(Log::close_file)));
            if closed {
                self.open_files.remove(&other);
            }
            if let Some(entry) = entry {
                self.remove_entry_if_closed(&other, entry);
            }
            if closed && self.open_files.insert(id) {
                return true;
            }
        }
        false
    }

    /// Removes the entry of a document that is not open, unless another call uses it. Otherwise, requests for unknown ids would
    /// use up memory.
    pub(super) fn remove_entry_if_closed(&self, id: &DocumentId, entry: Arc<DocumentEntry>) {
        let mut entries = self.entries.lock();
        // One reference is that of the map, and the other is `entry`. New ones need the lock on the map.
        if Arc::strong_count(&entry) == 2 && entry.log.try_lock().is_ok_and(|log| log.is_none()) {
            entries.remove(id);
        }
    }
}
