//! Rate limits of incoming traffic: messages and bytes per socket, bytes per user.
//!
//! Whoever is faster is not read from for a while. That is felt at the other end as a slow network, which every client
//! copes with; a close would make it come back and send the same again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use limits::token_bucket::TokenBucket;
use limits::{KeyedRate, Payer, Rate};
use tokio::time::Instant;

use super::limits::{BYTES_BURST, Limits, MESSAGES_BURST};

/// Bytes of a socket that are charged to its user at a time, so that small messages do not take the lock.
const CHARGED_TOGETHER: f64 = 65_536.0;

/// The byte rates of users. All sockets of a user together may send as fast as one socket.
#[derive(Debug)]
pub struct UserPaces(Mutex<KeyedRate<Payer>>);

impl UserPaces {
    /// Full buckets for all users.
    #[must_use]
    pub fn new(limits: &Limits, now: Instant) -> Self {
        let per_second = f64::from(limits.bytes_per_second);
        let each = Rate { per_second, burst: per_second * BYTES_BURST };
        Self(Mutex::new(KeyedRate::new(Rate { per_second: 0.0, burst: 0.0 }, each, now)))
    }

    fn spend(&self, payer: &Payer, bytes: f64, now: Instant) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spend(payer, bytes, now)
    }
}

/// What a socket may still send.
#[derive(Debug)]
pub struct Pace {
    messages: TokenBucket,
    bytes: TokenBucket,
    /// Bytes that are accounted for.
    counted: u64,
    /// The limit of the user, if one is known.
    user: Option<(Arc<UserPaces>, Payer)>,
    /// Bytes that are not charged to the user yet.
    uncharged: f64,
}

impl Pace {
    /// For a socket that has sent nothing yet, of somebody who may have others.
    #[must_use]
    pub fn new(limits: &Limits, user: Option<(Arc<UserPaces>, Payer)>, now: Instant) -> Self {
        let (messages, bytes) = (f64::from(limits.messages_per_second), f64::from(limits.bytes_per_second));
        Self {
            messages: TokenBucket::new(messages, messages * MESSAGES_BURST, now),
            bytes: TokenBucket::new(bytes, bytes * BYTES_BURST, now),
            counted: 0,
            user,
            uncharged: 0.0,
        }
    }

    /// So many messages have come in, and so many bytes in all so far. Some: nothing should be read for so long.
    pub fn count(&mut self, messages: u32, read: u64, now: impl Fn() -> Instant) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "what comes in between two calls is a few megabytes")]
        let bytes = read.saturating_sub(std::mem::replace(&mut self.counted, read)) as f64;
        let pause = self.messages.spend(f64::from(messages), &now).max(self.bytes.spend(bytes, &now));
        let Some((paces, payer)) = &self.user else { return pause };
        self.uncharged += bytes;
        if self.uncharged < CHARGED_TOGETHER {
            return pause;
        }
        pause.max(paces.spend(payer, std::mem::take(&mut self.uncharged), now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(messages_per_second: u32, bytes_per_second: u32, now: Instant) -> Pace {
        Pace::new(&Limits { messages_per_second, bytes_per_second, ..Limits::default() }, None, now)
    }

    #[test]
    fn the_longer_of_two_pauses_counts() {
        let now = Instant::now();
        let mut pace = pace(10, 100, now);
        assert_eq!(pace.count(20, 800, || now), None, "what may come at once");
        assert_eq!(pace.count(5, 820, || now), Some(Duration::from_millis(500)));
        assert_eq!(pace.count(0, 900, || now), Some(Duration::from_secs(1)));
        assert_eq!(pace.count(0, 900, || now + Duration::from_secs(1)), None);
    }

    #[test]
    fn sockets_of_one_user_are_slowed_down_together() {
        let now = Instant::now();
        let limits = Limits { bytes_per_second: 1 << 20, ..Limits::default() };
        let paces = Arc::new(UserPaces::new(&limits, now));
        let socket = |user: &str| Pace::new(&limits, Some((Arc::clone(&paces), Payer::User(user.into()))), now);
        let (mut one, mut other, mut honest) = (socket("mallory"), socket("mallory"), socket("ceo"));
        assert_eq!(one.count(1, 6 << 20, || now), None);
        assert_eq!(other.count(1, 6 << 20, || now), Some(Duration::from_secs(4)), "12 MiB of 8 that may come at once");
        assert_eq!(honest.count(1, 6 << 20, || now), None);
    }

    #[test]
    fn defaults_never_slow_down_an_honest_writer() {
        let start = Instant::now();
        let limits = Limits::default();
        let user = (Arc::new(UserPaces::new(&limits, start)), Payer::User("ceo".into()));
        let mut pace = Pace::new(&limits, Some(user), start);
        assert_eq!(pace.count(1, 100 << 20, || start), None);
        for message in 1..=30_000_u64 {
            let now = start + Duration::from_micros(message * 500);
            assert_eq!(pace.count(1, (100 << 20) + message * 400, || now), None, "message {message}");
        }
    }
}
