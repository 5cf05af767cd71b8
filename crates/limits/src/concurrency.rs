//! Limits on concurrent use.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// A limit on concurrent use: in total, and per key.
#[derive(Debug)]
pub struct KeyedLimit<K: Hash + Eq + Clone> {
    total: usize,
    each: usize,
    in_use: Mutex<InUse<K>>,
}

#[derive(Debug)]
struct InUse<K> {
    total: usize,
    /// Contains no zeros: keys that use nothing are removed.
    by_key: HashMap<K, usize>,
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The limit for all keys together.
    Total,
    /// The limit for this key. Other keys have room.
    Key,
}

/// A counted use. Dropping it releases the use.
#[derive(Debug)]
pub struct KeyedPermit<K: Hash + Eq + Clone> {
    limit: Arc<KeyedLimit<K>>,
    in_total: bool,
    key: Option<K>,
    amount: usize,
}

impl<K: Hash + Eq + Clone> KeyedLimit<K> {
    /// Allows `total` uses in all, and `each` per key; `usize::MAX` disables a limit.
    #[must_use]
    pub fn new(total: usize, each: usize) -> Arc<Self> {
        let in_use = Mutex::new(InUse { total: 0, by_key: HashMap::new() });
        Arc::new(Self { total, each, in_use })
    }

    /// The limit for all keys together.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// The limit for one key.
    #[must_use]
    pub fn each(&self) -> usize {
        self.each
    }

    /// Counts one use. With `None` as the key, only the total is counted.
    ///
    /// # Errors
    /// When a limit is reached; nothing is counted then.
    pub fn take(self: &Arc<Self>, key: Option<K>) -> Result<KeyedPermit<K>, Full> {
        self.count(true, key, 1)
    }

    /// Like [`take`](Self::take), but not counted in the total: another permit counts there.
    ///
    /// # Errors
    /// When the key's limit is reached; nothing is counted then.
    pub fn take_for_key(self: &Arc<Self>, key: K) -> Result<KeyedPermit<K>, Full> {
        self.count(false, Some(key), 1)
    }

    /// Like [`take_for_key`](Self::take_for_key), for an amount. A key that uses nothing may exceed its limit once, as it
    /// could never get a larger amount otherwise.
    ///
    /// # Errors
    /// When the key uses something and would exceed its limit; nothing is counted then.
    pub fn take_amount_for_key(self: &Arc<Self>, key: K, amount: usize) -> Result<KeyedPermit<K>, Full> {
        self.count(false, Some(key), amount)
    }

    fn count(self: &Arc<Self>, in_total: bool, key: Option<K>, amount: usize) -> Result<KeyedPermit<K>, Full> {
        // A key without a limit needs no entry.
        let key = key.filter(|_| self.each < usize::MAX);
        let mut in_use = self.in_use.lock();
        if in_total && in_use.total >= self.total {
            return Err(Full::Total);
        }
        if let Some(key) = &key {
            let used = in_use.by_key.get(key).copied().unwrap_or_default();
            // A first amount may exceed the limit. A single use may not, which matters for a limit of 0. An amount of 0 is always
            // granted: the permit may grow later.
            if amount > 0 && used + amount > self.each && (used > 0 || amount == 1) {
                return Err(Full::Key);
            }
            in_use.by_key.insert(key.clone(), used + amount);
        }
        in_use.total += if in_total { amount } else { 0 };
        drop(in_use);
        Ok(KeyedPermit { limit: Arc::clone(self), in_total, key, amount })
    }

    /// The amount in use, and the number of keys that use it.
    #[must_use]
    pub fn used(&self) -> (usize, usize) {
        let in_use = self.in_use.lock();
        (in_use.total, in_use.by_key.len())
    }
}

impl<K: Hash + Eq + Clone> KeyedPermit<K> {
    /// Changes the amount. Like a first amount, the only one of its key may exceed the key's limit.
    ///
    /// # Errors
    /// When others of the key are in use, and it would exceed its limit. The amount is unchanged then.
    pub fn resize(&mut self, amount: usize) -> Result<(), Full> {
        let mut in_use = self.limit.in_use.lock();
        if let Some(key) = &self.key {
            let others = in_use.by_key.get(key).copied().unwrap_or_default() - self.amount;
            if amount > self.amount && others > 0 && others + amount > self.limit.each {
                return Err(Full::Key);
            }
            in_use.by_key.insert(key.clone(), others + amount);
        }
        if self.in_total {
            in_use.total = in_use.total - self.amount + amount;
        }
        drop(in_use);
        self.amount = amount;
        Ok(())
    }
}

impl<K: Hash + Eq + Clone> Drop for KeyedPermit<K> {
    fn drop(&mut self) {
        let mut in_use = self.limit.in_use.lock();
        in_use.total -= if self.in_total { self.amount } else { 0 };
        if let Some(key) = &self.key
            && let Some(used) = in_use.by_key.get_mut(key)
        {
            *used -= self.amount;
            if *used == 0 {
                in_use.by_key.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_leaves_room_for_others() {
        let limit = KeyedLimit::new(4, 2);
        let mut held: Vec<_> = (0..2).map(|_| limit.take(Some("a")).expect("room")).collect();
        assert_eq!(limit.take(Some("a")).unwrap_err(), Full::Key);
        held.push(limit.take(Some("b")).expect("room"));
        held.push(limit.take(None).expect("room"));
        assert_eq!(limit.take(Some("b")).unwrap_err(), Full::Total);
        assert_eq!(limit.take(None).unwrap_err(), Full::Total);
        held.remove(0);
        assert!(limit.take(Some("a")).is_ok(), "released");
        drop(held);
        assert_eq!(limit.used(), (0, 0), "nothing is left behind");
    }

    #[test]
    fn use_for_a_key_is_not_counted_in_the_total() {
        let limit = KeyedLimit::new(1, 1);
        let _total = limit.take(None).expect("room");
        let _share = limit.take_for_key("a").expect("room");
        assert_eq!(limit.take_for_key("a").unwrap_err(), Full::Key);
    }

    #[test]
    fn first_amount_may_exceed_the_limit() {
        let limit = KeyedLimit::new(usize::MAX, 100);
        let large = limit.take_amount_for_key("a", 300).expect("it is all that is in use");
        assert_eq!(limit.take_amount_for_key("a", 10).unwrap_err(), Full::Key);
        let _others = limit.take_amount_for_key("b", 60).expect("room");
        assert_eq!(limit.take_amount_for_key("b", 60).unwrap_err(), Full::Key);
        drop(large);
        assert!(limit.take_amount_for_key("a", 10).is_ok());
    }

    #[test]
    fn permit_grows_within_the_share_of_its_key() {
        let limit = KeyedLimit::new(usize::MAX, 100);
        let mut one = limit.take_amount_for_key("a", 0).expect("nothing yet");
        let mut other = limit.take_amount_for_key("a", 0).expect("nothing yet");
        one.resize(300).expect("it is all that is in use");
        assert_eq!(other.resize(1), Err(Full::Key));
        let mut third = limit.take_amount_for_key("a", 0).expect("0 is always granted");
        assert_eq!(third.resize(1), Err(Full::Key), "and is charged to its key");
        drop(third);
        one.resize(60).expect("smaller");
        other.resize(40).expect("room");
        assert_eq!((one.resize(61), other.resize(41)), (Err(Full::Key), Err(Full::Key)));
        drop(one);
        other.resize(100).expect("room again");
        drop(other);
        assert_eq!(limit.used(), (0, 0), "nothing is left behind");
    }

    #[test]
    fn unlimited_key_needs_no_entry() {
        let limit = KeyedLimit::new(usize::MAX, usize::MAX);
        let held: Vec<_> = (0..1_000).map(|_| limit.take(Some("a")).expect("room")).collect();
        assert_eq!(limit.used(), (1_000, 0));
        drop(held);
    }
}
