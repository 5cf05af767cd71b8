//! How many ephemeral messages clients may send: over one socket, and one user over all sockets together. Each is passed on
//! to all who look at the document, so a user with many sockets costs as many times more.

use std::sync::{Arc, Mutex, PoisonError};

use limits::token_bucket::TokenBucket;
use limits::{KeyedRate, Payer, Rate};
use runtime::hub::Requester;
use tokio::time::Instant;

use super::limits::{EPHEMERALS_BURST, Limits};

/// Sockets that one user may fill with ephemeral messages at a time.
const SOCKETS_OF_ONE_USER: f64 = 10.0;

/// The rates of all users. Clones are the same.
#[derive(Debug, Clone)]
pub struct EphemeralRates {
    of_socket: Rate,
    of_users: Arc<Mutex<KeyedRate<Payer>>>,
}

/// The rate of one socket.
#[derive(Debug)]
pub struct EphemeralRate {
    socket: TokenBucket,
    /// Who is charged, if that can be told.
    payer: Option<Payer>,
    of_users: Arc<Mutex<KeyedRate<Payer>>>,
}

impl EphemeralRates {
    /// Nobody has sent anything yet.
    #[must_use]
    pub fn new(limits: &Limits, now: Instant) -> Self {
        let per_second = f64::from(limits.ephemerals_per_second);
        let sockets =
            |sockets: f64| Rate { per_second: per_second * sockets, burst: per_second * EPHEMERALS_BURST * sockets };
        let none = Rate { per_second: 0.0, burst: 0.0 };
        let of_users = KeyedRate::new(none, sockets(SOCKETS_OF_ONE_USER), now);
        Self { of_socket: sockets(1.0), of_users: Arc::new(Mutex::new(of_users)) }
    }

    /// The rate of a new socket.
    #[must_use]
    pub fn of_socket(&self, caller: &Requester, now: Instant) -> EphemeralRate {
        let Rate { per_second, burst } = self.of_socket;
        let socket = TokenBucket::new(per_second, burst, now);
        EphemeralRate { socket, payer: caller.payer(), of_users: Arc::clone(&self.of_users) }
    }
}

impl EphemeralRate {
    /// Counts a message. False: there are too many, and it is to be dropped.
    pub fn take(&mut self) -> bool {
        if self.socket.take(1.0, Instant::now).is_err() {
            return false;
        }
        let Some(payer) = &self.payer else { return true };
        let mut of_users = self.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        of_users.take(Some(payer), Instant::now()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use sync_engine::Surface;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn user_has_ten_sockets_worth_over_all_sockets() {
        let rates = EphemeralRates::new(&Limits { ephemerals_per_second: 10, ..Limits::default() }, Instant::now());
        let sent = |network: u8| {
            let payer = Payer::at(Ipv4Addr::new(192, 0, 2, network).into());
            let mut socket = rates.of_socket(&Requester::anonymous_charged_to(Surface::Sync, payer), Instant::now());
            (0..100).filter(|_| socket.take()).count()
        };
        assert_eq!(sent(1), 20, "one socket");
        assert_eq!((1..50).map(|_| sent(1)).sum::<usize>(), 9 * 20);
        assert_eq!(sent(2), 20, "another address");
    }
}
