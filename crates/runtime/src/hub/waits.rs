//! Documents that do not exist and are waited for: each connection and each user have a share, and the server a bound.
//!
//! A client that opens a stale link waits for a document that may never exist. Each such document is a task in memory, so
//! their number is bounded. A client that *brings* a document does not wait, and is never counted here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use limits::{KeyedLimit, KeyedPermit, Payer, fair_share};
use tokio::time::Instant;

use super::caller::Caller;
use super::outbox::ConnectionKey;

/// Time between two log lines about the same limit.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitLimit {
    /// The connection's share, in documents.
    Connection(usize),
    /// The share of the user, or of the network where users are not known, in documents.
    User(usize),
    /// The server's bound, in documents.
    Server(usize),
}

impl fmt::Display for WaitLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(limit) => write!(f, "this connection waits for {limit} such documents already"),
            Self::User(limit) => write!(f, "your connections wait for {limit} such documents already"),
            Self::Server(limit) => write!(f, "the server's clients wait for {limit} such documents already"),
        }
    }
}

/// Why a wait was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) limit: WaitLimit,
    /// The first refusal by this limit in a minute: one for the log.
    pub(super) is_news: bool,
}

/// Counts waits.
pub(super) struct Waits {
    connections: Arc<KeyedLimit<ConnectionKey>>,
    payers: Arc<KeyedLimit<Payer>>,
    documents: Arc<KeyedLimit<()>>,
    /// When a refusal was last written to the log: by the limit of a connection, of a user, of the server.
    logged_at: Mutex<[Option<Instant>; 3]>,
}

/// One connection waits for one document, until this is dropped.
pub(super) struct Wait {
    _connection: KeyedPermit<ConnectionKey>,
    _payer: KeyedPermit<Payer>,
}

/// A document that does not exist is waited for, until this is dropped.
pub(super) struct AwaitedDocument(#[expect(dead_code, reason = "given back by being dropped")] KeyedPermit<()>);

impl Waits {
    /// Up to `per_connection` documents for one connection, and `documents` for all of them. One user may wait for a quarter of
    /// these, over all connections together.
    pub(super) fn new(per_connection: usize, documents: usize) -> Self {
        Self {
            connections: KeyedLimit::new(usize::MAX, per_connection),
            payers: KeyedLimit::new(usize::MAX, fair_share(documents, per_connection)),
            documents: KeyedLimit::new(documents, usize::MAX),
            logged_at: Mutex::default(),
        }
    }

    /// A connection begins to wait for a document. `awaited`: the document's place among those that are waited for; taken
    /// if it has none yet.
    pub(super) fn begin(
        &self,
        connection: ConnectionKey,
        caller: &Caller,
        awaited: &mut Option<AwaitedDocument>,
        now: Instant,
    ) -> Result<Wait, Refused> {
        let refused = |limit| Refused { limit, is_news: self.is_news(limit, now) };
        let connection = self.connections.take(Some(connection));
        let connection = connection.map_err(|_| refused(WaitLimit::Connection(self.connections.each())))?;
        let payer = self.payers.take(caller.payer()).map_err(|_| refused(WaitLimit::User(self.payers.each())))?;
        if awaited.is_none() {
            let place = self.documents.take(None).map_err(|_| refused(WaitLimit::Server(self.documents.total())))?;
            *awaited = Some(AwaitedDocument(place));
        }
        Ok(Wait { _connection: connection, _payer: payer })
    }

    fn is_news(&self, limit: WaitLimit, now: Instant) -> bool {
        let kind = match limit {
            WaitLimit::Connection(_) => 0,
            WaitLimit::User(_) => 1,
            WaitLimit::Server(_) => 2,
        };
        let logged_at = &mut self.logged_at.lock().unwrap_or_else(PoisonError::into_inner)[kind];
        let is_news = logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL);
        if is_news {
            *logged_at = Some(now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use sync_engine::Surface;

    use super::*;

    fn caller(network: u8) -> Caller {
        Caller::anybody_paid_by(Surface::Sync, Payer::at(Ipv4Addr::new(192, 0, 2, network).into()))
    }

    #[test]
    fn connection_waits_for_its_share_and_no_more() {
        let (waits, now, caller) = (Waits::new(2, 10), Instant::now(), caller(1));
        let mut awaited: Vec<Option<AwaitedDocument>> = (0..3).map(|_| None).collect();
        let begin = |key, awaited: &mut _| waits.begin(ConnectionKey(key), &caller, awaited, now);
        let mut held: Vec<Wait> = awaited[..2].iter_mut().map(|document| begin(1, document).unwrap()).collect();
        let mut refused = || begin(1, &mut awaited[2]).map(drop).unwrap_err();
        assert_eq!(refused(), Refused { limit: WaitLimit::Connection(2), is_news: true });
        assert_eq!(refused(), Refused { limit: WaitLimit::Connection(2), is_news: false });
        held.pop();
        assert!(begin(1, &mut awaited[2]).is_ok());
    }

    #[test]
    fn user_waits_for_a_quarter_over_all_connections() {
        let (waits, now) = (Waits::new(2, 16), Instant::now());
        let mut awaited: Vec<Option<AwaitedDocument>> = (0..10).map(|_| None).collect();
        let [one, other] = [caller(1), caller(2)];
        let mut held = Vec::new();
        for (key, document) in awaited[..4].iter_mut().enumerate() {
            held.push(waits.begin(ConnectionKey(key as u64), &one, document, now).unwrap());
        }
        let refused = waits.begin(ConnectionKey(9), &one, &mut awaited[4], now).map(drop).unwrap_err();
        assert_eq!(refused, Refused { limit: WaitLimit::User(4), is_news: true });
        assert!(
            waits.begin(ConnectionKey(10), &other, &mut awaited[4], now).is_ok(),
            "others have a share of their own"
        );
    }

    #[test]
    fn server_bound_counts_documents_and_not_who_waits() {
        let (waits, now) = (Waits::new(5, 1), Instant::now());
        let (mut one, mut other) = (None, None);
        let begin =
            |key: u8, awaited: &mut _, now| waits.begin(ConnectionKey(u64::from(key)), &caller(key), awaited, now);
        let held: Vec<Wait> = (0..3).map(|key| begin(key, &mut one, now).unwrap()).collect();
        let mut refused = |now| begin(7, &mut other, now).map(drop).unwrap_err();
        assert_eq!(refused(now), Refused { limit: WaitLimit::Server(1), is_news: true });
        assert!(!refused(now).is_news);
        assert!(refused(now + LOG_INTERVAL).is_news);
        drop((held, one));
        assert_eq!(waits.documents.used(), (0, 0), "nothing is left behind");
        assert_eq!((waits.connections.used(), waits.payers.used()), ((0, 0), (0, 0)));
    }
}
