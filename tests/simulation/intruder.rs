//! A hostile peer with write access, which sends messages that no library creates. The server may accept some of them, but
//! honest peers must still agree, and must never be refused because of them.

use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, Change, ChangeHash, ROOT, ScalarValue};
use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use runtime::hub::Outgoing;

use super::life::Life;
use super::link::{Link, Up};
use super::structure::{Made, message};

/// Changes of one message: many compared to the other changes of a run, but few enough for everyday tests.
const MOST: usize = 150;
/// More heads than a message may name.
const TOO_MANY_HEADS: u64 = 10_001;
/// The size to which a small change inflates.
const INFLATED: usize = 1 << 20;

/// A hostile message.
#[derive(Debug, Clone, Copy)]
pub enum Attack {
    /// A chain of changes, each of its own actor.
    Actors(usize),
    /// Changes of few actors in turn.
    Interleaved(usize),
    /// Concurrent changes.
    Heads(usize),
    /// Changes of which the first is missing.
    Orphans(usize),
    /// A small change that inflates.
    Inflating,
    /// A message that names unknown heads.
    UnknownHeads,
    /// Bytes that are not a message.
    Rubbish,
}

impl Attack {
    /// Picks an attack.
    pub fn pick(rng: &mut StdRng) -> Self {
        let count = rng.random_range(2..MOST);
        match rng.random_range(0..7) {
            0 => Self::Actors(count),
            1 => Self::Interleaved(count),
            2 => Self::Heads(count),
            3 => Self::Orphans(count),
            4 => Self::Inflating,
            5 => Self::UnknownHeads,
            _ => Self::Rubbish,
        }
    }

    /// Encodes the attack as a message. Actors begin with a random number, so that none is used twice.
    fn encode(self, rng: &mut StdRng) -> Vec<u8> {
        let first = rng.random_range(0..usize::from(u16::MAX)) << 8;
        match self {
            Self::Actors(count) => carrying(&chain(first, count, count)),
            Self::Interleaved(count) => carrying(&chain(first, count, 5)),
            Self::Heads(count) => carrying(
                &(0..count)
                    .filter_map(|number| Made::default().next(first + number, &[], Vec::new(), None))
                    .collect::<Vec<Change>>(),
            ),
            Self::Orphans(count) => carrying(&chain(first, count, count)[1..]),
            Self::Inflating => inflating(first),
            Self::UnknownHeads => {
                let head = |number: u64| {
                    let mut hash = [0xff; 32];
                    hash[..8].copy_from_slice(&number.to_be_bytes());
                    ChangeHash(hash)
                };
                message((0..TOO_MANY_HEADS).map(head).collect(), Vec::new())
            }
            Self::Rubbish => (0..64).map(|_| rng.random()).collect(),
        }
    }
}

fn chain(first: usize, count: usize, actors: usize) -> Vec<Change> {
    let mut made = vec![Made::default(); actors];
    let mut last = None;
    let change = |number: usize| {
        let maker: &mut Made = &mut made[number % actors];
        let after: Vec<_> = last.into_iter().collect();
        let change = maker.next(first + number % actors, &after, Vec::new(), None);
        last = maker.last();
        change
    };
    (0..count).filter_map(change).collect()
}

fn carrying(changes: &[Change]) -> Vec<u8> {
    let heads = changes.last().map(Change::hash).into_iter().collect();
    message(heads, changes.iter().map(|change| change.raw_bytes().to_vec()).collect())
}

fn inflating(actor: usize) -> Vec<u8> {
    let mut doc = Automerge::new().with_actor(ActorId::from(&actor.to_be_bytes()[..]));
    let mut transaction = doc.transaction();
    transaction.put(ROOT, "large", ScalarValue::Bytes(vec![0; INFLATED])).expect("a map");
    transaction.commit();
    let chunks = doc.get_changes(&[]).iter_mut().map(|change| change.bytes().into_owned()).collect();
    message(doc.get_heads(), chunks)
}

/// Sends the attack on a connection.
pub fn send(link: &mut Link, attack: Attack, rng: &mut StdRng) {
    link.up.push_back(Up { bytes: Bytes::from(attack.encode(rng)), request: false });
    link.arrive();
}

/// Receives the server's messages, unless this peer ignores them.
pub fn look(link: &mut Link, life: &Life, rng: &mut StdRng) -> Vec<Outgoing> {
    if rng.random_bool(0.5) { link.drain(life, 10) } else { Vec::new() }
}
