//! Quarantines of senders and documents whose changes took too long to apply.
//!
//! A running call can be measured but not interrupted. A batch over the apply budget is not stored, but stock clients reconnect
//! after five seconds and send the same changes again, so each time the document would be busy for as long. Therefore the sender
//! (a user, or a network where users are unknown) may not write to the document for a while, over any connection. When several
//! senders are slow or indistinguishable, the document itself may be slow: then it accepts no changes at all. Stored content is
//! sound, and is served and synced to all clients.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use limits::{BackOff, BackOffPolicy, Payer};
use parking_lot::{Mutex, MutexGuard};
use primitives::DocumentId;
use tokio::time::Instant;

#[cfg(test)]
const FIRST: Duration = Duration::from_secs(60);
/// The longest quarantine. A quarantine that ended this long ago is forgotten.
const LONGEST: Duration = Duration::from_secs(3_600);
const POLICY: BackOffPolicy = BackOffPolicy::new(Duration::from_secs(60), LONGEST);
/// Number of slow senders from which the document itself counts as slow. Each slow batch of an unknown sender counts as another
/// sender.
const SLOW_SENDERS: usize = 3;

/// All quarantines of the server. They survive the unloading of a document, but not a restart.
#[derive(Default)]
pub(super) struct Quarantines(Mutex<BTreeMap<DocumentId, DocumentState>>);

/// The quarantines that concern one document.
#[derive(Default)]
struct DocumentState {
    /// Of the document itself.
    document: Option<Quarantine>,
    senders: HashMap<Payer, Quarantine>,
    /// One entry for each slow batch of an unknown sender.
    unknown: Vec<Quarantine>,
}

#[derive(Clone, Copy)]
struct Quarantine {
    until: Instant,
    back_off: BackOff,
}

/// The scope of a quarantine, and its duration.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum QuarantineScope {
    /// The document rejects changes of this sender.
    Sender(Duration),
    /// The document rejects all changes.
    Document(Duration),
}

impl Quarantine {
    /// Starts a quarantine that lasts twice as long as the previous one, if there was one.
    fn after(previous: Option<&Self>, now: Instant) -> Self {
        let mut back_off = previous.map_or(BackOff::new(POLICY), |previous| previous.back_off);
        Self { until: now + back_off.record_failure(), back_off }
    }

    fn duration(&self) -> Duration {
        self.back_off.delay()
    }

    /// Whether it ended so long ago that the next one starts over.
    fn is_expired(&self, now: Instant) -> bool {
        self.until + LONGEST <= now
    }

    fn is_active(&self, now: Instant) -> bool {
        self.until > now
    }
}

impl DocumentState {
    fn remove_expired(&mut self, now: Instant) {
        self.document.take_if(|quarantine| quarantine.is_expired(now));
        self.senders.retain(|_, quarantine| !quarantine.is_expired(now));
        self.unknown.retain(|quarantine| !quarantine.is_expired(now));
    }

    fn is_empty(&self) -> bool {
        self.document.is_none() && self.senders.is_empty() && self.unknown.is_empty()
    }
}

impl Quarantines {
    /// Starts a quarantine after changes of this sender to a document took too long. `None` is an unknown sender.
    pub(super) fn start(&self, id: &DocumentId, sender: Option<Payer>, now: Instant) -> QuarantineScope {
        let mut documents = self.lock();
        documents.retain(|_, state| {
            state.remove_expired(now);
            !state.is_empty()
        });
        let state = documents.entry(id.clone()).or_default();
        let sender = match sender {
            Some(sender) => {
                let quarantine = Quarantine::after(state.senders.get(&sender), now);
                state.senders.insert(sender, quarantine);
                quarantine
            }
            None => {
                let quarantine = Quarantine::after(state.unknown.last(), now);
                state.unknown.push(quarantine);
                quarantine
            }
        };
        if state.senders.len() + state.unknown.len() < SLOW_SENDERS {
            return QuarantineScope::Sender(sender.duration());
        }
        let quarantine = Quarantine::after(state.document.as_ref(), now);
        state.document = Some(quarantine);
        QuarantineScope::Document(quarantine.duration())
    }

    /// Whether a document currently rejects all changes.
    pub(super) fn is_document_quarantined(&self, id: &DocumentId, now: Instant) -> bool {
        self.lock().get(id).and_then(|state| state.document).is_some_and(|quarantine| quarantine.is_active(now))
    }

    /// Whether a document currently rejects changes of this sender.
    pub(super) fn is_sender_quarantined(&self, id: &DocumentId, sender: Option<&Payer>, now: Instant) -> bool {
        let documents = self.lock();
        let Some(state) = documents.get(id) else { return false };
        let of_sender = sender.and_then(|sender| state.senders.get(sender));
        state.document.iter().chain(of_sender).any(|quarantine| quarantine.is_active(now))
    }

    /// The documents that currently reject all changes.
    pub(super) fn quarantined_documents(&self, now: Instant) -> Vec<DocumentId> {
        let documents = self.lock();
        let held =
            documents.iter().filter(|(_, state)| state.document.is_some_and(|quarantine| quarantine.is_active(now)));
        held.map(|(id, _)| id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DocumentId, DocumentState>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Option<Payer> {
        Some(Payer::User(name.into()))
    }

    #[test]
    fn slow_user_is_quarantined_and_others_are_not() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        assert_eq!(quarantines.start(&id, user("slow"), start), QuarantineScope::Sender(FIRST));
        assert!(quarantines.is_sender_quarantined(&id, user("slow").as_ref(), start));
        assert!(
            !quarantines.is_sender_quarantined(&id, user("ceo").as_ref(), start)
                && !quarantines.is_sender_quarantined(&id, None, start)
        );
        assert!(
            !quarantines.is_document_quarantined(&id, start) && quarantines.quarantined_documents(start).is_empty()
        );
        let later = start + FIRST;
        assert!(!quarantines.is_sender_quarantined(&id, user("slow").as_ref(), later));
        for _ in 0..10 {
            assert!(
                matches!(quarantines.start(&id, user("slow"), later), QuarantineScope::Sender(_)),
                "one user is one sender"
            );
        }
        assert_eq!(quarantines.start(&id, user("slow"), later), QuarantineScope::Sender(LONGEST));
        assert_eq!(
            quarantines.start(&id, user("slow"), later + LONGEST * 2),
            QuarantineScope::Sender(FIRST),
            "the last one has expired"
        );
    }

    #[test]
    fn reconnecting_client_counts_as_one_sender() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        let network = |last| Payer::at(std::net::Ipv4Addr::new(192, 0, 2, last).into());
        for _ in 0..5 {
            assert!(matches!(quarantines.start(&id, network(1), start), QuarantineScope::Sender(_)));
        }
        assert!(quarantines.is_sender_quarantined(&id, network(1).as_ref(), start));
        assert!(!quarantines.is_sender_quarantined(&id, network(2).as_ref(), start));
    }

    #[test]
    fn document_slow_for_several_senders_rejects_all_changes() {
        let (quarantines, id, start) = (Quarantines::default(), DocumentId::from_random([7; 16]), Instant::now());
        assert!(!quarantines.is_document_quarantined(&id, start));
        assert_eq!(quarantines.start(&id, None, start), QuarantineScope::Sender(FIRST));
        assert_eq!(quarantines.start(&id, user("ceo"), start), QuarantineScope::Sender(FIRST));
        assert_eq!(quarantines.start(&id, None, start), QuarantineScope::Document(FIRST));
        assert!(
            quarantines.is_document_quarantined(&id, start)
                && quarantines.is_sender_quarantined(&id, user("cfo").as_ref(), start)
        );
        assert_eq!(quarantines.quarantined_documents(start), std::slice::from_ref(&id));
        assert!(!quarantines.is_document_quarantined(&id, start + FIRST));
        assert_eq!(quarantines.start(&id, user("cfo"), start + FIRST), QuarantineScope::Document(FIRST * 2));
    }
}
