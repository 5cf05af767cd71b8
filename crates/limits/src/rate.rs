//! How often something may happen.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::token_bucket::TokenBucket;

/// With fewer keys, none of them is looked for that can be forgotten.
const FEW: usize = 1_024;

/// A second, and at once after a quiet time. A rate of 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Events a second.
    pub per_second: f64,
    /// Events at once.
    pub at_once: f64,
}

/// How often something may happen: in total, and for each key.
#[derive(Debug)]
pub struct KeyedRate<K> {
    total: TokenBucket,
    each: Rate,
    by_key: HashMap<K, TokenBucket>,
    /// With so many keys, those are looked for that can be forgotten.
    look_at: usize,
}

/// Something may not happen yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For so long, as all keys together are too fast.
    Total(Duration),
    /// For so long, as this key is too fast: others need not wait.
    Key(Duration),
}

impl Wait {
    /// How long.
    #[must_use]
    pub fn duration(self) -> Duration {
        match self {
            Self::Total(wait) | Self::Key(wait) => wait,
        }
    }
}

impl<K: Hash + Eq + Clone> KeyedRate<K> {
    /// `total` for all keys together, and `each` for one key.
    #[must_use]
    pub fn new(total: Rate, each: Rate, now: Instant) -> Self {
        let total = TokenBucket::new(total.per_second, total.at_once, now);
        Self { total, each, by_key: HashMap::new(), look_at: FEW }
    }

    /// Counts one event. `None` as a key: nobody is charged, and it is counted in total.
    ///
    /// # Errors
    /// When it may not happen yet: nothing is counted.
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

    /// Charges `amount` to a key, below zero if need be. Returns for how long the key should pause then.
    pub fn spend(&mut self, key: &K, amount: f64, now: Instant) -> Option<Duration> {
        (self.each.per_second > 0.0).then(|| self.bucket(key, now).spend(amount, || now)).flatten()
    }

    /// Takes back an event that was counted and did not happen.
    pub fn give_back(&mut self, key: Option<&K>) {
        self.total.give_back(1.0);
        if let Some(bucket) = key.and_then(|key| self.by_key.get_mut(key)) {
            bucket.give_back(1.0);
        }
    }

    fn bucket(&mut self, key: &K, now: Instant) -> &mut TokenBucket {
        if self.by_key.len() >= self.look_at {
            // A full bucket says nothing. As many keys must come before the next look, so each of them pays little for it.
            self.by_key.retain(|_, bucket| !bucket.is_full(now));
            self.look_at = (self.by_key.len() * 2).max(FEW);
        }
        let Rate { per_second, at_once } = self.each;
        self.by_key.entry(key.clone()).or_insert_with(|| TokenBucket::new(per_second, at_once, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(now: Instant) -> KeyedRate<u32> {
        KeyedRate::new(Rate { per_second: 2.0, at_once: 4.0 }, Rate { per_second: 1.0, at_once: 2.0 }, now)
    }

    #[test]
    fn one_key_leaves_room_for_others_up_to_the_total() {
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
        // Who waited for all did not pay for it.
        rate.give_back(Some(&1));
        assert_eq!(rate.take(Some(&3), now), Ok(()));
        assert_eq!(rate.take(Some(&3), now + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn keys_that_have_all_their_tokens_back_are_forgotten() {
        let now = Instant::now();
        let none = Rate { per_second: 0.0, at_once: 0.0 };
        let mut rate = KeyedRate::new(none, Rate { per_second: 1.0, at_once: 1.0 }, now);
        for second in 0..10 {
            for key in 0..FEW {
                assert_eq!(rate.take(Some(&(second, key)), now + Duration::from_secs(second)), Ok(()));
            }
        }
        assert!(rate.by_key.len() <= 2 * FEW, "{}", rate.by_key.len());
        assert!(rate.take(Some(&(9, 0)), now + Duration::from_secs(9)).is_err(), "and no others");
    }
}
