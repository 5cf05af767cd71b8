//! Who is connected: how many connections there are, in total and from each address, and whether there is room for more.
//!
//! A connection that is one too many is still served, as long as it takes to tell it so: a stock automerge-repo client on
//! Node dies of a connection that is refused any other way. How many are being told is bounded, or refusing would be the
//! attack. This is asked once per connection, and never per message.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use limits::{self, KeyedLimit, KeyedPermit, fair_share, network_of};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::Limits;

/// What a proxy adds the address to that it was asked from.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Connections that may be told at once that there is no room, at the most and at the least.
const GOODBYES: std::ops::RangeInclusive<usize> = 8..=512;

/// WebSockets that one user may have, however few a server takes.
const OF_ONE_USER: usize = 16;

/// The table of all connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guests {
    house: Arc<House>,
}

#[derive(Debug)]
struct House {
    proxies: Vec<IpAddr>,
    /// Connections, in total and by network.
    connections: Arc<KeyedLimit<IpAddr>>,
    /// WebSockets by user. All of them are counted in total as connections.
    users: Arc<KeyedLimit<Arc<str>>>,
    goodbyes: Arc<Semaphore>,
}

/// Why there is no room for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// In total.
    #[error("this server has as many connections as it takes; try again later")]
    House,
    /// From one address.
    #[error("this server has as many connections from your address as it takes; close some, or try again later")]
    Address,
    /// Of one user.
    #[error("this server has as many connections of yours as it takes; close some, or try again later")]
    User,
}

/// A connection's place; given back when this is dropped.
pub type Seat = KeyedPermit<IpAddr>;

/// A place among a user's WebSockets; given back when this is dropped.
pub type UserSeat = KeyedPermit<Arc<str>>;

/// The right to say goodbye at length; given back when this is dropped.
#[derive(Debug)]
pub struct Goodbye(#[expect(dead_code, reason = "given back by being dropped")] OwnedSemaphorePermit);

/// One TCP connection, as the surfaces see it.
#[derive(Debug)]
pub struct Guest {
    /// The other side of it.
    pub peer: IpAddr,
    /// Whether there is room for it.
    pub place: Place,
}

/// Whether there is room for a connection.
#[derive(Debug)]
pub enum Place {
    /// There is.
    Seat(#[expect(dead_code, reason = "given back by being dropped")] Seat),
    /// There is none, which it is to be told.
    None(Full, #[expect(dead_code, reason = "given back by being dropped")] Goodbye),
}

impl Guest {
    /// Why there is no room for it, if so.
    #[must_use]
    pub fn refused(&self) -> Option<Full> {
        match &self.place {
            Place::Seat(_) => None,
            Place::None(full, _) => Some(*full),
        }
    }
}

impl Guests {
    /// Nobody yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let goodbyes = match limits.connections {
            0 => *GOODBYES.end(),
            most => (most / 8).clamp(*GOODBYES.start(), *GOODBYES.end()),
        };
        let house = House {
            proxies: limits.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            connections: KeyedLimit::new(limit(limits.connections), limit(limits.connections_per_address)),
            users: KeyedLimit::new(usize::MAX, limit(fair_share(limits.connections, OF_ONE_USER))),
            goodbyes: Arc::new(Semaphore::new(goodbyes)),
        };
        Self { house: Arc::new(house) }
    }

    /// Room for a connection from here. (One from a trusted proxy is nobody's yet: see [`Guests::seat_behind_proxy`].)
    ///
    /// # Errors
    /// When there is none.
    pub fn seat(&self, peer: IpAddr) -> Result<Seat, Full> {
        let network = Some(peer).filter(|peer| !self.is_proxy(*peer)).map(network_of);
        self.house.connections.take(network).map_err(|full| match full {
            limits::Full::Total => Full::House,
            limits::Full::Key => Full::Address,
        })
    }

    /// Room for a WebSocket that has come over a trusted proxy, whose connection has its own seat in total. None: there
    /// was no proxy in between.
    ///
    /// # Errors
    /// When there are as many from its address as there may be.
    pub fn seat_behind_proxy(&self, peer: IpAddr, headers: &HeaderMap) -> Result<Option<Seat>, Full> {
        if !self.is_proxy(peer) {
            return Ok(None);
        }
        let client = self.client(headers).unwrap_or(peer);
        self.house.connections.take_for_key(network_of(client)).map(Some).map_err(|_| Full::Address)
    }

    /// Room for a WebSocket of this user.
    ///
    /// # Errors
    /// When the user has as many as may be: a quarter of all connections.
    pub fn seat_of_user(&self, user: &Arc<str>) -> Result<UserSeat, Full> {
        self.house.users.take_for_key(Arc::clone(user)).map_err(|_| Full::User)
    }

    /// From where a request comes: the other side of its connection, or what a trusted proxy says.
    #[must_use]
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.is_proxy(peer) { self.client(headers).unwrap_or(peer) } else { peer }
    }

    /// The right to tell somebody at length that there is no room; None: too many are being told already.
    #[must_use]
    pub fn goodbye(&self) -> Option<Goodbye> {
        Arc::clone(&self.house.goodbyes).try_acquire_owned().ok().map(Goodbye)
    }

    /// The same, as soon as others have been told. (None never happens: the right is not abolished.)
    pub async fn next_goodbye(&self) -> Option<Goodbye> {
        Arc::clone(&self.house.goodbyes).acquire_owned().await.ok().map(Goodbye)
    }

    /// Who stands behind our proxies: of the addresses that were added one after the other, the last that is not a
    /// proxy's. The entries before it are not trusted.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut last = None;
        for value in headers.get_all(FORWARDED_FOR) {
            for part in value.to_str().ok()?.split(',') {
                let part = part.trim();
                match part.parse() {
                    Ok(address) if self.is_proxy(address) => {}
                    parsed => last = parsed.ok(),
                }
            }
        }
        last
    }

    /// Whether this is a proxy whose word about its clients counts.
    #[must_use]
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.house.proxies.contains(&address.to_canonical())
    }
}

/// In the flags, 0 is no limit.
fn limit(flag: usize) -> usize {
    if flag == 0 { usize::MAX } else { flag }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn guests(connections: usize, connections_per_address: usize, proxies: &[&str]) -> Guests {
        let trusted_proxies = proxies.iter().map(|proxy| ip(proxy)).collect();
        Guests::new(&Limits { connections, connections_per_address, trusted_proxies, ..Limits::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn forwarded(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (FORWARDED_FOR.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_seat_is_free_again_when_its_connection_is_gone() {
        let guests = guests(2, 0, &[]);
        let (one, _two) = (guests.seat(ip("10.0.0.1")).unwrap(), guests.seat(ip("10.0.0.1")).unwrap());
        assert_eq!(guests.seat(ip("10.0.0.2")).unwrap_err(), Full::House);
        drop(one);
        assert!(guests.seat(ip("10.0.0.2")).is_ok());
    }

    #[test]
    fn one_address_leaves_room_for_others_and_is_forgotten() {
        let guests = guests(0, 2, &[]);
        let seats = [guests.seat(ip("10.0.0.1")).unwrap(), guests.seat(ip("::ffff:10.0.0.1")).unwrap()];
        assert_eq!(guests.seat(ip("10.0.0.1")).unwrap_err(), Full::Address);
        assert!(guests.seat(ip("10.0.0.2")).is_ok());
        drop(seats);
        assert!(guests.seat(ip("10.0.0.1")).is_ok());
        assert_eq!(guests.house.connections.used(), (0, 0));
    }

    #[test]
    fn sixty_four_bits_of_ipv6_are_one_address() {
        let guests = guests(0, 1, &[]);
        let _seat = guests.seat(ip("2001:db8:0:1::1")).unwrap();
        assert_eq!(guests.seat(ip("2001:db8:0:1:ffff::2")).unwrap_err(), Full::Address);
        assert!(guests.seat(ip("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn zero_is_no_limit() {
        let guests = guests(0, 0, &[]);
        let seats: Vec<_> = (0..10_000).map(|_| guests.seat(ip("10.0.0.1")).unwrap()).collect();
        assert_eq!(guests.house.connections.used(), (10_000, 0));
        drop(seats);
    }

    #[test]
    fn behind_a_trusted_proxy_the_address_that_it_added_counts() {
        let guests = guests(0, 1, &["10.0.0.1", "10.0.0.2"]);
        let proxy = ip("10.0.0.1");
        let _connections: Vec<_> = (0..3).map(|_| guests.seat(proxy).expect("a proxy is not one client")).collect();
        let claim = |values: &[&str]| guests.seat_behind_proxy(proxy, &forwarded(values));
        let _seat = claim(&["192.0.2.1"]).unwrap().expect("a seat");
        // With any entries that the client wrote itself, and through any number of trusted proxies.
        for values in [&["8.8.8.8, 192.0.2.1"][..], &["nonsense", "192.0.2.1"], &["192.0.2.1, 10.0.0.2"]] {
            assert_eq!(claim(values).unwrap_err(), Full::Address, "{values:?}");
        }
        assert!(claim(&["192.0.2.1, 192.0.2.2"]).is_ok());
        // Without an address it is the proxy's own.
        let _nobody = claim(&[]).unwrap().expect("a seat");
        assert_eq!(claim(&["192.0.2.1, unknown"]).unwrap_err(), Full::Address);
    }

    #[test]
    fn from_anybody_else_the_header_is_not_believed() {
        let guests = guests(0, 1, &["10.0.0.1"]);
        let stranger = ip("192.0.2.9");
        let _seat = guests.seat(stranger).unwrap();
        assert!(guests.seat_behind_proxy(stranger, &forwarded(&["1.1.1.1"])).unwrap().is_none());
        assert_eq!(guests.seat(stranger).unwrap_err(), Full::Address);
    }

    #[test]
    fn user_has_a_quarter_of_connections_over_all_addresses() {
        let guests = guests(100, 0, &[]);
        let (intern, ceo) = (Arc::from("intern"), Arc::from("ceo"));
        let seats: Vec<_> = std::iter::from_fn(|| guests.seat_of_user(&intern).ok()).take(101).collect();
        assert_eq!(seats.len(), 25);
        assert_eq!(guests.seat_of_user(&intern).unwrap_err(), Full::User);
        assert!(guests.seat_of_user(&ceo).is_ok());
        drop(seats);
        assert!(guests.seat_of_user(&intern).is_ok());
    }

    #[test]
    fn only_so_many_are_told_at_once() {
        let guests = guests(64, 0, &[]);
        let mut goodbyes: Vec<_> = std::iter::from_fn(|| guests.goodbye()).collect();
        assert_eq!(goodbyes.len(), 8);
        assert!(guests.next_goodbye().now_or_never().is_none());
        goodbyes.pop();
        assert!(guests.goodbye().is_some());
    }
}
