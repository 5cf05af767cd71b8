//! Exponential back-off.

use std::time::Duration;

/// How the delay grows with consecutive failures: it doubles with each one, from `initial` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOffPolicy {
    initial: Duration,
    max: Duration,
    free_failures: u32,
}

/// Counts the consecutive failures of one operation and derives the delay before the next attempt.
///
/// Pure: it reads no clock and no random numbers. Apply [`full_jitter`] or [`equal_jitter`] where many clients might retry in
/// step.
///
/// ```
/// use std::time::Duration;
/// use limits::{BackOff, BackOffPolicy};
/// let mut back_off = BackOff::new(BackOffPolicy::new(Duration::from_secs(1), Duration::from_secs(3)));
/// let delays = [back_off.record_failure(), back_off.record_failure(), back_off.record_failure()];
/// assert_eq!(delays.map(|delay| delay.as_secs()), [1, 2, 3]);
/// back_off.reset();
/// assert_eq!(back_off.delay(), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    policy: BackOffPolicy,
    failures: u32,
}

impl BackOffPolicy {
    /// The delay is `initial` after the first failure, and never longer than `max`.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, free_failures: 0 }
    }

    /// Retries the first `failures` consecutive failures without a delay.
    #[must_use]
    pub const fn with_free_failures(self, failures: u32) -> Self {
        Self { free_failures: failures, ..self }
    }

    /// The longest delay.
    #[must_use]
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The delay after this many consecutive failures.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.free_failures.saturating_add(1)) else { return Duration::ZERO };
        self.initial.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.max)
    }
}

impl BackOff {
    /// Starts without failures.
    #[must_use]
    pub const fn new(policy: BackOffPolicy) -> Self {
        Self { policy, failures: 0 }
    }

    /// Counts one more failure and returns the delay before the next attempt.
    pub fn record_failure(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.delay()
    }

    /// Forgets all failures, usually after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The delay after the failures counted so far; zero if there are none.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.policy.delay(self.failures)
    }
}

/// Spreads attempts over the whole range from zero to `delay`, so that clients of one failed server do not return in step.
///
/// `random` is uniform in `0.0..=1.0`; values outside are clamped.
#[must_use]
pub fn full_jitter(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(random.clamp(0.0, 1.0))
}

/// Spreads attempts over the upper half of `delay`. Use it where an early attempt has no benefit.
///
/// `random` is uniform in `0.0..=1.0`; values outside are clamped.
#[must_use]
pub fn equal_jitter(delay: Duration, random: f64) -> Duration {
    delay.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackOffPolicy = BackOffPolicy::new(Duration::from_millis(200), Duration::from_secs(30));

    #[test]
    fn delay_doubles_up_to_the_maximum() {
        let mut back_off = BackOff::new(POLICY);
        let delays: Vec<u128> = (0..9).map(|_| back_off.record_failure().as_millis()).collect();
        assert_eq!(delays, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert_eq!([31, 32, 33, 34, u32::MAX].map(|failures| POLICY.delay(failures)), [POLICY.max(); 5]);
        back_off.reset();
        assert_eq!(back_off.delay(), Duration::ZERO);
        assert_eq!(back_off.record_failure(), Duration::from_millis(200));
    }

    #[test]
    fn free_failures_cost_no_delay() {
        let policy = POLICY.with_free_failures(2);
        assert_eq!([0, 1, 2, 3, 4].map(|failures| policy.delay(failures).as_millis()), [0, 0, 0, 200, 400]);
    }

    #[test]
    fn jitter_stays_within_its_range() {
        let delay = Duration::from_millis(1_600);
        assert_eq!(
            [0.0, 0.5, 1.0, 7.0, -7.0].map(|random| full_jitter(delay, random).as_millis()),
            [0, 800, 1_600, 1_600, 0]
        );
        assert_eq!([0.0, 1.0, 7.0].map(|random| equal_jitter(delay, random).as_millis()), [800, 1_600, 1_600]);
    }
}
