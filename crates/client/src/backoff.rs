//! Exponential back-off with full jitter between attempts to connect. Pure: randomness is an argument.

use std::time::Duration;

/// Upper bound of the delay after the first failure.
const INITIAL: Duration = Duration::from_millis(200);
/// Upper bound of every delay.
const MAX: Duration = Duration::from_secs(30);
/// Least upper bound of the delay after a server reported that it is busy.
const BUSY: Duration = Duration::from_secs(5);

/// How the last session ended, as far as it matters for the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryClass {
    /// Network or server failure.
    Outage,
    /// The server asked to try again later.
    Busy,
    /// The server rejected this client, which only people can change.
    Rejected,
}

/// Counts the failed attempts since the last good session.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Returns the delay before the next attempt. `random` is in `0.0..=1.0`.
    pub(super) fn next(&mut self, class: RetryClass, random: f64) -> Duration {
        let delay = delay(self.failures, class, random);
        self.failures = self.failures.saturating_add(1);
        delay
    }

    /// Starts over, after a good session or an explicit request to connect.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The delay after a failure that followed `failures` others.
///
/// The jitter covers the whole range from zero to the bound, so that clients of one failed server do not return in step.
/// [`RetryClass::Rejected`] uses only the upper half: no one is waiting for that attempt.
fn delay(failures: u32, class: RetryClass, random: f64) -> Duration {
    let random = random.clamp(0.0, 1.0);
    let doubled = INITIAL.saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX)).min(MAX);
    match class {
        RetryClass::Outage => doubled.mul_f64(random),
        RetryClass::Busy => doubled.max(BUSY).mul_f64(random),
        RetryClass::Rejected => MAX.mul_f64(0.5 + random / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_up_to_thirty_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.next(RetryClass::Outage, 1.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert_eq!(delay(31, RetryClass::Outage, 1.0), MAX);
        assert_eq!(delay(u32::MAX, RetryClass::Outage, 1.0), MAX);
        backoff.reset();
        assert_eq!(backoff.next(RetryClass::Outage, 1.0), INITIAL);
    }

    #[test]
    fn jitter_covers_the_whole_delay() {
        assert_eq!(delay(3, RetryClass::Outage, 0.0), Duration::ZERO);
        assert_eq!(delay(3, RetryClass::Outage, 0.5), Duration::from_millis(800));
        // Out-of-range randomness is clamped.
        assert_eq!(delay(0, RetryClass::Outage, 7.0), INITIAL);
        assert_eq!(delay(0, RetryClass::Outage, -7.0), Duration::ZERO);
    }

    #[test]
    fn busy_and_refusing_servers_are_dialled_later() {
        assert_eq!(delay(0, RetryClass::Busy, 1.0), BUSY);
        assert_eq!(delay(20, RetryClass::Busy, 1.0), MAX);
        assert_eq!(delay(0, RetryClass::Rejected, 0.0), MAX / 2);
        assert_eq!(delay(0, RetryClass::Rejected, 1.0), MAX);
    }
}
