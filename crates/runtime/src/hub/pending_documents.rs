//! Limits on waiting for documents that do not exist: per connection, per user, and for the server.
//!
//! A client that opens a stale link waits for a document that may never exist. Each such document is a task in
//! memory, so their number is bounded. A client that *sends* a document does not wait, and is not counted here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use limits::{KeyedLimit, KeyedPermit, Payer, fair_share};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::outbox::ConnectionKey;
use super::requester::Requester;

/// Minimum time between two log lines about the same limit.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingLimit {
    /// The connection's limit, in documents.
    Connection(usize),
    /// The limit of the user, or of the network where users are unknown, in documents.
    User(usize),
    /// The server's limit, in documents.
    Server(usize),
}

impl fmt::Display for PendingLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(limit) => write!(f, "this connection already waits for {limit} such documents"),
            Self::User(limit) => write!(f, "your connections already wait for {limit} such documents"),
            Self::Server(limit) => write!(f, "the server's clients already wait for {limit} such documents"),
        }
    }
}

/// A wait that was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LimitReached {
    pub(super) limit: PendingLimit,
    /// Whether to log it: the first refusal by this kind of limit in a minute.
    pub(super) should_log: bool,
}

/// The limits, and the counts of current waits.
pub(super) struct PendingDocuments {
    connections: Arc<KeyedLimit<ConnectionKey>>,
    payers: Arc<KeyedLimit<Payer>>,
    documents: Arc<KeyedLimit<()>>,
    /// When refusals were last logged: by the limit of a connection, of a user, of the server.
    logged_at: Mutex<[Option<Instant>; 3]>,
}

/// One connection that waits for one document. Released on drop.
pub(super) struct PendingPermit {
    _connection: KeyedPermit<ConnectionKey>,
    _payer: KeyedPermit<Payer>,
}

/// One document that clients wait for. Released on drop.
pub(super) struct PendingDocument(#[expect(dead_code, reason = "released on drop")] KeyedPermit<()>);

impl PendingDocuments {
    /// Allows `per_connection` documents per connection and `documents` in total. One user may wait for a quarter of
    /// the total, over all connections.
    pub(super) fn new(per_connection: usize, documents: usize) -> Self {
        Self {
            connections: KeyedLimit::new(usize::MAX, per_connection),
            payers: KeyedLimit::new(usize::MAX, fair_share(documents, per_connection)),
            documents: KeyedLimit::new(documents, usize::MAX),
            logged_at: Mutex::default(),
        }
    }

    /// Counts one connection that starts to wait for a document. `document` is the document's own permit, which the
    /// first connection acquires.
    pub(super) fn acquire(
        &self,
        connection: ConnectionKey,
        requester: &Requester,
        document: &mut Option<PendingDocument>,
        now: Instant,
    ) -> Result<PendingPermit, LimitReached> {
        let refused = |limit| LimitReached { limit, should_log: self.should_log(limit, now) };
        let connection = self.connections.take(Some(connection));
        let connection = connection.map_err(|_| refused(PendingLimit::Connection(self.connections.each())))?;
        let payer = self.payers.take(requester.payer()).map_err(|_| refused(PendingLimit::User(self.payers.each())))?;
        if document.is_none() {
            let permit =
                self.documents.take(None).map_err(|_| refused(PendingLimit::Server(self.documents.total())))?;
            *document = Some(PendingDocument(permit));
        }
        Ok(PendingPermit { _connection: connection, _payer: payer })
    }

    fn should_log(&self, limit: PendingLimit, now: Instant) -> bool {
        let kind = match limit {
            PendingLimit::Connection(_) => 0,
            PendingLimit::User(_) => 1,
            PendingLimit::Server(_) => 2,
        };
        let logged_at = &mut self.logged_at.lock()[kind];
        let should_log = logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL);
        if should_log {
            *logged_at = Some(now);
        }
        should_log
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use sync_engine::Surface;

    use super::*;

    fn requester(network: u8) -> Requester {
        Requester::anonymous_charged_to(Surface::Sync, Payer::at(Ipv4Addr::new(192, 0, 2, network).into()))
    }

    #[test]
    fn connection_limit_is_enforced_and_logged_once() {
        let (pending, now, requester) = (PendingDocuments::new(2, 10), Instant::now(), requester(1));
        let mut document: Vec<Option<PendingDocument>> = (0..3).map(|_| None).collect();
        let acquire = |key, document: &mut _| pending.acquire(ConnectionKey(key), &requester, document, now);
        let mut held: Vec<PendingPermit> =
            document[..2].iter_mut().map(|document| acquire(1, document).unwrap()).collect();
        let mut refused = || acquire(1, &mut document[2]).map(drop).unwrap_err();
        assert_eq!(refused(), LimitReached { limit: PendingLimit::Connection(2), should_log: true });
        assert_eq!(refused(), LimitReached { limit: PendingLimit::Connection(2), should_log: false });
        held.pop();
        assert!(acquire(1, &mut document[2]).is_ok());
    }

    #[test]
    fn user_limit_is_a_quarter_over_all_connections() {
        let (pending, now) = (PendingDocuments::new(2, 16), Instant::now());
        let mut document: Vec<Option<PendingDocument>> = (0..10).map(|_| None).collect();
        let [one, other] = [requester(1), requester(2)];
        let mut held = Vec::new();
        for (key, document) in document[..4].iter_mut().enumerate() {
            held.push(pending.acquire(ConnectionKey(key as u64), &one, document, now).unwrap());
        }
        let refused = pending.acquire(ConnectionKey(9), &one, &mut document[4], now).map(drop).unwrap_err();
        assert_eq!(refused, LimitReached { limit: PendingLimit::User(4), should_log: true });
        assert!(
            pending.acquire(ConnectionKey(10), &other, &mut document[4], now).is_ok(),
            "other users have their own limit"
        );
    }

    #[test]
    fn server_limit_counts_documents_and_not_waiters() {
        let (pending, now) = (PendingDocuments::new(5, 1), Instant::now());
        let (mut one, mut other) = (None, None);
        let acquire = |key: u8, document: &mut _, now| {
            pending.acquire(ConnectionKey(u64::from(key)), &requester(key), document, now)
        };
        let held: Vec<PendingPermit> = (0..3).map(|key| acquire(key, &mut one, now).unwrap()).collect();
        let mut refused = |now| acquire(7, &mut other, now).map(drop).unwrap_err();
        assert_eq!(refused(now), LimitReached { limit: PendingLimit::Server(1), should_log: true });
        assert!(!refused(now).should_log);
        assert!(refused(now + LOG_INTERVAL).should_log);
        drop((held, one));
        assert_eq!(pending.documents.used(), (0, 0), "all permits are released");
        assert_eq!((pending.connections.used(), pending.payers.used()), ((0, 0), (0, 0)));
    }
}
