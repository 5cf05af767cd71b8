//! Limits on password attempts.
//!
//! Each account name and each network has a token bucket of attempts. Attempts are counted before the password is
//! verified, so parallel ones cannot evade the limit; a right password gives its attempt back.
//!
//! Wrong attempts by others must not lock users out. So a network from which an account has logged in lately has
//! attempts of its own for that account.
//!
//! The tables are bounded. An entry is dropped only when its bucket is full again; if a table is full, new names have
//! to wait. So trying many names yields no additional attempts.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use limits::network_of;
use tokio::time::Instant;

/// Attempts at one account.
pub const PER_ACCOUNT: AttemptLimit = AttemptLimit { burst: 10, refill_interval: Duration::from_secs(30) };
/// Attempts from one network.
pub const PER_ADDRESS: AttemptLimit = AttemptLimit { burst: 30, refill_interval: Duration::from_secs(2) };
/// Sessions of one account. Bounded, since each logged-out session is remembered until it would have expired.
pub const SESSIONS: AttemptLimit = AttemptLimit { burst: 1_000, refill_interval: Duration::from_secs(10) };

/// Networks from which an account has logged in that are remembered, the latest ones.
const MAX_KNOWN_NETWORKS: usize = 8;
/// How long a login counts as recent.
const RECENT: Duration = Duration::from_secs(30 * 86_400);

/// Most entries of a table. Verification is too slow for that many wrong attempts within the 300 s after which the
/// first entries are dropped.
const MAX_ENTRIES: usize = 1 << 16;
/// A table with fewer entries is not searched for droppable ones.
const MIN_PRUNE: usize = 1 << 10;

/// A token bucket's size, and its refill interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimit {
    /// Size of the bucket.
    pub burst: u32,
    /// Time in which one token is refilled.
    pub refill_interval: Duration,
}

impl AttemptLimit {
    /// Time until the next token is available; `None` if one is available now. `full_at` is when the bucket is full.
    fn wait(self, full_at: Instant, now: Instant) -> Option<Duration> {
        let slack = self.refill_interval * (self.burst - 1);
        let wait = full_at.saturating_duration_since(now).saturating_sub(slack);
        (!wait.is_zero()).then_some(wait)
    }

    /// When the bucket is full again after taking one more token.
    fn count(self, full_at: Instant, now: Instant) -> Instant {
        full_at.max(now) + self.refill_interval
    }
}

/// A network from which an account has logged in.
#[derive(Debug)]
struct KnownNetwork {
    network: IpAddr,
    last: Instant,
    /// When the bucket of attempts from there is full again.
    full_at: Instant,
}

/// Buckets of attempts by account and by network, and of sessions by account.
#[derive(Debug)]
pub(super) struct Throttle {
    accounts: Table<Box<str>>,
    /// Known networks by account. Only existing accounts log in, so their number needs no bound.
    known_network: HashMap<Box<str>, Vec<KnownNetwork>>,
    /// Networks from which any account has logged in, with the time of the last login.
    networks: HashMap<IpAddr, Instant>,
    addresses: Table<IpAddr>,
    sessions: Table<Box<str>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            accounts: Table::new(PER_ACCOUNT, MAX_ENTRIES),
            known_network: HashMap::new(),
            networks: HashMap::new(),
            addresses: Table::new(PER_ADDRESS, MAX_ENTRIES),
            sessions: Table::new(SESSIONS, MAX_ENTRIES),
        }
    }
}

impl Throttle {
    /// Whether this account, or any account from this network, has logged in lately.
    pub(super) fn is_known(&self, account: &str, from: IpAddr, now: Instant) -> bool {
        let is_lately = |last: Instant| now.saturating_duration_since(last) < RECENT;
        self.networks.get(&network_of(from)).is_some_and(|last| is_lately(*last))
            || self.known_network.get(account).is_some_and(|known| known.iter().any(|known| is_lately(known.last)))
    }

    /// Counts an attempt. Returns whether the account has logged in from this network lately.
    ///
    /// # Errors
    /// How long to wait, when there were too many attempts; nothing is counted then.
    pub(super) fn attempt(&mut self, account: &str, from: IpAddr, now: Instant) -> Result<bool, Duration> {
        let from = network_of(from);
        let known_network = known_network(&mut self.known_network, account, from, now);
        // Checks both limits before counting: a refusal by one does not count at the other.
        let of_account = match &known_network {
            Some(known_network) => PER_ACCOUNT.wait(known_network.full_at, now),
            None => self.accounts.wait(account, now),
        };
        if let Some(wait) = of_account.max(self.addresses.wait(&from, now)) {
            return Err(wait);
        }
        let is_familiar = known_network.is_some();
        match known_network {
            Some(known_network) => known_network.full_at = PER_ACCOUNT.count(known_network.full_at, now),
            None => self.accounts.count(account.into(), now),
        }
        self.addresses.count(from, now);
        Ok(is_familiar)
    }

    /// Notes a right password: refills the account's bucket, gives the attempt back to the network, and counts a
    /// session.
    ///
    /// # Errors
    /// How long to wait, when the account has begun too many sessions.
    pub(super) fn succeeded(&mut self, account: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = network_of(from);
        match known_network(&mut self.known_network, account, from, now) {
            Some(known_network) => (known_network.last, known_network.full_at) = (now, now),
            None => {
                self.accounts.forget(account);
                self.remember(account, from, now);
            }
        }
        self.addresses.return_attempt(&from, now);
        if self.networks.len() < MAX_ENTRIES || self.networks.contains_key(&from) {
            self.networks.insert(from, now);
        }
        self.begin_session(account, now)
    }

    /// Counts a session of a user, who may have been authenticated elsewhere.
    ///
    /// # Errors
    /// How long to wait, when the user has begun too many sessions; nothing is counted then.
    pub(super) fn begin_session(&mut self, account: &str, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.sessions.wait(account, now) {
            return Err(wait);
        }
        self.sessions.count(account.into(), now);
        Ok(())
    }

    fn remember(&mut self, account: &str, network: IpAddr, now: Instant) {
        let known = self.known_network.entry(account.into()).or_default();
        known.retain(|known| known.network != network);
        if known.len() >= MAX_KNOWN_NETWORKS
            && let Some(oldest) = known.iter().enumerate().min_by_key(|(_, known)| known.last).map(|(place, _)| place)
        {
            known.swap_remove(oldest);
        }
        known.push(KnownNetwork { network, last: now, full_at: now });
    }
}

/// The entry of a network from which an account has logged in lately.
fn known_network<'a>(
    all: &'a mut HashMap<Box<str>, Vec<KnownNetwork>>,
    account: &str,
    network: IpAddr,
    now: Instant,
) -> Option<&'a mut KnownNetwork> {
    let mut known = all.get_mut(account)?.iter_mut();
    known.find(|known| known.network == network && now.saturating_duration_since(known.last) < RECENT)
}

/// For every key the time at which its bucket is full: the whole state of a token bucket. (`limits::token_bucket` is
/// not used because it reads the clock only when empty, and so may allow two bursts after idle time.)
#[derive(Debug)]
struct Table<K> {
    limit: AttemptLimit,
    max_entries: usize,
    full_at: HashMap<K, Instant>,
    /// Number of entries at which droppable ones are searched for.
    prune_at: usize,
    /// No entry can be dropped before this time.
    full_until: Option<Instant>,
}

impl<K: Hash + Eq> Table<K> {
    fn new(limit: AttemptLimit, max_entries: usize) -> Self {
        Self { limit, max_entries, full_at: HashMap::new(), prune_at: MIN_PRUNE.min(max_entries), full_until: None }
    }

    /// Time until the next attempt; `None` if it is allowed now.
    fn wait<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, now: Instant) -> Option<Duration>
    where
        K: Borrow<Q>,
    {
        let Some(full_at) = self.full_at.get(key).copied() else { return self.wait_for_room(now) };
        self.limit.wait(full_at, now)
    }

    fn wait_for_room(&mut self, now: Instant) -> Option<Duration> {
        if self.full_at.len() < self.prune_at {
            return None;
        }
        if let Some(before) = self.full_until.filter(|before| *before > now) {
            return Some(before - now);
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        // The table doubles before the next search, so searching stays cheap.
        self.prune_at = (self.full_at.len() * 2).clamp(MIN_PRUNE.min(self.max_entries), self.max_entries);
        if self.full_at.len() < self.max_entries {
            return None;
        }
        self.full_until = self.full_at.values().min().copied();
        self.full_until.map(|before| before - now)
    }

    fn count(&mut self, key: K, now: Instant) {
        let full_at = self.full_at.entry(key).or_insert(now);
        *full_at = self.limit.count(*full_at, now);
    }

    fn return_attempt<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, now: Instant)
    where
        K: Borrow<Q>,
    {
        if let Some(full_at) = self.full_at.get_mut(key) {
            *full_at = full_at.checked_sub(self.limit.refill_interval).unwrap_or(now);
        }
    }

    fn forget<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.full_at.remove(key);
        self.full_until = None;
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

    /// Counts how many of 10,000 attempts are allowed, one every `pause`, from the addresses that `from` chooses.
    fn allowed_attempts(pause: Duration, from: impl Fn(u32) -> IpAddr) -> u32 {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        (0..10_000).map(|try_| u32::from(throttle.attempt("cfo", from(try_), start + pause * try_).is_ok())).sum()
    }

    #[test]
    fn account_limit_is_10_attempts_then_one_per_30_s() {
        for from in [|_: u32| HERE, address] {
            assert_eq!(allowed_attempts(Duration::ZERO, from), 10);
            // For nearly 10,000 s.
            assert_eq!(allowed_attempts(Duration::from_secs(1), from), 10 + 9_999 / 30);
        }
    }

    #[test]
    fn network_limit_is_30_attempts_then_one_per_2_s() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let mut tries = 0..;
        let mut allowed_attempts = |after: Duration| {
            let names = tries.by_ref().take(1_000);
            names.filter(|name| throttle.attempt(&format!("user-{name}"), HERE, start + after).is_ok()).count()
        };
        assert_eq!(allowed_attempts(Duration::ZERO), 30);
        assert_eq!(allowed_attempts(Duration::from_secs(20)), 10);
        assert_eq!(
            allowed_attempts(Duration::from_secs(3_600)),
            30,
            "unused attempts do not accumulate beyond the bucket"
        );
    }

    #[test]
    fn refusals_report_the_wait_and_count_nothing() {
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
    fn right_password_refills_the_account() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        // The first one from a new network, the others from a known one.
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
    fn foreign_attempts_do_not_lock_out_known_networks() {
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
        throttle.attempt("cfo", HERE, start).expect_err("its own attempts are used up");
        let later = start + Duration::from_secs(30);
        throttle.attempt("cfo", HERE, later).expect("one is back");
        throttle.succeeded("cfo", HERE, later).expect("right");
        assert_eq!(strangers(&mut throttle, later), 1, "other networks get no attempts back");
        throttle.attempt("cfo", address(1), later).expect_err("somewhere new");
        throttle.attempt("ceo", HERE, later).expect("another account, as ever");
        let much_later = later + RECENT;
        assert_eq!(strangers(&mut throttle, much_later), 10);
        throttle.attempt("cfo", HERE, much_later).expect_err("it was too long ago");
    }

    #[test]
    fn latest_networks_of_an_account_are_remembered() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let one_more = u32::try_from(MAX_KNOWN_NETWORKS).unwrap() + 1;
        for number in 0..one_more {
            let now = start + Duration::from_secs(u64::from(number));
            for _ in 0..2 {
                throttle.succeeded("cfo", address(number), now).expect("right");
            }
        }
        let now = start + Duration::from_secs(60);
        assert_eq!(throttle.known_network["cfo"].len(), MAX_KNOWN_NETWORKS);
        while throttle.attempt("cfo", address(1_000), now).is_ok() {}
        let known = (0..one_more).filter(|number| throttle.attempt("cfo", address(*number), now).is_ok());
        assert_eq!(known.collect::<Vec<_>>(), (1..one_more).collect::<Vec<_>>());
    }

    #[test]
    fn sessions_of_one_account_are_limited() {
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
    fn one_ipv6_network_counts_as_one_client() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let mut ask = |name: u32, from: &str| throttle.attempt(&name.to_string(), from.parse().unwrap(), start).is_ok();
        assert!((0..30).all(|name| ask(name, &format!("2001:db8::{name:x}"))));
        assert!(!ask(30, "2001:db8::ffff:0:0:1"));
        assert!(ask(31, "2001:db8:0:1::1"));
        assert!((0..30).all(|name| ask(100 + name, "192.0.2.1")));
        assert!(!ask(130, "::ffff:192.0.2.1"));
    }

    #[test]
    fn full_tables_grant_no_new_attempts() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for _ in 0..10 {
            throttle.attempt("cfo", HERE, start).expect("let through");
        }
        // More names than the table has room for, each from its own address.
        let names = u32::try_from(MAX_ENTRIES).unwrap() * 2;
        let known = (0..names).filter(|name| throttle.attempt(&format!("user-{name}"), address(*name), start).is_ok());
        assert_eq!(known.count(), MAX_ENTRIES - 1);
        assert_eq!(throttle.accounts.full_at.len(), MAX_ENTRIES, "the table is bounded");
        assert_eq!(throttle.addresses.full_at.len(), MAX_ENTRIES, "the table of addresses is bounded, too");
        throttle.attempt("cfo", address(names), start).expect_err("nothing is forgotten");
        // A new name has to wait until there is room.
        assert_eq!(throttle.attempt("ceo", HERE, start), Err(Duration::from_secs(30)));
        let later = start + Duration::from_secs(31);
        throttle.attempt("ceo", HERE, later).expect("there is room");
        assert!(throttle.accounts.full_at.len() < 10, "full buckets are dropped");
        throttle.attempt("cfo", HERE, later).expect("one is back");
        throttle.attempt("cfo", HERE, later).expect_err("and not more");
    }
}
