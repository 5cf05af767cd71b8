//! A token bucket: a burst at once, then a steady rate.
//!
//! The clock is read only when the bucket is empty, which then refills for all the time since the last read: below the
//! rate, a take costs one subtraction. So after idle time two bursts in a row may pass, but never more.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// Tokens per second; 0 disables the limit.
    rate: f64,
    burst: f64,
    left: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens, refilled with `rate` tokens per second. A rate of 0 disables the limit.
    #[must_use]
    pub fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { rate, burst, left: burst, filled: now }
    }

    /// Takes `amount`, going into debt if necessary. Returns how long to pause until the debt is paid; `None` without a
    /// debt.
    pub fn spend(&mut self, amount: f64, now: impl FnOnce() -> Instant) -> Option<Duration> {
        if self.rate == 0.0 {
            return None;
        }
        if self.left < amount {
            self.fill(now());
        }
        self.left -= amount;
        (self.left < 0.0).then(|| Duration::from_secs_f64(-self.left / self.rate))
    }

    /// Takes `amount` if it is available.
    ///
    /// # Errors
    /// How long until `amount` is available, if it is not. Nothing is taken then.
    pub fn take(&mut self, amount: f64, now: impl FnOnce() -> Instant) -> Result<(), Duration> {
        if self.rate == 0.0 {
            return Ok(());
        }
        if self.left < amount {
            self.fill(now());
        }
        if self.left < amount {
            return Err(Duration::from_secs_f64((amount - self.left) / self.rate));
        }
        self.left -= amount;
        Ok(())
    }

    /// Returns tokens that were taken and not used.
    pub fn give_back(&mut self, amount: f64) {
        self.left = (self.left + amount).min(self.burst);
    }

    /// Number of tokens that are available now. 0 in debt.
    pub fn available(&mut self, now: Instant) -> f64 {
        self.fill(now);
        self.left.max(0.0)
    }

    /// Whether the bucket is full, like a new one.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.left >= self.burst
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.left = (self.left + elapsed * self.rate).min(self.burst);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn never() -> Instant {
        panic!("the clock must not be read")
    }

    #[test]
    fn burst_passes_without_reading_the_clock() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10.0, 20.0, start);
        for _ in 0..20 {
            assert_eq!(bucket.spend(1.0, never), None);
        }
        assert_eq!(bucket.spend(1.0, || start), Some(Duration::from_millis(100)));
        assert_eq!(bucket.spend(4.0, || start), Some(Duration::from_millis(500)), "debts add up");
        let later = start + Duration::from_millis(500);
        assert_eq!(bucket.spend(1.0, || later), Some(Duration::from_millis(100)), "and are paid back");
        let much_later = start + Duration::from_secs(3_600);
        for _ in 0..20 {
            assert_eq!(bucket.spend(1.0, || much_later), None);
        }
        assert!(bucket.spend(1.0, || much_later).is_some(), "idle time saves up no more than a burst");
    }

    #[test]
    fn refused_take_reports_the_wait() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(2.0, 1.0, start);
        assert_eq!(bucket.take(1.0, never), Ok(()));
        for _ in 0..3 {
            assert_eq!(bucket.take(1.0, || start), Err(Duration::from_millis(500)));
        }
        assert_eq!(bucket.take(1.0, || start + Duration::from_millis(500)), Ok(()));
    }

    #[test]
    fn zero_rate_disables_the_limit() {
        let mut bucket = TokenBucket::new(0.0, 0.0, Instant::now());
        assert_eq!(bucket.spend(1e12, never), None);
        assert_eq!(bucket.take(1e12, never), Ok(()));
    }

    proptest! {
        /// For any schedule, no more passes than the burst and the rate allow.
        #[test]
        fn burst_and_rate_are_never_exceeded(steps in prop::collection::vec((0u64..400, 1u64..5), 1..200)) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(10.0, 7.0, start);
            let (mut millis, mut taken) = (0, 0.0);
            for (pause, amount) in steps {
                millis += pause;
                let amount = f64::from(u32::try_from(amount).unwrap());
                if bucket.take(amount, || start + Duration::from_millis(millis)).is_ok() {
                    taken += amount;
                }
                let allowed = 7.0 + Duration::from_millis(millis).as_secs_f64() * 10.0;
                prop_assert!(taken <= allowed + 1e-6, "{taken} of {allowed}");
            }
        }
    }
}
