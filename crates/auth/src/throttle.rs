//! How often somebody may try a password.
//!
//! Each name and each address has so many tries at once, and gets one back now and then. What is counted are tries: before the
//! password is looked at, so that many at once do not get past the count; a right one is given back.
//!
//! Somebody else's wrong tries must not keep people out of their own account. So where an account has logged in lately, it has
//! tries of its own there, which nobody uses up who is elsewhere.
//!
//! The tables are bounded, and nothing in them is forgotten before it has no more to say: an entry goes when all its tries are
//! back. Should a table ever be full of others, a new name has to wait. So nobody gets new tries by trying many names.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use limits::network_of;
use tokio::time::Instant;

/// Tries for one account: so many at once, and one more every so often.
pub const PER_ACCOUNT: Allowance = Allowance { at_once: 10, every: Duration::from_secs(30) };
/// Tries from one address.
pub const PER_ADDRESS: Allowance = Allowance { at_once: 30, every: Duration::from_secs(2) };
/// Sessions of one account. Each one that is logged out is remembered until it would have ended, so their number is bounded.
pub const SESSIONS: Allowance = Allowance { at_once: 1_000, every: Duration::from_secs(10) };

/// Networks from which an account has logged in that are remembered: so many, the latest.
const FAMILIAR: usize = 8;
/// For so long.
const LATELY: Duration = Duration::from_secs(30 * 86_400);

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

impl Allowance {
    /// How long to wait for the next; none: now. `whole_at`: when all of them are back.
    fn wait(self, whole_at: Instant, now: Instant) -> Option<Duration> {
        let slack = self.every * (self.at_once - 1);
        let wait = whole_at.saturating_duration_since(now).saturating_sub(slack);
        (!wait.is_zero()).then_some(wait)
    }

    /// When all of them are back, after one more.
    fn count(self, whole_at: Instant, now: Instant) -> Instant {
        whole_at.max(now) + self.every
    }
}

/// A network from which an account has logged in.
#[derive(Debug)]
struct Familiar {
    network: IpAddr,
    last: Instant,
    /// When all tries from there are back.
    whole_at: Instant,
}

/// Tries by account and by address, and sessions by account.
#[derive(Debug)]
pub(super) struct Throttle {
    accounts: Table<Box<str>>,
    /// Of accounts that have logged in. These are there, so their number needs no bound.
    familiar: HashMap<Box<str>, Vec<Familiar>>,
    /// Networks from which any account has logged in, and when it last did.
    networks: HashMap<IpAddr, Instant>,
    addresses: Table<IpAddr>,
    sessions: Table<Box<str>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            accounts: Table::new(PER_ACCOUNT, MOST),
            familiar: HashMap::new(),
            networks: HashMap::new(),
            addresses: Table::new(PER_ADDRESS, MOST),
            sessions: Table::new(SESSIONS, MOST),
        }
    }
}

impl Throttle {
    /// Whether this account, or any account from this network, has logged in lately.
    pub(super) fn is_known(&self, account: &str, from: IpAddr, now: Instant) -> bool {
        let is_lately = |last: Instant| now.saturating_duration_since(last) < LATELY;
        self.networks.get(&network_of(from)).is_some_and(|last| is_lately(*last))
            || self.familiar.get(account).is_some_and(|known| known.iter().any(|known| is_lately(known.last)))
    }

    /// Counts a try.
    ///
    /// # Errors
    /// When there were too many of this account or address: how long to wait. Nothing was counted.
    pub(super) fn attempt(&mut self, account: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = network_of(from);
        let familiar = familiar(&mut self.familiar, account, from, now);
        // Both are asked before either is counted: who has to wait for the one does not pay at the other.
        let of_account = match &familiar {
            Some(familiar) => PER_ACCOUNT.wait(familiar.whole_at, now),
            None => self.accounts.wait(account, now),
        };
        if let Some(wait) = of_account.max(self.addresses.wait(&from, now)) {
            return Err(wait);
        }
        match familiar {
            Some(familiar) => familiar.whole_at = PER_ACCOUNT.count(familiar.whole_at, now),
            None => self.accounts.count(account.into(), now),
        }
        self.addresses.count(from, now);
        Ok(())
    }

    /// The try was right: the account has all its tries again, the address this one. Counts a session.
    ///
    /// # Errors
    /// When the account has begun too many sessions: how long to wait.
    pub(super) fn succeeded(&mut self, account: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = network_of(from);
        match familiar(&mut self.familiar, account, from, now) {
            Some(familiar) => (familiar.last, familiar.whole_at) = (now, now),
            None => {
                self.accounts.forget(account);
                self.remember(account, from, now);
            }
        }
        self.addresses.give_back(&from, now);
        if self.networks.len() < MOST || self.networks.contains_key(&from) {
            self.networks.insert(from, now);
        }
        if let Some(wait) = self.sessions.wait(account, now) {
            return Err(wait);
        }
        self.sessions.count(account.into(), now);
        Ok(())
    }

    fn remember(&mut self, account: &str, network: IpAddr, now: Instant) {
        let known = self.familiar.entry(account.into()).or_default();
        known.retain(|known| known.network != network);
        if known.len() >= FAMILIAR
            && let Some(oldest) = known.iter().enumerate().min_by_key(|(_, known)| known.last).map(|(place, _)| place)
        {
            known.swap_remove(oldest);
        }
        known.push(Familiar { network, last: now, whole_at: now });
    }
}

/// Whether an account has logged in from here lately.
fn familiar<'a>(
    all: &'a mut HashMap<Box<str>, Vec<Familiar>>,
    account: &str,
    network: IpAddr,
    now: Instant,
) -> Option<&'a mut Familiar> {
    let mut known = all.get_mut(account)?.iter_mut();
    known.find(|known| known.network == network && now.saturating_duration_since(known.last) < LATELY)
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
        self.allowance.wait(whole_at, now)
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
        *whole_at = self.allowance.count(*whole_at, now);
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
        // The first of them from somewhere new, the others from where the account is known.
        for _ in 0..3 {
            for _ in 0..9 {
                throttle.attempt("cfo", HERE, start).expect("let through");
            }
            throttle.attempt("cfo", HERE, start).expect("the tenth");
            throttle.succeeded("cfo", HERE, start).expect("right");
        }
        for _ in 0..10 {
            throttle.attempt("cfo", address(1), start).expect("nothing was counted for the account");
        }
        for other in 0..3 {
            throttle.attempt(&format!("other-{other}"), HERE, start).expect("nor these three for the address");
        }
        throttle.attempt("other", HERE, start).expect_err("the 27 were wrong");
    }

    #[test]
    fn who_is_known_where_they_are_is_not_kept_out_by_wrong_tries_from_elsewhere() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let strangers = |throttle: &mut Throttle, at: Instant| {
            (100..300).filter(|other| throttle.attempt("cfo", address(*other), at).is_ok()).count()
        };
        throttle.attempt("cfo", HERE, start).expect("the first");
        throttle.succeeded("cfo", HERE, start).expect("right");
        assert_eq!(strangers(&mut throttle, start), 10);
        for _ in 0..10 {
            throttle.attempt("cfo", HERE, start).expect("these are their own");
        }
        throttle.attempt("cfo", HERE, start).expect_err("which are no more than others have");
        let later = start + Duration::from_secs(30);
        throttle.attempt("cfo", HERE, later).expect("one is back");
        throttle.succeeded("cfo", HERE, later).expect("right");
        assert_eq!(strangers(&mut throttle, later), 1, "nobody else gets tries back by that");
        throttle.attempt("cfo", address(1), later).expect_err("somewhere new");
        throttle.attempt("ceo", HERE, later).expect("another account, as ever");
        let much_later = later + LATELY;
        assert_eq!(strangers(&mut throttle, much_later), 10);
        throttle.attempt("cfo", HERE, much_later).expect_err("it was too long ago");
    }

    #[test]
    fn so_many_networks_of_an_account_are_remembered_the_latest() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let one_more = u32::try_from(FAMILIAR).unwrap() + 1;
        for number in 0..one_more {
            let now = start + Duration::from_secs(u64::from(number));
            for _ in 0..2 {
                throttle.succeeded("cfo", address(number), now).expect("right");
            }
        }
        let now = start + Duration::from_secs(60);
        assert_eq!(throttle.familiar["cfo"].len(), FAMILIAR);
        while throttle.attempt("cfo", address(1_000), now).is_ok() {}
        let known = (0..one_more).filter(|number| throttle.attempt("cfo", address(*number), now).is_ok());
        assert_eq!(known.collect::<Vec<_>>(), (1..one_more).collect::<Vec<_>>());
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
