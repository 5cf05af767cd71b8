//! An offline-capable replica of one plan: a document on disk that can be edited at any time, and that syncs whenever its server is
//! reachable.
//!
//! [`Replica`] is the handle, [`ReplicaOptions`] configures it, [`Endpoint`] names a server, and [`Status`] tells whether both are in
//! sync. A replica speaks automerge-repo's WebSocket protocol, so any automerge-repo server can be its server. An edit is durable
//! before it is acknowledged, visible or sent.
//!
//! ```
//! use client::{Replica, ReplicaOptions, new_document_id};
//! use plan::{Edit, PlanPatch, read_view};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let file = home.path().join("plan.automerge");
//! let options = ReplicaOptions::new(file, new_document_id(), "ceo@example.com");
//! let replica = Replica::create(options, PlanPatch::default(), Vec::new()).await?;
//!
//! // Edits work offline. They are on disk when this returns.
//! let rename = PlanPatch { name: Some("Growth 2027".to_owned()), ..PlanPatch::default() };
//! replica.edit(Edit::Describe(rename)).await?;
//! assert_eq!(read_view(replica.view()).plan().name.as_deref(), Some("Growth 2027"));
//!
//! // The replica connects in the background, and reconnects with back-off.
//! replica.connect("ws://127.0.0.1:8000/sync").await?;
//! replica.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The path of a change
//!
//! 1. [`Replica::edit`] sends the edit to the replica's task. A change of another client arrives at `socket_task`, which decodes
//!    automerge-repo's messages, and forwards the sync message to the same task.
//! 2. The task commits everything that is queued as one batch (`task`): it applies the batch in memory, and appends the new
//!    changes to the file in one write and one fsync. [`runtime::document`] and [`runtime::document_log`] do the work, as on the
//!    server.
//! 3. The task publishes the batch: it updates the [view](Replica::view), notifies [listeners](Replica::changes), sends a sync
//!    message to the server if there is a session, and answers the callers.
//! 4. Without a session the changes stay in the file. The next session starts with the heads that the server last had, so it
//!    transfers only the difference.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | `task` | the task that owns the document: apply, append, publish |
//! | `connection` | the current session, and when to reconnect |
//! | `socket_task` | one connection, from dialling ([`dialer`]) to its end |
//! | `server_records`, `identity` | files next to the replica's file |

mod connection;
mod error;
mod identity;
mod renderings;
mod server_records;
mod socket_task;
mod status;
mod task;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use automerge::ChangeHash;
use connection::Connection;
pub use dialer::{BadCertificate, BadToken, BadUrl, Endpoint, Problem, Token};
pub use error::{Closed, ConnectError, EditFailed, ReplicaError};
use identity::Identity;
use plan::{Done, Edit, NewPosition, PlanPatch, SharedView, ViewChange, read_view};
use primitives::{DocumentId, check_author_name};
use runtime::clock::now_ms;
use runtime::document::Document;
use runtime::document_log::{ActorSource, DocumentLog};
use server_records::ServerRecords;
pub use status::Status;
use store::disk::RealDisk;
use store::{self, FileStore, Lengths, Position, Repair, StateFile};
use sync_engine::MessageLimits;
use task::{Command, ReplicaTask};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Capacity of the queue of commands. When it is full, callers wait.
const MAILBOX: usize = 256;
/// Number of events that a listener may lag behind before it misses some.
const EVENTS: usize = 256;

/// Configuration of a replica.
#[derive(Debug, Clone)]
pub struct ReplicaOptions {
    /// The replica's file: a chain of Automerge chunks, readable by any Automerge binding. The replica also creates a folder,
    /// `<file>.sync`.
    pub file: PathBuf,
    /// Id of the document.
    pub document: DocumentId,
    /// Server to connect to. `None` keeps the replica offline until [`Replica::connect`].
    pub server: Option<Endpoint>,
    /// Author of the edits, stored as `updatedBy`: 1 to 200 characters, no control characters.
    pub author: String,
    /// Interval between pings. The connection is dropped when the server is silent for three intervals.
    pub ping: Duration,
    /// Maximum size of a message from the server, in bytes. The first message holds the whole document, so this also bounds
    /// the operations and changes of the document.
    pub max_message: usize,
}

impl ReplicaOptions {
    /// Options of an offline replica with the default limits: a ping every 20 s, messages of up to 512 MiB.
    pub fn new(file: impl Into<PathBuf>, document: DocumentId, author: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            document,
            server: None,
            author: author.into(),
            ping: Duration::from_secs(20),
            max_message: 512 << 20,
        }
    }

    /// Sets the server to connect to.
    #[must_use]
    pub fn online(mut self, server: impl Into<Endpoint>) -> Self {
        self.server = Some(server.into());
        self
    }
}

/// Handle to a running replica. Cheap to clone. The replica is closed by [`Replica::close`], or when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Replica {
    document: DocumentId,
    commands: mpsc::Sender<Command>,
    view: SharedView,
    status: watch::Receiver<Status>,
    changes: broadcast::Sender<Arc<ViewChange>>,
    repaired: Option<Arc<Repair>>,
}

impl Replica {
    /// Opens a replica. If the file is missing or empty, the document is fetched at the first connection.
    ///
    /// Edits are possible before the first fetch. A position added then creates a `positions` map that conflicts with that of the
    /// server's document; every view shows the union of both. To create a document that no server has, use
    /// [`Replica::create`].
    ///
    /// # Errors
    /// If the file is in use, damaged, or holds another document, or if the author or the URL is invalid.
    pub async fn open(mut options: ReplicaOptions) -> Result<Self, ReplicaError> {
        let server = options.server.take().map(Endpoint::validate).transpose()?;
        let replica = Self::start(options).await?;
        if let Some(server) = server {
            // The task was just started, and ends only on request.
            let _ = replica.ask(|reply| Command::Connect { server, reply }).await;
        }
        Ok(replica)
    }

    /// Creates a new plan in a missing or empty file. It is durable when this returns, and sent to the server at the first
    /// connection. Use [`new_document_id`] for the id.
    ///
    /// # Errors
    /// As for [`Replica::open`], and if the file already holds a document or the plan is invalid.
    pub async fn create(
        mut options: ReplicaOptions,
        plan: PlanPatch,
        positions: Vec<NewPosition>,
    ) -> Result<Self, ReplicaError> {
        let server = options.server.take().map(Endpoint::validate).transpose()?;
        let (id, file) = (options.document.clone(), options.file.clone());
        let replica = Self::start(options).await?;
        if !replica.heads().is_empty() {
            let _ = replica.close().await;
            return Err(ReplicaError::Exists(file));
        }
        if let Err(error) = replica.edit(Edit::Create { id, plan, positions }).await {
            let _ = replica.close().await;
            return Err(error.into());
        }
        if let Some(server) = server {
            let _ = replica.ask(|reply| Command::Connect { server, reply }).await;
        }
        Ok(replica)
    }

    async fn start(options: ReplicaOptions) -> Result<Self, ReplicaError> {
        Self::start_on(Arc::new(RealDisk::default()), options).await
    }

    /// Opens the replica offline, with its file on the given disk.
    async fn start_on(disk: Arc<dyn store::disk::Disk>, options: ReplicaOptions) -> Result<Self, ReplicaError> {
        let ReplicaOptions { file, document: id, author, ping, max_message, .. } = options;
        let author = check_author_name(&author)?.to_owned();
        // Locks, repairs and reads the file: blocking I/O.
        let opened = offload::run_blocking(move || OpenedFile::open(disk, file, id, max_message)).await?;
        let OpenedFile { mut document, store, identity, lengths, repaired } = opened;
        let id = document.id().clone();
        let server_records = ServerRecords::load(&store, &id).await;
        let connection = Connection::new(identity, id.clone(), ping, max_message);
        let initial = Status::Offline { since: SystemTime::now(), last_error: None, retry_at: None };
        let (status, status_of_task) = watch::channel(initial);
        let (changes, _) = broadcast::channel(EVENTS);
        let (commands, mailbox) = mpsc::channel(MAILBOX);
        let replica = Self {
            document: id.clone(),
            commands,
            view: document.view(),
            status: status_of_task,
            changes: changes.clone(),
            repaired: repaired.map(Arc::new),
        };
        let log = DocumentLog::new(Arc::new(store), id, ActorSource::default(), Position::START, lengths);
        let task =
            ReplicaTask { document, log, server_records, connection, author, commands: mailbox, status, changes };
        tokio::spawn(task.run());
        Ok(replica)
    }

    /// Returns the id of the document.
    #[must_use]
    pub fn document(&self) -> &DocumentId {
        &self.document
    }

    /// Returns what was truncated when the file was opened: an incomplete write, interrupted by a crash.
    #[must_use]
    pub fn repaired(&self) -> Option<&Repair> {
        self.repaired.as_deref()
    }

    /// Applies an edit, online or offline. It is durable on this computer, and visible in the view, when this returns.
    ///
    /// # Errors
    /// If the edit is invalid or could not be stored. Nothing of it was stored or sent then.
    pub async fn edit(&self, edit: Edit) -> Result<Done, EditFailed> {
        self.ask(|reply| Command::Edit { edit, reply }).await?
    }

    /// Returns the view of the plan and its positions, including conflicts (see [`read_view`]). It stays current. Do not hold its
    /// lock across an `await`: the replica waits for it.
    #[must_use]
    pub fn view(&self) -> &SharedView {
        &self.view
    }

    /// Returns the heads of the view. Replicas with equal heads have equal documents. Empty before the first fetch.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        read_view(&self.view).heads().to_vec()
    }

    /// Returns the current status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Returns a receiver of status changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until the replica and its server have confirmed equal heads. Never returns while the server is unreachable.
    ///
    /// # Errors
    /// If the replica is closed meanwhile.
    pub async fn wait_until_synced(&self) -> Result<(), Closed> {
        self.wait_for(|status| *status == Status::Synced).await.map(|_| ())
    }

    /// Waits until the status satisfies `predicate`, and returns it.
    ///
    /// # Errors
    /// If the replica is closed meanwhile.
    pub async fn wait_for(&self, predicate: impl FnMut(&Status) -> bool) -> Result<Status, Closed> {
        let mut status = self.status.clone();
        let found = status.wait_for(predicate).await.map_err(|_| Closed)?;
        Ok(found.clone())
    }

    /// Subscribes to all changes of the view, local and remote. A listener that lags too far behind gets
    /// [`broadcast::error::RecvError::Lagged`], and has to read the view again.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Arc<ViewChange>> {
        self.changes.subscribe()
    }

    /// Connects to a server, and reconnects whenever the connection is lost. A scheduled attempt starts immediately.
    /// Does not wait for the connection.
    ///
    /// # Errors
    /// If the URL is invalid, or the replica is closed.
    pub async fn connect(&self, server: impl Into<Endpoint>) -> Result<(), ConnectError> {
        let server = server.into().validate()?;
        Ok(self.ask(|reply| Command::Connect { server, reply }).await?)
    }

    /// Disconnects, and stays offline until [`Replica::connect`].
    ///
    /// # Errors
    /// If the replica is closed.
    pub async fn disconnect(&self) -> Result<(), Closed> {
        self.ask(|reply| Command::Disconnect { reply }).await
    }

    /// Disconnects, and releases the file. Edits that the server does not have yet are sent after the next connection.
    ///
    /// # Errors
    /// If the replica is already closed.
    pub async fn close(&self) -> Result<(), Closed> {
        self.ask(|reply| Command::Close { reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

/// The content of a replica's file and folder.
struct OpenedFile {
    document: Document,
    store: FileStore,
    identity: Identity,
    lengths: Lengths,
    /// The incomplete write that was truncated.
    repaired: Option<Repair>,
}

impl OpenedFile {
    /// Locks, repairs and reads the file. Does blocking I/O.
    fn open(
        disk: Arc<dyn store::disk::Disk>,
        file: PathBuf,
        id: DocumentId,
        max_message: usize,
    ) -> Result<Self, ReplicaError> {
        let mut state = StateFile::open_on(disk, &file)?;
        let repaired = state.repair().cloned();
        let lengths = state.lengths();
        let content = state.take_document().unwrap_or_default();
        // A document without an id is accepted. One with another id must not be mixed up with this one.
        if let Some(found) = Document::carried_id(&content).filter(|found| *found != id) {
            return Err(ReplicaError::OtherDocument { file, found, wanted: id });
        }
        let limits = MessageLimits::for_replica(max_message as u64);
        let document = Document::from_automerge(
            id.clone(),
            content,
            ActorSource::default().fresh(),
            renderings::RENDERINGS,
            limits,
        );
        let folder = identity::folder(&file);
        let identity = Identity::load(&folder)?;
        let store = FileStore::open(state, id, folder)?;
        Ok(Self { document, store, identity, lengths, repaired })
    }
}

/// Generates a random document id, as automerge-repo does.
#[must_use]
pub fn new_document_id() -> DocumentId {
    DocumentId::from_random(rand::random())
}
