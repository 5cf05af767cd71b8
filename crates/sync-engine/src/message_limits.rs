//! What one sync message may hold, and what a document may.

use automerge_chunks::cost::MAX_ACTOR_CHANGES;

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
