//! Limits with shares: a bound for all clients together, and a smaller one for each of them, so that one cannot use up what is
//! there for all.
//!
//! [`KeyedLimit`] bounds what is in use at a time, [`KeyedRate`] how often something happens. Both are keyed: mostly by a
//! [`Payer`], the user who is charged, or the network where users are not known.

mod concurrency;
mod rate;
pub mod token_bucket;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

pub use concurrency::{Full, KeyedLimit, KeyedPermit};
pub use rate::{KeyedRate, Rate, Wait};

/// Who is charged for what a client uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A user, over however many connections.
    User(Arc<str>),
    /// Where users are not known: all clients in one network (see [`network_of`]).
    Network(IpAddr),
}

impl Payer {
    /// Who pays for what comes from this address, if users are not known. `None` for this machine's own addresses: programs of
    /// its operator, or a proxy that does not say who its clients are, which would all share one client's part.
    #[must_use]
    pub fn at(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        (!address.is_loopback()).then(|| Self::Network(network_of(address)))
    }
}

/// The part of an address that stands for one client: whoever has one IPv6 address has at least all of its /64.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// One client's share of a limit: a quarter of it; or as much as an honest client may need at once (`least`), up to a half.
#[must_use]
pub fn share_of(limit: usize, least: usize) -> usize {
    (limit / 4).max(least.min(limit / 2)).max(1).min(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_is_a_quarter_but_enough_for_one_client() {
        for (limit, share) in [(10_000, 2_500), (2_000, 1_000), (10, 5), (1, 1), (0, 0)] {
            assert_eq!(share_of(limit, 1_000), share, "{limit}");
        }
    }

    #[test]
    fn addresses_of_one_client_pay_together_and_loopback_does_not() {
        let payer = |address: &str| Payer::at(address.parse().expect("an address"));
        assert_eq!(payer("2001:db8:0:1::1"), payer("2001:db8:0:1:ffff::2"));
        assert_eq!(payer("::ffff:192.0.2.1"), payer("192.0.2.1"));
        assert_ne!(payer("192.0.2.1"), payer("192.0.2.2"));
        assert_eq!([payer("127.0.0.1"), payer("::1")], [None, None]);
    }
}
