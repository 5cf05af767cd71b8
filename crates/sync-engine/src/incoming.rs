//! Strict reading of sync messages.
//!
//! The library's `receive_sync_message` answers Ok with nothing applied when a change in the message is corrupt. So
//! every chunk of a message is taken apart and checked here, and the message is refused whole if any of them is bad.

use std::collections::HashSet;
use std::panic::catch_unwind;
use std::sync::Arc;

use automerge::{Automerge, Bundle, Change, ChangeHash, sync};
use automerge_chunks::chunk::{Chunk, ChunkKind};
use automerge_chunks::cost::{Budget, Census, weigh};

use crate::bad_message::BadMessage;
use crate::message_limits::MessageLimits;
use crate::{causal_order, envelope, validation};

/// Bytes of an operation while it is applied, about: measured at the peak.
const OPERATION: u64 = 500;
/// Pairs of a change and an actor that take one byte while changes are applied, about: the library keeps a clock of four
/// bytes for each actor at every 16th change, in lists that may be half empty.
const ACTOR_CHANGES_PER_BYTE: u64 = 2;

/// A sync message that holds what it claims to hold.
#[derive(Debug)]
pub struct Incoming {
    /// The message; its changes were taken out.
    pub message: sync::Message,
    /// The changes that it carried, in its order.
    pub changes: Vec<Change>,
    /// Whether the message carried chunks at all: an acknowledgement does not.
    pub carried_changes: bool,
    /// Operations of these changes.
    pub operations: u64,
    /// About how many bytes it takes while it is applied.
    pub weight: u64,
    /// Changes proven to continue their actor, for a message that is applied in portions.
    pub(crate) continuing: Arc<HashSet<ChangeHash>>,
}

/// Some of the changes of a message that is applied in portions.
#[derive(Debug)]
pub struct Part {
    pub(crate) changes: Vec<Change>,
    pub(crate) operations: u64,
    pub(crate) weight: u64,
    pub(crate) continuing: Arc<HashSet<ChangeHash>>,
}

impl Incoming {
    /// Prepares for application in portions: sorts the changes causally, and records which continue their actor
    /// ([`validation::continuing`]).
    pub fn prepare_for_portions(&mut self) {
        self.changes = causal_order::sort(std::mem::take(&mut self.changes));
        self.continuing = Arc::new(validation::continuing(&self.changes));
    }

    /// Takes out this many changes from the front, with their part of the message's operations and weight.
    #[must_use]
    pub(crate) fn take_part(&mut self, changes: usize) -> Part {
        let all = self.changes.len().max(1) as u64;
        let rest = self.changes.split_off(changes.min(self.changes.len()));
        let changes = std::mem::replace(&mut self.changes, rest);
        let operations = changes.iter().map(|change| change.len() as u64).sum::<u64>().min(self.operations);
        let weight = self.weight / all * changes.len() as u64;
        self.operations -= operations;
        self.weight -= weight;
        Part { changes, operations, weight, continuing: Arc::clone(&self.continuing) }
    }
}

impl Incoming {
    /// Takes a message apart.
    ///
    /// # Errors
    /// When the message or anything in it is malformed, corrupt or over a limit.
    pub fn decode(bytes: &[u8], limits: &MessageLimits) -> Result<Self, BadMessage> {
        envelope::check(bytes, limits)?;
        let mut message = sync::Message::decode(bytes)?;
        let chunks = std::mem::replace(&mut message.changes, sync::ChunkList::empty());
        let MessageLimits { changes: most, operations, inflated, text, actor_changes, .. } = *limits;
        let mut budget = Budget { inflated, changes: most, operations, text, actor_changes };
        let mut census = Census::default();
        // All chunks are weighed before the library makes anything of the first.
        let mut weighed = Vec::with_capacity(chunks.len());
        for mut rest in chunks.iter() {
            // A document is sent as one entry that holds a chain of chunks.
            loop {
                let (chunk, after) = Chunk::parse(rest, budget.inflated)?;
                weigh(&chunk, &mut budget, &mut census)?;
                weighed.push(chunk);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
        }
        let mut changes = Vec::new();
        for chunk in weighed {
            changes.extend(changes_of(chunk)?);
        }
        let weight = (limits.inflated - budget.inflated)
            + (limits.operations - budget.operations) * OPERATION
            + (limits.text - budget.text)
            + census.actor_changes() / ACTOR_CHANGES_PER_BYTE
            + bytes.len() as u64;
        let operations = limits.operations - budget.operations;
        let carried_changes = !chunks.is_empty();
        Ok(Self { message, changes, carried_changes, operations, weight, continuing: Arc::default() })
    }
}

/// Takes a sync message apart. It does not matter to which document it goes: this can be done before it is that document's
/// turn.
///
/// # Errors
/// When the message or anything in it is malformed, corrupt or over a limit.
pub fn take_apart(bytes: &[u8], limits: &MessageLimits) -> Result<Incoming, BadMessage> {
    // The library's parsers are strict but not proven: a panic in them is the sender's fault, and costs only it.
    catch_unwind(|| Incoming::decode(bytes, limits)).unwrap_or(Err(BadMessage::Panicked))
}

fn changes_of(chunk: Chunk<'_>) -> Result<Vec<Change>, BadMessage> {
    match chunk.kind {
        ChunkKind::Change | ChunkKind::CompressedChange => {
            let change =
                Change::from_bytes(chunk.bytes.to_vec()).map_err(|error| BadMessage::Content(error.to_string()))?;
            Ok(vec![change])
        }
        ChunkKind::Document => {
            let document = Automerge::load(chunk.bytes).map_err(|error| BadMessage::Content(error.to_string()))?;
            Ok(document.get_changes(&[]))
        }
        ChunkKind::Bundle => {
            let bundle = Bundle::try_from(chunk.bytes).map_err(|error| BadMessage::Content(error.to_string()))?;
            bundle.to_changes().map_err(|error| BadMessage::Content(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use automerge::sync::SyncDoc;
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};

    use super::*;

    /// What a client that made `edits` edits sends to a peer that has nothing (`v2`: and reads whole documents).
    fn message(edits: usize, v2: bool) -> Vec<u8> {
        let mut doc = AutoCommit::new();
        for edit in 0..edits {
            doc.put(ROOT, "value", i64::try_from(edit).unwrap()).unwrap();
            doc.commit();
        }
        let mut empty = AutoCommit::new();
        let (mut ours, mut theirs) = (sync::State::new(), sync::State::new());
        let mut hello = empty.sync().generate_sync_message(&mut theirs).unwrap();
        if !v2 {
            hello.flags = None;
        }
        doc.sync().receive_sync_message(&mut ours, hello).unwrap();
        doc.sync().generate_sync_message(&mut ours).unwrap().encode()
    }

    #[test]
    fn whole_documents_and_single_changes_are_taken_apart_alike() {
        for v2 in [false, true] {
            let incoming = Incoming::decode(&message(7, v2), &MessageLimits::default()).unwrap();
            assert_eq!((incoming.changes.len(), incoming.carried_changes), (7, true), "v2: {v2}");
        }
    }

    #[test]
    fn flipped_byte_never_loses_a_change_silently() {
        let whole = message(5, false);
        let changes = Incoming::decode(&whole, &MessageLimits::default()).unwrap().changes.len();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            if let Ok(incoming) = Incoming::decode(&bytes, &MessageLimits::default())
                && incoming.carried_changes
            {
                assert_eq!(incoming.changes.len(), changes, "byte {at}");
            }
        }
    }

    #[test]
    fn more_than_accepted_is_refused() {
        let default = MessageLimits::default();
        for (limits, v2) in [
            (MessageLimits { operations: 4, ..default }, false),
            (MessageLimits { operations: 4, ..default }, true),
            (MessageLimits { changes: 4, ..default }, false),
            (MessageLimits { changes: 4, ..default }, true),
        ] {
            let refused = Incoming::decode(&message(5, v2), &limits);
            assert!(matches!(refused, Err(BadMessage::Overweight(_))), "{refused:?}");
        }
        let refused = Incoming::decode(&message(5, false), &MessageLimits { chunks: 4, ..default });
        assert!(matches!(refused, Err(BadMessage::TooManyChunks { found: 5, limit: 4 })), "{refused:?}");
    }
}
