//! An access record in the store, and the part of its history that this process has seen.

use std::collections::VecDeque;
use std::sync::Arc;

use super::AccessRecord;

/// Earlier versions of a record that are remembered.
const MAX_EARLIER: usize = 8;

/// An access record, with its version in the store.
#[derive(Clone, Default)]
pub(super) struct Versioned {
    pub(super) version: u64,
    pub(super) record: Arc<AccessRecord>,
    /// The versions before it, as far as this process has seen them.
    earlier: VecDeque<(u64, Arc<AccessRecord>)>,
}

impl Versioned {
    pub(super) fn new(version: u64, record: Arc<AccessRecord>) -> Self {
        Self { version, record, earlier: VecDeque::new() }
    }

    /// Replaces the known version.
    pub(super) fn replace(&mut self, version: u64, record: Arc<AccessRecord>) {
        if version <= self.version {
            // The history that this process has seen was lost.
            self.earlier.clear();
        } else {
            self.earlier.push_back((self.version, Arc::clone(&self.record)));
            self.earlier.drain(..self.earlier.len().saturating_sub(MAX_EARLIER));
        }
        (self.version, self.record) = (version, record);
    }

    /// Whether a version came before this one. Another history of the record may have the same numbers.
    pub(super) fn follows(&self, version: u64, record: &AccessRecord) -> bool {
        version == 0 || self.earlier.iter().any(|(number, earlier)| *number == version && **earlier == *record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_follows_those_of_its_own_history() {
        let record = |owner: &str| AccessRecord { owner: Some(owner.into()), ..AccessRecord::default() };
        let mut versioned = Versioned::new(1, Arc::new(record("one")));
        versioned.replace(2, Arc::new(record("two")));
        versioned.replace(3, Arc::new(record("three")));
        assert!(versioned.follows(0, &AccessRecord::default()) && versioned.follows(1, &record("one")));
        assert!(!versioned.follows(2, &record("another")), "another history");
        versioned.replace(2, Arc::new(record("another")));
        assert!(!versioned.follows(1, &record("one")), "earlier versions of the other history are unknown");
        for version in 3..20 {
            versioned.replace(version, Arc::new(record("later")));
        }
        assert_eq!(versioned.earlier.len(), MAX_EARLIER);
    }
}
