//! Changes of many actors. Automerge keeps a clock of all actors at every 16th change, so memory grows with the
//! product of both.

use std::rc::Rc;
use std::time::Duration;

use automerge::ChangeHash;

use super::line::{Line, sync};
use super::{Gang, new_document, new_name};
use crate::Fallible;
use crate::scenario::attack::forge::{empty_change, message};

/// Number of changes in one chain, each by a different actor: 3.2 MB.
const ACTORS: u32 = 60_000;
/// Number of changes by a few alternating actors: 2.1 MB.
const CHANGES: u32 = 40_000;
const TURNS: u32 = 900;
/// Number of different messages of that kind.
const MESSAGES: usize = 3;
/// How many times the document of others gets the chain.
const SHARED: usize = 3;
/// How long a connection waits to be closed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A message with a chain of empty changes, each by a different actor.
pub fn in_one_chain() -> Vec<u8> {
    chained(ACTORS, ACTORS)
}

/// Messages with chains of changes by a few alternating actors.
pub fn in_turns() -> Vec<Vec<u8>> {
    (0..MESSAGES).map(|_| chained(CHANGES, TURNS)).collect()
}

fn chained(changes: u32, actors: u32) -> Vec<u8> {
    // Actor ids are unique, so that no message continues another, and short, so that a message holds many changes.
    let salt: u32 = rand::random();
    let mut deps: Vec<ChangeHash> = Vec::new();
    let mut chunks = Vec::with_capacity(changes as usize);
    for number in 0..changes {
        let actor = salt.wrapping_add(number % actors).to_be_bytes();
        let change = empty_change(&actor, u64::from(number / actors) + 1, 1, &deps);
        deps = vec![change.hash];
        chunks.push(change.bytes);
    }
    message(deps, chunks)
}

/// Sends the chain to the attacker's own document, or to one of others.
pub async fn chain(gang: Rc<Gang>, number: usize) -> Fallible<()> {
    let shared = number == 0 && gang.turn("chain") < SHARED;
    let document = if shared { gang.edited.clone() } else { new_document() };
    deliver(&gang, &document, &gang.arsenal.actors).await
}

/// Sends an interleaved chain to the attacker's own document, or to one of others.
pub async fn interleave(gang: Rc<Gang>, number: usize) -> Fallible<()> {
    let turn = gang.turn("interleave");
    let document = if number == 0 { gang.edited.clone() } else { new_document() };
    deliver(&gang, &document, &gang.arsenal.interleaved[turn % MESSAGES]).await
}

/// Joins as an editor, sends a sync message, and stays until the connection is closed or a timeout.
pub async fn deliver(gang: &Gang, document: &primitives::DocumentId, message: &[u8]) -> Fallible<()> {
    let name = new_name();
    let mut line = Line::join(gang, &gang.editor_sync, &name).await?;
    line.send(&sync(&name, document, message)?).await?;
    line.stay(PATIENCE).await;
    Ok(())
}
