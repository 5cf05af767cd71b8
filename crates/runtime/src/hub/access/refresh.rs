//! Takes over access records that other processes have stored.

use std::sync::Arc;

use primitives::DocumentId;
use store::{StoreError, StoredAccess};

use super::{Access, AccessRecord, Versioned, parse_stored};

impl Access {
    /// Reads the record of a document again, if another process may have changed it. Returns whether it differs from the one known
    /// here. Call this after reading the document's log and before the next append: an append at a position stands for all
    /// records up to it.
    ///
    /// If the store has lost the known record in a failover, and no other has taken its place, the record is stored again.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(in crate::hub) async fn refresh(&self, id: &DocumentId) -> Result<bool, StoreError> {
        if !self.store.is_shared() {
            return Ok(false);
        }
        loop {
            let before = self.versioned(id).unwrap_or_default();
            let (version, record) = match self.store.load_access_of(id).await? {
                Some(StoredAccess { version, record, .. }) => (version, parse_stored(id, &record)?),
                None => (0, AccessRecord::default()),
            };
            // The known record was stored before this one was read.
            if version < before.version && before.follows(version, &record) {
                if self.store_record(id, Some(Versioned::new(version, before.record))).await? {
                    tracing::warn!(document = %id, "the store had lost the access record; it is stored again");
                }
                continue;
            }
            self.scenarios.note(id, &record);
            let mut records = self.records.write();
            let known = records.entry(id.clone()).or_default();
            if known.version != before.version && version < known.version {
                // The record was read again meanwhile.
                drop(records);
                continue;
            }
            let differs = *known.record != record;
            if version != known.version || differs {
                known.replace(version, Arc::new(record));
            }
            return Ok(differs);
        }
    }
}
