//! Why a frame is not a message.

use primitives::InvalidDocumentId;

use super::InvalidPeerName;

/// Why a frame is not a message of automerge-repo's protocol. The text is made to be sent to whoever wrote the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not one whole CBOR value.
    #[error("the frame is not valid CBOR at byte {offset}: {reason}")]
    NotCbor {
        /// Where in the frame.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The frame ends before its value does.
    #[error("the frame is cut off: it ends in the middle of a CBOR value")]
    Truncated,
    /// A whole value, and then more.
    #[error("the frame goes on after its message, from byte {offset}: there must be one message per frame")]
    TrailingBytes {
        /// Where the message ended.
        offset: usize,
    },
    /// Values inside of values, more than anybody needs.
    #[error("the frame nests values more than {limit} deep")]
    TooDeep {
        /// How deep is accepted.
        limit: usize,
    },
    /// A key that this kind of message needs is not there (or is null or undefined).
    #[error("{key:?} is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A key holds another type of value.
    #[error("{key:?} must be {expected}, but it is {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A number that makes no sense at this key.
    #[error("{key:?} must be {expected}, but it is {found}")]
    BadNumber {
        /// The key.
        key: &'static str,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// More of what no message of version 1 has than a later version may add.
    #[error("the frame holds {found} bytes of unknown or repeated keys; {limit} are accepted")]
    UnknownKeys {
        /// How many bytes it holds.
        found: usize,
        /// How many are accepted.
        limit: usize,
    },
    /// Data without a single byte.
    #[error("{key:?} is empty")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// A text that is longer than the protocol needs.
    #[error("{key:?} is longer than {limit} bytes")]
    TooLong {
        /// The key.
        key: &'static str,
        /// The longest that is accepted.
        limit: usize,
    },
    /// A list that is longer than the protocol needs.
    #[error("{key:?} lists more than {limit} entries")]
    TooMany {
        /// The key.
        key: &'static str,
        /// The most that are accepted.
        limit: usize,
    },
    /// The document id is malformed.
    #[error("\"documentId\" is malformed: {0}")]
    Document(#[from] InvalidDocumentId),
    /// The name of a peer or of a store is empty or too long.
    #[error("{key:?} is malformed: {source}")]
    Name {
        /// The key.
        key: &'static str,
        /// What is wrong with the name.
        source: InvalidPeerName,
    },
}
