//! Reasons to reject a sync message.

use automerge::sync;
use automerge_chunks::chunk::ChunkError;
use automerge_chunks::cost::TooCostly;

use crate::quota::DocumentFull;

/// Why a sync message is rejected. The sender is told, and the document accepts nothing more from its connection, because later
/// changes depend on the rejected ones.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// The envelope of heads, needs and filters does not parse.
    #[error("the sync message does not parse: {0}")]
    Message(#[from] sync::ReadMessageError),
    /// A chunk is truncated, corrupt or of an unknown type.
    #[error("a change in the sync message is corrupt: {0}")]
    Chunk(#[from] ChunkError),
    /// A chunk is intact, but its content is not a change or a document.
    #[error("a change in the sync message is corrupt: {0}")]
    Content(String),
    /// Decoding or applying the message would cost more than its limits allow.
    #[error("the sync message holds more than a document may: {0}; ask the operator of the server for a higher limit")]
    TooCostly(#[from] TooCostly),
    /// The message carries more chunks than [`MessageLimits::chunks`](crate::MessageLimits::chunks).
    #[error("the sync message carries {found} changes; {limit} are accepted")]
    TooManyChunks {
        /// The number in the message.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A list of hashes is longer than [`MessageLimits::heads`](crate::MessageLimits::heads).
    #[error("the sync message names {found} changes in a list; {limit} are accepted")]
    TooManyHeads {
        /// The number in the message.
        found: u64,
        /// The limit.
        limit: usize,
    },
    /// A Bloom filter has no bits or too many probes, or there are too many filters.
    #[error("the sync message has an unusable Bloom filter")]
    BadFilter,
    /// The changes are well-formed, but do not fit this document.
    #[error("a change in the sync message does not apply: {0}")]
    DoesNotApply(#[from] automerge::AutomergeError),
    /// The operations of a change are not numbered after those of its dependencies, or are numbered far beyond all others.
    #[error("a change in the sync message has operation numbers that do not follow those of its dependencies")]
    OperationNumbers,
    /// A change does not depend on the previous change of its actor. Automerge presumes that a peer with the later change has
    /// the earlier one.
    #[error("a change in the sync message does not build on the one before it of the same actor")]
    MissingPredecessor,
    /// The actor of a change belongs to another user: the first who contributed a change of it.
    #[error("a change in the sync message has an actor id that belongs to another user; use an actor id of your own")]
    ForeignActor,
    /// Another document of the family has another change with the actor and the sequence number of this one.
    #[error(
        "a change in the sync message has the actor id and the number of another change in the plan or one of its scenarios; \
         use an actor id of its own in each copy"
    )]
    ReusedSequenceNumber,
    /// The time of a change is outside of the range that Automerge can store.
    #[error("a change in the sync message has a time out of range")]
    Time,
    /// The operation numbers of a change are at the end of their range of 32 bits.
    #[error("a change in the sync message exceeds the number of operations that a document can have")]
    OperationNumbersExhausted,
    /// The library can apply the change, but not reproduce it from the document.
    #[error("a change in the sync message refers to operations that do not exist, or has a non-canonical encoding")]
    NotReproducible,
    /// The document has reached one of its limits.
    #[error(transparent)]
    Full(#[from] DocumentFull),
    /// There are too many orphaned changes: changes whose dependencies are missing.
    #[error("too many changes depend on changes that were never sent (limit: {0})")]
    TooManyOrphans(usize),
    /// The library panicked while it decoded or applied the message.
    #[error("the sync message could not be applied")]
    Panicked,
}

impl BadMessage {
    /// Whether the message exceeds a limit, and might be accepted with higher limits.
    #[must_use]
    pub fn is_over_a_limit(&self) -> bool {
        use TooCostly::{ActorChanges, Changes, Inflated, Operations, Text};
        matches!(
            self,
            Self::TooCostly(ActorChanges | Changes | Inflated | Operations | Text) | Self::TooManyChunks { .. }
        ) || matches!(self, Self::Chunk(ChunkError::Inflate(_)))
    }
}
