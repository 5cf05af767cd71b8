//! Limits of connections: in total, per client address, and per user.
//!
//! A connection over a limit is still accepted, for as long as it takes to report the limit: a stock automerge-repo client on
//! Node.js crashes if the connection is refused in any other way. [`ClosePermit`]s bound the number of such connections. Limits
//! are checked once per connection, never per message.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use limits::{Full, KeyedLimit, KeyedPermit, fair_share, network_of};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::limits::Limits;

/// Header to which proxies append the address of their client.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Range of the number of rejected connections that are open at the same time.
const CLOSE_PERMITS: std::ops::RangeInclusive<usize> = 8..=512;
/// Least number of WebSockets that one user may open, however low the limit of connections is.
const MIN_PER_USER: usize = 16;

/// Counts all connections and hands out permits. Clones share the counts.
#[derive(Debug, Clone)]
pub struct ConnectionLimiter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    trusted_proxies: Vec<IpAddr>,
    /// Connections, in total and by network.
    connections: Arc<KeyedLimit<IpAddr>>,
    /// WebSockets by user. Each of them is also counted as a connection.
    users: Arc<KeyedLimit<Arc<str>>>,
    close_permits: Arc<Semaphore>,
}

/// The limit that a connection exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyConnections {
    /// The limit in total.
    #[error("too many connections to this server; try again later")]
    Total,
    /// The limit of one client address.
    #[error("too many connections from your address; close some, or try again later")]
    Address,
    /// The limit of one user.
    #[error("you have too many open connections; close some, or try again later")]
    User,
}

/// Permit for one connection. Released on drop.
pub type ConnectionPermit = KeyedPermit<IpAddr>;

/// Permit for one WebSocket of a user. Released on drop.
pub type UserPermit = KeyedPermit<Arc<str>>;

/// Permit to keep a refused connection open until the client has received the reason. Released on drop.
#[derive(Debug)]
pub struct ClosePermit(#[expect(dead_code, reason = "released on drop")] OwnedSemaphorePermit);

impl ConnectionLimiter {
    /// Counts no connections yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let close_permits = match limits.connections {
            0 => *CLOSE_PERMITS.end(),
            max => (max / 8).clamp(*CLOSE_PERMITS.start(), *CLOSE_PERMITS.end()),
        };
        let inner = Inner {
            trusted_proxies: limits.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            connections: KeyedLimit::new(
                unlimited_if_zero(limits.connections),
                unlimited_if_zero(limits.connections_per_address),
            ),
            users: KeyedLimit::new(usize::MAX, unlimited_if_zero(fair_share(limits.connections, MIN_PER_USER))),
            close_permits: Arc::new(Semaphore::new(close_permits)),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns a permit for a connection from `peer`. Connections of trusted proxies count in total only; see
    /// [`acquire_behind_proxy`](Self::acquire_behind_proxy).
    ///
    /// # Errors
    /// If a limit is reached.
    pub fn acquire(&self, peer: IpAddr) -> Result<ConnectionPermit, TooManyConnections> {
        let network = Some(peer).filter(|peer| !self.is_trusted_proxy(*peer)).map(network_of);
        self.inner.connections.take(network).map_err(|full| match full {
            Full::Total => TooManyConnections::Total,
            Full::Key => TooManyConnections::Address,
        })
    }

    /// Returns a permit for a WebSocket of a client behind a trusted proxy, which counts for the client's address only: the
    /// proxy's connection counts in total. `None` if `peer` is not a trusted proxy.
    ///
    /// # Errors
    /// If the limit of the client's address is reached.
    pub fn acquire_behind_proxy(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Option<ConnectionPermit>, TooManyConnections> {
        if !self.is_trusted_proxy(peer) {
            return Ok(None);
        }
        let client = self.forwarded_client(headers).unwrap_or(peer);
        let permit = self.inner.connections.take_for_key(network_of(client));
        permit.map(Some).map_err(|_| TooManyConnections::Address)
    }

    /// Returns a permit for a WebSocket of this user.
    ///
    /// # Errors
    /// If the user holds a quarter of all connections.
    pub fn acquire_for_user(&self, user: &Arc<str>) -> Result<UserPermit, TooManyConnections> {
        self.inner.users.take_for_key(Arc::clone(user)).map_err(|_| TooManyConnections::User)
    }

    /// The address of the client that sent a request: `peer`, or the address that a trusted proxy reports.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.is_trusted_proxy(peer) { self.forwarded_client(headers).unwrap_or(peer) } else { peer }
    }

    /// Returns a close permit; `None` if all are in use.
    #[must_use]
    pub fn try_close_permit(&self) -> Option<ClosePermit> {
        Arc::clone(&self.inner.close_permits).try_acquire_owned().ok().map(ClosePermit)
    }

    /// Waits for a close permit. (`None` does not occur: the semaphore is never closed.)
    pub async fn close_permit(&self) -> Option<ClosePermit> {
        Arc::clone(&self.inner.close_permits).acquire_owned().await.ok().map(ClosePermit)
    }

    /// The client behind trusted proxies: the last forwarded address that is not a trusted proxy. The client may have written
    /// the entries before it.
    fn forwarded_client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut last = None;
        for value in headers.get_all(FORWARDED_FOR) {
            for part in value.to_str().ok()?.split(',') {
                let part = part.trim();
                match part.parse() {
                    Ok(address) if self.is_trusted_proxy(address) => {}
                    parsed => last = parsed.ok(),
                }
            }
        }
        last
    }

    /// Whether forwarding headers from this address are trusted.
    #[must_use]
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.inner.trusted_proxies.contains(&address.to_canonical())
    }
}

/// Maps 0, which disables a limit, to the maximum.
fn unlimited_if_zero(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn limiter(connections: usize, connections_per_address: usize, proxies: &[&str]) -> ConnectionLimiter {
        let trusted_proxies = proxies.iter().map(|proxy| ip(proxy)).collect();
        ConnectionLimiter::new(&Limits { connections, connections_per_address, trusted_proxies, ..Limits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn forwarded(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (FORWARDED_FOR.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn dropped_permit_admits_another_connection() {
        let limiter = limiter(2, 0, &[]);
        let (one, _two) = (limiter.acquire(ip("10.0.0.1")).unwrap(), limiter.acquire(ip("10.0.0.1")).unwrap());
        assert_eq!(limiter.acquire(ip("10.0.0.2")).unwrap_err(), TooManyConnections::Total);
        drop(one);
        assert!(limiter.acquire(ip("10.0.0.2")).is_ok());
    }

    #[test]
    fn address_at_its_limit_does_not_affect_others() {
        let limiter = limiter(0, 2, &[]);
        let permits = [limiter.acquire(ip("10.0.0.1")).unwrap(), limiter.acquire(ip("::ffff:10.0.0.1")).unwrap()];
        assert_eq!(limiter.acquire(ip("10.0.0.1")).unwrap_err(), TooManyConnections::Address);
        assert!(limiter.acquire(ip("10.0.0.2")).is_ok());
        drop(permits);
        assert!(limiter.acquire(ip("10.0.0.1")).is_ok());
        assert_eq!(limiter.inner.connections.used(), (0, 0));
    }

    #[test]
    fn ipv6_addresses_of_one_64_network_share_a_limit() {
        let limiter = limiter(0, 1, &[]);
        let _permit = limiter.acquire(ip("2001:db8:0:1::1")).unwrap();
        assert_eq!(limiter.acquire(ip("2001:db8:0:1:ffff::2")).unwrap_err(), TooManyConnections::Address);
        assert!(limiter.acquire(ip("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn zero_disables_the_limit() {
        let limiter = limiter(0, 0, &[]);
        let permits: Vec<_> = (0..10_000).map(|_| limiter.acquire(ip("10.0.0.1")).unwrap()).collect();
        assert_eq!(limiter.inner.connections.used(), (10_000, 0));
        drop(permits);
    }

    #[test]
    fn trusted_proxy_determines_the_client_address() {
        let limiter = limiter(0, 1, &["10.0.0.1", "10.0.0.2"]);
        let proxy = ip("10.0.0.1");
        let _connections: Vec<_> =
            (0..3).map(|_| limiter.acquire(proxy).expect("proxies have no limit of their own")).collect();
        let claim = |values: &[&str]| limiter.acquire_behind_proxy(proxy, &forwarded(values));
        let _permit = claim(&["192.0.2.1"]).unwrap().expect("a permit");
        // Entries of the client and of further trusted proxies are ignored.
        for values in [&["8.8.8.8, 192.0.2.1"][..], &["nonsense", "192.0.2.1"], &["192.0.2.1, 10.0.0.2"]] {
            assert_eq!(claim(values).unwrap_err(), TooManyConnections::Address, "{values:?}");
        }
        assert!(claim(&["192.0.2.1, 192.0.2.2"]).is_ok());
        // Without an address, the address of the proxy counts.
        let _unknown = claim(&[]).unwrap().expect("a permit");
        assert_eq!(claim(&["192.0.2.1, unknown"]).unwrap_err(), TooManyConnections::Address);
    }

    #[test]
    fn forwarded_header_of_an_untrusted_peer_is_ignored() {
        let limiter = limiter(0, 1, &["10.0.0.1"]);
        let untrusted = ip("192.0.2.9");
        let _permit = limiter.acquire(untrusted).unwrap();
        assert!(limiter.acquire_behind_proxy(untrusted, &forwarded(&["1.1.1.1"])).unwrap().is_none());
        assert_eq!(limiter.acquire(untrusted).unwrap_err(), TooManyConnections::Address);
    }

    #[test]
    fn user_may_hold_a_quarter_of_all_connections() {
        let limiter = limiter(100, 0, &[]);
        let (intern, ceo) = (Arc::from("intern"), Arc::from("ceo"));
        let permits: Vec<_> = std::iter::from_fn(|| limiter.acquire_for_user(&intern).ok()).take(101).collect();
        assert_eq!(permits.len(), 25);
        assert_eq!(limiter.acquire_for_user(&intern).unwrap_err(), TooManyConnections::User);
        assert!(limiter.acquire_for_user(&ceo).is_ok());
        drop(permits);
        assert!(limiter.acquire_for_user(&intern).is_ok());
    }

    #[test]
    fn close_permits_are_bounded() {
        let limiter = limiter(64, 0, &[]);
        let mut close_permits: Vec<_> = std::iter::from_fn(|| limiter.try_close_permit()).collect();
        assert_eq!(close_permits.len(), 8);
        assert!(limiter.close_permit().now_or_never().is_none());
        close_permits.pop();
        assert!(limiter.try_close_permit().is_some());
    }
}
