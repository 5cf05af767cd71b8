//! Who wants to know what other storages have (automerge-repo's "remote heads"): a client asks the server to be told
//! when, say, the CFO's laptop has got its changes.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::outbox::ConnectionKey;

/// Storages that one connection may watch.
const MAX_WATCHED: usize = 1_000;

/// Storages, and the connections that watch them.
#[derive(Default)]
pub(super) struct WatchedStorages {
    /// So that a server in which nobody watches anything pays one load per batch.
    count: AtomicUsize,
    watchers: Mutex<Watchers>,
}

#[derive(Default)]
struct Watchers {
    by_storage: HashMap<Arc<str>, HashSet<ConnectionKey>>,
    by_connection: HashMap<ConnectionKey, HashSet<Arc<str>>>,
}

impl WatchedStorages {
    /// Whether anybody watches anything.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Whether anybody watches this storage.
    pub(super) fn is_watched(&self, storage: &str) -> bool {
        self.any() && self.lock().by_storage.contains_key(storage)
    }

    /// Who watches this storage.
    pub(super) fn watchers(&self, storage: &str) -> Vec<ConnectionKey> {
        self.lock().by_storage.get(storage).map(|keys| keys.iter().copied().collect()).unwrap_or_default()
    }

    /// What this connection watches.
    pub(super) fn watched_by(&self, key: ConnectionKey) -> Vec<Arc<str>> {
        self.lock().by_connection.get(&key).map(|storages| storages.iter().cloned().collect()).unwrap_or_default()
    }

    /// Watches these. Returns those that are new, and how many were refused as they are too many.
    pub(super) fn watch(&self, key: ConnectionKey, storages: Vec<Arc<str>>) -> (Vec<Arc<str>>, usize) {
        let mut watchers = self.lock();
        let mut added = Vec::new();
        let mut refused = 0;
        for storage in storages {
            let watched = watchers.by_connection.entry(key).or_default();
            if watched.len() >= MAX_WATCHED {
                refused += 1;
            } else if watched.insert(Arc::clone(&storage)) {
                watchers.by_storage.entry(Arc::clone(&storage)).or_default().insert(key);
                added.push(storage);
            }
        }
        self.count.store(watchers.by_storage.len(), Ordering::Relaxed);
        (added, refused)
    }

    pub(super) fn unwatch(&self, key: ConnectionKey, storages: &[Arc<str>]) {
        let mut watchers = self.lock();
        for storage in storages {
            if let Some(watched) = watchers.by_connection.get_mut(&key) {
                watched.remove(storage);
            }
            watchers.release(key, storage);
        }
        self.count.store(watchers.by_storage.len(), Ordering::Relaxed);
    }

    /// A connection is gone.
    pub(super) fn forget(&self, key: ConnectionKey) {
        let mut watchers = self.lock();
        for storage in watchers.by_connection.remove(&key).unwrap_or_default() {
            watchers.release(key, &storage);
        }
        self.count.store(watchers.by_storage.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchers {
    fn release(&mut self, key: ConnectionKey, storage: &Arc<str>) {
        if let Some(keys) = self.by_storage.get_mut(storage) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_storage.remove(storage);
            }
        }
    }
}
