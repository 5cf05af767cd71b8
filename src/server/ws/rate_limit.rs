//! Rate limits of incoming data: messages and bytes per socket, bytes per user.
//!
//! The server pauses reading from a socket that exceeds its limit. The client experiences a slow network, which every client
//! handles. Closing the socket would make the client reconnect and send the same data again.

use std::sync::Arc;
use std::time::Duration;

use limits::token_bucket::TokenBucket;
use limits::{KeyedRate, Payer, Rate};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::server::limits::{BYTES_BURST, Limits, MESSAGES_BURST};

/// Bytes of a socket that are charged to its user at once, so that small messages do not take the shared lock.
const CHARGED_TOGETHER: f64 = 65_536.0;

/// The byte rates of all users. All sockets of a user together have the limit of one socket.
#[derive(Debug)]
pub struct UserRateLimits(Mutex<KeyedRate<Payer>>);

impl UserRateLimits {
    /// Full buckets for all users.
    #[must_use]
    pub fn new(limits: &Limits, now: Instant) -> Self {
        let per_second = f64::from(limits.bytes_per_second);
        let each = Rate { per_second, burst: per_second * BYTES_BURST };
        Self(Mutex::new(KeyedRate::new(Rate { per_second: 0.0, burst: 0.0 }, each, now)))
    }

    fn spend(&self, payer: &Payer, bytes: f64, now: Instant) -> Option<Duration> {
        self.0.lock().spend(payer, bytes, now)
    }
}

/// The rate limit of one socket.
#[derive(Debug)]
pub struct RateLimit {
    messages: TokenBucket,
    bytes: TokenBucket,
    /// Bytes of the socket that are counted, since it was opened.
    counted: u64,
    /// The limit that the socket shares with others; `None` if the payer is unknown.
    user: Option<(Arc<UserRateLimits>, Payer)>,
    /// Counted bytes that are not charged to the user yet.
    uncharged: f64,
}

impl RateLimit {
    /// The limit of a new socket.
    #[must_use]
    pub fn new(limits: &Limits, user: Option<(Arc<UserRateLimits>, Payer)>, now: Instant) -> Self {
        let (messages, bytes) = (f64::from(limits.messages_per_second), f64::from(limits.bytes_per_second));
        Self {
            messages: TokenBucket::new(messages, messages * MESSAGES_BURST, now),
            bytes: TokenBucket::new(bytes, bytes * BYTES_BURST, now),
            counted: 0,
            user,
            uncharged: 0.0,
        }
    }

    /// Counts `messages` more messages, and the bytes since the last call; `read` is the total since the socket was opened.
    /// Returns how long to pause reading if a limit is exceeded.
    pub fn count(&mut self, messages: u32, read: u64, now: impl Fn() -> Instant) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "a few megabytes at most are read between two calls")]
        let bytes = read.saturating_sub(std::mem::replace(&mut self.counted, read)) as f64;
        let pause = self.messages.spend(f64::from(messages), &now).max(self.bytes.spend(bytes, &now));
        let Some((users, payer)) = &self.user else { return pause };
        self.uncharged += bytes;
        if self.uncharged < CHARGED_TOGETHER {
            return pause;
        }
        pause.max(users.spend(payer, std::mem::take(&mut self.uncharged), now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_limit(messages_per_second: u32, bytes_per_second: u32, now: Instant) -> RateLimit {
        RateLimit::new(&Limits { messages_per_second, bytes_per_second, ..Limits::default() }, None, now)
    }

    #[test]
    fn longer_of_two_pauses_applies() {
        let now = Instant::now();
        let mut limit = rate_limit(10, 100, now);
        assert_eq!(limit.count(20, 800, || now), None, "the burst");
        assert_eq!(limit.count(5, 820, || now), Some(Duration::from_millis(500)));
        assert_eq!(limit.count(0, 900, || now), Some(Duration::from_secs(1)));
        assert_eq!(limit.count(0, 900, || now + Duration::from_secs(1)), None);
    }

    #[test]
    fn sockets_of_one_user_share_a_byte_rate() {
        let now = Instant::now();
        let limits = Limits { bytes_per_second: 1 << 20, ..Limits::default() };
        let users = Arc::new(UserRateLimits::new(&limits, now));
        let socket = |user: &str| RateLimit::new(&limits, Some((Arc::clone(&users), Payer::User(user.into()))), now);
        let (mut one, mut other, mut honest) = (socket("mallory"), socket("mallory"), socket("ceo"));
        assert_eq!(one.count(1, 6 << 20, || now), None);
        assert_eq!(other.count(1, 6 << 20, || now), Some(Duration::from_secs(4)), "12 MiB, and a burst of 8");
        assert_eq!(honest.count(1, 6 << 20, || now), None);
    }

    #[test]
    fn defaults_do_not_throttle_an_honest_writer() {
        let start = Instant::now();
        let limits = Limits::default();
        let user = (Arc::new(UserRateLimits::new(&limits, start)), Payer::User("ceo".into()));
        let mut limit = RateLimit::new(&limits, Some(user), start);
        assert_eq!(limit.count(1, 100 << 20, || start), None);
        for message in 1..=30_000_u64 {
            let now = start + Duration::from_micros(message * 500);
            assert_eq!(limit.count(1, (100 << 20) + message * 400, || now), None, "message {message}");
        }
    }
}
