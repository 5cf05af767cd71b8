//! Delays between attempts to connect: exponential back-off with jitter.

use std::time::Duration;

use limits::{BackOff, BackOffPolicy, equal_jitter, full_jitter};

/// The bound of the delay: 200 ms after the first failure, at most 30 s.
const POLICY: BackOffPolicy = BackOffPolicy::new(Duration::from_millis(200), Duration::from_secs(30));
/// Least bound of the delay after a server reported that it is busy.
const BUSY: Duration = Duration::from_secs(5);

/// How the last session ended, as far as it matters for the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// Network or server failure.
    Outage,
    /// The server asked to try again later.
    Busy,
    /// The server rejected this client, which only people can change.
    Rejected,
}

/// The back-off of one connection.
#[derive(Debug)]
pub struct RetryDelay(BackOff);

impl Default for RetryDelay {
    fn default() -> Self {
        Self(BackOff::new(POLICY))
    }
}

impl RetryDelay {
    /// Counts a failure and returns the delay before the next attempt. `random` is in `0.0..=1.0`.
    ///
    /// The jitter covers the whole range from zero to the bound. [`RetryClass::Rejected`] uses the upper half of the maximum:
    /// no one is waiting for that attempt.
    pub fn record_failure(&mut self, class: RetryClass, random: f64) -> Duration {
        let bound = self.0.record_failure();
        match class {
            RetryClass::Outage => full_jitter(bound, random),
            RetryClass::Busy => full_jitter(bound.max(BUSY), random),
            RetryClass::Rejected => equal_jitter(POLICY.max(), random),
        }
    }

    /// Starts over, after a good session or an explicit request to connect.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The delay after a failure that followed `failures` others.
    fn delay(failures: u32, class: RetryClass, random: f64) -> Duration {
        let mut retry = RetryDelay::default();
        let delays: Vec<Duration> = (0..=failures).map(|_| retry.record_failure(class, random)).collect();
        delays[failures as usize]
    }

    #[test]
    fn delay_doubles_up_to_thirty_seconds() {
        let mut retry = RetryDelay::default();
        let delays: Vec<u128> = (0..9).map(|_| retry.record_failure(RetryClass::Outage, 1.0).as_millis()).collect();
        assert_eq!(delays, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert_eq!(delay(31, RetryClass::Outage, 1.0), POLICY.max());
        retry.reset();
        assert_eq!(retry.record_failure(RetryClass::Outage, 1.0), Duration::from_millis(200));
    }

    #[test]
    fn jitter_covers_the_whole_delay() {
        assert_eq!(delay(3, RetryClass::Outage, 0.0), Duration::ZERO);
        assert_eq!(delay(3, RetryClass::Outage, 0.5), Duration::from_millis(800));
        // Out-of-range randomness is clamped.
        assert_eq!(delay(0, RetryClass::Outage, 7.0), Duration::from_millis(200));
        assert_eq!(delay(0, RetryClass::Outage, -7.0), Duration::ZERO);
    }

    #[test]
    fn busy_and_rejecting_servers_are_dialled_later() {
        assert_eq!(delay(0, RetryClass::Busy, 1.0), BUSY);
        assert_eq!(delay(20, RetryClass::Busy, 1.0), POLICY.max());
        assert_eq!(delay(0, RetryClass::Rejected, 0.0), POLICY.max() / 2);
        assert_eq!(delay(0, RetryClass::Rejected, 1.0), POLICY.max());
    }
}
