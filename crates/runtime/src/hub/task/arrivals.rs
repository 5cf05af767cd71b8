//! Documents on their way: a request is answered once announced changes have arrived, or will not.
//!
//! A peer announces a document with a sync message that names heads and carries no changes yet; the server asks for them.
//! Until they are stored the document does not exist, although a peer that is connected has it. A `request` that comes in
//! between is owed an answer until the changes are stored or refused, the peers that announced them have left, or
//! [`ARRIVAL_TIMEOUT`] has passed. Automerge-repo takes `doc-unavailable` for final: a `find` fails at once.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use limits::Payer;
use tokio::time::{Instant, sleep_until};

use super::DocumentTask;
use super::commit::Sender;
use crate::document::Document;
use crate::hub::access::Right;
use crate::hub::command::Unavailable;
use crate::hub::outbox::{ConnectionKey, Outgoing};
use crate::hub::turns::{Principal, Turn};
use crate::hub::waits::Refused;
use crate::metrics::Refusal;

/// How long a request waits for changes that were announced, and an announcement counts without them.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(5);

/// What a document that does not exist yet waits for, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Peers that have announced changes, and until when the task counts on them.
    announced: HashMap<ConnectionKey, Instant>,
    /// Peers whose request is not answered, and when it has to be.
    owed: HashMap<ConnectionKey, Instant>,
    /// Not later than the first of all these moments.
    next: Option<Instant>,
}

impl Arrivals {
    /// A peer has announced changes.
    pub(super) fn announce(&mut self, peer: ConnectionKey, now: Instant) {
        self.announced.insert(peer, now + ARRIVAL_TIMEOUT);
        self.wake_by(now + ARRIVAL_TIMEOUT);
    }

    /// A peer will not bring what it has announced: it has left, was refused, or says that it has nothing.
    pub(super) fn settle(&mut self, peer: ConnectionKey) {
        self.announced.remove(&peer);
    }

    /// A peer asks for the document. A repeated request does not wait longer than the first.
    pub(super) fn owe(&mut self, peer: ConnectionKey, now: Instant) {
        let due = *self.owed.entry(peer).or_insert(now + ARRIVAL_TIMEOUT);
        self.wake_by(due);
    }

    /// A peer has left, or has its answer.
    pub(super) fn forget(&mut self, peer: ConnectionKey) {
        self.announced.remove(&peer);
        self.owed.remove(&peer);
    }

    /// When to look again; `None` if nothing is waited for.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    fn wake_by(&mut self, moment: Instant) {
        self.next = Some(self.next.map_or(moment, |next| next.min(moment)));
    }

    /// The announcements that are over time.
    fn take_expired(&mut self, now: Instant) -> Vec<ConnectionKey> {
        self.announced.extract_if(|_, until| *until <= now).map(|(peer, _)| peer).collect()
    }

    /// The requests to be answered now: all, if nobody brings the document; else those over time.
    fn take_due(&mut self, now: Instant) -> Vec<ConnectionKey> {
        let all = self.announced.is_empty();
        let mut due: Vec<ConnectionKey> =
            self.owed.extract_if(|_, due| all || *due <= now).map(|(peer, _)| peer).collect();
        self.next = self.announced.values().chain(self.owed.values()).min().copied();
        // The order must not depend on the hash map.
        due.sort_unstable();
        due
    }

    /// When the first unanswered request has to be answered, whether the document is on its way or not.
    fn first_due(&self) -> Option<Instant> {
        self.owed.values().min().copied()
    }

    fn is_idle(&self) -> bool {
        self.announced.is_empty() && self.owed.is_empty()
    }
}

impl DocumentTask {
    /// Notes what a message of an admitted peer says about a document that does not exist. False: the peer waits for the
    /// document now, and there is no room for that.
    pub(super) fn note_arrival(&mut self, document: &mut Document, key: ConnectionKey, brings: bool) -> bool {
        if document.engine.exists() {
            return true;
        }
        // A peer that may not create the document brings nothing.
        let may_bring = self.subscribers.peers.get(&key).is_some_and(|member| member.right >= Right::Write);
        if brings && may_bring {
            self.creation.arrivals.announce(key, Instant::now());
            if let Some(member) = self.subscribers.peers.get_mut(&key) {
                member.wait = None;
            }
            return true;
        }
        self.creation.arrivals.settle(key);
        self.count_wait(document, key)
    }

    /// Counts a peer as one that waits for a document that does not exist. False: there is no room for that; the peer has
    /// been told, and is no peer of this document any more.
    fn count_wait(&mut self, document: &mut Document, key: ConnectionKey) -> bool {
        let Some(member) = self.subscribers.peers.get_mut(&key).filter(|member| member.wait.is_none()) else {
            return true;
        };
        let (waits, caller) = (&self.hub.inner.waits, &member.peer.caller);
        let Refused { limit, is_news } = match waits.begin(key, caller, &mut self.creation.awaited, Instant::now()) {
            Ok(wait) => {
                member.wait = Some(wait);
                return true;
            }
            Err(refused) => refused,
        };
        let why = Unavailable::TooManyPending { id: self.id.clone(), limit };
        self.hub.inner.metrics.refuse(Refusal::TooManyPending);
        if is_news {
            tracing::warn!(connection = key.0, %limit, "a document that does not exist is not waited for");
        }
        self.creation.arrivals.forget(key);
        document.engine.leave(key);
        if let Some(member) = self.subscribers.peers.remove(&key) {
            self.subscribers.refused.insert(key, (member.peer, why.to_string().into()));
            self.tell_refused(key);
        }
        false
    }

    /// Tells a peer why it does not wait for this document, as soon as its outbox has room. To close the connection would cost
    /// the client its other documents.
    pub(super) fn tell_refused(&mut self, key: ConnectionKey) {
        let Some((peer, reason)) = self.subscribers.refused.get(&key) else { return };
        if let Some(place) = peer.outbox.place(&self.waiter) {
            place.fill(Outgoing::Unavailable { document: self.id.clone(), reason: Some(Arc::clone(reason)) });
            self.subscribers.refused.remove(&key);
        }
    }

    /// Requests for a document that does not exist are answered when nobody brings it, or when they have waited long enough.
    pub(super) fn settle_arrivals(&mut self, document: &Document) {
        if self.creation.arrivals.is_idle() {
            self.creation.arrivals.next = None;
            return;
        }
        if document.engine.exists() && !self.pipeline.log.is_lost() {
            // Publishing has served everybody who waited.
            self.creation.arrivals = Arrivals::default();
            return;
        }
        let now = Instant::now();
        // The peer stays a peer of this document: its changes are taken whenever they come. A slow client that brings thousands of
        // documents takes longer than this for most of them.
        self.creation.arrivals.take_expired(now);
        let leaving: Vec<ConnectionKey> =
            self.creation.arrivals.announced.keys().copied().filter(|key| self.is_leaving(*key)).collect();
        for key in leaving {
            self.creation.arrivals.settle(key);
        }
        for key in self.creation.arrivals.take_due(now) {
            self.tell_missing(key);
        }
    }

    /// Waits until the rate limit lets this payer create one more document. The peers that bring it are read from more slowly
    /// meanwhile, and keep their changes. False: the server stops.
    pub(super) async fn wait_to_create(&mut self, payer: Option<&Payer>) -> bool {
        let hub = self.hub.clone();
        let new_documents = &hub.inner.new_documents;
        if new_documents.take(payer) {
            return true;
        }
        hub.inner.metrics.refuse(Refusal::TooManyNewDocuments);
        if new_documents.is_news() {
            tracing::warn!(?payer, "documents are created faster than --new-documents-per-minute allows; clients wait");
        }
        self.while_waiting(new_documents.take_in_turn(payer, &hub.inner.draining)).await
    }

    /// Waits until this sender may create a document's files, which takes several writes and syncs. `None`: the server stops.
    pub(super) async fn turn_to_create(&mut self, sender: Option<&Sender>) -> Option<Turn> {
        let hub = self.hub.clone();
        let principal = match sender {
            Some(Sender::Peer(key)) => self.subscribers.peers.get(key).map(|member| member.peer.caller.principal(*key)),
            Some(Sender::Caller { caller, .. }) => caller.payer().map(Principal::Payer),
            None => None,
        };
        let principal = principal.unwrap_or_else(|| Principal::Connection(hub.new_connection()));
        let (draining, turn) = (&hub.inner.draining, hub.inner.creations.take(principal));
        self.while_waiting(draining.run_until_cancelled(turn)).await
    }

    /// Awaits `waits`, and meanwhile answers peers whose wait for the document has expired.
    async fn while_waiting<T>(&mut self, waits: impl Future<Output = T>) -> T {
        let mut waits = pin!(waits);
        loop {
            let due = self.creation.arrivals.first_due();
            tokio::select! {
                result = &mut waits => return result,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    for key in self.creation.arrivals.take_due(Instant::now()) {
                        self.tell_missing(key);
                    }
                }
            }
        }
    }

    /// A socket takes messages again: the answer that had no room is due, unless the document has appeared.
    pub(super) fn tell_missing_again(&mut self, document: &Document, key: ConnectionKey) {
        if !document.engine.exists() {
            self.tell_missing(key);
        }
    }

    /// Tells a peer that the document that it asked for does not exist.
    fn tell_missing(&mut self, key: ConnectionKey) {
        let Some(member) = self.subscribers.peers.get_mut(&key) else { return };
        let place = member.peer.outbox.place(&self.waiter);
        member.owes_unavailable = place.is_none();
        if let Some(place) = place {
            place.fill(Outgoing::Unavailable { document: self.id.clone(), reason: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRINGER: ConnectionKey = ConnectionKey(1);
    const READERS: [ConnectionKey; 2] = [ConnectionKey(2), ConnectionKey(3)];

    #[test]
    fn request_nobody_can_serve_is_answered_at_once() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        arrivals.owe(READERS[0], now);
        assert_eq!(arrivals.take_due(now), [READERS[0]]);
        assert_eq!(arrivals.next(), None);
    }

    #[test]
    fn requests_wait_until_the_bringer_gives_up() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        for key in READERS {
            arrivals.owe(key, now);
        }
        arrivals.announce(BRINGER, now);
        assert_eq!(arrivals.take_due(now), []);
        arrivals.settle(BRINGER);
        assert_eq!(arrivals.take_due(now), READERS);
    }

    #[test]
    fn repeated_announcements_hold_a_request_no_longer() {
        let (mut arrivals, start) = (Arrivals::default(), Instant::now());
        arrivals.announce(BRINGER, start);
        arrivals.owe(READERS[0], start);
        let later = start + ARRIVAL_TIMEOUT - Duration::from_secs(1);
        arrivals.announce(BRINGER, later);
        arrivals.owe(READERS[0], later);
        arrivals.owe(READERS[1], later);
        assert_eq!(arrivals.take_due(later), []);
        assert_eq!(arrivals.next(), Some(start + ARRIVAL_TIMEOUT));
        assert_eq!(arrivals.take_due(start + ARRIVAL_TIMEOUT), [READERS[0]]);
        let end = later + ARRIVAL_TIMEOUT;
        assert_eq!(arrivals.take_expired(end), [BRINGER]);
        assert_eq!(arrivals.take_due(end), [READERS[1]]);
    }
}
