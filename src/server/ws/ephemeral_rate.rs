//! Rate limits of ephemeral messages, per socket and per user. The server forwards each message to all peers of the document, so
//! a user with many sockets would multiply the cost.

use std::sync::Arc;

use limits::token_bucket::TokenBucket;
use limits::{KeyedRate, Payer, Rate};
use parking_lot::Mutex;
use runtime::hub::Requester;
use tokio::time::Instant;

use crate::server::limits::{EPHEMERALS_BURST, Limits};

/// The rate of one user, as a multiple of the rate of one socket.
const SOCKETS_PER_USER: f64 = 10.0;

/// The rates of all users. Clones share them.
#[derive(Debug, Clone)]
pub struct EphemeralRateLimits {
    per_socket: Rate,
    users: Arc<Mutex<KeyedRate<Payer>>>,
}

/// The rate limit of one socket.
#[derive(Debug)]
pub struct EphemeralRateLimit {
    socket: TokenBucket,
    /// The payer of the messages, if known.
    payer: Option<Payer>,
    users: Arc<Mutex<KeyedRate<Payer>>>,
}

impl EphemeralRateLimits {
    /// Full rates for all users.
    #[must_use]
    pub fn new(limits: &Limits, now: Instant) -> Self {
        let per_second = f64::from(limits.ephemerals_per_second);
        let sockets =
            |sockets: f64| Rate { per_second: per_second * sockets, burst: per_second * EPHEMERALS_BURST * sockets };
        let none = Rate { per_second: 0.0, burst: 0.0 };
        let users = KeyedRate::new(none, sockets(SOCKETS_PER_USER), now);
        Self { per_socket: sockets(1.0), users: Arc::new(Mutex::new(users)) }
    }

    /// The rate limit of a new socket.
    #[must_use]
    pub fn for_socket(&self, requester: &Requester, now: Instant) -> EphemeralRateLimit {
        let Rate { per_second, burst } = self.per_socket;
        let socket = TokenBucket::new(per_second, burst, now);
        EphemeralRateLimit { socket, payer: requester.payer(), users: Arc::clone(&self.users) }
    }
}

impl EphemeralRateLimit {
    /// Counts a message. Returns false if it exceeds a limit and must be dropped.
    pub fn allow(&mut self) -> bool {
        if self.socket.take(1.0, Instant::now).is_err() {
            return false;
        }
        let Some(payer) = &self.payer else { return true };
        let mut users = self.users.lock();
        users.take(Some(payer), Instant::now()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use sync_engine::Surface;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sockets_of_one_user_share_ten_times_the_socket_rate() {
        let rates =
            EphemeralRateLimits::new(&Limits { ephemerals_per_second: 10, ..Limits::default() }, Instant::now());
        let sent = |network: u8| {
            let payer = Payer::at(Ipv4Addr::new(192, 0, 2, network).into());
            let mut socket = rates.for_socket(&Requester::anonymous_charged_to(Surface::Sync, payer), Instant::now());
            (0..100).filter(|_| socket.allow()).count()
        };
        assert_eq!(sent(1), 20, "one socket");
        assert_eq!((1..50).map(|_| sent(1)).sum::<usize>(), 9 * 20);
        assert_eq!(sent(2), 20, "another address");
    }
}
