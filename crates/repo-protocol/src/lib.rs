//! automerge-repo's WebSocket protocol, version 1: one CBOR map per binary frame.
//!
//! This follows what the published JavaScript code (2.5.6) does, not what its README says: the metadata travels in
//! `peerMetadata`, and cbor-x writes maps with 16-bit headers, absent values as `undefined`, and large numbers as
//! floats. What samod sends is accepted too. Which message is allowed when is the server's business, not decided here.
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
pub use decode::{KnownDocuments, decode, decode_known};
pub use detach::detach;
pub use encode::sync_head;
pub use error::DecodeError;
pub use ids::{InvalidPeerName, PeerId, StorageId};
use primitives::DocumentId;

/// The one version of the protocol that exists; what a `join` without versions means.
pub const PROTOCOL_VERSION: &str = "1";

/// One message of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// The client's first message.
    Join {
        /// Who joins.
        sender: PeerId,
        /// What the client says about itself.
        metadata: PeerMetadata,
        /// The versions that the client speaks; `["1"]` when it does not say.
        versions: Vec<String>,
    },
    /// The server's answer to a `join`.
    Peer {
        /// The server's name.
        sender: PeerId,
        /// The client's name.
        target: PeerId,
        /// What the server says about itself.
        metadata: PeerMetadata,
        /// The version that the server chose.
        version: String,
    },
    /// An Automerge sync message about a document that the sender has.
    Sync {
        /// Who sends it.
        sender: PeerId,
        /// Whom it is for.
        target: PeerId,
        /// The document that it is about.
        document: DocumentId,
        /// The Automerge sync message; never empty.
        data: Bytes,
    },
    /// An Automerge sync message about a document that the sender does not have and would like to get.
    Request {
        /// Who sends it.
        sender: PeerId,
        /// Whom it is for.
        target: PeerId,
        /// The document that is asked for.
        document: DocumentId,
        /// The Automerge sync message; never empty.
        data: Bytes,
    },
    /// The sender cannot provide a document that the receiver syncs or has asked for.
    DocUnavailable {
        /// Who sends it.
        sender: PeerId,
        /// Whom it is for.
        target: PeerId,
        /// The document that was asked for.
        document: DocumentId,
        /// Why, for people; `None` if the document just does not exist. Stock clients do not look at it.
        message: Option<String>,
    },
    /// Something that is passed on to everybody at the document, and kept by nobody.
    Ephemeral(Ephemeral),
    /// A wish to be told about what other stores have.
    RemoteSubscriptionChange {
        /// Who sends it.
        sender: PeerId,
        /// Whom it is for.
        target: PeerId,
        /// The stores to be told about from now on.
        add: Vec<StorageId>,
        /// The stores not to be told about any more.
        remove: Vec<StorageId>,
    },
    /// News of what other stores have.
    RemoteHeadsChanged {
        /// Who sends it.
        sender: PeerId,
        /// Whom it is for.
        target: PeerId,
        /// The document that changed.
        document: DocumentId,
        /// What each store has, each store once.
        heads: Vec<(StorageId, RemoteHeads)>,
    },
    /// The sender is about to close the socket.
    Leave {
        /// Who leaves.
        sender: PeerId,
    },
    /// The sender refuses something. Without a document it refuses to go on, and will close the socket.
    Error {
        /// Who refuses; samod leaves it out.
        sender: Option<PeerId>,
        /// Who is refused; samod leaves it out.
        target: Option<PeerId>,
        /// The one document that takes no changes from the receiver: the socket stays open. No part of version 1 as it is
        /// published, in which every `error` is the last message; peers that do not know it leave it out and ignore it.
        document: Option<DocumentId>,
        /// The reason, for people.
        message: String,
    },
    /// A message of a kind that does not exist in version 1. Peers ignore it.
    Unknown {
        /// Its kind.
        kind: String,
        /// Who sends it, if it says so in the usual place.
        sender: Option<PeerId>,
    },
}

/// The content of an ephemeral message. Sender, count and session together name it, wherever it is passed on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ephemeral {
    /// Who first sent it.
    pub sender: PeerId,
    /// Whom this copy is for.
    pub target: PeerId,
    /// The number of the message within the session; at most 2^53 - 1, as in JavaScript.
    pub count: u64,
    /// A random name of the sender's process.
    pub session: String,
    /// The document that it is about.
    pub document: DocumentId,
    /// The content, opaque to the server; never empty.
    pub data: Bytes,
}

/// What a peer says about itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerMetadata {
    /// The name of the peer's store, if it has one: peers with one are remembered.
    pub storage_id: Option<StorageId>,
    /// Whether the peer will be forgotten when it leaves (a browser tab without storage).
    pub is_ephemeral: bool,
}

/// What a store has of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteHeads {
    /// The heads, as automerge-repo writes them (base58check).
    pub heads: Vec<String>,
    /// When this was so, in milliseconds since 1970 by the first sender's clock; always finite.
    pub timestamp: f64,
}
