//! Documents that could not be opened, and the back-off before the next attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use limits::{BackOff, BackOffPolicy};
use parking_lot::{Mutex, MutexGuard};
use primitives::DocumentId;

const FIRST_DELAY: Duration = Duration::from_secs(5);
/// The maximum is also the longest time until the server notices that an operator has repaired a file.
const POLICY: BackOffPolicy = BackOffPolicy::new(FIRST_DELAY, Duration::from_secs(30));

/// The documents whose last attempt to open failed. Outlives the documents' tasks.
#[derive(Default)]
pub(super) struct OpenFailures(Mutex<BTreeMap<DocumentId, Failure>>);

struct Failure {
    back_off: BackOff,
    unreadable: bool,
}

impl OpenFailures {
    /// Counts a failed attempt. `unreadable`: the file is complete, but Automerge cannot read it.
    pub(super) fn record_failure(&self, id: &DocumentId, unreadable: bool) {
        let mut failures = self.lock();
        let new = || Failure { back_off: BackOff::new(POLICY), unreadable };
        let failure = failures.entry(id.clone()).or_insert_with(new);
        failure.back_off.record_failure();
        failure.unreadable = unreadable;
    }

    /// Forgets the failures of a document that was opened.
    pub(super) fn record_success(&self, id: &DocumentId) {
        self.lock().remove(id);
    }

    /// The delay before the next attempt.
    pub(super) fn delay(&self, id: &DocumentId) -> Duration {
        self.lock().get(id).map_or(FIRST_DELAY, |failure| failure.back_off.delay())
    }

    /// The documents that Automerge cannot read.
    pub(super) fn unreadable(&self) -> Vec<DocumentId> {
        self.lock().iter().filter(|(_, failure)| failure.unreadable).map(|(id, _)| id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DocumentId, Failure>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_with_each_failure_up_to_30_seconds() {
        let (open_failures, id) = (OpenFailures::default(), DocumentId::from_random([7; 16]));
        let delays: Vec<u64> = (0..6)
            .map(|_| {
                open_failures.record_failure(&id, true);
                open_failures.delay(&id).as_secs()
            })
            .collect();
        assert_eq!(delays, [5, 10, 20, 30, 30, 30]);
        assert_eq!(open_failures.unreadable(), std::slice::from_ref(&id));
        open_failures.record_success(&id);
        open_failures.record_failure(&id, false);
        assert_eq!((open_failures.delay(&id), open_failures.unreadable().len()), (FIRST_DELAY, 0));
    }
}
