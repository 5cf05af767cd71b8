//! How often somebody may try a password.
//!
//! Each name and each address has so many tries at once, and gets one back now and then. What is counted are tries: before the
//! password is looked at, so that many at once do not get past the count; a right one is given back.
//!
//! The tables are bounded, and nothing in them is forgotten before it has no more to say: an entry goes when all its tries are
//! back. Should a table ever be full of others, a new name has to wait. So nobody gets new tries by trying many names.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// Tries for one account: so many at once, and one more every so often.
pub const PER_ACCOUNT: Allowance = Allowance { at_once: 10, every: Duration::from_secs(30) };
/// Tries from one address.
pub const PER_ADDRESS: Allowance = Allowance { at_once: 30, every: Duration::from_secs(2) };
/// Sessions of one account. Each one that is logged out is remembered until it would have ended, so their number is bounded.
pub const SESSIONS: Allowance = Allowance { at_once: 1_000, every: Duration::from_secs(10) };

/// Names, or addresses, of which something is known. As many wrong tries cannot be made in the 300 s after which the first of them
/// are forgotten: two at a time are looked at.
const MOST: usize = 1 << 16;
/// A table with fewer entries is not looked through for those that can go.
const FEW: usize = 1 << 10;

/// How often something may be done: a token bucket's size, and how often a token comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// So often at once.
    pub at_once: u32,
    /// And after that once in this time.
    pub every: Duration,
}

/// Tries by account and by address, and sessions by account.
#[derive(Debug)]
pub(super) struct Throttle {
    accounts: Table<Box<str>>,
    addresses: Table<IpAddr>,
    sessions: Table<Box<str>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            accounts: Table::new(PER_ACCOUNT, MOST),
            addresses: Table::new(PER_ADDRESS, MOST),
            sessions: Table::new(SESSIONS, MOST),
        }
    }
}

impl Throttle {
    /// Counts a try.
    ///
    /// # Errors
    /// When there were too many of this account or address: how long to wait. Nothing was counted.
    pub(super) fn attempt(&mut self, account: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = network(from);
        // Both are asked before either is counted: who has to wait for the one does not pay at the other.
        let wait = self.accounts.wait(account, now).max(self.addresses.wait(&from, now));
        if let Some(wait) = wait {
            return Err(wait);
        }
        self.accounts.count(account.into(), now);
        self.addresses.count(from, now);
        Ok(())
    }

    /// The try was right: the account has all its tries again, the address this one. Counts a session.
    ///
    /// # Errors
    /// When the account has begun too many sessions: how long to wait.
    pub(super) fn succeeded(&mut self, account: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        self.accounts.forget(account);
        self.addresses.give_back(&network(from), now);
        if let Some(wait) = self.sessions.wait(account, now) {
            return Err(wait);
        }
        self.sessions.count(account.into(), now);
        Ok(())
    }
}

/// Whoever has one IPv6 address has at least all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// For every key the moment at which all its tries are back: the whole state of a token bucket. (Not `token_bucket.rs`, which looks
/// at the clock only when it is empty: whoever was idle may take two bursts there.)
#[derive(Debug)]
struct Table<K> {
    allowance: Allowance,
    most: usize,
    whole_at: HashMap<K, Instant>,
    /// With so many entries it is looked for those that can go.
    look_at: usize,
    /// Not before this moment will any of them go.
    none_before: Option<Instant>,
}

impl<K: Hash + Eq> Table<K> {
    fn new(allowance: Allowance, most: usize) -> Self {
        Self { allowance, most, whole_at: HashMap::new(), look_at: FEW.min(most), none_before: None }
    }

    /// How long to wait for the next try; none: it may be made now.
    fn wait<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, now: Instant) -> Option<Duration>
    where
        K: Borrow<Q>,
    {
        let Some(whole_at) = self.whole_at.get(key).copied() else { return self.wait_for_a_place(now) };
        let slack = self.allowance.every * (self.allowance.at_once - 1);
        let wait = whole_at.saturating_duration_since(now).saturating_sub(slack);
        (!wait.is_zero()).then_some(wait)
    }

    fn wait_for_a_place(&mut self, now: Instant) -> Option<Duration> {
        if self.whole_at.len() < self.look_at {
            return None;
        }
        if let Some(before) = self.none_before.filter(|before| *before > now) {
            return Some(before - now);
        }
        self.whole_at.retain(|_, whole_at| *whole_at > now);
        // As many must come before it is looked again, so to look costs each of them little.
        self.look_at = (self.whole_at.len() * 2).clamp(FEW.min(self.most), self.most);
        if self.whole_at.len() < self.most {
            return None;
        }
        self.none_before = self.whole_at.values().min().copied();
        self.none_before.map(|before| before - now)
    }

    fn count(&mut self, key: K, now: Instant) {
        let whole_at = self.whole_at.entry(key).or_insert(now);
        *whole_at = (*whole_at).max(now) + self.allowance.every;
    }

    fn give_back<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, now: Instant)
    where
        K: Borrow<Q>,
    {
        if let Some(whole_at) = self.whole_at.get_mut(key) {
            *whole_at = whole_at.checked_sub(self.allowance.every).unwrap_or(now);
        }
    }

    fn forget<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.whole_at.remove(key);
        self.none_before = None;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    /// 10,000 tries, one every `pause`, from addresses that `from` chooses: how many are let through.
    fn let_through(pause: Duration, from: impl Fn(u32) -> IpAddr) -> u32 {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        (0..10_000).map(|try_| u32::from(throttle.attempt("cfo", from(try_), start + pause * try_).is_ok())).sum()
    }

    #[test]
    fn of_10000_tries_at_one_account_10_get_through_at_once_and_then_one_every_30_s() {
        for from in [|_: u32| HERE, address] {
            assert_eq!(let_through(Duration::ZERO, from), 10);
            // For nearly 10,000 s.
            assert_eq!(let_through(Duration::from_secs(1), from), 10 + 9_999 / 30);
        }
    }

    #[test]
    fn from_one_address_30_get_through_at_once_and_then_one_every_2_s_whatever_the_account_is() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let mut tries = 0..;
        let mut let_through = |after: Duration| {
            let names = tries.by_ref().take(1_000);
            names.filter(|name| throttle.attempt(&format!("user-{name}"), HERE, start + after).is_ok()).count()
        };
        assert_eq!(let_through(Duration::ZERO), 30);
        assert_eq!(let_through(Duration::from_secs(20)), 10);
        assert_eq!(let_through(Duration::from_secs(3_600)), 30, "nobody saves up more than that");
    }

    #[test]
    fn whoever_is_refused_is_told_the_time_to_wait_and_pays_nothing_by_asking() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for _ in 0..10 {
            throttle.attempt("cfo", HERE, start).expect("let through");
        }
        for after in 0..30 {
            let after = Duration::from_secs(after);
            let refused = throttle.attempt("cfo", HERE, start + after);
            assert_eq!(refused, Err(Duration::from_secs(30) - after));
        }
        let later = start + Duration::from_secs(30);
        throttle.attempt("cfo", HERE, later).expect("waited for");
        for other in 0..29 {
            throttle.attempt(&format!("other-{other}"), HERE, later).expect("the address has paid for no refusal");
        }
    }

    #[test]
    fn a_right_password_gives_the_account_all_its_tries_and_the_address_that_one() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for round in 0..30 {
            for _ in 0..9 {
                throttle.attempt("cfo", address(round), start).expect("let through");
            }
            throttle.attempt("cfo", HERE, start).expect("the tenth");
            throttle.succeeded("cfo", HERE, start).expect("right");
        }
        for other in 0..30 {
            throttle.attempt(&format!("other-{other}"), HERE, start).expect("nothing was counted for the address");
        }
        throttle.attempt("cfo", HERE, start).expect_err("these were wrong");
    }

    #[test]
    fn one_account_cannot_begin_sessions_without_end() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let begun = (0..2_000).filter(|_| {
            throttle.attempt("cfo", HERE, start).expect("a right password is not held up");
            throttle.succeeded("cfo", HERE, start).is_ok()
        });
        assert_eq!(begun.count(), 1_000);
        assert_eq!(throttle.succeeded("cfo", HERE, start), Err(Duration::from_secs(10)));
        throttle.succeeded("ceo", HERE, start).expect("another account");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_and_so_are_both_ways_to_write_an_ipv4_address() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let mut ask = |name: u32, from: &str| throttle.attempt(&name.to_string(), from.parse().unwrap(), start).is_ok();
        assert!((0..30).all(|name| ask(name, &format!("2001:db8::{name:x}"))));
        assert!(!ask(30, "2001:db8::ffff:0:0:1"));
        assert!(ask(31, "2001:db8:0:1::1"));
        assert!((0..30).all(|name| ask(100 + name, "192.0.2.1")));
        assert!(!ask(130, "::ffff:192.0.2.1"));
    }

    #[test]
    fn nobody_gets_new_tries_by_filling_the_tables() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for _ in 0..10 {
            throttle.attempt("cfo", HERE, start).expect("let through");
        }
        // More names than there is room for, each from an address of its own.
        let names = u32::try_from(MOST).unwrap() * 2;
        let known = (0..names).filter(|name| throttle.attempt(&format!("user-{name}"), address(*name), start).is_ok());
        assert_eq!(known.count(), MOST - 1);
        assert_eq!(throttle.accounts.whole_at.len(), MOST, "the table is bounded");
        assert_eq!(throttle.addresses.whole_at.len(), MOST, "and so is the other");
        throttle.attempt("cfo", address(names), start).expect_err("nothing is forgotten");
        // Whom nobody has heard of has to wait until there is room, as all others in his place.
        assert_eq!(throttle.attempt("ceo", HERE, start), Err(Duration::from_secs(30)));
        let later = start + Duration::from_secs(31);
        throttle.attempt("ceo", HERE, later).expect("there is room");
        assert!(throttle.accounts.whole_at.len() < 10, "what has no more to say is forgotten");
        throttle.attempt("cfo", HERE, later).expect("one is back");
        throttle.attempt("cfo", HERE, later).expect_err("and not more");
    }
}
