//! Strict decoding of sync messages.
//!
//! The library's `receive_sync_message` returns `Ok` and applies nothing when a change in the message is corrupt. So every chunk
//! of a message is decoded and checked here, and the whole message is rejected if one is bad.

use std::collections::HashSet;
use std::panic::catch_unwind;
use std::sync::Arc;

use automerge::{Automerge, Bundle, Change, ChangeHash, sync};
use automerge_chunks::chunk::{Chunk, ChunkKind};
use automerge_chunks::cost::{Budget, ChangeCounts, charge};

use crate::bad_message::BadMessage;
use crate::message_limits::MessageLimits;
use crate::{causal_order, envelope, validation};

/// Approximate memory of an operation while it is applied, in bytes: measured at the peak.
pub(crate) const OPERATION_BYTES: u64 = 500;
/// Approximate number of pairs of a change and an actor that take one byte while changes are applied. The library keeps a clock
/// of four bytes for each actor at every 16th change, in lists that may be half empty.
const ACTOR_CHANGES_PER_BYTE: u64 = 2;

/// A decoded and checked sync message.
#[derive(Debug)]
pub struct Incoming {
    /// The message without its changes.
    pub message: sync::Message,
    /// The changes of the message, in its order.
    pub changes: Vec<Change>,
    /// Whether the message carried chunks. An acknowledgement carries none.
    pub carried_changes: bool,
    /// Number of operations of these changes.
    pub operations: u64,
    /// Estimated memory while the message is applied, in bytes.
    pub memory_estimate: u64,
    /// Changes that need no search for their predecessor, for a message that is applied in portions: see
    /// [`validation::with_proven_predecessor`].
    pub(crate) proven: Arc<HashSet<ChangeHash>>,
}

/// A portion of the changes of a message that is applied in portions.
#[derive(Debug)]
pub struct Part {
    pub(crate) changes: Vec<Change>,
    pub(crate) operations: u64,
    pub(crate) memory_estimate: u64,
    pub(crate) proven: Arc<HashSet<ChangeHash>>,
}

impl Incoming {
    /// Prepares the message for application in portions: sorts the changes causally, and finds the changes whose predecessor of
    /// the same actor is in the message.
    pub fn prepare_for_portions(&mut self) {
        self.changes = causal_order::sort(std::mem::take(&mut self.changes));
        self.proven = Arc::new(validation::with_proven_predecessor(&self.changes));
    }

    /// Removes this many changes from the front, with their share of the message's operations and memory estimate.
    #[must_use]
    pub(crate) fn take_part(&mut self, changes: usize) -> Part {
        let all = self.changes.len().max(1) as u64;
        let rest = self.changes.split_off(changes.min(self.changes.len()));
        let changes = std::mem::replace(&mut self.changes, rest);
        let operations = changes.iter().map(|change| change.len() as u64).sum::<u64>().min(self.operations);
        let memory_estimate = self.memory_estimate / all * changes.len() as u64;
        self.operations -= operations;
        self.memory_estimate -= memory_estimate;
        Part { changes, operations, memory_estimate, proven: Arc::clone(&self.proven) }
    }

    /// Decodes and checks a message. [`decode_message`] also catches panics of the library.
    ///
    /// # Errors
    /// When the message or anything in it is malformed, corrupt or over a limit.
    pub fn decode(bytes: &[u8], limits: &MessageLimits) -> Result<Self, BadMessage> {
        envelope::check(bytes, limits)?;
        let mut message = sync::Message::decode(bytes)?;
        let chunks = std::mem::replace(&mut message.changes, sync::ChunkList::empty());
        let Decoded { changes, budget, counts } = Decoded::of(chunks.iter(), limits)?;
        let memory_estimate = (limits.inflated - budget.inflated)
            + (limits.operations - budget.operations) * OPERATION_BYTES
            + (limits.text - budget.text)
            + counts.actor_changes() / ACTOR_CHANGES_PER_BYTE
            + bytes.len() as u64;
        let operations = limits.operations - budget.operations;
        let carried_changes = !chunks.is_empty();
        Ok(Self { message, changes, carried_changes, operations, memory_estimate, proven: Arc::default() })
    }
}

/// The changes of a list of chains of chunks.
struct Decoded {
    changes: Vec<Change>,
    /// What is left of the limits.
    budget: Budget,
    counts: ChangeCounts,
}

impl Decoded {
    fn of<C: AsRef<[u8]>>(chains: impl Iterator<Item = C>, limits: &MessageLimits) -> Result<Self, BadMessage> {
        let chains: Vec<C> = chains.collect();
        let MessageLimits { changes: most, operations, inflated, text, actor_changes, .. } = *limits;
        let mut budget = Budget { inflated, changes: most, operations, text, actor_changes };
        let mut counts = ChangeCounts::default();
        // The cost of all chunks is checked before the library decodes the first.
        let mut checked = Vec::with_capacity(chains.len());
        for chain in &chains {
            let mut rest = chain.as_ref();
            // A document is sent as one entry that holds a chain of chunks.
            loop {
                let (chunk, after) = Chunk::parse(rest, budget.inflated)?;
                charge(&chunk, &mut budget, &mut counts)?;
                checked.push(chunk);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
        }
        let mut changes = Vec::new();
        for chunk in checked {
            changes.extend(changes_of(chunk)?);
        }
        Ok(Self { changes, budget, counts })
    }
}

/// Decodes and checks a file: a chain of whole chunks, as `save` of any Automerge library writes it. Returns its changes, each after those
/// that it depends on.
///
/// # Errors
/// When anything in it is malformed, corrupt or over a limit, or a change is missing that another one depends on.
pub fn decode_file(file: &[u8], limits: &MessageLimits) -> Result<Vec<Change>, BadMessage> {
    let decoded = catch_unwind(|| Decoded::of([file].into_iter(), limits)).unwrap_or(Err(BadMessage::Panicked))?;
    let known: HashSet<ChangeHash> = decoded.changes.iter().map(Change::hash).collect();
    let mut needed = decoded.changes.iter().flat_map(Change::deps);
    if let Some(missing) = needed.find(|dependency| !known.contains(*dependency)) {
        return Err(BadMessage::Content(format!("it lacks the change {missing}, which others depend on")));
    }
    Ok(causal_order::sort(decoded.changes))
}

/// Decodes and checks a sync message. The result does not depend on the document, so this can be done ahead, on another thread.
///
/// # Errors
/// When the message or anything in it is malformed, corrupt or over a limit.
pub fn decode_message(bytes: &[u8], limits: &MessageLimits) -> Result<Incoming, BadMessage> {
    // A panic in the library's parsers is handled like a corrupt message.
    catch_unwind(|| Incoming::decode(bytes, limits)).unwrap_or(Err(BadMessage::Panicked))
}

/// The changes in a chunk.
///
/// # Errors
/// When the library cannot read it.
pub(crate) fn changes_of(chunk: Chunk<'_>) -> Result<Vec<Change>, BadMessage> {
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

    /// The message of a client with this many edits to a peer without the document. `v2`: the peer accepts whole documents.
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
    fn documents_and_single_changes_decode_alike() {
        for v2 in [false, true] {
            let incoming = Incoming::decode(&message(7, v2), &MessageLimits::default()).unwrap();
            assert_eq!((incoming.changes.len(), incoming.carried_changes), (7, true), "v2: {v2}");
        }
    }

    #[test]
    fn flipped_byte_never_drops_a_change_silently() {
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
    fn file_yields_all_changes_or_an_error() {
        let mut doc = AutoCommit::new();
        for edit in 0..5 {
            doc.put(ROOT, "value", edit).unwrap();
            doc.commit();
        }
        let changes: Vec<Vec<u8>> = doc.get_changes(&[]).iter_mut().map(|change| change.bytes().to_vec()).collect();
        let limits = MessageLimits::default();
        let reversed: Vec<u8> = changes.iter().rev().flatten().copied().collect();
        for file in [doc.save(), changes.concat(), reversed] {
            let decoded = decode_file(&file, &limits).unwrap();
            assert_eq!(
                decoded.iter().map(Change::hash).collect::<Vec<_>>(),
                doc.get_changes(&[]).iter().map(Change::hash).collect::<Vec<_>>()
            );
            assert!(decode_file(&file[..file.len() - 1], &limits).is_err());
        }
        let incomplete = decode_file(&changes[1..].concat(), &limits);
        assert!(
            matches!(&incomplete, Err(BadMessage::Content(reason)) if reason.contains("lacks the change")),
            "{incomplete:?}"
        );
        assert!(decode_file(b"", &limits).is_err() && decode_file(b"{}", &limits).is_err());
        assert!(matches!(
            decode_file(&doc.save(), &MessageLimits { changes: 4, ..limits }),
            Err(BadMessage::TooCostly(_))
        ));
    }

    #[test]
    fn message_over_a_limit_is_rejected() {
        let default = MessageLimits::default();
        for (limits, v2) in [
            (MessageLimits { operations: 4, ..default }, false),
            (MessageLimits { operations: 4, ..default }, true),
            (MessageLimits { changes: 4, ..default }, false),
            (MessageLimits { changes: 4, ..default }, true),
        ] {
            let refused = Incoming::decode(&message(5, v2), &limits);
            assert!(matches!(refused, Err(BadMessage::TooCostly(_))), "{refused:?}");
        }
        let refused = Incoming::decode(&message(5, false), &MessageLimits { chunks: 4, ..default });
        assert!(matches!(refused, Err(BadMessage::TooManyChunks { found: 5, limit: 4 })), "{refused:?}");
    }
}
