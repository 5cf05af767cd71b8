//! Errors of decoding.

use primitives::InvalidDocumentId;

use super::InvalidPeerName;

/// Why a frame is not a valid message. The text is sent to the client, for its developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not valid CBOR.
    #[error("the frame is not valid CBOR at byte {offset}: {reason}")]
    NotCbor {
        /// Offset in the frame.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// The frame ends before its value does.
    #[error("the frame is cut off: it ends in the middle of a CBOR value")]
    Truncated,
    /// Bytes follow the message.
    #[error("the frame goes on after its message, from byte {offset}: there must be one message per frame")]
    TrailingBytes {
        /// Offset of the end of the message.
        offset: usize,
    },
    /// Values are nested too deeply.
    #[error("the frame nests values more than {limit} deep")]
    TooDeep {
        /// Deepest accepted nesting.
        limit: usize,
    },
    /// A required key is missing, null or undefined.
    #[error("{key:?} is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value has the wrong type.
    #[error("{key:?} must be {expected}, but it is {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// The expected value.
        expected: &'static str,
        /// The actual value.
        found: String,
    },
    /// A number is out of range.
    #[error("{key:?} must be {expected}, but it is {found}")]
    BadNumber {
        /// The key.
        key: &'static str,
        /// The expected value.
        expected: &'static str,
        /// The actual value.
        found: String,
    },
    /// There are too many bytes of unknown keys.
    #[error("the frame holds {found} bytes of unknown or repeated keys; {limit} are accepted")]
    UnknownKeys {
        /// Bytes of unknown or repeated keys.
        found: usize,
        /// Most accepted bytes.
        limit: usize,
    },
    /// The data is empty.
    #[error("{key:?} is empty")]
    Empty {
        /// The key.
        key: &'static str,
    },
    /// A text is too long.
    #[error("{key:?} is longer than {limit} bytes")]
    TooLong {
        /// The key.
        key: &'static str,
        /// Longest accepted length in bytes.
        limit: usize,
    },
    /// A list is too long.
    #[error("{key:?} lists more than {limit} entries")]
    TooMany {
        /// The key.
        key: &'static str,
        /// Most accepted entries.
        limit: usize,
    },
    /// The document id is malformed.
    #[error("\"documentId\" is malformed: {0}")]
    Document(#[from] InvalidDocumentId),
    /// The id of a peer or a store is empty or too long.
    #[error("{key:?} is malformed: {source}")]
    Name {
        /// The key.
        key: &'static str,
        /// What is wrong with the id.
        source: InvalidPeerName,
    },
}
