//! Many concurrent changes. Each is a head, and every sync message of every peer lists all heads.

use std::rc::Rc;

use super::actors::deliver;
use super::{Gang, new_document};
use crate::Fallible;
use crate::scenario::attack::forge::{empty_change, message};

/// More heads than a sync message may list.
const MANY: u32 = 10_002;
/// Enough heads for an `ETag` that Node's `fetch` cannot parse.
const FEW: u32 = 300;
/// Number of times that the document of others gets a few heads. It gets many heads once.
const SHARED: usize = 4;

/// A message with more heads than a sync message may list.
pub fn of_many() -> Vec<u8> {
    concurrent(MANY)
}

fn concurrent(count: u32) -> Vec<u8> {
    let salt: u64 = rand::random();
    let changes = (0..count).map(|number| empty_change(&salt.wrapping_add(number.into()).to_be_bytes(), 1, 1, &[]));
    let (heads, chunks) = changes.map(|change| (change.hash, change.bytes)).unzip();
    message(heads, chunks)
}

/// Creates heads in the attacker's own document, or in one of others.
pub async fn diverge(gang: Rc<Gang>, number: usize) -> Fallible<()> {
    let turn = if number == 0 { gang.turn("diverge") } else { usize::MAX };
    match turn {
        0 => deliver(&gang, &gang.edited, &gang.arsenal.heads).await,
        1..=SHARED => deliver(&gang, &gang.edited, &concurrent(FEW)).await,
        _ => deliver(&gang, &new_document(), &gang.arsenal.heads).await,
    }
}
