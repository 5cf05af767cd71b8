//! Documents that do not exist and are waited for: each connection has a share, and the server a bound.
//!
//! A client that opens a stale link waits for a document that may never exist. Each such document is a task in memory, so
//! their number is bounded. A client that *brings* a document does not wait, and is never counted here.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::outbox::ConnectionKey;

/// Time between two log lines about the server's bound.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitLimit {
    /// The connection's share, in documents.
    Connection(usize),
    /// The server's bound, in documents.
    Server(usize),
}

impl fmt::Display for WaitLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(limit) => write!(f, "this connection waits for {limit} such documents already"),
            Self::Server(limit) => write!(f, "the server's clients wait for {limit} such documents already"),
        }
    }
}

/// Why a wait was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) limit: WaitLimit,
    /// The first refusal of a connection at its limit, or the first in a minute at the server's: one for the log.
    pub(super) is_news: bool,
}

/// Counts waits.
pub(super) struct Waits {
    per_connection: usize,
    documents: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    documents: usize,
    connections: HashMap<ConnectionKey, Connection>,
    logged_at: Option<Instant>,
}

#[derive(Default)]
struct Connection {
    waits: usize,
    logged: bool,
}

/// One connection waits for one document, until this is dropped.
pub(super) struct Wait {
    waits: Arc<Waits>,
    connection: ConnectionKey,
}

/// A document that does not exist is waited for, until this is dropped.
pub(super) struct AwaitedDocument(Arc<Waits>);

impl Waits {
    /// Up to `per_connection` documents for one connection, and `documents` for all of them.
    pub(super) fn new(per_connection: usize, documents: usize) -> Arc<Self> {
        Arc::new(Self { per_connection, documents, counts: Mutex::default() })
    }

    /// A connection begins to wait for a document. `awaited`: the document's place among those that are waited for; taken
    /// if it has none yet.
    pub(super) fn begin(
        self: &Arc<Self>,
        connection: ConnectionKey,
        awaited: &mut Option<AwaitedDocument>,
        now: Instant,
    ) -> Result<Wait, Refused> {
        let mut counts = self.lock();
        let Counts { documents, connections, logged_at } = &mut *counts;
        let count = connections.entry(connection).or_default();
        if count.waits >= self.per_connection {
            let is_news = !std::mem::replace(&mut count.logged, true);
            return Err(Refused { limit: WaitLimit::Connection(self.per_connection), is_news });
        }
        if awaited.is_none() {
            if *documents >= self.documents {
                if count.waits == 0 {
                    connections.remove(&connection);
                }
                let is_news = logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL);
                if is_news {
                    *logged_at = Some(now);
                }
                return Err(Refused { limit: WaitLimit::Server(self.documents), is_news });
            }
            *documents += 1;
            *awaited = Some(AwaitedDocument(Arc::clone(self)));
        }
        count.waits += 1;
        Ok(Wait { waits: Arc::clone(self), connection })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut counts = self.waits.lock();
        if let Some(count) = counts.connections.get_mut(&self.connection) {
            count.waits -= 1;
            if count.waits == 0 {
                counts.connections.remove(&self.connection);
            }
        }
    }
}

impl Drop for AwaitedDocument {
    fn drop(&mut self) {
        self.0.lock().documents -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_waits_for_its_share_and_no_more() {
        let (waits, now) = (Waits::new(2, 10), Instant::now());
        let mut awaited: Vec<Option<AwaitedDocument>> = (0..3).map(|_| None).collect();
        let mut held: Vec<Wait> =
            awaited[..2].iter_mut().map(|document| waits.begin(ConnectionKey(1), document, now).unwrap()).collect();
        let mut refused = || waits.begin(ConnectionKey(1), &mut awaited[2], now).map(drop).unwrap_err();
        assert_eq!(refused(), Refused { limit: WaitLimit::Connection(2), is_news: true });
        assert_eq!(refused(), Refused { limit: WaitLimit::Connection(2), is_news: false });
        assert!(waits.begin(ConnectionKey(2), &mut awaited[2], now).is_ok(), "another connection has its own share");
        held.pop();
        assert!(waits.begin(ConnectionKey(1), &mut awaited[2], now).is_ok());
    }

    #[test]
    fn server_bound_counts_documents_and_not_who_waits() {
        let (waits, now) = (Waits::new(5, 1), Instant::now());
        let (mut one, mut other) = (None, None);
        let held: Vec<Wait> = (0..3).map(|key| waits.begin(ConnectionKey(key), &mut one, now).unwrap()).collect();
        let mut refused = |now| waits.begin(ConnectionKey(7), &mut other, now).map(drop).unwrap_err();
        assert_eq!(refused(now), Refused { limit: WaitLimit::Server(1), is_news: true });
        assert!(!refused(now).is_news);
        assert!(refused(now + LOG_INTERVAL).is_news);
        drop((held, one));
        let counts = waits.lock();
        assert_eq!((counts.documents, counts.connections.len()), (0, 0), "nothing is left behind");
    }
}
