//! Limits of sync messages and documents.

use automerge_chunks::cost::MAX_ACTOR_CHANGES;

/// Default limit of the changes of a document on a server.
pub const DOCUMENT_CHANGES: u64 = 1_000_000;
/// Default limit of the size of a document in the store, in bytes.
pub const DOCUMENT_BYTES: u64 = 256 << 20;
/// Default limit of the operations of a document.
pub const DOCUMENT_OPERATIONS: u64 = 5_000_000;
/// Default limit of changes times actors of a document, whose clocks then take about 150 MB. Every client session that writes is
/// an actor: 10,000 sessions may make 50,000 changes.
pub const DOCUMENT_ACTOR_CHANGES: u64 = 500_000_000;

/// Heads that a peer may name.
const HEADS: usize = 10_000;
/// Changes in an ordinary message.
const CHANGES: u64 = 500_000;
/// Operations in an ordinary message. They take 100 MB while they are applied.
const OPERATIONS: u64 = 200_000;
/// Smallest limit of operations in a message, also if the document may have fewer.
const LEAST_OPERATIONS: u64 = 1_000_000;
/// Changes times actors of an ordinary message.
const ACTOR_CHANGES: u64 = 16_000_000;
/// Bytes that the compressed parts of an ordinary message inflate to.
const INFLATED: u64 = 64 << 20;
/// Bytes of keys and texts of an ordinary message.
const TEXT: u64 = 128 << 20;
/// Largest value of a limit, for documents without limits: more than a process can hold.
const MOST: u64 = 1 << 32;

/// Limits of one sync message, which are checked before the library decodes it, and of its document.
///
/// A client cannot split the changes that it has to send, so the content of a whole document must fit into one message. The
/// limits of messages therefore follow from those of documents ([`MessageLimits::for_documents`]). Most messages are far
/// smaller ([`MessageLimits::ordinary`]); a server decodes larger ones one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Heads that a peer may name.
    pub heads: usize,
    /// Bytes of Bloom filters.
    pub filters: u64,
    /// Chunks: single changes and documents.
    pub chunks: u64,
    /// Changes, including those in document chunks.
    pub changes: u64,
    /// Operations of these changes.
    pub operations: u64,
    /// Bytes of the compressed parts after decompression.
    pub inflated: u64,
    /// Bytes of keys and messages, counting every repetition.
    pub text: u64,
    /// Changes times actors.
    pub actor_changes: u64,
    /// Changes of the document. Replicas do not limit it.
    pub document_changes: u64,
    /// Size of the document in the store, in bytes.
    pub document_bytes: u64,
    /// Operations of the document.
    pub document_operations: u64,
    /// Changes times actors of the document.
    pub document_actor_changes: u64,
}

impl Default for MessageLimits {
    /// Message limits for documents of a server with the default limits. The document itself is not limited.
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
    /// Limits for documents with at most this many changes, bytes in the store, and operations, so that each document fits into
    /// one message. Messages are never limited to less than an ordinary message, also if the document's limits are lower.
    #[must_use]
    pub fn for_documents(changes: u64, bytes: u64, operations: u64) -> Self {
        let at_least = |limit: u64, ordinary: u64| limit.clamp(ordinary, MOST);
        // A document chunk stores explicitly what single changes imply, and `bytes` counts single changes.
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

    /// Sets the limit of changes times actors, at most [`MAX_ACTOR_CHANGES`]: documents with more cannot be opened.
    #[must_use]
    pub fn with_actor_changes(self, actor_changes: u64) -> Self {
        let document_actor_changes = actor_changes.min(MAX_ACTOR_CHANGES);
        Self { actor_changes: document_actor_changes.max(ACTOR_CHANGES), document_actor_changes, ..self }
    }

    /// Limits for a replica that accepts messages of up to this many bytes from its server. Presumes at least 16 bytes for each
    /// operation.
    #[must_use]
    pub fn for_replica(max_message: u64) -> Self {
        let limits = Self::for_documents(max_message / 64, max_message, max_message / 16);
        Self { document_changes: u64::MAX, document_bytes: u64::MAX, document_operations: u64::MAX, ..limits }
            .with_actor_changes(MAX_ACTOR_CHANGES)
    }

    /// The limits of an ordinary message. Any number of connections may use them at the same time.
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
