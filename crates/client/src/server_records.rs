//! Records of servers: the heads that a replica shares with each, so that reconnecting transfers only the difference.
//!
//! The records are an optimization. Without them the next sync compares the whole history.

use automerge::ChangeHash;
use primitives::DocumentId;
use repo_protocol::StorageId;
use store::{PeerRecord, Store};

use super::now_ms;

/// Maximum number of records. The server that was not seen for the longest time is evicted first.
const MAX_SERVERS: usize = 16;

/// The records of servers, the most recently seen last.
#[derive(Debug, Default)]
pub(super) struct ServerRecords {
    records: Vec<PeerRecord>,
}

impl ServerRecords {
    /// Loads the records. Unreadable records count as none.
    pub(super) async fn load(store: &dyn Store, id: &DocumentId) -> Self {
        let records = store.load_peers(id).await.unwrap_or_else(|error| {
            tracing::warn!(document = %id, %error, "cannot read the records of servers; the next sync is a full one");
            Vec::new()
        });
        Self { records }
    }

    /// Returns the heads that this server had when it was last seen.
    pub(super) fn shared_heads(&self, storage: &StorageId) -> Vec<ChangeHash> {
        let record = self.records.iter().find(|record| record.storage_id == storage.as_str());
        record.map(|record| record.shared_heads.iter().copied().map(ChangeHash).collect()).unwrap_or_default()
    }

    /// Stores the heads of a server.
    pub(super) async fn save(
        &mut self,
        storage: &StorageId,
        shared: Vec<ChangeHash>,
        store: &dyn Store,
        id: &DocumentId,
    ) {
        if shared.is_empty() || shared == self.shared_heads(storage) {
            return;
        }
        self.insert(storage.as_str(), shared, now_ms() / 1_000);
        if let Err(error) = store.save_peers(id, self.records.clone()).await {
            tracing::warn!(document = %id, %error, "cannot save the record of the server");
        }
    }

    fn insert(&mut self, storage: &str, shared: Vec<ChangeHash>, seen: i64) {
        self.records.retain(|record| record.storage_id != storage);
        if self.records.len() >= MAX_SERVERS {
            self.records.remove(0);
        }
        let shared_heads = shared.into_iter().map(|head| head.0).collect();
        self.records.push(PeerRecord { storage_id: storage.to_owned(), shared_heads, last_seen: seen });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_recently_seen_server_is_evicted() {
        let mut records = ServerRecords::default();
        for number in 0..u8::try_from(MAX_SERVERS).unwrap() {
            records.insert(&format!("server {number}"), vec![ChangeHash([number; 32])], i64::from(number));
        }
        records.insert("server 0", vec![ChangeHash([99; 32])], 100);
        records.insert("a new one", vec![ChangeHash([50; 32])], 101);
        let shared = |name: &str| records.shared_heads(&StorageId::new(name).unwrap());
        assert_eq!(shared("server 0"), [ChangeHash([99; 32])]);
        assert_eq!(shared("a new one"), [ChangeHash([50; 32])]);
        assert!(shared("server 1").is_empty());
        assert_eq!(records.records.len(), MAX_SERVERS);
    }
}
