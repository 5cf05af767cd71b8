//! Subscriptions to the heads of other storages (automerge-repo's "remote heads"): a client asks the server to report
//! when, say, the CFO's laptop has its changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::outbox::ConnectionKey;

/// Maximum number of storages that one connection may watch.
const MAX_WATCHED: usize = 1_000;

/// The watched storages of the server, and the connections that watch them.
#[derive(Default)]
pub(super) struct WatchedStorages {
    /// Number of watched storages. It lets a server without watchers pay one atomic load per batch.
    count: AtomicUsize,
    watchers: Mutex<Watchers>,
}

#[derive(Default)]
struct Watchers {
    by_storage: HashMap<Arc<str>, HashSet<ConnectionKey>>,
    by_connection: HashMap<ConnectionKey, HashSet<Arc<str>>>,
}

impl WatchedStorages {
    /// Whether any storage is watched.
    pub(super) fn is_used(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Whether this storage is watched.
    pub(super) fn is_watched(&self, storage: &str) -> bool {
        self.is_used() && self.lock().by_storage.contains_key(storage)
    }

    /// The connections that watch this storage.
    pub(super) fn watchers(&self, storage: &str) -> Vec<ConnectionKey> {
        self.lock().by_storage.get(storage).map(|keys| keys.iter().copied().collect()).unwrap_or_default()
    }

    /// The storages that this connection watches.
    pub(super) fn watched_by(&self, key: ConnectionKey) -> Vec<Arc<str>> {
        self.lock().by_connection.get(&key).map(|storages| storages.iter().cloned().collect()).unwrap_or_default()
    }

    /// Adds storages for a connection. Returns those that are new, and the number of those over the limit.
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

    /// Removes storages of a connection.
    pub(super) fn unwatch(&self, key: ConnectionKey, storages: &[Arc<str>]) {
        let mut watchers = self.lock();
        for storage in storages {
            if let Some(watched) = watchers.by_connection.get_mut(&key) {
                watched.remove(storage);
            }
            watchers.remove(key, storage);
        }
        self.count.store(watchers.by_storage.len(), Ordering::Relaxed);
    }

    /// Removes a closed connection.
    pub(super) fn remove_connection(&self, key: ConnectionKey) {
        let mut watchers = self.lock();
        for storage in watchers.by_connection.remove(&key).unwrap_or_default() {
            watchers.remove(key, &storage);
        }
        self.count.store(watchers.by_storage.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock()
    }
}

impl Watchers {
    fn remove(&mut self, key: ConnectionKey, storage: &Arc<str>) {
        if let Some(keys) = self.by_storage.get_mut(storage) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_storage.remove(storage);
            }
        }
    }
}
