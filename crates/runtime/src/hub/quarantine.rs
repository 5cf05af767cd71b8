//! Senders, and documents, whose changes are not taken for a while, since changes took too long.
//!
//! A running call cannot be stopped, only measured. What took longer than the budget is not stored, and its sender has to
//! go; but stock clients come back after five seconds with the same, and each time the document would be busy for as long.
//! So for a while its sender (a user, or a network where users are not known) may not write, by any connection. Only where
//! several senders are slow, or cannot be told apart, the document may be what is slow: then it takes no changes at all. What is stored is sound: it is shown and
//! synced to everybody.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use limits::Payer;
use primitives::DocumentId;
use tokio::time::Instant;

/// How long the first time.
const FIRST: Duration = Duration::from_secs(60);
/// Each time twice as long as the time before, up to this.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Senders with which the document itself is taken for slow: different ones, or times that one was slow who cannot be told from others.
const SENDERS: usize = 3;

/// Which documents and senders are quarantined, and until when. It survives that a document is unloaded, not a restart.
#[derive(Default)]
pub(super) struct Quarantines(Mutex<BTreeMap<DocumentId, Slow>>);

/// What was slow with one document.
#[derive(Default)]
struct Slow {
    /// The document itself.
    document: Option<Quarantine>,
    senders: HashMap<Payer, Quarantine>,
    /// One for each time that a sender was slow who cannot be told from others.
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
        self.senders.retain(|_, quarantine| !quarantine.is_forgotten(now));
        self.unknown.retain(|quarantine| !quarantine.is_forgotten(now));
    }

    fn is_empty(&self) -> bool {
        self.document.is_none() && self.senders.is_empty() && self.unknown.is_empty()
    }
}

impl Quarantines {
    /// Changes of this sender (`None`: it cannot be told from others) to a document took too long.
    pub(super) fn begin(&self, id: &DocumentId, sender: Option<Payer>, now: Instant) -> Blamed {
        let mut documents = self.lock();
        documents.retain(|_, slow| {
            slow.forget(now);
            !slow.is_empty()
        });
        let slow = documents.entry(id.clone()).or_default();
        let sender = match sender {
            Some(sender) => {
                let quarantine = Quarantine::after(slow.senders.get(&sender), now);
                slow.senders.insert(sender, quarantine);
                quarantine
            }
            None => {
                let quarantine = Quarantine::after(slow.unknown.last(), now);
                slow.unknown.push(quarantine);
                quarantine
            }
        };
        if slow.senders.len() + slow.unknown.len() < SENDERS {
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

    /// Whether it takes none of this sender.
    pub(super) fn holds_sender(&self, id: &DocumentId, sender: Option<&Payer>, now: Instant) -> bool {
        let documents = self.lock();
        let Some(slow) = documents.get(id) else { return false };
        let of_sender = sender.and_then(|sender| slow.senders.get(sender));
        slow.document.iter().chain(of_sender).any(|quarantine| quarantine.holds(now))
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

    fn user(name: &str) -> Option<Payer> {
        Some(Payer::User(name.into()))
    }

    #[test]
    fn slow_user_is_quarantined_and_nobody_else() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        assert_eq!(quarantines.begin(&id, user("slow"), start), Blamed::Sender(FIRST));
        assert!(quarantines.holds_sender(&id, user("slow").as_ref(), start));
        assert!(
            !quarantines.holds_sender(&id, user("ceo").as_ref(), start) && !quarantines.holds_sender(&id, None, start)
        );
        assert!(!quarantines.holds(&id, start) && quarantines.all(start).is_empty());
        let later = start + FIRST;
        assert!(!quarantines.holds_sender(&id, user("slow").as_ref(), later));
        for _ in 0..10 {
            assert!(matches!(quarantines.begin(&id, user("slow"), later), Blamed::Sender(_)), "one user is one sender");
        }
        assert_eq!(quarantines.begin(&id, user("slow"), later), Blamed::Sender(LONGEST));
        assert_eq!(quarantines.begin(&id, user("slow"), later + LONGEST * 2), Blamed::Sender(FIRST), "long ago");
    }

    #[test]
    fn client_that_comes_back_from_its_network_is_one_sender() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        let network = |last| Payer::at(std::net::Ipv4Addr::new(192, 0, 2, last).into());
        for _ in 0..5 {
            assert!(matches!(quarantines.begin(&id, network(1), start), Blamed::Sender(_)));
        }
        assert!(quarantines.holds_sender(&id, network(1).as_ref(), start));
        assert!(!quarantines.holds_sender(&id, network(2).as_ref(), start));
    }

    #[test]
    fn document_that_is_slow_for_several_takes_no_changes() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        assert!(!quarantines.holds(&id, start));
        assert_eq!(quarantines.begin(&id, None, start), Blamed::Sender(FIRST));
        assert_eq!(quarantines.begin(&id, user("ceo"), start), Blamed::Sender(FIRST));
        assert_eq!(quarantines.begin(&id, None, start), Blamed::Document(FIRST));
        assert!(quarantines.holds(&id, start) && quarantines.holds_sender(&id, user("cfo").as_ref(), start));
        assert_eq!(quarantines.all(start), std::slice::from_ref(&id));
        assert!(!quarantines.holds(&id, start + FIRST));
        assert_eq!(quarantines.begin(&id, user("cfo"), start + FIRST), Blamed::Document(FIRST * 2));
    }
}
