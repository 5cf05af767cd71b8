//! Senders, and documents, whose changes are not taken for a while, since changes took too long.
//!
//! A running call cannot be stopped, only measured. What took longer than the budget is not stored, and its sender has to
//! go; but stock clients come back after five seconds with the same, and each time the document would be busy for as long.
//! So for a while its sender may not write, by whichever connection. Only where several senders are slow, or nobody knows
//! who they are, the document may be what is slow: then it takes no changes at all. What is stored is sound: it is shown and
//! synced to everybody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::format::DocumentId;

/// How long the first time.
const FIRST: Duration = Duration::from_secs(60);
/// Each time twice as long as the time before, up to this.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Senders with which the document itself is taken for slow: different users, or times that somebody unknown was slow.
const SENDERS: usize = 3;

/// Which documents and senders are quarantined, and until when. It survives that a document is unloaded, not a restart.
#[derive(Default)]
pub(super) struct Quarantines(Mutex<BTreeMap<DocumentId, Slow>>);

/// What was slow with one document.
#[derive(Default)]
struct Slow {
    /// The document itself.
    document: Option<Quarantine>,
    users: BTreeMap<Arc<str>, Quarantine>,
    /// One for each time that a sender was slow of whom nothing is known.
    unknown: Vec<Quarantine>,
}

#[derive(Clone, Copy)]
struct Quarantine {
    until: Instant,
    lasts: Duration,
}

/// Whose changes are not taken, and for how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Blamed {
    /// Those of the sender.
    Sender(Duration),
    /// Those of anybody.
    Document(Duration),
}

impl Quarantine {
    fn after(last: Option<&Self>, now: Instant) -> Self {
        let lasts = last.map_or(FIRST, |last| (last.lasts * 2).min(LONGEST));
        Self { until: now + lasts, lasts }
    }

    /// Whether it ended long ago.
    fn is_forgotten(&self, now: Instant) -> bool {
        self.until + LONGEST <= now
    }

    fn holds(&self, now: Instant) -> bool {
        self.until > now
    }
}

impl Slow {
    fn forget(&mut self, now: Instant) {
        self.document.take_if(|quarantine| quarantine.is_forgotten(now));
        self.users.retain(|_, quarantine| !quarantine.is_forgotten(now));
        self.unknown.retain(|quarantine| !quarantine.is_forgotten(now));
    }

    fn is_empty(&self) -> bool {
        self.document.is_none() && self.users.is_empty() && self.unknown.is_empty()
    }
}

impl Quarantines {
    /// Changes of this user (`None`: nobody knows who it is) to a document took too long.
    pub(super) fn begin(&self, id: &DocumentId, user: Option<Arc<str>>, now: Instant) -> Blamed {
        let mut documents = self.lock();
        documents.retain(|_, slow| {
            slow.forget(now);
            !slow.is_empty()
        });
        let slow = documents.entry(id.clone()).or_default();
        let sender = match user {
            Some(user) => {
                let quarantine = Quarantine::after(slow.users.get(&user), now);
                slow.users.insert(user, quarantine);
                quarantine
            }
            None => {
                let quarantine = Quarantine::after(slow.unknown.last(), now);
                slow.unknown.push(quarantine);
                quarantine
            }
        };
        if slow.users.len() + slow.unknown.len() < SENDERS {
            return Blamed::Sender(sender.lasts);
        }
        let quarantine = Quarantine::after(slow.document.as_ref(), now);
        slow.document = Some(quarantine);
        Blamed::Document(quarantine.lasts)
    }

    /// Whether a document takes no changes now, from anybody.
    pub(super) fn holds(&self, id: &DocumentId, now: Instant) -> bool {
        self.lock().get(id).and_then(|slow| slow.document).is_some_and(|quarantine| quarantine.holds(now))
    }

    /// Whether it takes none of this user.
    pub(super) fn holds_user(&self, id: &DocumentId, user: Option<&str>, now: Instant) -> bool {
        let documents = self.lock();
        let Some(slow) = documents.get(id) else { return false };
        let of_user = user.and_then(|user| slow.users.get(user));
        slow.document.iter().chain(of_user).any(|quarantine| quarantine.holds(now))
    }

    /// All documents that take none of anybody.
    pub(super) fn all(&self, now: Instant) -> Vec<DocumentId> {
        let documents = self.lock();
        let held = documents.iter().filter(|(_, slow)| slow.document.is_some_and(|quarantine| quarantine.holds(now)));
        held.map(|(id, _)| id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DocumentId, Slow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Option<Arc<str>> {
        Some(Arc::from(name))
    }

    #[test]
    fn slow_user_is_quarantined_and_nobody_else() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        assert_eq!(quarantines.begin(&id, user("slow"), start), Blamed::Sender(FIRST));
        assert!(quarantines.holds_user(&id, Some("slow"), start));
        assert!(!quarantines.holds_user(&id, Some("ceo"), start) && !quarantines.holds_user(&id, None, start));
        assert!(!quarantines.holds(&id, start) && quarantines.all(start).is_empty());
        let later = start + FIRST;
        assert!(!quarantines.holds_user(&id, Some("slow"), later));
        for _ in 0..10 {
            assert!(matches!(quarantines.begin(&id, user("slow"), later), Blamed::Sender(_)), "one user is one sender");
        }
        assert_eq!(quarantines.begin(&id, user("slow"), later), Blamed::Sender(LONGEST));
        assert_eq!(quarantines.begin(&id, user("slow"), later + LONGEST * 2), Blamed::Sender(FIRST), "long ago");
    }

    #[test]
    fn document_that_is_slow_for_several_takes_no_changes() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        assert!(!quarantines.holds(&id, start));
        assert_eq!(quarantines.begin(&id, None, start), Blamed::Sender(FIRST));
        assert_eq!(quarantines.begin(&id, user("ceo"), start), Blamed::Sender(FIRST));
        assert_eq!(quarantines.begin(&id, None, start), Blamed::Document(FIRST));
        assert!(quarantines.holds(&id, start) && quarantines.holds_user(&id, Some("cfo"), start));
        assert_eq!(quarantines.all(start), std::slice::from_ref(&id));
        assert!(!quarantines.holds(&id, start + FIRST));
        assert_eq!(quarantines.begin(&id, user("cfo"), start + FIRST), Blamed::Document(FIRST * 2));
    }
}
