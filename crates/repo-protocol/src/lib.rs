//! automerge-repo's WebSocket protocol, version 1: one CBOR map per binary frame.
//!
//! This follows the published JavaScript code (2.5.6), not its README: metadata is in `peerMetadata`, and cbor-x writes
//! maps with 16-bit headers, absent values as `undefined`, and large numbers as floats. Messages of samod are accepted,
//! too. Whether a message is allowed at some time is for the server to decide.
//!
//! ```
//! use repo_protocol::{Message, PeerId, decode};
//! let leave = Message::Leave { sender: PeerId::new("client-1").unwrap() };
//! let frame = leave.encode().into();
//! assert_eq!(decode(&frame), Ok(leave));
//! ```
#![deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]

mod cbor;
mod decode;
mod detach;
mod encode;
mod error;
mod ids;
pub mod presence;
#[cfg(test)]
mod tests;

use bytes::Bytes;
pub use decode::{KnownDocuments, decode, decode_with_known};
pub use detach::detach;
pub use encode::sync_head;
pub use error::DecodeError;
pub use ids::{InvalidPeerName, PeerId, StorageId};
use primitives::DocumentId;

/// The only version of the protocol. Assumed for a `join` without versions.
pub const PROTOCOL_VERSION: &str = "1";

/// A message of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// The client's first message.
    Join {
        /// The joining peer.
        sender: PeerId,
        /// Metadata about the client.
        metadata: PeerMetadata,
        /// The versions that the client supports; `["1"]` if it does not say.
        versions: Vec<String>,
    },
    /// The server's answer to a `join`.
    Peer {
        /// The server's peer id.
        sender: PeerId,
        /// The client's peer id.
        target: PeerId,
        /// Metadata about the server.
        metadata: PeerMetadata,
        /// The version that the server chose.
        version: String,
    },
    /// An Automerge sync message about a document that the sender has.
    Sync {
        /// The sending peer.
        sender: PeerId,
        /// The receiving peer.
        target: PeerId,
        /// The document.
        document: DocumentId,
        /// The Automerge sync message; never empty.
        data: Bytes,
    },
    /// An Automerge sync message about a document that the sender requests.
    Request {
        /// The sending peer.
        sender: PeerId,
        /// The receiving peer.
        target: PeerId,
        /// The requested document.
        document: DocumentId,
        /// The Automerge sync message; never empty.
        data: Bytes,
    },
    /// The sender cannot provide a document that the receiver syncs or has asked for.
    DocUnavailable {
        /// The sending peer.
        sender: PeerId,
        /// The receiving peer.
        target: PeerId,
        /// The requested document.
        document: DocumentId,
        /// The reason, for people; `None` if the document does not exist. Stock clients ignore it.
        message: Option<String>,
    },
    /// A message that is relayed to all peers of a document, and not stored.
    Ephemeral(Ephemeral),
    /// Subscribes to the heads of other stores.
    RemoteSubscriptionChange {
        /// The sending peer.
        sender: PeerId,
        /// The receiving peer.
        target: PeerId,
        /// Stores to subscribe to.
        add: Vec<StorageId>,
        /// Stores to unsubscribe from.
        remove: Vec<StorageId>,
    },
    /// Heads of other stores.
    RemoteHeadsChanged {
        /// The sending peer.
        sender: PeerId,
        /// The receiving peer.
        target: PeerId,
        /// The document that changed.
        document: DocumentId,
        /// Heads by store, each store once.
        heads: Vec<(StorageId, RemoteHeads)>,
    },
    /// The sender is about to close the socket.
    Leave {
        /// The leaving peer.
        sender: PeerId,
    },
    /// The sender rejects something. Without a document, it closes the socket afterwards.
    Error {
        /// The rejecting peer; samod omits it.
        sender: Option<PeerId>,
        /// The rejected peer; samod omits it.
        target: Option<PeerId>,
        /// The document that accepts no changes from the receiver, if the socket stays open. An extension: in version 1
        /// as published, every `error` is the last message. Peers that do not know this key ignore the message.
        document: Option<DocumentId>,
        /// The reason, for people.
        message: String,
    },
    /// A message of an unknown kind, which peers ignore.
    Unknown {
        /// The kind.
        kind: String,
        /// The sending peer, if it is in the usual key.
        sender: Option<PeerId>,
    },
}

/// An ephemeral message. Sender, session and count identify it wherever it is relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ephemeral {
    /// The original sender.
    pub sender: PeerId,
    /// The receiver of this copy.
    pub target: PeerId,
    /// Number of the message within the session; at most 2^53 - 1, as in JavaScript.
    pub count: u64,
    /// Random id of the sender's process.
    pub session: String,
    /// The document.
    pub document: DocumentId,
    /// The content, opaque to the server; never empty.
    pub data: Bytes,
}

/// Metadata about a peer, sent when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerMetadata {
    /// Id of the peer's store, if it has one. Such peers are remembered.
    pub storage_id: Option<StorageId>,
    /// Whether the peer is forgotten when it leaves (a browser tab without storage).
    pub is_ephemeral: bool,
}

/// The heads that a store has of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteHeads {
    /// The heads in automerge-repo's encoding (base58check).
    pub heads: Vec<String>,
    /// Time of this state in milliseconds since 1970, by the first sender's clock; always finite.
    pub timestamp: f64,
}
