//! Errors of a replica. Errors of its connection are [`Problem`](dialer::Problem)s.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dialer::BadUrl;
use primitives::{DocumentId, InvalidAuthorName};
use repo_protocol::InvalidPeerName;
use runtime::document::EditRefused;
use store::{OpenError, StoreError};

/// Why a replica cannot be opened or created. Its file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The file is in use, damaged, or not a document.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file holds another document.
    #[error("{} holds document {found}, not {wanted}; use another file or the other id", .file.display())]
    OtherDocument {
        /// The file.
        file: PathBuf,
        /// The document in the file.
        found: DocumentId,
        /// The document that was requested.
        wanted: DocumentId,
    },
    /// A new plan cannot be created in a file that holds a document.
    #[error("{} already holds a document; open it, or use another file", .0.display())]
    Exists(PathBuf),
    /// The new plan was rejected or could not be stored.
    #[error("the new plan could not be created: {0}")]
    Create(#[from] EditFailed),
    /// The folder next to the file, which keeps the storage id of this replica, cannot be used.
    #[error("{} cannot be written: {source}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// [`ReplicaOptions::author`](super::ReplicaOptions::author) is invalid.
    #[error("the author's name {0}")]
    Author(#[from] InvalidAuthorName),
    /// The server's URL is invalid.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// A generated peer name is invalid. Does not occur in practice.
    #[error(transparent)]
    Name(#[from] InvalidPeerName),
}

/// Why an edit failed. Nothing of it was stored or sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EditFailed {
    /// The edit is invalid, or its precondition failed.
    #[error("{0}")]
    Refused(Arc<EditRefused>),
    /// The edit could not be stored.
    #[error("{0}")]
    NotStored(Arc<StoreError>),
    /// The file cannot be read at the moment, so nothing can be added to it.
    #[error("the replica's file is temporarily unreadable")]
    Unreadable,
    /// Automerge panicked.
    #[error("the Automerge library failed on this edit")]
    Panicked,
    /// The replica was closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// The replica was closed. All edits that were acknowledged before are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the replica is closed")]
pub struct Closed;

/// Why [`Replica::connect`](super::Replica::connect) failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The URL is invalid.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The replica was closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}
