//! Limits on the rate of events.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::token_bucket::TokenBucket;

/// With fewer keys, idle ones are not removed.
const MIN_KEYS: usize = 1_024;

/// A rate of events. A rate of 0 disables the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Events per second.
    pub per_second: f64,
    /// Number of events that may come at once after an idle time.
    pub burst: f64,
}

/// A limit on the rate of events: in total, and per key.
#[derive(Debug)]
pub struct KeyedRate<K> {
    total: TokenBucket,
    total_rate: Rate,
    each: Rate,
    by_key: HashMap<K, TokenBucket>,
    /// Number of keys at which idle ones are removed.
    prune_at: usize,
}

/// How much of a rate limit is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// The limit of the key; without a key, that of all together.
    pub rate: Rate,
    /// Number of events that may come now.
    pub available: f64,
}

/// An event must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// All keys together are too fast. Holds how long to wait.
    Total(Duration),
    /// This key is too fast; others need not wait. Holds how long to wait.
    Key(Duration),
}

impl Wait {
    /// How long to wait.
    #[must_use]
    pub fn duration(self) -> Duration {
        match self {
            Self::Total(wait) | Self::Key(wait) => wait,
        }
    }
}

impl<K: Hash + Eq + Clone> KeyedRate<K> {
    /// Allows `total` for all keys together, and `each` per key.
    #[must_use]
    pub fn new(total: Rate, each: Rate, now: Instant) -> Self {
        let bucket = TokenBucket::new(total.per_second, total.burst, now);
        Self { total: bucket, total_rate: total, each, by_key: HashMap::new(), prune_at: MIN_KEYS }
    }

    /// Counts one event. With `None` as the key, only the total is counted.
    ///
    /// # Errors
    /// When the event must wait; nothing is counted then.
    pub fn take(&mut self, key: Option<&K>, now: Instant) -> Result<(), Wait> {
        let key = key.filter(|_| self.each.per_second > 0.0);
        if let Some(key) = key {
            self.bucket(key, now).take(1.0, || now).map_err(Wait::Key)?;
        }
        self.total.take(1.0, || now).map_err(|wait| {
            if let Some(bucket) = key.and_then(|key| self.by_key.get_mut(key)) {
                bucket.give_back(1.0);
            }
            Wait::Total(wait)
        })
    }

    /// How much is left for a key, also of the total. `None` if there is no limit.
    pub fn quota(&mut self, key: Option<&K>, now: Instant) -> Option<Quota> {
        let total = (self.total_rate.per_second > 0.0)
            .then(|| Quota { rate: self.total_rate, available: self.total.available(now) });
        let key = key.filter(|_| self.each.per_second > 0.0);
        let each = key.map(|key| {
            let bucket = self.by_key.get_mut(key);
            Quota { rate: self.each, available: bucket.map_or(self.each.burst, |bucket| bucket.available(now)) }
        });
        match (total, each) {
            (Some(total), Some(each)) => Some(Quota { available: each.available.min(total.available), ..each }),
            (total, each) => each.or(total),
        }
    }

    /// Charges `amount` to a key, going into debt if necessary. Returns how long the key should pause.
    pub fn spend(&mut self, key: &K, amount: f64, now: Instant) -> Option<Duration> {
        (self.each.per_second > 0.0).then(|| self.bucket(key, now).spend(amount, || now)).flatten()
    }

    /// Returns the token of an event that did not happen.
    pub fn give_back(&mut self, key: Option<&K>) {
        self.total.give_back(1.0);
        if let Some(bucket) = key.and_then(|key| self.by_key.get_mut(key)) {
            bucket.give_back(1.0);
        }
    }

    fn bucket(&mut self, key: &K, now: Instant) -> &mut TokenBucket {
        if self.by_key.len() >= self.prune_at {
            // A full bucket holds no information. The number of keys doubles before the next search, so searching stays
            // cheap.
            self.by_key.retain(|_, bucket| !bucket.is_full(now));
            self.prune_at = (self.by_key.len() * 2).max(MIN_KEYS);
        }
        let Rate { per_second, burst } = self.each;
        self.by_key.entry(key.clone()).or_insert_with(|| TokenBucket::new(per_second, burst, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(now: Instant) -> KeyedRate<u32> {
        KeyedRate::new(Rate { per_second: 2.0, burst: 4.0 }, Rate { per_second: 1.0, burst: 2.0 }, now)
    }

    #[test]
    fn one_key_leaves_room_for_others() {
        let now = Instant::now();
        let mut rate = rate(now);
        for _ in 0..2 {
            assert_eq!(rate.take(Some(&1), now), Ok(()));
        }
        assert_eq!(rate.take(Some(&1), now), Err(Wait::Key(Duration::from_secs(1))));
        for _ in 0..2 {
            assert_eq!(rate.take(Some(&2), now), Ok(()));
        }
        let total = Err(Wait::Total(Duration::from_millis(500)));
        assert_eq!((rate.take(Some(&3), now), rate.take(None, now)), (total, total));
        // An event that waits for the total costs its key nothing.
        rate.give_back(Some(&1));
        assert_eq!(rate.take(Some(&3), now), Ok(()));
        assert_eq!(rate.take(Some(&3), now + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn quota_is_that_of_the_key_within_the_total() {
        let now = Instant::now();
        let mut limit = rate(now);
        let quota =
            |limit: &mut KeyedRate<u32>, key| limit.quota(key, now).map(|quota| (quota.rate.burst, quota.available));
        assert_eq!((quota(&mut limit, Some(&1)), quota(&mut limit, None)), (Some((2.0, 2.0)), Some((4.0, 4.0))));
        assert_eq!(limit.by_key.len(), 0, "a question needs no bucket");
        assert_eq!(
            (limit.take(Some(&1), now), limit.take(Some(&2), now), limit.take(Some(&2), now)),
            (Ok(()), Ok(()), Ok(()))
        );
        assert_eq!(quota(&mut limit, Some(&1)), Some((2.0, 1.0)));
        assert_eq!((quota(&mut limit, Some(&2)), quota(&mut limit, Some(&3))), (Some((2.0, 0.0)), Some((2.0, 1.0))));
        let none = Rate { per_second: 0.0, burst: 0.0 };
        assert_eq!(KeyedRate::new(none, none, now).quota(Some(&1), now), None);
    }

    #[test]
    fn idle_keys_are_removed() {
        let now = Instant::now();
        let none = Rate { per_second: 0.0, burst: 0.0 };
        let mut rate = KeyedRate::new(none, Rate { per_second: 1.0, burst: 1.0 }, now);
        for second in 0..10 {
            for key in 0..MIN_KEYS {
                assert_eq!(rate.take(Some(&(second, key)), now + Duration::from_secs(second)), Ok(()));
            }
        }
        assert!(rate.by_key.len() <= 2 * MIN_KEYS, "{}", rate.by_key.len());
        assert!(rate.take(Some(&(9, 0)), now + Duration::from_secs(9)).is_err(), "and no others");
    }
}
