//! Documents that take no changes for a while, since changes to them took too long.
//!
//! A running call cannot be stopped, only measured. What took longer than the budget is not stored, and whoever sent it
//! has to go; but stock clients come back after five seconds with the same, and each time the document would be busy for
//! as long. So for a while it takes no changes at all. What is stored is sound: it is shown and synced to everybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::format::DocumentId;

/// How long the first time.
const FIRST: Duration = Duration::from_secs(60);
/// Each time twice as long as the time before, up to this.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Which documents take no changes, and until when. They survive that a document is unloaded, not a restart.
#[derive(Default)]
pub(super) struct Quarantines(Mutex<BTreeMap<DocumentId, Quarantine>>);

struct Quarantine {
    until: Instant,
    lasts: Duration,
}

impl Quarantines {
    /// Changes to a document took too long. Returns for how long it takes none.
    pub(super) fn begin(&self, id: &DocumentId, now: Instant) -> Duration {
        let mut quarantines = self.lock();
        // One that ended long ago is forgotten.
        quarantines.retain(|_, quarantine| quarantine.until + LONGEST > now);
        let lasts = quarantines.get(id).map_or(FIRST, |last| (last.lasts * 2).min(LONGEST));
        quarantines.insert(id.clone(), Quarantine { until: now + lasts, lasts });
        lasts
    }

    /// Whether a document takes no changes now.
    pub(super) fn holds(&self, id: &DocumentId, now: Instant) -> bool {
        self.lock().get(id).is_some_and(|quarantine| quarantine.until > now)
    }

    /// All that take none.
    pub(super) fn all(&self, now: Instant) -> Vec<DocumentId> {
        let quarantines = self.lock();
        quarantines.iter().filter(|(_, quarantine)| quarantine.until > now).map(|(id, _)| id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DocumentId, Quarantine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_itself_and_lasts_longer_each_time() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        assert!(!quarantines.holds(&id, start));
        assert_eq!(quarantines.begin(&id, start), FIRST);
        assert!(quarantines.holds(&id, start));
        assert_eq!(quarantines.all(start), std::slice::from_ref(&id));
        let later = start + FIRST;
        assert!(!quarantines.holds(&id, later) && quarantines.all(later).is_empty());
        assert_eq!(quarantines.begin(&id, later), FIRST * 2);
        for _ in 0..10 {
            quarantines.begin(&id, later);
        }
        assert_eq!(quarantines.begin(&id, later), LONGEST);
        assert_eq!(quarantines.begin(&id, later + LONGEST * 2), FIRST, "long ago");
    }
}
