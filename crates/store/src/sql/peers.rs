//! Remembered peers of a document: a cache that all nodes share.
//!
//! Each node saves the peers that it knows. Peers that only another node knows are kept.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use primitives::DocumentId;
use sha2::{Digest, Sha256};

use super::engine::Engine;
use super::statements as sql;
use super::{DatabaseError, SqlStore, now_ms};
use crate::PeerRecord;
use crate::peer_records as format;

/// Peers that one statement writes.
const AT_ONCE: usize = 200;

/// Key of a peer in the table: any storage id fits.
fn key(storage_id: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(storage_id)[..16]);
    key
}

impl<E: Engine> SqlStore<E> {
    /// The remembered peers of a document. Unreadable records are logged and left out.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn load_peers(&self, id: &DocumentId) -> Result<Vec<PeerRecord>, DatabaseError> {
        let (mut records, mut known) = (Vec::new(), HashMap::new());
        for row in self.query(|| sql::peers(id)).await? {
            let bytes = row.bytes(1)?;
            match format::decode(&bytes) {
                Ok(decoded) => {
                    for record in decoded {
                        known.insert(key(&record.storage_id), self.fingerprint(&bytes));
                        records.push(record);
                    }
                }
                Err(error) => tracing::warn!(document = %id, %error, "a remembered peer is not readable"),
            }
        }
        records.sort_by(|a, b| a.last_seen.cmp(&b.last_seen).then_with(|| a.storage_id.cmp(&b.storage_id)));
        self.peers.lock().insert(id.clone(), known);
        Ok(records)
    }

    /// Remembers these peers of a document instead of those that this node has loaded or saved before.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> Result<(), DatabaseError> {
        let old = self.peers.lock().get(id).cloned().unwrap_or_default();
        let (mut new, mut changed) = (HashMap::new(), Vec::new());
        for record in records {
            let key = key(&record.storage_id);
            let Some(bytes) = format::encode(&[record]) else { continue };
            let fingerprint = self.fingerprint(&bytes);
            if new.insert(key, fingerprint).is_none() && old.get(&key) != Some(&fingerprint) {
                changed.push((key, bytes));
            }
        }
        let mut forgotten: Vec<[u8; 16]> = old.keys().filter(|key| !new.contains_key(*key)).copied().collect();
        // All nodes lock the rows in the same order.
        changed.sort_unstable();
        forgotten.sort_unstable();
        let now = now_ms();
        for changed in changed.chunks(AT_ONCE) {
            self.execute(|| sql::put_peers(E::DIALECT, id, changed.to_vec(), now)).await?;
        }
        for forgotten in forgotten.chunks(AT_ONCE) {
            self.execute(|| sql::forget_peers(id, forgotten)).await?;
        }
        self.peers.lock().insert(id.clone(), new);
        Ok(())
    }

    /// Distinguishes records that this process has seen.
    fn fingerprint(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash_one(bytes)
    }
}

/// Seeds the fingerprints of one process.
pub(super) type Hasher = RandomState;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_storage_id() {
        assert_ne!(key("ceo"), key("cfo"));
        assert_eq!(key(&"x".repeat(10_000)).len(), 16);
        let hasher = Hasher::new();
        assert_eq!(hasher.hash_one(b"a"), hasher.hash_one(b"a"));
    }
}
