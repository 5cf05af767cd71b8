//! Requests for a document that does not exist yet, and announcements of it.
//!
//! A peer announces a document with a sync message that names heads without changes; the server then asks for the
//! changes. Until they are stored the document does not exist, although a connected peer has it. A `request` that
//! arrives in between is answered once the changes are stored or rejected, the announcing peers have left, or
//! [`ARRIVAL_TIMEOUT`] has passed. The delay matters, since automerge-repo takes `doc-unavailable` as final: a `find`
//! fails at once.
//!
//! Announcements do not reach other servers. With a shared store, another server may be storing the document at this
//! moment, so a request is not answered before [`OTHER_SERVERS_DELAY`].
//!
//! Peerings are asked for a document that does not exist here. Requests of clients wait for their answers in the same way. Requests
//! of servers do not: two servers that ask each other would both wait.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use limits::Payer;
use tokio::time::{Instant, sleep_until};

use super::DocumentTask;
use super::commit::ItemSource;
use crate::document::Document;
use crate::hub::access::Right;
use crate::hub::command::Unavailable;
use crate::hub::fair_permits::{Permit, PermitKey};
use crate::hub::outbox::{ConnectionKey, Outgoing};
use crate::hub::pending_documents::LimitReached;
use crate::metrics::RefusalReason;

/// Time that a request waits for announced changes, and that an announcement counts without them.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that a request waits for the news that another server has stored the document. Servers that are not notified ask
/// the database every 250 ms.
pub(super) const OTHER_SERVERS_DELAY: Duration = Duration::from_millis(500);

/// The announcements of a document that does not exist yet, and the unanswered requests for it.
#[derive(Debug, Default)]
pub(super) struct PendingRequests {
    /// Peers that have announced changes, or were asked for the document.
    announcements: HashMap<ConnectionKey, Announcement>,
    /// Peers with an unanswered request.
    requests: HashMap<ConnectionKey, Request>,
    /// Not later than the first of all deadlines.
    next_deadline: Option<Instant>,
}

#[derive(Debug)]
struct Announcement {
    /// The time until which it counts.
    until: Instant,
    /// The peer was asked, and has not answered yet.
    is_question: bool,
}

#[derive(Debug)]
struct Request {
    /// It is not answered before this time, even if no peer has announced the document.
    earliest: Instant,
    /// It is answered at this time, even if the announced document has not arrived.
    latest: Instant,
    /// The request comes from a server.
    relayed: bool,
}

impl PendingRequests {
    /// Records that a peer has announced changes.
    pub(super) fn record_announcement(&mut self, peer: ConnectionKey, now: Instant) {
        self.record(peer, false, now);
    }

    /// Records that a peer was asked for the document.
    pub(super) fn record_question(&mut self, peer: ConnectionKey, now: Instant) {
        self.record(peer, true, now);
    }

    fn record(&mut self, peer: ConnectionKey, is_question: bool, now: Instant) {
        self.announcements.insert(peer, Announcement { until: now + ARRIVAL_TIMEOUT, is_question });
        self.wake_by(now + ARRIVAL_TIMEOUT);
    }

    /// Removes a peer's announcement: the peer left, was rejected, or reports that it has nothing.
    pub(super) fn withdraw_announcement(&mut self, peer: ConnectionKey) {
        self.announcements.remove(&peer);
    }

    /// Adds a peer's request, which is not answered before `delay` has passed. A repeated request keeps its deadline. `relayed`: the
    /// peer is a server.
    pub(super) fn add_request(&mut self, peer: ConnectionKey, relayed: bool, delay: Duration, now: Instant) {
        let request = Request { earliest: now + delay, latest: now + ARRIVAL_TIMEOUT, relayed };
        let earliest = self.requests.entry(peer).or_insert(request).earliest;
        self.wake_by(earliest);
    }

    /// Removes a peer that has left or was answered.
    pub(super) fn remove_peer(&mut self, peer: ConnectionKey) {
        self.announcements.remove(&peer);
        self.requests.remove(&peer);
    }

    /// The next time to check the requests; `None` if there are none.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    fn wake_by(&mut self, moment: Instant) {
        self.next_deadline = Some(self.next_deadline.map_or(moment, |next_deadline| next_deadline.min(moment)));
    }

    /// Removes and returns the announcements past their deadline.
    fn take_expired_announcements(&mut self, now: Instant) -> Vec<ConnectionKey> {
        self.announcements.extract_if(|_, announcement| announcement.until <= now).map(|(peer, _)| peer).collect()
    }

    /// The time at which to answer a request if nothing happens before.
    fn deadline(&self, request: &Request) -> Instant {
        let only_questions = self.announcements.values().all(|announcement| announcement.is_question);
        let nobody_has_it = self.announcements.is_empty() || (request.relayed && only_questions);
        if nobody_has_it { request.earliest } else { request.latest }
    }

    /// Removes and returns the requests to answer now: those past their deadline, which is an earlier one if no
    /// announcement counts.
    fn take_due_requests(&mut self, now: Instant) -> Vec<ConnectionKey> {
        let is_due = |request: &Request| self.deadline(request) <= now;
        let mut due: Vec<ConnectionKey> =
            self.requests.iter().filter(|(_, request)| is_due(request)).map(|(peer, _)| *peer).collect();
        for peer in &due {
            self.requests.remove(peer);
        }
        let announced = self.announcements.values().map(|announcement| announcement.until);
        self.next_deadline = announced.chain(self.first_deadline()).min();
        // The order must not depend on the hash map.
        due.sort_unstable();
        due
    }

    /// The first deadline of a request.
    fn first_deadline(&self) -> Option<Instant> {
        self.requests.values().map(|request| self.deadline(request)).min()
    }

    fn is_idle(&self) -> bool {
        self.announcements.is_empty() && self.requests.is_empty()
    }
}

impl DocumentTask {
    /// Records the information in a peer's message about a document that does not exist: `has_document` is an announcement.
    /// Without one the peer waits for the document. Returns false if the limit of waiting peers is reached; the peer was removed
    /// then.
    pub(super) fn track_pending_peer(
        &mut self,
        document: &mut Document,
        key: ConnectionKey,
        has_document: bool,
    ) -> bool {
        if document.engine.exists() {
            return true;
        }
        // A peer that may not create the document cannot announce it.
        let may_create =
            self.subscribers.peers.get(&key).is_some_and(|subscription| subscription.right >= Right::Write);
        if has_document && may_create {
            self.creation.pending_requests.record_announcement(key, Instant::now());
            if let Some(subscription) = self.subscribers.peers.get_mut(&key) {
                subscription.pending_permit = None;
            }
            return true;
        }
        if has_document && let Some(subscription) = self.subscribers.peers.get(&key) {
            self.hub.tell_if_not_created(&self.id, &subscription.peer);
        }
        self.creation.pending_requests.withdraw_announcement(key);
        self.acquire_pending_permit(document, key)
    }

    /// Counts a peer that waits for a document that does not exist. Returns false if a limit is reached; the peer was told, and
    /// removed.
    fn acquire_pending_permit(&mut self, document: &mut Document, key: ConnectionKey) -> bool {
        let Some(subscription) =
            self.subscribers.peers.get_mut(&key).filter(|subscription| subscription.pending_permit.is_none())
        else {
            return true;
        };
        let (pending, requester) = (&self.hub.inner.pending_documents, &subscription.peer.requester);
        let LimitReached { limit, should_log } =
            match pending.acquire(key, requester, &mut self.creation.pending_document, Instant::now()) {
                Ok(permit) => {
                    subscription.pending_permit = Some(permit);
                    return true;
                }
                Err(refused) => refused,
            };
        let why = Unavailable::TooManyPending { id: self.id.clone(), limit };
        self.hub.inner.metrics.record_refusal(RefusalReason::TooManyPending);
        if should_log {
            tracing::warn!(connection = key.0, %limit, "a connection waits for too many documents that do not exist");
        }
        self.creation.pending_requests.remove_peer(key);
        document.engine.leave(key);
        if let Some(subscription) = self.subscribers.peers.remove(&key) {
            self.subscribers.unsent_refusals.insert(key, (subscription.peer, why.to_string().into()));
            self.send_pending_refusal(key);
        }
        false
    }

    /// Tells a peer why it cannot wait for this document, once its outbox has room. Closing the connection would cost
    /// the client its other documents.
    pub(super) fn send_pending_refusal(&mut self, key: ConnectionKey) {
        let Some((peer, reason)) = self.subscribers.unsent_refusals.get(&key) else { return };
        if let Some(permit) = peer.outbox.try_reserve(&self.drain_listener) {
            permit.send(Outgoing::Unavailable { document: self.id.clone(), reason: Some(Arc::clone(reason)) });
            self.subscribers.unsent_refusals.remove(&key);
        }
    }

    /// Answers the requests that are due.
    pub(super) fn answer_pending_requests(&mut self, document: &Document) {
        if self.creation.pending_requests.is_idle() {
            self.creation.pending_requests.next_deadline = None;
            return;
        }
        if document.engine.exists() && !self.pipeline.log.needs_reload() {
            // The publish has answered all requests.
            self.creation.pending_requests = PendingRequests::default();
            return;
        }
        let now = Instant::now();
        // Only the announcement expires. The peer stays, and its changes are accepted whenever they arrive: a slow
        // client with thousands of documents takes longer for most of them.
        self.creation.pending_requests.take_expired_announcements(now);
        let leaving: Vec<ConnectionKey> =
            self.creation.pending_requests.announcements.keys().copied().filter(|key| self.is_leaving(*key)).collect();
        for key in leaving {
            self.creation.pending_requests.withdraw_announcement(key);
        }
        for key in self.creation.pending_requests.take_due_requests(now) {
            self.send_missing(key);
        }
    }

    /// Waits until the rate limit lets this payer create one more document. The server reads from the creating peers
    /// more slowly meanwhile. Returns false if the server shuts down.
    pub(super) async fn wait_for_creation_rate(&mut self, payer: Option<&Payer>) -> bool {
        let hub = self.hub.clone();
        let limit = &hub.inner.creation_rate_limit;
        if limit.try_acquire(payer) {
            return true;
        }
        hub.inner.metrics.record_refusal(RefusalReason::TooManyNewDocuments);
        if limit.should_log() {
            tracing::warn!(?payer, "documents are created faster than --new-documents-per-minute allows; clients wait");
        }
        self.answer_requests_while(limit.acquire(payer, &hub.inner.draining)).await
    }

    /// Waits for the permit to create the document's files, which takes several writes and syncs. `None` means that
    /// the server shuts down.
    pub(super) async fn acquire_creation_permit(&mut self, sender: Option<&ItemSource>) -> Option<Permit> {
        let hub = self.hub.clone();
        let key = match sender {
            Some(ItemSource::Peer(key)) => {
                self.subscribers.peers.get(key).map(|subscription| subscription.peer.requester.permit_key(*key))
            }
            Some(ItemSource::Edit { requester, .. }) => requester.payer().map(PermitKey::Payer),
            None => None,
        };
        let key = key.unwrap_or_else(|| PermitKey::Connection(hub.new_connection()));
        let (draining, permit) = (&hub.inner.draining, hub.inner.creation_permits.acquire(key));
        self.answer_requests_while(draining.run_until_cancelled(permit)).await
    }

    /// Awaits `future`, and meanwhile answers requests that are due.
    async fn answer_requests_while<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            let due = self.creation.pending_requests.first_deadline();
            tokio::select! {
                result = &mut future => return result,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    for key in self.creation.pending_requests.take_due_requests(Instant::now()) {
                        self.send_missing(key);
                    }
                }
            }
        }
    }

    /// Tells a peer whose outbox has room again that the document does not exist, unless it has been created.
    pub(super) fn retry_missing(&mut self, document: &Document, key: ConnectionKey) {
        if !document.engine.exists() {
            self.send_missing(key);
        }
    }

    /// Tells a peer that the requested document does not exist.
    fn send_missing(&mut self, key: ConnectionKey) {
        let Some(subscription) = self.subscribers.peers.get_mut(&key) else { return };
        let permit = subscription.peer.outbox.try_reserve(&self.drain_listener);
        subscription.missing_unsent = permit.is_none();
        if let Some(permit) = permit {
            permit.send(Outgoing::Unavailable { document: self.id.clone(), reason: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNOUNCER: ConnectionKey = ConnectionKey(1);
    const READERS: [ConnectionKey; 2] = [ConnectionKey(2), ConnectionKey(3)];

    #[test]
    fn request_without_announcement_is_answered_at_once() {
        let (mut arrivals, now) = (PendingRequests::default(), Instant::now());
        arrivals.add_request(READERS[0], false, Duration::ZERO, now);
        assert_eq!(arrivals.take_due_requests(now), [READERS[0]]);
        assert_eq!(arrivals.next_deadline(), None);
    }

    #[test]
    fn requests_wait_until_the_announcement_is_withdrawn() {
        let (mut arrivals, now) = (PendingRequests::default(), Instant::now());
        for key in READERS {
            arrivals.add_request(key, false, Duration::ZERO, now);
        }
        arrivals.record_announcement(ANNOUNCER, now);
        assert_eq!(arrivals.take_due_requests(now), []);
        arrivals.withdraw_announcement(ANNOUNCER);
        assert_eq!(arrivals.take_due_requests(now), READERS);
    }

    #[test]
    fn request_waits_for_news_of_other_servers() {
        let (mut arrivals, start) = (PendingRequests::default(), Instant::now());
        arrivals.add_request(READERS[0], false, OTHER_SERVERS_DELAY, start);
        assert_eq!(arrivals.take_due_requests(start), []);
        let end = start + OTHER_SERVERS_DELAY;
        assert_eq!(arrivals.next_deadline(), Some(end));
        assert_eq!(arrivals.take_due_requests(end), [READERS[0]]);
        assert_eq!(arrivals.next_deadline(), None);
    }

    #[test]
    fn only_clients_wait_for_answers_of_servers() {
        let (mut arrivals, now) = (PendingRequests::default(), Instant::now());
        arrivals.record_question(ANNOUNCER, now);
        arrivals.add_request(READERS[0], false, Duration::ZERO, now);
        arrivals.add_request(READERS[1], true, Duration::ZERO, now);
        assert_eq!(arrivals.take_due_requests(now), [READERS[1]]);
        arrivals.record_announcement(ANNOUNCER, now);
        arrivals.add_request(READERS[1], true, Duration::ZERO, now);
        assert_eq!(arrivals.take_due_requests(now), [], "a document that is on its way");
        arrivals.withdraw_announcement(ANNOUNCER);
        assert_eq!(arrivals.take_due_requests(now), READERS);
    }

    #[test]
    fn repeated_announcements_do_not_extend_a_request() {
        let (mut arrivals, start) = (PendingRequests::default(), Instant::now());
        arrivals.record_announcement(ANNOUNCER, start);
        arrivals.add_request(READERS[0], false, Duration::ZERO, start);
        let later = start + ARRIVAL_TIMEOUT - Duration::from_secs(1);
        arrivals.record_announcement(ANNOUNCER, later);
        arrivals.add_request(READERS[0], false, Duration::ZERO, later);
        arrivals.add_request(READERS[1], false, Duration::ZERO, later);
        assert_eq!(arrivals.take_due_requests(later), []);
        assert_eq!(arrivals.next_deadline(), Some(start + ARRIVAL_TIMEOUT));
        assert_eq!(arrivals.take_due_requests(start + ARRIVAL_TIMEOUT), [READERS[0]]);
        let end = later + ARRIVAL_TIMEOUT;
        assert_eq!(arrivals.take_expired_announcements(end), [ANNOUNCER]);
        assert_eq!(arrivals.take_due_requests(end), [READERS[1]]);
    }
}
