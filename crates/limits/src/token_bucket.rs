//! How often something may happen: so much at once, and so much a second after that.
//!
//! The clock is only looked at when the bucket is empty, and the bucket filled then for all the time since: what stays below
//! its rate pays a subtraction. So whoever was idle may take two bursts, one behind the other; never more.

use std::time::Duration;

use tokio::time::Instant;

/// What may still be taken.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// A second; 0: without a limit.
    rate: f64,
    burst: f64,
    left: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket that takes `burst` at once, and is filled with `rate` a second. A rate of 0 limits nothing.
    #[must_use]
    pub fn new(rate: f64, burst: f64, now: Instant) -> Self {
        Self { rate, burst, left: burst, filled: now }
    }

    /// Takes so much, beyond what is there if need be. Some: for so long nothing more should be taken.
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

    /// Takes so much if it is there.
    ///
    /// # Errors
    /// When it is not: nothing was taken, and after so long there is enough.
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

    /// Takes back what was taken and not used.
    pub fn give_back(&mut self, amount: f64) {
        self.left = (self.left + amount).min(self.burst);
    }

    /// Whether everything may be taken at once: the bucket is as good as a new one.
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
        panic!("nobody needs to know what time it is")
    }

    #[test]
    fn a_burst_goes_through_without_a_look_at_the_clock_and_then_the_rate_counts() {
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
        assert!(bucket.spend(1.0, || much_later).is_some(), "nobody saves up more than a burst");
    }

    #[test]
    fn what_is_not_there_is_not_taken_and_when_it_will_be_is_said() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(2.0, 1.0, start);
        assert_eq!(bucket.take(1.0, never), Ok(()));
        for _ in 0..3 {
            assert_eq!(bucket.take(1.0, || start), Err(Duration::from_millis(500)));
        }
        assert_eq!(bucket.take(1.0, || start + Duration::from_millis(500)), Ok(()));
    }

    #[test]
    fn a_rate_of_zero_limits_nothing() {
        let mut bucket = TokenBucket::new(0.0, 0.0, Instant::now());
        assert_eq!(bucket.spend(1e12, never), None);
        assert_eq!(bucket.take(1e12, never), Ok(()));
    }

    proptest! {
        /// Whatever the schedule: from the start on no more goes through than the burst and what the rate gives.
        #[test]
        fn nobody_gets_more_than_the_burst_and_the_rate(steps in prop::collection::vec((0u64..400, 1u64..5), 1..200)) {
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
