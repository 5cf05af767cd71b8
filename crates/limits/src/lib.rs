//! A limit for all clients together, and a smaller limit for each, so that one client cannot exhaust a resource.
//!
//! [`KeyedLimit`] limits concurrent use, [`KeyedRate`] the rate of events. The key is usually a [`Payer`]: the user
//! that is charged, or the network where users are unknown. [`BackOff`] delays the next attempt after failures.
//!
//! ```
//! use limits::{Full, KeyedLimit};
//! let connections = KeyedLimit::new(100, 2);
//! let held = [connections.take(Some("cfo")), connections.take(Some("cfo"))];
//! assert_eq!(connections.take(Some("cfo")).unwrap_err(), Full::Key);
//! assert!(connections.take(Some("ceo")).is_ok());
//! ```

mod back_off;
mod concurrency;
mod rate;
pub mod token_bucket;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

pub use back_off::{BackOff, BackOffPolicy, equal_jitter, full_jitter};
pub use concurrency::{Full, KeyedLimit, KeyedPermit};
pub use rate::{KeyedRate, Quota, Rate, Wait};

/// The principal that is charged for a client's use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A user, over all their connections.
    User(Arc<str>),
    /// All clients in one network, where users are unknown (see [`network_of`]).
    Network(IpAddr),
}

impl Payer {
    /// The network that is charged for clients at this address.
    ///
    /// `None` for loopback addresses: they belong to the operator's programs, or to a proxy that does not forward its
    /// clients' addresses. Those clients would all share one limit.
    #[must_use]
    pub fn at(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        (!address.is_loopback()).then(|| Self::Network(network_of(address)))
    }
}

/// The network that counts as one client: a /64 for IPv6, as every IPv6 client has at least one.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// The part of a limit that one client may use: a quarter; or, if that is more, `least` up to a half of the limit. `least` is what an
/// honest client may need at once.
#[must_use]
pub fn fair_share(limit: usize, least: usize) -> usize {
    (limit / 4).max(least.min(limit / 2)).max(1).min(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_is_a_quarter_but_enough_for_one_client() {
        for (limit, share) in [(10_000, 2_500), (2_000, 1_000), (10, 5), (1, 1), (0, 0)] {
            assert_eq!(fair_share(limit, 1_000), share, "{limit}");
        }
    }

    #[test]
    fn one_network_is_one_payer_and_loopback_is_none() {
        let payer = |address: &str| Payer::at(address.parse().expect("an address"));
        assert_eq!(payer("2001:db8:0:1::1"), payer("2001:db8:0:1:ffff::2"));
        assert_eq!(payer("::ffff:192.0.2.1"), payer("192.0.2.1"));
        assert_ne!(payer("192.0.2.1"), payer("192.0.2.2"));
        assert_eq!([payer("127.0.0.1"), payer("::1")], [None, None]);
    }
}
