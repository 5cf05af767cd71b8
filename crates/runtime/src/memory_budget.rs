//! What large messages may take of the server's memory, all connections together.
//!
//! One connection may send a large message, and is read from as long as it does; without a bound for all of them together, a
//! thousand connections that each send half of one would be too much for any machine. Small messages are not counted: how
//! many of those may wait is bounded per connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use limits::{KeyedLimit, KeyedPermit, Payer, fair_share};

/// Bytes that a holder has for nothing.
pub const FREE: u64 = 64 << 10;

/// Bytes that a message in a queue has for nothing.
const FREE_WAITING: usize = 4 << 10;

/// There is no room for this message now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server has no room for so large a message at the moment; try again later")]
pub struct OutOfMemory;

/// What there is, and how much of it is held. Clones are the same.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    held: AtomicU64,
    /// Bytes of messages to clients, by who is charged for those.
    outgoing: Arc<KeyedLimit<Payer>>,
}

impl Memory {
    /// So many bytes for all; 0: without a limit.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let each =
            usize::try_from(limit).ok().filter(|limit| *limit > 0).map_or(usize::MAX, |limit| fair_share(limit, 0));
        Self(Arc::new(Inner {
            limit: if limit == 0 { u64::MAX } else { limit },
            held: AtomicU64::new(0),
            outgoing: KeyedLimit::new(usize::MAX, each),
        }))
    }

    /// Bytes that are held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Whether more than half of it is held.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.held() > self.0.limit / 2
    }

    /// A share that holds nothing yet.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { memory: self.clone(), held: 0 }
    }

    /// The same bytes, which are held until the last copy of them is dropped.
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn counted(&self, bytes: Bytes) -> Result<Bytes, OutOfMemory> {
        let mut share = self.share();
        share.hold_all(bytes.len() as u64)?;
        Ok(Bytes::from_owner(Counted { bytes, _share: share }))
    }

    /// Counts messages to clients that are made together.
    #[must_use]
    pub fn outgoing(&self) -> Outgoing<'_> {
        Outgoing { memory: self, last: None }
    }

    fn take(&self, bytes: u64) -> Result<(), OutOfMemory> {
        let more = |held: u64| held.checked_add(bytes).filter(|held| *held <= self.0.limit);
        match self.0.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(OutOfMemory),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.0.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Messages to clients that are made together: one that goes to several is counted once.
#[derive(Debug)]
pub struct Outgoing<'a> {
    memory: &'a Memory,
    /// The last message, as it was given and as it is counted.
    last: Option<(Bytes, Bytes)>,
}

impl Outgoing<'_> {
    /// A message to a client: held until the socket has let go of it, and charged to `payer`, who may hold a quarter of
    /// what there is, or one message.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn count(&mut self, message: Bytes, payer: Option<Payer>) -> Result<Bytes, OutOfMemory> {
        if message.len() <= FREE_WAITING {
            return Ok(message);
        }
        let length = message.len();
        let permit = payer.map(|payer| self.memory.0.outgoing.take_amount_for_key(payer, length)).transpose();
        let permit = permit.map_err(|_| OutOfMemory)?;
        let counted = match &self.last {
            Some((raw, counted)) if raw.as_ptr() == message.as_ptr() && raw.len() == length => counted.clone(),
            _ => self.memory.counted(message.clone())?,
        };
        self.last = Some((message, counted.clone()));
        Ok(match permit {
            Some(permit) => Bytes::from_owner(Charged { bytes: counted, _permit: permit }),
            None => counted,
        })
    }
}

/// Bytes for which somebody is charged.
struct Charged {
    bytes: Bytes,
    _permit: KeyedPermit<Payer>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes with what they take.
struct Counted {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What one message takes. Given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    memory: Memory,
    held: u64,
}

impl Share {
    /// From now on it is so many bytes.
    ///
    /// # Errors
    /// When they are not there; then it is as many as before.
    pub fn hold(&mut self, bytes: u64) -> Result<(), OutOfMemory> {
        self.hold_all(if bytes <= FREE { 0 } else { bytes })
    }

    /// The same for what counts from the first byte on, as it may stay for long.
    ///
    /// # Errors
    /// See [`Share::hold`].
    pub fn hold_all(&mut self, wanted: u64) -> Result<(), OutOfMemory> {
        if wanted > self.held {
            self.memory.take(wanted - self.held)?;
        } else if wanted < self.held {
            self.memory.give_back(self.held - wanted);
        }
        self.held = wanted;
        Ok(())
    }

    /// The same for what waits in a queue: it is that many bytes, or as many more as before. Only messages of a few bytes are
    /// free, of which a connection may have few waiting.
    ///
    /// # Errors
    /// See [`Share::hold`].
    pub fn hold_at_least(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        if bytes <= FREE_WAITING { Ok(()) } else { self.hold_all(self.held.max(bytes as u64)) }
    }

    /// Whether it is any.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.held > 0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_share_what_there_is_and_give_it_back() {
        let memory = Memory::new(1_000_000);
        let (mut one, mut other) = (memory.share(), memory.share());
        assert_eq!(one.hold(600_000), Ok(()));
        assert_eq!(other.hold(400_001), Err(OutOfMemory));
        assert_eq!(other.hold(400_000), Ok(()));
        assert_eq!((one.hold(600_001), memory.held()), (Err(OutOfMemory), 1_000_000), "as many as before");
        assert!(memory.is_scarce());
        assert_eq!(one.hold(100_000), Ok(()));
        drop(other);
        assert!(!memory.is_scarce());
        assert_eq!(memory.held(), 100_000);
        drop(one);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn counted_bytes_are_held_until_the_last_copy_is_dropped() {
        let memory = Memory::new(1_000);
        let bytes = memory.counted(Bytes::from(vec![7; 600])).expect("there is room");
        assert_eq!(memory.counted(Bytes::from(vec![7; 600])), Err(OutOfMemory));
        let copy = bytes.clone();
        drop(bytes);
        assert_eq!((copy.len(), memory.held()), (600, 600), "one for all copies");
        drop(copy);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn shared_message_is_counted_once_and_charged_to_each() {
        let memory = Memory::new(100_000);
        let user = |name: &str| Some(Payer::User(name.into()));
        let message = Bytes::from(vec![7; 20_000]);
        let mut outgoing = memory.outgoing();
        let mut sent: Vec<_> =
            ["ceo", "cfo"].map(|name| outgoing.count(message.clone(), user(name)).expect("room")).into();
        assert_eq!((memory.held(), sent[1].len()), (20_000, 20_000));
        assert_eq!(outgoing.count(message.clone(), user("cfo")), Err(OutOfMemory), "more than a quarter");
        sent.push(outgoing.count(message, None).expect("nobody is charged"));
        drop(outgoing);
        assert_eq!(memory.held(), 20_000);
        drop(sent);
        assert_eq!(memory.held(), 0);
        let large = Bytes::from(vec![7; 60_000]);
        assert!(memory.outgoing().count(large.clone(), user("cfo")).is_ok(), "one message may be more than a quarter");
        assert!(memory.outgoing().count(Bytes::from(vec![7; 4_096]), user("cfo")).is_ok());
        let _held = memory.outgoing().count(large.clone(), None).expect("room");
        assert_eq!(memory.outgoing().count(large, None), Err(OutOfMemory));
    }

    #[test]
    fn waiting_messages_are_counted_from_a_few_kilobytes_on() {
        let memory = Memory::new(0);
        let mut share = memory.share();
        share.hold_at_least(300).expect("there is no limit");
        assert_eq!(memory.held(), 0);
        share.hold_at_least(60_000).expect("there is no limit");
        assert_eq!(memory.held(), 60_000);
        share.hold_at_least(10_000).expect("there is no limit");
        assert_eq!(memory.held(), 60_000, "not less than before");
    }

    #[test]
    fn small_messages_are_not_counted() {
        let memory = Memory::new(1);
        let mut share = memory.share();
        assert_eq!((share.hold(FREE), memory.held()), (Ok(()), 0));
        assert_eq!(share.hold(FREE + 1), Err(OutOfMemory));
        assert_eq!(Memory::new(0).share().hold(u64::MAX), Ok(()), "0 is without a limit");
    }
}
