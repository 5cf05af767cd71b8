//! What returning peers are remembered to share with a document, so that coming back with offline edits costs a message
//! about the difference. Losing it loses nothing but speed.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::ChangeHash;
use store::PeerRecord;

/// Storages remembered per document; the longest unseen is forgotten first.
const MAX_RECORDS: usize = 1_000;

/// A peer with more heads than this is not worth remembering: comparing anew costs it little more.
const MAX_HEADS: usize = 100;

/// The remembered peers of one document.
#[derive(Default)]
pub(super) struct Remembered {
    records: HashMap<Arc<str>, Record>,
    dirty: bool,
}

struct Record {
    shared_heads: Vec<ChangeHash>,
    /// Seconds since 1970.
    seen: i64,
}

impl Remembered {
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

    /// What this storage was known to have.
    pub(super) fn shared_heads(&self, storage: &str) -> Vec<ChangeHash> {
        self.records.get(storage).map(|record| record.shared_heads.clone()).unwrap_or_default()
    }

    pub(super) fn remember(&mut self, storage: Arc<str>, shared_heads: Vec<ChangeHash>, seen: i64) {
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

    /// The records to be stored, if anything has changed since they last were.
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
    fn the_longest_unseen_is_forgotten_first() {
        let mut remembered = Remembered::default();
        for seen in 0..=MAX_RECORDS {
            let storage = format!("storage {seen}");
            remembered.remember(storage.into(), vec![ChangeHash([1; 32])], i64::try_from(seen).unwrap());
        }
        assert!(remembered.shared_heads("storage 0").is_empty());
        assert_eq!(remembered.shared_heads("storage 1"), [ChangeHash([1; 32])]);
        assert_eq!(remembered.take_dirty().map(|records| records.len()), Some(MAX_RECORDS));
        assert!(remembered.take_dirty().is_none());
    }
}
