//! What a replica is known to share with the servers that it has met, so that coming back costs a message about the
//! difference. Losing it loses nothing but speed.

use automerge::ChangeHash;
use primitives::DocumentId;
use repo_protocol::StorageId;
use store::{PeerRecord, Store};

use super::now_ms;

/// Servers that are remembered; the longest unseen is forgotten first.
const MAX_SERVERS: usize = 16;

/// The remembered servers.
#[derive(Debug, Default)]
pub(super) struct Servers {
    records: Vec<PeerRecord>,
}

impl Servers {
    /// What was saved. What cannot be read counts as nothing.
    pub(super) async fn load(store: &dyn Store, id: &DocumentId) -> Self {
        let records = store.load_peers(id).await.unwrap_or_else(|error| {
            tracing::warn!(document = %id, %error, "what is known of servers cannot be read; they are synced anew");
            Vec::new()
        });
        Self { records }
    }

    /// What this server was known to have.
    pub(super) fn shared_heads(&self, storage: &StorageId) -> Vec<ChangeHash> {
        let record = self.records.iter().find(|record| record.storage_id == storage.as_str());
        record.map(|record| record.shared_heads.iter().copied().map(ChangeHash).collect()).unwrap_or_default()
    }

    /// Remembers what a server has, from now on and across restarts.
    pub(super) async fn remember(
        &mut self,
        storage: &StorageId,
        shared: Vec<ChangeHash>,
        store: &dyn Store,
        id: &DocumentId,
    ) {
        if shared.is_empty() || shared == self.shared_heads(storage) {
            return;
        }
        self.note(storage.as_str(), shared, now_ms() / 1_000);
        if let Err(error) = store.save_peers(id, self.records.clone()).await {
            tracing::warn!(document = %id, %error, "what is known of the server cannot be saved");
        }
    }

    fn note(&mut self, storage: &str, shared: Vec<ChangeHash>, seen: i64) {
        self.records.retain(|record| record.storage_id != storage);
        if self.records.len() >= MAX_SERVERS {
            self.records.remove(0);
        }
        let shared_heads = shared.into_iter().map(|head| head.0).collect();
        // The latest is the last.
        self.records.push(PeerRecord { storage_id: storage.to_owned(), shared_heads, seen });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_recently_seen_server_is_evicted() {
        let mut servers = Servers::default();
        for number in 0..u8::try_from(MAX_SERVERS).unwrap() {
            servers.note(&format!("server {number}"), vec![ChangeHash([number; 32])], i64::from(number));
        }
        servers.note("server 0", vec![ChangeHash([99; 32])], 100);
        servers.note("a new one", vec![ChangeHash([50; 32])], 101);
        let shared = |name: &str| servers.shared_heads(&StorageId::new(name).unwrap());
        assert_eq!(shared("server 0"), [ChangeHash([99; 32])]);
        assert_eq!(shared("a new one"), [ChangeHash([50; 32])]);
        assert!(shared("server 1").is_empty());
        assert_eq!(servers.records.len(), MAX_SERVERS);
    }
}
