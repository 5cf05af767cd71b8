//! An offline-capable replica: one document on disk, edited at any time, synced when a server can be reached.
//!
//! A replica is a [`Document`] whose one peer is the server, over automerge-repo's WebSocket protocol; so any
//! automerge-repo server will do. It keeps the server's promise, too: an edit is durable before it is acknowledged,
//! shown or sent.
//!
//! | file | holds |
//! |---|---|
//! | `task` | the task that owns the document: batches, the three steps |
//! | `connection` | online or not, and when to try again |
//! | `link` | one connection, from dialling to its end |
//! | `servers`, `identity` | what is kept beside the replica's file |
//! | `handshake`, `tls` | from a socket to a WebSocket, and by what a server is known |
//! | `endpoint`, `token`, `url` | how a server is named |
//! | `backoff` | how long to wait before the next attempt |
//!
//! What may not enter: the server's rooms (sockets of a server, the hub). A replica is an other party, and runs
//! where no server does.

mod backoff;
mod connection;
mod endpoint;
mod error;
mod handshake;
mod identity;
mod link;
mod renderings;
mod servers;
mod status;
mod task;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod url;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use automerge::ChangeHash;
use connection::Connection;
pub use endpoint::{BadCertificate, Endpoint};
pub use error::{BadUrl, Closed, ConnectError, EditFailed, ReplicaError};
use identity::Identity;
use plan::{Done, Edit, NewPosition, PlanPatch, SharedView, ViewChange, read_view};
use primitives::{DocumentId, check_author_name};
use runtime::clock::now_ms;
use runtime::document::Document;
use runtime::document_log::{Actors, DocumentLog};
use servers::Servers;
pub use status::{Problem, Status};
use store::disk::RealDisk;
use store::{self, FileStore, Lengths, Repair, StateFile};
use sync_engine::MessageLimits;
use task::{Command, ReplicaTask};
pub use token::{BadToken, Token};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Commands that may wait for the replica; a caller that has more waits itself.
const MAILBOX: usize = 256;
/// Events that a listener may be behind before it is told that it missed some.
const EVENTS: usize = 256;

/// Where a replica is kept, and what it is a replica of.
#[derive(Debug, Clone)]
pub struct ReplicaOptions {
    /// The file: a chain of Automerge chunks, readable by any binding. Beside it stands a folder, `<file>.sync`.
    pub file: PathBuf,
    /// The document.
    pub document: DocumentId,
    /// Where to go online at once, such as `wss://plan.example.com/sync`. None: offline until [`Replica::connect`].
    pub server: Option<Endpoint>,
    /// Whose edits these are: shown as `updatedBy`. 1 to 200 characters, no control characters.
    pub author: String,
    /// Time between two pings. A server that is silent for three of these is given up.
    pub ping: Duration,
    /// Bytes in one message of the server. The first one holds the whole document; how many operations and changes that
    /// may have follows from its size.
    pub max_message: usize,
}

impl ReplicaOptions {
    /// A replica that stays offline, with the usual limits: pings every 20 s, messages of up to 512 MiB.
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

    /// The same, online with this server.
    #[must_use]
    pub fn online(mut self, server: impl Into<Endpoint>) -> Self {
        self.server = Some(server.into());
        self
    }
}

/// A replica that runs. Cheap to clone; it is closed by [`Replica::close`], or when the last clone is dropped.
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
    /// Opens a replica. A file that is missing or empty is fine: the document is fetched at the first connection.
    ///
    /// Edits before the first fetch are possible. A position added then brings a `positions` map of its own, which
    /// stays beside the one of the server's document: the view is their union everywhere. To make a document that no
    /// server has, use [`Replica::create`].
    ///
    /// # Errors
    /// When the file is in use, damaged, or holds another document; when the author cannot be called so; when the address is
    /// none.
    pub async fn open(mut options: ReplicaOptions) -> Result<Self, ReplicaError> {
        let server = options.server.take().map(Endpoint::check).transpose()?;
        let replica = Self::start(options).await?;
        if let Some(server) = server {
            // The task has just been started, and ends only when it is asked to.
            let _ = replica.ask(|reply| Command::Connect { server, reply }).await;
        }
        Ok(replica)
    }

    /// Makes a new plan in a file that is missing or empty, durable when this returns. Servers get it at the first
    /// connection. See [`new_document_id`] for the id.
    ///
    /// # Errors
    /// As for [`Replica::open`]; when there is a document in the file already, and when the plan is not acceptable.
    pub async fn create(
        mut options: ReplicaOptions,
        plan: PlanPatch,
        positions: Vec<NewPosition>,
    ) -> Result<Self, ReplicaError> {
        let server = options.server.take().map(Endpoint::check).transpose()?;
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

    /// Opens the replica and stays offline. Its file is on this disk.
    async fn start_on(disk: Arc<dyn store::disk::Disk>, options: ReplicaOptions) -> Result<Self, ReplicaError> {
        let ReplicaOptions { file, document: id, author, ping, max_message, .. } = options;
        let author = check_author_name(&author)?.to_owned();
        // Locking, repairing and reading may take a while.
        let opening = tokio::task::spawn_blocking(move || read(disk, file, id, max_message));
        let (mut document, store, identity, lengths, repaired) = match opening.await {
            Ok(opened) => opened?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down, and whoever waits here goes down with it.
            Err(_) => std::future::pending().await,
        };
        let id = document.id().clone();
        let servers = Servers::load(&store, &id).await;
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
        let log = DocumentLog::new(Arc::new(store), id, Actors::default(), lengths);
        let task = ReplicaTask { document, log, servers, connection, author, commands: mailbox, status, changes };
        tokio::spawn(task.run());
        Ok(replica)
    }

    /// The document's id.
    #[must_use]
    pub fn document(&self) -> &DocumentId {
        &self.document
    }

    /// What was cut off the file when it was opened: the torn end of a write that a crash had interrupted.
    #[must_use]
    pub fn repaired(&self) -> Option<&Repair> {
        self.repaired.as_deref()
    }

    /// Makes an edit, and returns when it is durable on this computer, online or not. It is in the view then.
    ///
    /// # Errors
    /// When it is not acceptable, or could not be made durable. Nothing of it was stored or sent then.
    pub async fn edit(&self, edit: Edit) -> Result<Done, EditFailed> {
        self.ask(|reply| Command::Edit { edit, reply }).await?
    }

    /// The positions and the plan as they are now, conflicts included (see [`read_view`]). Stays current. Whoever holds
    /// its lock holds up the replica, so it must not be held across an `await`.
    #[must_use]
    pub fn view(&self) -> &SharedView {
        &self.view
    }

    /// The heads that the view shows: two replicas with the same heads have the same document. Empty before the first
    /// fetch.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        read_view(&self.view).heads().to_vec()
    }

    /// How the replica stands with its server now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The status, to be waited for.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until the server has said that it has all that this replica has, and the other way round; it does not wait
    /// for what the server has not told yet. Takes for ever while there is no server.
    ///
    /// # Errors
    /// When the replica is closed meanwhile.
    pub async fn wait_until_synced(&self) -> Result<(), Closed> {
        self.wait_for(|status| *status == Status::Synced).await.map(|_| ())
    }

    /// Waits until the status is as wished, and returns it.
    ///
    /// # Errors
    /// When the replica is closed meanwhile.
    pub async fn wait_for(&self, wished: impl FnMut(&Status) -> bool) -> Result<Status, Closed> {
        let mut status = self.status.clone();
        let found = status.wait_for(wished).await.map_err(|_| Closed)?;
        Ok(found.clone())
    }

    /// What changes from now on, whoever changed it. A listener that is too far behind is told so
    /// ([`broadcast::error::RecvError::Lagged`]), and reads the view.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Arc<ViewChange>> {
        self.changes.subscribe()
    }

    /// Goes online, and stays so as far as the network allows: whenever the connection is lost, it is made again. An
    /// attempt that is due later is made now. Does not wait for the connection.
    ///
    /// # Errors
    /// When the address is none, or the replica is closed.
    pub async fn connect(&self, server: impl Into<Endpoint>) -> Result<(), ConnectError> {
        let server = server.into().check()?;
        Ok(self.ask(|reply| Command::Connect { server, reply }).await?)
    }

    /// Goes offline, and stays so until [`Replica::connect`].
    ///
    /// # Errors
    /// When the replica is closed.
    pub async fn disconnect(&self) -> Result<(), Closed> {
        self.ask(|reply| Command::Disconnect { reply }).await
    }

    /// Says goodbye to the server, and lets go of the file: it can be opened again when this returns. Edits made before
    /// are on disk in any case; those that the server has not got yet are sent next time.
    ///
    /// # Errors
    /// When it is closed already.
    pub async fn close(&self) -> Result<(), Closed> {
        self.ask(|reply| Command::Close { reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

type Read = (Document, FileStore, Identity, Lengths, Option<Repair>);

/// Locks, repairs and reads the file. Blocks.
fn read(
    disk: Arc<dyn store::disk::Disk>,
    file: PathBuf,
    id: DocumentId,
    max_message: usize,
) -> Result<Read, ReplicaError> {
    let mut state = StateFile::open_on(disk, &file)?;
    let repaired = state.repaired().cloned();
    let lengths = state.lengths();
    let content = state.take_document().unwrap_or_default();
    // A document without an id may be any; one with another id must not be mixed up with ours.
    if let Some(found) = Document::carried_id(&content).filter(|found| *found != id) {
        return Err(ReplicaError::OtherDocument { file, found, wanted: id });
    }
    let limits = MessageLimits::for_replica(max_message as u64);
    let document = Document::of(id.clone(), content, Actors::default().fresh(), renderings::RENDERINGS, limits);
    let folder = identity::folder(&file);
    let identity = Identity::load(&folder)?;
    let store = FileStore::open(state, id, folder)?;
    Ok((document, store, identity, lengths, repaired))
}

/// A new document's id: random, in the form in which automerge-repo makes them.
#[must_use]
pub fn new_document_id() -> DocumentId {
    DocumentId::from_random(rand::random())
}
