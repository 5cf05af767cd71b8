//! Documents that could not be opened: how often in a row, and which of them are sick themselves.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use primitives::DocumentId;

/// How long the first failure is remembered; each is twice as long as the one before.
const FIRST: Duration = Duration::from_secs(5);
/// The longest: so long may it take until a file that was put right is noticed.
const LONGEST: Duration = Duration::from_secs(30);

/// The documents that failed to open when they were last tried.
#[derive(Default)]
pub(super) struct Unopened(Mutex<BTreeMap<DocumentId, Failure>>);

#[derive(Default)]
struct Failure {
    times: u32,
    unreadable: bool,
}

impl Unopened {
    /// It could not be opened (again); `unreadable`: its file is there and whole, but the library does not read it.
    pub(super) fn failed(&self, id: &DocumentId, unreadable: bool) {
        let mut failures = self.lock();
        let failure = failures.entry(id.clone()).or_default();
        failure.times = failure.times.saturating_add(1);
        failure.unreadable = unreadable;
    }

    /// It could.
    pub(super) fn opened(&self, id: &DocumentId) {
        self.lock().remove(id);
    }

    /// How long nobody tries it again.
    pub(super) fn pause(&self, id: &DocumentId) -> Duration {
        let times = self.lock().get(id).map_or(1, |failure| failure.times);
        FIRST.saturating_mul(1 << times.saturating_sub(1).min(10)).min(LONGEST)
    }

    /// Those that the library does not read.
    pub(super) fn unreadable(&self) -> Vec<DocumentId> {
        self.lock().iter().filter(|(_, failure)| failure.unreadable).map(|(id, _)| id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DocumentId, Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_doubles_with_each_failure_up_to_30_seconds() {
        let (unopened, id) = (Unopened::default(), DocumentId::from_random([7; 16]));
        let pauses: Vec<u64> = (0..6)
            .map(|_| {
                unopened.failed(&id, true);
                unopened.pause(&id).as_secs()
            })
            .collect();
        assert_eq!(pauses, [5, 10, 20, 30, 30, 30]);
        assert_eq!(unopened.unreadable(), std::slice::from_ref(&id));
        unopened.opened(&id);
        unopened.failed(&id, false);
        assert_eq!((unopened.pause(&id), unopened.unreadable().len()), (FIRST, 0));
    }
}
