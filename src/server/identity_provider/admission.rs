//! Limits on the exchanges of codes. Each is a request to the provider, and anybody can cause one with a code of their own making.

use std::sync::Arc;

use auth::PER_ADDRESS;
use limits::{KeyedLimit, KeyedPermit, KeyedRate, Payer, Rate};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Most codes that are exchanged at a time, and most for clients of one network.
const AT_A_TIME: usize = 32;
const AT_A_TIME_OF_ONE: usize = 8;
/// Rate of all failed exchanges, so that strangers cannot make this server flood the provider.
const TOTAL: Rate = Rate { per_second: 20.0, burst: 200.0 };

/// The exchanges in progress, and the rate of those that fail.
pub(super) struct Admission {
    in_progress: Arc<KeyedLimit<Payer>>,
    rate: Mutex<KeyedRate<Payer>>,
}

impl Admission {
    pub(super) fn new(now: Instant) -> Self {
        // As for passwords.
        let per_second = 1.0 / PER_ADDRESS.refill_interval.as_secs_f64();
        let each = Rate { per_second, burst: f64::from(PER_ADDRESS.burst) };
        Self {
            in_progress: KeyedLimit::new(AT_A_TIME, AT_A_TIME_OF_ONE),
            rate: Mutex::new(KeyedRate::new(TOTAL, each, now)),
        }
    }

    /// Admits an exchange for this payer; `None` if there are too many. Parallel ones are counted before they fail.
    pub(super) fn take(&self, from: Option<&Payer>, now: Instant) -> Option<KeyedPermit<Payer>> {
        self.rate.lock().take(from, now).ok()?;
        self.in_progress.take(from.cloned()).ok()
    }

    /// Does not count an exchange whose user has logged in: all users of a company may share one network.
    pub(super) fn succeeded(&self, from: Option<&Payer>) {
        self.rate.lock().give_back(from);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn network(number: u32) -> Payer {
        Payer::at(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into()).expect("not loopback")
    }

    #[test]
    fn one_network_has_30_exchanges_then_one_per_2_s() {
        let now = Instant::now();
        let admission = Admission::new(now);
        let admitted =
            |network: &Payer, at: Instant| (0..100).filter(|_| admission.take(Some(network), at).is_some()).count();
        let (here, elsewhere) = (network(1), network(2));
        assert_eq!(admitted(&here, now), 30);
        assert_eq!(admitted(&elsewhere, now), 30);
        assert_eq!(admitted(&here, now + Duration::from_secs(2)), 1);
        admission.succeeded(Some(&here));
        assert_eq!(admitted(&here, now + Duration::from_secs(2)), 1, "a login is not counted");
    }

    #[test]
    fn all_networks_share_a_rate() {
        let now = Instant::now();
        let admission = Admission::new(now);
        let admitted = |at: Instant| (0..1_000).filter(|it| admission.take(Some(&network(*it)), at).is_some()).count();
        assert_eq!(admitted(now), 200);
        assert!(admission.take(None, now).is_none(), "those of loopback, too");
        assert_eq!(admitted(now + Duration::from_secs(1)), 20);
    }

    #[test]
    fn exchanges_in_progress_are_limited() {
        let now = Instant::now();
        let admission = Admission::new(now);
        let held: Vec<_> = (0..20).filter_map(|_| admission.take(Some(&network(1)), now)).collect();
        assert_eq!(held.len(), AT_A_TIME_OF_ONE);
        assert!(admission.take(Some(&network(2)), now).is_some());
    }
}
