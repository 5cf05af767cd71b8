//! Back-off on the clock: when a failing operation may be attempted again.

use std::time::Duration;

use limits::{BackOff, BackOffPolicy};
use tokio::time::Instant;

const MAX_DELAY: Duration = Duration::from_secs(30);
/// Most failures have a transient cause, so the first two are retried at once.
const POLICY: BackOffPolicy = BackOffPolicy::new(Duration::from_millis(100), MAX_DELAY).with_free_failures(2);
/// The failure count starts over when this time has passed since the end of the longest delay.
const RESET_AFTER: Duration = Duration::from_secs(60);

/// Delays the attempts of one operation after consecutive failures.
#[derive(Debug)]
pub(crate) struct RetryGate {
    back_off: BackOff,
    last_failure: Option<Instant>,
}

impl Default for RetryGate {
    fn default() -> Self {
        Self { back_off: BackOff::new(POLICY), last_failure: None }
    }
}

impl RetryGate {
    /// Counts a failure at `now`.
    pub(crate) fn record_failure(&mut self, now: Instant) {
        if self.last_failure.is_some_and(|last| now.duration_since(last) > RESET_AFTER + MAX_DELAY) {
            self.back_off.reset();
        }
        self.back_off.record_failure();
        self.last_failure = Some(now);
    }

    /// Forgets all failures after a success.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The time left until the next attempt; zero if it may start now.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        let Some(last) = self.last_failure else { return Duration::ZERO };
        (last + self.back_off.delay()).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_after_the_free_failures() {
        let (mut gate, now) = (RetryGate::default(), Instant::now());
        let mut delays = Vec::new();
        for _ in 0..14 {
            gate.record_failure(now);
            delays.push(gate.delay(now).as_millis());
        }
        assert_eq!(delays[..6], [0, 0, 100, 200, 400, 800]);
        assert_eq!(delays[13], MAX_DELAY.as_millis());
        assert_eq!(gate.delay(now + MAX_DELAY), Duration::ZERO, "the delay has passed");
        let later = now + RESET_AFTER + MAX_DELAY * 2;
        gate.record_failure(later);
        assert_eq!(gate.delay(later), Duration::ZERO, "old failures do not count");
        gate.reset();
        gate.record_failure(now);
        assert_eq!(gate.delay(now), Duration::ZERO);
    }
}
