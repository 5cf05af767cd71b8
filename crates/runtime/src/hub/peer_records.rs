//! The heads that returning peers share with a document, so that a peer with offline edits only transfers the
//! difference.
//!
//! The records are an optimization: without them a peer compares the whole history.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::ChangeHash;
use store::PeerRecord;

/// Maximum number of records per document. The peer that was not seen for the longest time is evicted first.
const MAX_RECORDS: usize = 1_000;

/// Peers with more heads are not recorded: comparing the whole history costs them little more.
const MAX_HEADS: usize = 100;

/// The peer records of one document, by storage id.
#[derive(Default)]
pub(super) struct PeerRecords {
    records: HashMap<Arc<str>, Record>,
    dirty: bool,
}

struct Record {
    shared_heads: Vec<ChangeHash>,
    /// Seconds since 1970.
    seen: i64,
}

impl PeerRecords {
    /// The stored records of a document.
    pub(super) fn new(records: Vec<PeerRecord>) -> Self {
        let records = records
            .into_iter()
            .map(|record| {
                let shared_heads = record.shared_heads.into_iter().map(ChangeHash).collect();
                (Arc::from(record.storage_id), Record { shared_heads, seen: record.last_seen })
            })
            .collect();
        Self { records, dirty: false }
    }

    /// The heads that this storage shared with the document when it was last seen.
    pub(super) fn shared_heads(&self, storage: &str) -> Vec<ChangeHash> {
        self.records.get(storage).map(|record| record.shared_heads.clone()).unwrap_or_default()
    }

    /// Records the shared heads of a storage. `seen`: seconds since 1970.
    pub(super) fn insert(&mut self, storage: Arc<str>, shared_heads: Vec<ChangeHash>, seen: i64) {
        if shared_heads.is_empty() || shared_heads.len() > MAX_HEADS {
            return;
        }
        if self.records.len() >= MAX_RECORDS && !self.records.contains_key(&storage) {
            let oldest = self.records.iter().min_by_key(|(_, record)| record.seen).map(|(storage, _)| storage.clone());
            self.records.remove(&oldest.unwrap_or_default());
        }
        self.records.insert(storage, Record { shared_heads, seen });
        self.dirty = true;
    }

    /// All records, if any has changed since the last call.
    pub(super) fn take_dirty(&mut self) -> Option<Vec<PeerRecord>> {
        if !std::mem::take(&mut self.dirty) {
            return None;
        }
        let record = |(storage, record): (&Arc<str>, &Record)| PeerRecord {
            storage_id: storage.to_string(),
            shared_heads: record.shared_heads.iter().map(|head| head.0).collect(),
            last_seen: record.seen,
        };
        Some(self.records.iter().map(record).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_recently_seen_peer_is_evicted() {
        let mut records = PeerRecords::default();
        for seen in 0..=MAX_RECORDS {
            let storage = format!("storage {seen}");
            records.insert(storage.into(), vec![ChangeHash([1; 32])], i64::try_from(seen).unwrap());
        }
        assert!(records.shared_heads("storage 0").is_empty());
        assert_eq!(records.shared_heads("storage 1"), [ChangeHash([1; 32])]);
        assert_eq!(records.take_dirty().map(|records| records.len()), Some(MAX_RECORDS));
        assert!(records.take_dirty().is_none());
    }
}
