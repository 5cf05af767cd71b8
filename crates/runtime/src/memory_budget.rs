//! The memory budget of large messages, over all connections.
//!
//! A connection may send one large message at a time. Without a common limit, a thousand connections that each send
//! half of one would exhaust the memory of any machine. Small messages do not count: their number is limited per
//! connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use limits::{KeyedLimit, KeyedPermit, Payer, fair_share};

/// Bytes of a partly received message that do not count.
pub const FREE_BYTES: u64 = 64 << 10;

/// Size up to which a queued message does not count.
const FREE_QUEUED_BYTES: usize = 4 << 10;

/// The memory budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server has no memory for a message of this size; try again later")]
pub struct OutOfMemory;

/// The budget, and how much of it is used. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    used: AtomicU64,
    /// Bytes of messages to clients, by the payer that is charged for them.
    outgoing: Arc<KeyedLimit<Payer>>,
    /// Bytes of request bodies, by their sender.
    bodies: Arc<KeyedLimit<Payer>>,
}

impl MemoryBudget {
    /// A budget of `limit` bytes; 0 disables the limit.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let each =
            usize::try_from(limit).ok().filter(|limit| *limit > 0).map_or(usize::MAX, |limit| fair_share(limit, 0));
        Self(Arc::new(Inner {
            limit: if limit == 0 { u64::MAX } else { limit },
            used: AtomicU64::new(0),
            outgoing: KeyedLimit::new(usize::MAX, each),
            bodies: KeyedLimit::new(usize::MAX, each),
        }))
    }

    /// Bytes that are in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether more than half of the budget is used.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.used() > self.0.limit / 2
    }

    /// An empty reservation.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), used: 0 }
    }

    /// An empty reservation for the body of a request, charged to `payer`. A payer may use a quarter of the budget, or one body.
    #[must_use]
    pub fn body_reservation(&self, payer: Option<Payer>) -> BodyReservation {
        let share = payer.and_then(|payer| self.0.bodies.take_amount_for_key(payer, 0).ok());
        BodyReservation { reservation: self.reservation(), share }
    }

    /// Reserves memory for `bytes` until the last clone of the result is dropped.
    ///
    /// # Errors
    /// When the budget is used up.
    pub fn track(&self, bytes: Bytes) -> Result<Bytes, OutOfMemory> {
        let mut reservation = self.reservation();
        reservation.resize_exact(bytes.len() as u64)?;
        Ok(Bytes::from_owner(TrackedBytes { bytes, _reservation: reservation }))
    }

    /// Charges messages to clients that are generated together.
    #[must_use]
    pub fn outgoing(&self) -> OutgoingBudget<'_> {
        OutgoingBudget { budget: self, last: None }
    }

    fn acquire(&self, bytes: u64) -> Result<(), OutOfMemory> {
        let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.0.limit);
        match self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(OutOfMemory),
        }
    }

    fn release(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Charges messages to clients. A message with several recipients counts once.
#[derive(Debug)]
pub struct OutgoingBudget<'a> {
    budget: &'a MemoryBudget,
    /// The last message, as it was passed in and as it was returned.
    last: Option<(Bytes, Bytes)>,
}

impl OutgoingBudget<'_> {
    /// Reserves memory for a message until the socket has written it, and charges it to `payer`. A payer may use a
    /// quarter of the budget, or one message.
    ///
    /// # Errors
    /// When the budget or the payer's share is used up.
    pub fn charge(&mut self, message: Bytes, payer: Option<Payer>) -> Result<Bytes, OutOfMemory> {
        if message.len() <= FREE_QUEUED_BYTES {
            return Ok(message);
        }
        let length = message.len();
        let permit = payer.map(|payer| self.budget.0.outgoing.take_amount_for_key(payer, length)).transpose();
        let permit = permit.map_err(|_| OutOfMemory)?;
        let counted = match &self.last {
            Some((raw, counted)) if raw.as_ptr() == message.as_ptr() && raw.len() == length => counted.clone(),
            _ => self.budget.track(message.clone())?,
        };
        self.last = Some((message, counted.clone()));
        Ok(match permit {
            Some(permit) => Bytes::from_owner(ChargedBytes { bytes: counted, _permit: permit }),
            None => counted,
        })
    }
}

/// Bytes that are charged to a payer.
struct ChargedBytes {
    bytes: Bytes,
    _permit: KeyedPermit<Payer>,
}

impl AsRef<[u8]> for ChargedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes with their reservation.
struct TrackedBytes {
    bytes: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for TrackedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Memory of one message, released on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    used: u64,
}

impl Reservation {
    /// Sets the size of a partly received message. Up to [`FREE_BYTES`] count as none.
    ///
    /// # Errors
    /// When the budget is used up. The reservation is unchanged then.
    pub fn resize(&mut self, bytes: u64) -> Result<(), OutOfMemory> {
        self.resize_exact(if bytes <= FREE_BYTES { 0 } else { bytes })
    }

    /// Sets the exact size, without free bytes: for memory that stays in use for long.
    ///
    /// # Errors
    /// See [`Reservation::resize`].
    pub fn resize_exact(&mut self, wanted: u64) -> Result<(), OutOfMemory> {
        if wanted > self.used {
            self.budget.acquire(wanted - self.used)?;
        } else if wanted < self.used {
            self.budget.release(self.used - wanted);
        }
        self.used = wanted;
        Ok(())
    }

    /// Grows to the size of a queued message, if that is larger. Up to 4 KiB do not count, since a connection may
    /// queue few messages.
    ///
    /// # Errors
    /// See [`Reservation::resize`].
    pub fn grow_queued(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        if bytes <= FREE_QUEUED_BYTES { Ok(()) } else { self.resize_exact(self.used.max(bytes as u64)) }
    }

    /// Whether any memory is reserved.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.used > 0
    }
}

/// Memory of the body of a request, released on drop.
#[derive(Debug)]
pub struct BodyReservation {
    reservation: Reservation,
    share: Option<KeyedPermit<Payer>>,
}

impl BodyReservation {
    /// Sets the size. Up to [`FREE_BYTES`] count as none.
    ///
    /// # Errors
    /// When the budget or the payer's share is used up.
    pub fn resize(&mut self, bytes: u64) -> Result<(), OutOfMemory> {
        if let Some(share) = &mut self.share {
            let counted = if bytes <= FREE_BYTES { 0 } else { bytes };
            share.resize(usize::try_from(counted).unwrap_or(usize::MAX)).map_err(|_| OutOfMemory)?;
        }
        self.reservation.resize(bytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_share_and_release_the_budget() {
        let memory = MemoryBudget::new(1_000_000);
        let (mut one, mut other) = (memory.reservation(), memory.reservation());
        assert_eq!(one.resize(600_000), Ok(()));
        assert_eq!(other.resize(400_001), Err(OutOfMemory));
        assert_eq!(other.resize(400_000), Ok(()));
        assert_eq!((one.resize(600_001), memory.used()), (Err(OutOfMemory), 1_000_000), "unchanged");
        assert!(memory.is_scarce());
        assert_eq!(one.resize(100_000), Ok(()));
        drop(other);
        assert!(!memory.is_scarce());
        assert_eq!(memory.used(), 100_000);
        drop(one);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn tracked_bytes_count_until_the_last_clone_is_dropped() {
        let memory = MemoryBudget::new(1_000);
        let bytes = memory.track(Bytes::from(vec![7; 600])).expect("there is room");
        assert_eq!(memory.track(Bytes::from(vec![7; 600])), Err(OutOfMemory));
        let copy = bytes.clone();
        drop(bytes);
        assert_eq!((copy.len(), memory.used()), (600, 600), "clones count once");
        drop(copy);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn shared_message_counts_once_and_is_charged_to_each() {
        let memory = MemoryBudget::new(100_000);
        let user = |name: &str| Some(Payer::User(name.into()));
        let message = Bytes::from(vec![7; 20_000]);
        let mut outgoing = memory.outgoing();
        let mut sent: Vec<_> =
            ["ceo", "cfo"].map(|name| outgoing.charge(message.clone(), user(name)).expect("room")).into();
        assert_eq!((memory.used(), sent[1].len()), (20_000, 20_000));
        assert_eq!(outgoing.charge(message.clone(), user("cfo")), Err(OutOfMemory), "more than a quarter");
        sent.push(outgoing.charge(message, None).expect("no payer"));
        drop(outgoing);
        assert_eq!(memory.used(), 20_000);
        drop(sent);
        assert_eq!(memory.used(), 0);
        let large = Bytes::from(vec![7; 60_000]);
        assert!(memory.outgoing().charge(large.clone(), user("cfo")).is_ok(), "one message may be more than a quarter");
        assert!(memory.outgoing().charge(Bytes::from(vec![7; 4_096]), user("cfo")).is_ok());
        let _held = memory.outgoing().charge(large.clone(), None).expect("room");
        assert_eq!(memory.outgoing().charge(large, None), Err(OutOfMemory));
    }

    #[test]
    fn queued_messages_count_from_four_kilobytes() {
        let memory = MemoryBudget::new(0);
        let mut reservation = memory.reservation();
        reservation.grow_queued(300).expect("there is no limit");
        assert_eq!(memory.used(), 0);
        reservation.grow_queued(60_000).expect("there is no limit");
        assert_eq!(memory.used(), 60_000);
        reservation.grow_queued(10_000).expect("there is no limit");
        assert_eq!(memory.used(), 60_000, "it does not shrink");
    }

    #[test]
    fn small_messages_are_not_counted() {
        let memory = MemoryBudget::new(1);
        let mut reservation = memory.reservation();
        assert_eq!((reservation.resize(FREE_BYTES), memory.used()), (Ok(()), 0));
        assert_eq!(reservation.resize(FREE_BYTES + 1), Err(OutOfMemory));
        assert_eq!(MemoryBudget::new(0).reservation().resize(u64::MAX), Ok(()), "0 disables the limit");
    }
}
