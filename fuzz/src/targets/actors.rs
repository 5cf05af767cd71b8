//! Messages of very many actors, and of very many concurrent changes.

use arbitrary::Arbitrary;
use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{Change, ScalarValue};

use super::structure::{Count, Made, message, structured};
use super::sync_messages::receive_all;

/// Maximum number of messages for the changes.
const MOST_MESSAGES: usize = 4;

/// Changes of many actors.
#[derive(Debug, Arbitrary)]
struct ManyActors {
    changes: Count,
    actors: Count,
    order: Order,
    links: Links,
    operations: bool,
    reversed: bool,
    messages: u8,
    /// Shifts of the actors' turns.
    shifts: Vec<u8>,
}

/// The order of the actors' changes.
#[derive(Debug, Arbitrary)]
enum Order {
    /// One change of each actor in turn.
    InTurn,
    /// All changes of one actor, then those of the next.
    InBlocks,
    /// Turns are moved by the shifts.
    Shifted,
}

/// Dependencies of a change, besides its actor's last change.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Links {
    /// The previous change.
    Chain,
    /// The changes have no dependencies: all actors are concurrent.
    None,
    /// The previous change, at every n-th change.
    Sparse(u8),
    /// The last changes of this number of actors.
    Merge(u8),
}

/// A document applies or refuses changes of many actors.
pub fn many_actors(bytes: &[u8]) {
    let Some(input) = structured::<ManyActors>(bytes) else { return };
    let actors = input.actors.0.max(1);
    let each = input.changes.0.div_ceil(actors).max(1);
    let mut made = vec![Made::default(); actors];
    let (mut changes, mut last): (Vec<Change>, _) = (Vec::new(), None);
    for number in 0..input.changes.0 {
        let shift = input.shifts.get(number % input.shifts.len().max(1)).map_or(0, |shift| usize::from(*shift));
        let actor = match input.order {
            Order::InTurn => number % actors,
            Order::InBlocks => number / each % actors,
            Order::Shifted => (number + shift * 31) % actors,
        };
        let after: Vec<_> = match input.links {
            Links::Chain => last.into_iter().collect(),
            Links::None => Vec::new(),
            Links::Sparse(every) if number % (usize::from(every) + 1) == 0 => last.into_iter().collect(),
            Links::Sparse(_) => Vec::new(),
            Links::Merge(count) => {
                made.iter().skip(actor + 1).take(usize::from(count)).filter_map(Made::last).collect()
            }
        };
        let operations = if input.operations { vec![put(number)] } else { Vec::new() };
        let Some(change) = made[actor].next(actor, &after, operations, None) else { continue };
        last = made[actor].last();
        changes.push(change);
    }
    if input.reversed {
        changes.reverse();
    }
    deliver(&changes, usize::from(input.messages));
}

/// Many concurrent changes.
#[derive(Debug, Arbitrary)]
struct ManyHeads {
    heads: Count,
    /// Number of changes below each head.
    depth: u8,
    /// Named heads that do not exist.
    unknown: Count,
    /// Whether a last change depends on all heads.
    merged: bool,
    messages: u8,
}

/// A document applies or refuses concurrent changes.
pub fn many_heads(bytes: &[u8]) {
    let Some(input) = structured::<ManyHeads>(bytes) else { return };
    let mut changes: Vec<Change> = Vec::new();
    let mut heads = Vec::new();
    for actor in 0..input.heads.0 {
        let mut made = Made::default();
        changes.extend((0..=input.depth % 3).filter_map(|_| made.next(actor, &[], Vec::new(), None)));
        heads.extend(made.last());
    }
    if input.merged {
        changes.extend(Made::default().next(input.heads.0, &heads, Vec::new(), None));
    }
    let unknown = (0..input.unknown.0).map(|number| {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        automerge::ChangeHash(hash)
    });
    let unknown = message(unknown.collect(), Vec::new());
    deliver(&changes, usize::from(input.messages));
    receive_all(&[unknown]);
}

/// Sends changes in this number of messages, each of which names its last change.
fn deliver(changes: &[Change], messages: usize) {
    let each = changes.len().div_ceil(messages % MOST_MESSAGES + 1).max(1);
    let messages: Vec<Vec<u8>> = changes
        .chunks(each)
        .map(|part| {
            let heads = part.last().map(Change::hash).into_iter().collect();
            message(heads, part.iter().map(|change| change.raw_bytes().to_vec()).collect())
        })
        .collect();
    receive_all(&messages);
}

fn put(number: usize) -> Op {
    Op {
        action: OpType::Put(ScalarValue::Uint(number as u64)),
        obj: ObjectId::Root,
        key: Key::Map(format!("k{number}").as_str().into()),
        pred: Vec::new().into(),
        insert: false,
    }
}
