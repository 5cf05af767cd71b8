//! What can be asked of a document's task.

use std::sync::Arc;

use automerge::ChangeHash;
use bytes::Bytes;
use plan::history::{History, PageError, Query};
use plan::{Author, Done, Edit, EditError, Past, SharedView};
use primitives::DocumentId;
use store::StoreError;
use sync_engine::{DocumentFull, Incoming, Provenance};
use tokio::sync::oneshot;

use super::access::Denied;
use super::allowance::{Allowance, Allowed};
use super::caller::Caller;
use super::outbox::{ConnectionKey, Ephemeral, Farewell, FarewellKind, Outbox, Outgoing, RemoteHeads, Waiter};
use super::refusals::Refusals;
use super::waits::WaitLimit;
use crate::document::{AttributedPage, EditRefused};
use crate::memory_budget::OutOfMemory;

/// A connection that syncs, as a document sees it.
#[derive(Debug, Clone)]
pub struct SyncPeer {
    /// Who it is.
    pub caller: Caller,
    /// Names the connection; in every document the same.
    pub key: ConnectionKey,
    /// Where its messages go.
    pub outbox: Outbox,
    /// The storage behind it, if it has one that outlives the connection: what it shares with us is remembered.
    pub storage: Option<Arc<str>>,
    /// Its share of what may wait for documents.
    pub allowance: Allowance,
    /// The documents that take no changes from it.
    pub refusals: Refusals,
}

impl SyncPeer {
    /// Told about this document only: the other ones of this connection are fine, and it may ask again.
    pub(super) fn tell_unavailable(&self, id: &DocumentId, why: &Unavailable) {
        match self.outbox.place_for_notice(&Waiter::Document(id.clone())) {
            Some(place) => place.fill(match why {
                Unavailable::Denied(_) => Outgoing::Missing(id.clone()),
                why => Outgoing::Unavailable { document: id.clone(), reason: Some(why.to_string().into()) },
            }),
            None => {
                let Farewell { kind, message } = why.clone().into();
                self.outbox.close(kind, message);
            }
        }
    }
}

/// How a document's task is asked for something.
#[derive(Debug)]
pub(super) enum Command {
    /// A peer begins to sync and is to be greeted, before it has said anything.
    Greet(SyncPeer),
    /// A sync message. The first one makes its sender a peer of this document.
    Sync {
        peer: SyncPeer,
        bytes: Bytes,
        /// Taken apart already, if it is of some size.
        incoming: Option<Box<Incoming>>,
        /// The sender has not got the document: it is to be told if we have not either.
        request: bool,
        /// Given back when the message was dealt with.
        allowed: Option<Allowed>,
    },
    /// A peer passes on an ephemeral message.
    Ephemeral { from: ConnectionKey, message: Arc<Ephemeral> },
    /// A peer tells what it knows of another storage's heads.
    RemoteHeads { from: ConnectionKey, heads: Arc<RemoteHeads> },
    /// A peer wants to be told what these storages have of this document.
    WatchStorages { peer: ConnectionKey, storages: Vec<Arc<str>> },
    /// A connection looks at rows from now on.
    Watch {
        caller: Caller,
        key: ConnectionKey,
        outbox: Outbox,
        reply: oneshot::Sender<Result<SharedView, Unavailable>>,
    },
    /// There is no room for a message that a peer has sent: it is asked for it again later.
    Postpone(SyncPeer),
    /// A connection is gone, as a peer or as one who looked at rows.
    Leave(ConnectionKey),
    /// Somebody has logged in or out on a legacy socket.
    People,
    /// What anybody may do with this document may have changed.
    Recheck,
    /// The socket of a connection takes messages again.
    Drained(ConnectionKey),
    /// An edit by a caller who waits for it to be durable.
    Edit {
        /// Boxed: a mailbox has room for as many commands as it holds at once, each as large as the largest.
        edit: Box<Edit>,
        author: Author,
        caller: Caller,
        reply: oneshot::Sender<Result<Done, EditFailure>>,
    },
    /// Be there: the view can be read.
    Open { reply: oneshot::Sender<Result<SharedView, Unavailable>> },
    /// Have the history ready. False: the document does not exist.
    OpenHistory { reply: oneshot::Sender<Result<bool, Unavailable>> },
    /// The history was made that somebody asked for; None: that has failed.
    HistoryMade(Option<Box<History>>),
    /// A page of the history. None: there is no history (any more).
    HistoryPage { query: Box<Query>, reply: oneshot::Sender<Option<Result<AttributedPage, PageError>>> },
    /// Who brought these changes in, as far as that is known. None: the document does not exist.
    Attribution { changes: Vec<ChangeHash>, reply: oneshot::Sender<Result<Option<Attributed>, Unavailable>> },
    /// The document as it was with these heads. None: the document does not exist.
    Past { heads: Vec<ChangeHash>, reply: oneshot::Sender<Result<Option<Past>, ReadFailure>> },
    /// Write what there is to write, and end.
    Stop,
}

/// Changes, and how they came in.
pub type Attributed = Vec<(ChangeHash, Provenance)>;

/// Why a document cannot be used at all.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// Its file could not be opened. The reason is in the log; here is what may be told to anybody.
    #[error("{0}")]
    Store(String),
    /// To open it would take more memory than one document may. Its file can be read.
    #[error(
        "document {0} holds too many changes by too many actors to be opened; \
         its file is at /api/documents/{0}/export.automerge"
    )]
    TooLarge(DocumentId),
    /// Changes to it took too long: it can be read, and takes changes again after a while.
    #[error("document {0} takes no changes for a while, since changes to it took too long; try again later")]
    Quarantined(DocumentId),
    /// Too many documents that do not exist are being waited for.
    #[error("document {id} does not exist, and {limit}; ask for it again later, or close documents that are gone")]
    TooManyPending {
        /// The document that was asked for.
        id: DocumentId,
        /// Whose limit is reached.
        limit: WaitLimit,
    },
    /// Documents are created faster than the rate limit allows.
    #[error("too many documents have been created in the last minutes; nothing was stored, try again in a minute")]
    TooManyNew,
    /// Large messages take as much memory as they may.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// It takes nothing more from this connection.
    #[error("the document has refused what this connection sent; connect again to get it")]
    Refused,
    /// Not for this caller.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The server stops.
    #[error("the server is shutting down")]
    Stopping,
}

impl From<Unavailable> for Farewell {
    fn from(error: Unavailable) -> Self {
        let kind = match error {
            Unavailable::Stopping => FarewellKind::GoingAway,
            Unavailable::Denied(_) => FarewellKind::Forbidden,
            _ => FarewellKind::TryAgainLater,
        };
        Self { kind, message: error.to_string() }
    }
}

/// Why something is not read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadFailure {
    /// The document is not there.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// There is no such page of the history.
    #[error(transparent)]
    PageError(#[from] PageError),
    /// The document has never had these heads.
    #[error("the document never had these heads, or has lost them; the history tells which it had")]
    UnknownHeads,
    /// Too many want to know what documents were like.
    #[error("too many are reading documents as they were at the moment; try again in a few seconds")]
    Busy,
}

/// Why an edit was not made.
#[derive(Debug, thiserror::Error)]
pub enum EditFailure {
    /// It is not acceptable.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The document is as large as it may be.
    #[error(transparent)]
    Full(#[from] DocumentFull),
    /// It could not be made durable.
    #[error("{message}")]
    Storage {
        /// Whether the disk is full.
        full: bool,
        /// What may be told to anybody.
        message: &'static str,
    },
    /// Not by this caller.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The document is not there.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The library failed on it.
    #[error("the edit could not be applied; the document was reloaded, and nothing was changed")]
    Panicked,
    /// Something else failed while it was made.
    #[error("something failed while the edit was made; look whether it is there before you make it again")]
    Unknown,
}

impl From<EditRefused> for EditFailure {
    fn from(refused: EditRefused) -> Self {
        match refused {
            EditRefused::Full(full) => full.into(),
            EditRefused::Schema(error) => error.into(),
        }
    }
}

impl From<&StoreError> for EditFailure {
    fn from(error: &StoreError) -> Self {
        Self::Storage { full: matches!(error, StoreError::Full { .. }), message: error.public_message() }
    }
}
