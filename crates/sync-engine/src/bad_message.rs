//! Why a sync message is refused.

use automerge::sync;
use automerge_chunks::chunk::ChunkError;
use automerge_chunks::cost::Overweight;

use crate::quota::DocumentFull;

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
