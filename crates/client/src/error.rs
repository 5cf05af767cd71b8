//! What can go wrong with a replica, besides its connection ([`Problem`](super::Problem)).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use primitives::{DocumentId, InvalidAuthorName};
use repo_protocol::InvalidPeerName;
use runtime::document::EditRefused;
use store::{OpenError, StoreError};

/// Why a replica cannot be opened or made. What is in its file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The file is in use, damaged, or not a document.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file holds another document.
    #[error("{} holds the document {found}, not {wanted}: give another file, or that id", .file.display())]
    OtherDocument {
        /// The file.
        file: PathBuf,
        /// What it holds.
        found: DocumentId,
        /// What it should hold.
        wanted: DocumentId,
    },
    /// A new plan was to be made in a file that holds one.
    #[error("there is a document in {} already: open it, or give another file", .0.display())]
    Exists(PathBuf),
    /// The new plan was refused, or not stored.
    #[error("the new plan could not be made: {0}")]
    Create(#[from] EditFailed),
    /// The folder beside the file, which keeps the name of this replica.
    #[error("{} cannot be written: {source}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The name in [`ReplicaOptions::author`](super::ReplicaOptions::author).
    #[error("the author's name {0}")]
    Author(#[from] InvalidAuthorName),
    /// The address of the server.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// Never for the names made here; the type says that names are checked.
    #[error(transparent)]
    Name(#[from] InvalidPeerName),
}

/// Why an edit was not made. Nothing of it was stored or sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EditFailed {
    /// It is not acceptable.
    #[error("{0}")]
    Refused(Arc<EditRefused>),
    /// It could not be made durable.
    #[error("{0}")]
    NotStored(Arc<StoreError>),
    /// What is durable cannot be read at the moment, so nothing can be added to it.
    #[error("the replica's file cannot be read at the moment")]
    Unreadable,
    /// The library panicked on it.
    #[error("the Automerge library failed on this edit")]
    Panicked,
    /// The replica was closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// The replica was closed. What was acknowledged before is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the replica is closed")]
pub struct Closed;

/// Why a replica does not go online.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The address.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The replica was closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why a text is not the address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not a WebSocket URL.
    #[error("{0:?} is not an address of a server: give one such as wss://plan.example.com/sync")]
    NotWebSocket(String),
    /// A user, or a password, in the address.
    #[error("the address of a server has no user and no password in it: give a token beside it")]
    Credentials,
    /// Everybody on the way to the server could read the token.
    #[error("at {0:?} everybody on the way can read the token: give a wss:// address")]
    TokenInTheClear(String),
}
