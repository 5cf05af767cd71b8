//! How fast one socket may send: messages, and bytes.
//!
//! Whoever is faster is not read from for a while. That is felt at the other end as a slow network, which every client
//! copes with; a close would make it come back and send the same again.

use std::time::Duration;

use tokio::time::Instant;

use super::limits::{BYTES_BURST, Limits, MESSAGES_BURST};
use crate::token_bucket::TokenBucket;

/// What a socket may still send.
#[derive(Debug)]
pub struct Pace {
    messages: TokenBucket,
    bytes: TokenBucket,
    /// Bytes that are accounted for.
    counted: u64,
}

impl Pace {
    /// For a socket that has sent nothing yet.
    #[must_use]
    pub fn new(limits: &Limits, now: Instant) -> Self {
        let (messages, bytes) = (f64::from(limits.messages_per_second), f64::from(limits.bytes_per_second));
        Self {
            messages: TokenBucket::new(messages, messages * MESSAGES_BURST, now),
            bytes: TokenBucket::new(bytes, bytes * BYTES_BURST, now),
            counted: 0,
        }
    }

    /// So many messages have come in, and so many bytes in all so far. Some: nothing should be read for so long.
    pub fn count(&mut self, messages: u32, read: u64, now: impl Fn() -> Instant) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "what comes in between two calls is a few megabytes")]
        let bytes = read.saturating_sub(std::mem::replace(&mut self.counted, read)) as f64;
        self.messages.spend(f64::from(messages), &now).max(self.bytes.spend(bytes, &now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(messages_per_second: u32, bytes_per_second: u32, now: Instant) -> Pace {
        Pace::new(&Limits { messages_per_second, bytes_per_second, ..Limits::default() }, now)
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
    fn with_defaults_a_sequential_writer_and_a_first_sync_of_a_hundred_megabytes_are_never_slowed_down() {
        let start = Instant::now();
        let mut pace = Pace::new(&Limits::default(), start);
        assert_eq!(pace.count(1, 100 << 20, || start), None);
        for message in 1..=30_000_u64 {
            let now = start + Duration::from_micros(message * 500);
            assert_eq!(pace.count(1, (100 << 20) + message * 400, || now), None, "message {message}");
        }
    }
}
