//! Strict reading of sync messages.
//!
//! The library's `receive_sync_message` answers Ok with nothing applied when a change in the message is corrupt. So
//! every chunk of a message is taken apart and checked here, and the message is refused whole if any of them is bad.

use std::collections::HashSet;
use std::sync::Arc;

use automerge::sync;
use automerge::{Automerge, Bundle, Change, ChangeHash};

use super::{causal_order, envelope, soundness};
use automerge_chunks::chunk::{Chunk, ChunkError, ChunkKind};
use automerge_chunks::cost::{Budget, Census, MAX_ACTOR_CHANGES, Overweight, weigh};

/// Bytes of an operation while it is applied, about: measured at the peak.
const OPERATION: u64 = 500;
/// Pairs of a change and an actor that take one byte while changes are applied, about: the library keeps a clock of four
/// bytes for each actor at every 16th change, in lists that may be half empty.
const ACTOR_CHANGES_PER_BYTE: u64 = 2;

/// Changes that a document may have, unless its server says otherwise.
pub const DOCUMENT_CHANGES: u64 = 1_000_000;
/// Bytes that a document may take in the store, unless its server says otherwise.
pub const DOCUMENT_BYTES: u64 = 256 << 20;
/// Operations that a document may hold, unless its server says otherwise.
pub const DOCUMENT_OPERATIONS: u64 = 5_000_000;
/// Changes times actors of a document, unless its server says otherwise: their clocks take some 150 MB. Every session of a
/// client is an actor, if it writes: 10,000 of them may make 50,000 changes.
pub const DOCUMENT_ACTOR_CHANGES: u64 = 500_000_000;

/// Heads that a peer may name.
const HEADS: usize = 10_000;
/// Changes in an ordinary message.
const CHANGES: u64 = 500_000;
/// Operations in an ordinary message: they take 100 MB while they are applied.
const OPERATIONS: u64 = 200_000;
/// Operations that a message may hold even where a document may not.
const LEAST_OPERATIONS: u64 = 1_000_000;
/// Changes times actors of an ordinary message.
const ACTOR_CHANGES: u64 = 16_000_000;
/// Bytes that the compressed parts of an ordinary message inflate to.
const INFLATED: u64 = 64 << 20;
/// Bytes of keys and texts of an ordinary message.
const TEXT: u64 = 128 << 20;
/// The most of any of these, where a document has no limit: more than a process could hold.
const MOST: u64 = 1 << 32;

/// What one message may make of the process, checked before the library sees any of it.
///
/// A client cannot split the changes that it has to send: everything that a document may hold must be able to arrive in
/// one message. So these limits follow from those of documents ([`MessageLimits::for_documents`]). Most messages hold far
/// less ([`MessageLimits::ordinary`]); a server takes messages that hold more one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Heads that a peer may name.
    pub heads: usize,
    /// Bytes of Bloom filters.
    pub filters: u64,
    /// Chunks: changes that are sent one by one, documents.
    pub chunks: u64,
    /// Changes, those in documents included.
    pub changes: u64,
    /// Operations of these changes.
    pub operations: u64,
    /// Bytes that the compressed parts inflate to.
    pub inflated: u64,
    /// Bytes of keys and messages, each as often as it is repeated.
    pub text: u64,
    /// Changes times actors.
    pub actor_changes: u64,
    /// Changes that the document may have. Bounded by servers, not by replicas.
    pub document_changes: u64,
    /// Bytes that the document may take in the store.
    pub document_bytes: u64,
    /// Operations that all its changes may hold.
    pub document_operations: u64,
    /// Its changes times its actors.
    pub document_actor_changes: u64,
}

impl Default for MessageLimits {
    /// Takes what a document may hold on a server that runs with the default limits. The document itself is not bounded.
    fn default() -> Self {
        Self {
            document_changes: u64::MAX,
            document_bytes: u64::MAX,
            document_operations: u64::MAX,
            document_actor_changes: MAX_ACTOR_CHANGES,
            ..Self::for_documents(DOCUMENT_CHANGES, DOCUMENT_BYTES, DOCUMENT_OPERATIONS)
        }
    }
}

impl MessageLimits {
    /// For documents that may have so many changes, bytes in the store, and operations: each fits into one message.
    /// Documents with narrower limits may still be sent an ordinary message, which is refused once it does not fit.
    #[must_use]
    pub fn for_documents(changes: u64, bytes: u64, operations: u64) -> Self {
        let at_least = |limit: u64, ordinary: u64| limit.clamp(ordinary, MOST);
        // A snapshot lists what a change implies, and bytes are counted as changes hold them.
        let unpacked = bytes.saturating_mul(2);
        Self {
            heads: HEADS,
            // A filter takes ten bits for each change.
            filters: at_least(changes, CHANGES) * 2,
            chunks: at_least(changes, CHANGES),
            changes: at_least(changes, CHANGES),
            operations: at_least(operations, LEAST_OPERATIONS),
            inflated: at_least(unpacked, INFLATED),
            text: at_least(unpacked, TEXT),
            actor_changes: MAX_ACTOR_CHANGES,
            document_changes: changes,
            document_bytes: bytes,
            document_operations: operations,
            document_actor_changes: DOCUMENT_ACTOR_CHANGES,
        }
    }

    /// The same for documents of so many changes times actors, at most [`MAX_ACTOR_CHANGES`]: one with more is not opened.
    #[must_use]
    pub fn with_actor_changes(self, actor_changes: u64) -> Self {
        let document_actor_changes = actor_changes.min(MAX_ACTOR_CHANGES);
        Self { actor_changes: document_actor_changes.max(ACTOR_CHANGES), document_actor_changes, ..self }
    }

    /// For a replica that takes messages of up to so many bytes from the server of its owner's choice. Documents of more
    /// operations than one for 16 bytes do not occur.
    #[must_use]
    pub fn for_replica(max_message: u64) -> Self {
        let limits = Self::for_documents(max_message / 64, max_message, max_message / 16);
        Self { document_changes: u64::MAX, document_bytes: u64::MAX, document_operations: u64::MAX, ..limits }
            .with_actor_changes(MAX_ACTOR_CHANGES)
    }

    /// The part of these limits that any number of connections may use at a time.
    #[must_use]
    pub fn ordinary(&self) -> Self {
        Self {
            changes: self.changes.min(CHANGES),
            operations: self.operations.min(OPERATIONS),
            inflated: self.inflated.min(INFLATED),
            text: self.text.min(TEXT),
            actor_changes: self.actor_changes.min(ACTOR_CHANGES),
            ..*self
        }
    }
}

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
    pub(super) continuing: Arc<HashSet<ChangeHash>>,
}

/// Some of the changes of a message that is applied in portions.
#[derive(Debug)]
pub struct Part {
    pub(super) changes: Vec<Change>,
    pub(super) operations: u64,
    pub(super) weight: u64,
    pub(super) continuing: Arc<HashSet<ChangeHash>>,
}

impl Incoming {
    /// Prepares for application in portions: sorts the changes causally, and records which continue their actor
    /// ([`soundness::continuing`]).
    pub fn prepare_for_portions(&mut self) {
        self.changes = causal_order::sort(std::mem::take(&mut self.changes));
        self.continuing = Arc::new(soundness::continuing(&self.changes));
    }

    /// Takes out this many changes from the front, with their part of the message's operations and weight.
    #[must_use]
    pub(super) fn take_part(&mut self, changes: usize) -> Part {
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

/// Why nothing is added to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentFull {
    /// Its history is too long.
    #[error("the document has as many changes as it may have ({0}); ask the operator of the server for room")]
    Changes(u64),
    /// It takes too much room.
    #[error("the document has as many bytes as it may have ({0}); ask the operator of the server for room")]
    Bytes(u64),
    /// It takes too long to read.
    #[error("the document has as many operations as it may have ({0}); ask the operator of the server for room")]
    Operations(u64),
    /// Too many actors have changed it too often.
    #[error(
        "the document has as many changes by as many actors as it may have ({0}, multiplied); export it and go on in a new one"
    )]
    ActorChanges(u64),
}

/// Why a sync message is refused. Its sender is told, and the document takes nothing more from its connection: later
/// changes build on those that were refused.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// The envelope of heads, needs and filters does not parse.
    #[error("the sync message does not parse: {0}")]
    Message(#[from] sync::ReadMessageError),
    /// A chunk is cut, garbled or of no known kind.
    #[error("a change in the sync message is corrupt: {0}")]
    Chunk(#[from] ChunkError),
    /// The chunk is whole, but what it holds is not a change or a document.
    #[error("a change in the sync message is corrupt: {0}")]
    Content(String),
    /// More than one message may make of the process.
    #[error("the sync message holds more than a document may: {0}; ask the operator of the server for room")]
    Overweight(#[from] Overweight),
    /// More chunks than one message may carry.
    #[error("the sync message carries {found} changes; {limit} are accepted")]
    TooManyChunks {
        /// How many it carries.
        found: u64,
        /// How many are accepted.
        limit: u64,
    },
    /// More changes in a list, of heads or of others, than a document that people edit ever has heads.
    #[error("the sync message names {found} changes in a list; {limit} are accepted")]
    TooManyHeads {
        /// How many it names.
        found: u64,
        /// How many are accepted.
        limit: usize,
    },
    /// A Bloom filter without bits, or one that is to be looked into without end; or too many of them.
    #[error("the sync message tells what its sender has in a way that cannot be used")]
    BadFilter,
    /// The changes are well-formed, but do not fit this document.
    #[error("a change in the sync message does not apply: {0}")]
    DoesNotApply(#[from] automerge::AutomergeError),
    /// Operations are numbered behind those that they build on, and not far behind all others.
    #[error("a change in the sync message does not count on from the changes that it builds on")]
    Counting,
    /// Of two changes of one actor neither builds on the other. Automerge takes whoever has the later one for having the
    /// other, too.
    #[error("a change in the sync message does not build on the one before it of the same actor")]
    Discontinuous,
    /// An actor belongs to whoever began it.
    #[error(
        "a change in the sync message continues what another user has begun under the same actor id; write under one of your own"
    )]
    ForeignActor,
    /// A time that no clock tells.
    #[error("a change in the sync message says that it was made before or after all time")]
    Time,
    /// Nearly four thousand million operations, or a change that says so.
    #[error("a change in the sync message is beyond the number of operations that a document can have")]
    UsedUp,
    /// It could be applied, and never read again.
    #[error("a change in the sync message refers to what does not exist, or is written in an unusual way")]
    NotMadeAgain,
    /// The document is as large as it may be.
    #[error(transparent)]
    Full(#[from] DocumentFull),
    /// Too much waits for changes that nobody has sent.
    #[error("too many changes wait for others that were never sent ({0} at the most)")]
    TooManyOrphans(usize),
    /// The library panicked on it.
    #[error("the sync message could not be applied")]
    Panicked,
}

impl BadMessage {
    /// Whether a message with wider limits might be taken.
    #[must_use]
    pub fn is_over_a_limit(&self) -> bool {
        use Overweight::{ActorChanges, Changes, Inflated, Operations, Text};
        matches!(
            self,
            Self::Overweight(ActorChanges | Changes | Inflated | Operations | Text) | Self::TooManyChunks { .. }
        ) || matches!(self, Self::Chunk(ChunkError::Inflate(_)))
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
