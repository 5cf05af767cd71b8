//! Commands to a document's task, and their errors.

use std::sync::Arc;

use automerge::{Automerge, Change, ChangeHash};
use bytes::Bytes;
use plan::history::{FollowError, History, PageError, Query, Since};
use plan::{Author, Done, Edit, EditError, Past, SharedView, View};
use primitives::DocumentId;
use store::StoreError;
use sync_engine::{BadMessage, DocumentFull, Incoming, Merge, Provenance};
use tokio::sync::oneshot;
use tracing::Id;

use super::access::Denied;
use super::mailbox_quota::{MailboxPermit, MailboxQuota};
use super::outbox::{CloseKind, CloseReason, ConnectionKey, DrainListener, Ephemeral, Outbox, Outgoing, RemoteHeads};
use super::pending_documents::PendingLimit;
use super::refusals::Refusals;
use super::requester::Requester;
use crate::document::{AttributedFollowing, AttributedPage, EditRefused};
use crate::memory_budget::OutOfMemory;

/// A connection as a peer of a document.
#[derive(Debug, Clone)]
pub struct SyncPeer {
    /// The client behind the connection.
    pub requester: Requester,
    /// The connection, under the same key in every document.
    pub key: ConnectionKey,
    /// Where messages to the peer go.
    pub outbox: Outbox,
    /// The peer's storage id, if its storage outlives the connection. The heads that it shares with the document are
    /// recorded under it.
    pub storage: Option<Arc<str>>,
    /// The connection's quota of queued messages.
    pub mailbox_quota: MailboxQuota,
    /// The documents that reject changes of this connection.
    pub refusals: Refusals,
    /// Whether the peer is a server, which relays what its own peers send.
    pub relays: bool,
}

impl SyncPeer {
    /// Tells the peer that this document is unavailable. Other documents on the connection are not affected. If the
    /// outbox is full, the connection is closed.
    pub(super) fn send_unavailable(&self, id: &DocumentId, why: &Unavailable) {
        match self.outbox.try_reserve_for_notice(&DrainListener::Document(id.clone())) {
            Some(permit) => permit.send(match why {
                Unavailable::Denied(_) => Outgoing::Missing(id.clone()),
                why => Outgoing::Unavailable { document: id.clone(), reason: Some(why.to_string().into()) },
            }),
            None => {
                let CloseReason { kind, message } = why.clone().into();
                self.outbox.close(kind, message);
            }
        }
    }
}

/// A command to a document's task.
#[derive(Debug)]
pub(super) enum Command {
    /// Adds a peer that has sent nothing yet, and sends it the first message.
    StartSync(SyncPeer),
    /// A sync message. The first one adds its sender as a peer.
    Sync {
        peer: SyncPeer,
        bytes: Bytes,
        /// The decoded message, if it was large enough to be decoded before.
        incoming: Option<Box<Incoming>>,
        /// Whether the sender does not have the document: it is told if the document does not exist.
        request: bool,
        /// The message's share of its connection's quota, released after the message was processed.
        mailbox_permit: Option<MailboxPermit>,
    },
    /// An ephemeral message of a peer.
    Ephemeral { from: ConnectionKey, message: Arc<Ephemeral> },
    /// An ephemeral message of a client of another process.
    RemoteEphemeral { user: Option<Arc<str>>, message: Arc<Ephemeral> },
    /// A peer reports the heads of another storage.
    RemoteHeads { from: ConnectionKey, heads: Arc<RemoteHeads> },
    /// A peer subscribes to the heads of these storages.
    WatchStorages { peer: ConnectionKey, storages: Vec<Arc<str>> },
    /// Subscribes a connection to row changes.
    Watch {
        requester: Requester,
        key: ConnectionKey,
        outbox: Outbox,
        reply: oneshot::Sender<Result<SharedView, Unavailable>>,
    },
    /// Opens the document, so that peerings follow it. Answers when it is open.
    Follow { opened: oneshot::Sender<()> },
    /// A peer does not have this document.
    PeerLacks(ConnectionKey),
    /// A message did not fit into the memory budget: asks its sender for it again later.
    Postpone(SyncPeer),
    /// The connection is closed.
    Leave(ConnectionKey),
    /// The users on legacy sockets have changed.
    LegacyPresenceChanged,
    /// The rights of users on this document may have changed.
    Recheck,
    /// The outbox of a connection has room again.
    Drained(ConnectionKey),
    /// An edit. The reply is sent after it was published.
    Edit {
        /// Boxed, since every slot of a mailbox is as large as the largest command.
        edit: Box<Edit>,
        author: Author,
        requester: Requester,
        /// The span of the request, for traces.
        request: Option<Id>,
        reply: oneshot::Sender<Result<Done, EditFailure>>,
    },
    /// Merges changes of another document of the family, and makes an edit in the same batch. Creates the document if it does not
    /// exist. The reply is sent after the batch was published.
    Merge {
        changes: Arc<[Change]>,
        edit: Option<Box<Edit>>,
        author: Author,
        requester: Requester,
        /// The precondition: the heads of the document.
        heads: Option<Vec<ChangeHash>>,
        /// The span of the request, for traces.
        request: Option<Id>,
        reply: oneshot::Sender<Result<Done, EditFailure>>,
    },
    /// Returns a copy of the document; `None` if it does not exist.
    Copy { reply: oneshot::Sender<Result<Option<Arc<Automerge>>, Unavailable>> },
    /// Returns the view.
    Open { reply: oneshot::Sender<Result<SharedView, Unavailable>> },
    /// The view was built; `None` if that failed.
    ViewBuilt(Option<Box<View>>),
    /// Builds the history if there is none. Returns false if the document does not exist.
    OpenHistory { reply: oneshot::Sender<Result<bool, Unavailable>> },
    /// The history was built; `None` if that failed.
    HistoryBuilt(Option<Box<History>>),
    /// Returns a page of the history; `None` if there is no history.
    HistoryPage { query: Box<Query>, reply: oneshot::Sender<Option<Result<AttributedPage, PageError>>> },
    /// Returns the heads; `None` if the document does not exist.
    Heads { reply: oneshot::Sender<Result<Option<Vec<ChangeHash>>, Unavailable>> },
    /// Returns a portion of the changes after known heads; `None` if there is no history.
    Following { since: Box<Since>, reply: oneshot::Sender<Option<Result<AttributedFollowing, FollowError>>> },
    /// Returns the known provenance of these changes; `None` if the document does not exist.
    Attribution { changes: Vec<ChangeHash>, reply: oneshot::Sender<Result<Option<Attributed>, Unavailable>> },
    /// Returns the document at these heads; `None` if the document does not exist.
    Past { heads: Vec<ChangeHash>, reply: oneshot::Sender<Result<Option<Past>, ReadFailure>> },
    /// Ends the task after its last batch was stored.
    Stop,
}

/// Changes, each with the user and surface that contributed it, and with who merged it, as far as that is known.
pub type Attributed = Vec<(ChangeHash, Option<Provenance>, Option<Merge>)>;

/// Why a document cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    /// The file could not be opened. Contains the public reason; the log has the details.
    #[error("{0}")]
    Store(String),
    /// Opening it would exceed the memory limit of a document. The file can still be downloaded.
    #[error(
        "document {0} has too many changes by too many actors to be opened; \
         download its file from /api/documents/{0}/export.automerge"
    )]
    TooLarge(DocumentId),
    /// Changes to it took too long. It is read-only for a while.
    #[error("document {0} is temporarily read-only because changes to it took too long; try again later")]
    Quarantined(DocumentId),
    /// Clients wait for too many documents that do not exist.
    #[error("document {id} does not exist, and {limit}; try again later, or close documents that no longer exist")]
    TooManyPending {
        /// The requested document.
        id: DocumentId,
        /// The limit that is reached.
        limit: PendingLimit,
    },
    /// Documents are created faster than the rate limit allows.
    #[error("too many documents were created in the last minutes; nothing was stored, try again in a minute")]
    TooManyNew,
    /// The memory budget of large messages is used up.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The document rejects all messages of this connection.
    #[error("the document rejected a message of this connection; reconnect to open it again")]
    Refused,
    /// The client lacks the right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Stopping,
}

impl From<Unavailable> for CloseReason {
    fn from(error: Unavailable) -> Self {
        let kind = match error {
            Unavailable::Stopping => CloseKind::GoingAway,
            Unavailable::Denied(_) => CloseKind::Forbidden,
            Unavailable::Store(_)
            | Unavailable::TooLarge(_)
            | Unavailable::Quarantined(_)
            | Unavailable::TooManyPending { .. }
            | Unavailable::TooManyNew
            | Unavailable::OutOfMemory(_)
            | Unavailable::Refused => CloseKind::TryAgainLater,
        };
        Self { kind, message: error.to_string() }
    }
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadFailure {
    /// The document cannot be used.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The page of the history does not exist.
    #[error(transparent)]
    PageError(#[from] PageError),
    /// The changes after known heads could not be read.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The document has never had these heads.
    #[error("the document has never had these heads; see its history for valid ones")]
    UnknownHeads,
    /// Too many clients read earlier states of documents.
    #[error("too many requests for earlier states of documents; try again in a few seconds")]
    Busy,
}

/// Why an edit failed.
#[derive(Debug, thiserror::Error)]
pub enum EditFailure {
    /// The edit is invalid, or its precondition failed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The document has reached its size limit.
    #[error(transparent)]
    Full(#[from] DocumentFull),
    /// The edit could not be stored.
    #[error("{message}")]
    Storage {
        /// Whether the disk is full.
        full: bool,
        /// The public reason.
        message: &'static str,
    },
    /// The changes of a merge were rejected.
    #[error("the changes were rejected: {0}")]
    Merge(BadMessage),
    /// The client lacks the right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The document cannot be used.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Automerge panicked while applying it.
    #[error("the edit could not be applied; nothing was changed")]
    Panicked,
    /// The task failed while processing the edit. Whether it was stored is unknown.
    #[error("the server failed during the edit; check whether it was applied before you retry")]
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
        if error.is_outcome_unknown() {
            return Self::Unknown;
        }
        Self::Storage { full: error.is_full(), message: error.public_message() }
    }
}
