//! The task that owns a replica's document. It applies batches, appends them to the log and publishes them, as the server's
//! document task does, with the server as its only peer.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dialer::{Problem, Server};
use plan::{Author, Done, Edit, ViewChange};
use repo_protocol::StorageId;
use runtime::document::{Applied, AuthoredEdit, Document, Item, Outcome};
use runtime::document_log::{Append, DocumentLog};
use store::StoreError;
use sync_engine::BadMessage;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::connection::{Connection, Wake};
use super::server_records::ServerRecords;
use super::socket_task::{Event, Outgoing};
use super::{EditFailed, Status, now_ms};

/// Maximum number of edits and messages in a batch.
const MAX_BATCH: usize = 1_024;
/// Maximum size of the sync messages in a batch, in bytes. The last message may exceed it.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// A request from a [`Replica`](super::Replica) handle.
pub(super) enum Command {
    Edit { edit: Edit, reply: oneshot::Sender<Result<Done, EditFailed>> },
    Connect { server: Server, reply: oneshot::Sender<()> },
    Disconnect { reply: oneshot::Sender<()> },
    Close { reply: oneshot::Sender<()> },
}

enum Input {
    Command(Command),
    Wake(Wake),
    /// All handles were dropped.
    Abandoned,
}

/// The source of an item of a batch.
enum ItemSource {
    Edit(oneshot::Sender<Result<Done, EditFailed>>),
    Server,
}

#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    senders: Vec<ItemSource>,
    bytes: usize,
    /// The server requested the document.
    requested: bool,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.items.len() >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES
    }
}

/// The task of one replica.
pub(super) struct ReplicaTask {
    pub(super) document: Document,
    pub(super) log: DocumentLog,
    pub(super) server_records: ServerRecords,
    pub(super) connection: Connection,
    pub(super) author: String,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) status: watch::Sender<Status>,
    pub(super) changes: broadcast::Sender<Arc<ViewChange>>,
}

impl ReplicaTask {
    /// Runs until the replica is closed or all handles are dropped.
    pub(super) async fn run(mut self) {
        let closed = loop {
            let document = &self.document;
            let behind = self.connection.session().is_some_and(|session| document.engine.is_behind(session.key));
            let input = tokio::select! {
                biased;
                command = self.commands.recv() => command.map_or(Input::Abandoned, Input::Command),
                wake = self.connection.next(behind) => Input::Wake(wake),
            };
            let flow = self.batch(input).await;
            self.update_status();
            if let ControlFlow::Break(reply) = flow {
                break reply;
            }
        };
        let Self { connection, mut log, .. } = self;
        connection.close().await;
        log.close().await;
        if let Some(reply) = closed {
            let _ = reply.send(());
        }
    }

    /// Commits the queued inputs as one batch, up to the first that must run after the batch.
    async fn batch(&mut self, first: Input) -> ControlFlow<Option<oneshot::Sender<()>>> {
        let mut batch = Batch::default();
        let mut next = Some(first);
        let mut afterwards = None;
        while let Some(input) = next {
            afterwards = self.add_to_batch(input, &mut batch);
            let done = afterwards.is_some() || batch.is_full();
            next = if done { None } else { self.next_waiting() };
        }
        if !batch.items.is_empty() {
            self.commit(batch.items, batch.senders).await;
        }
        if batch.requested && !self.document.engine.exists() {
            self.send(Outgoing::Unavailable);
        }
        match afterwards {
            Some(input) => self.handle_control(input).await,
            None => ControlFlow::Continue(()),
        }
    }

    fn next_waiting(&mut self) -> Option<Input> {
        let event = self.connection.try_next().map(|event| Input::Wake(Wake::Event(event)));
        event.or_else(|| self.commands.try_recv().ok().map(Input::Command))
    }

    /// Adds an input to the batch, or returns it if it does not belong there.
    fn add_to_batch(&mut self, input: Input, batch: &mut Batch) -> Option<Input> {
        match input {
            Input::Command(Command::Edit { edit, reply }) => {
                let author = Author { name: self.author.clone(), now: now_ms() };
                batch.items.push(Item::Edit { edit: AuthoredEdit { edit, author }, by: None });
                batch.senders.push(ItemSource::Edit(reply));
            }
            Input::Wake(Wake::Event(Event::Sync { data, requested })) => {
                let session = self.connection.session()?;
                session.unavailable = false;
                batch.requested |= requested;
                batch.bytes += data.len();
                batch.items.push(Item::Sync { peer: session.key, bytes: data });
                batch.senders.push(ItemSource::Server);
            }
            Input::Wake(Wake::Event(Event::Joined(storage))) => self.start_sync(storage),
            Input::Wake(Wake::Event(Event::Unavailable)) => {
                let session = self.connection.session()?;
                session.unavailable = true;
                session.refused_permanently = session.refused.is_some();
            }
            Input::Wake(Wake::Event(Event::Refused(message))) => self.connection.session()?.refused = Some(message),
            other => return Some(other),
        }
        None
    }

    async fn handle_control(&mut self, input: Input) -> ControlFlow<Option<oneshot::Sender<()>>> {
        match input {
            Input::Command(Command::Connect { server, reply }) => {
                if !self.connection.is_connected_to(&server) {
                    self.disconnect().await;
                    self.connection.go_online(server);
                }
                // The caller may read the status immediately.
                self.update_status();
                let _ = reply.send(());
            }
            Input::Command(Command::Disconnect { reply }) => {
                self.disconnect().await;
                self.connection.stay_offline();
                self.update_status();
                let _ = reply.send(());
            }
            Input::Command(Command::Close { reply }) => {
                self.disconnect().await;
                self.connection.stay_offline();
                return ControlFlow::Break(Some(reply));
            }
            Input::Abandoned => {
                self.disconnect().await;
                self.connection.stay_offline();
                return ControlFlow::Break(None);
            }
            Input::Wake(Wake::Redial) => self.connection.dial(),
            Input::Wake(Wake::OutboxReady) => {
                let Some(session) = self.connection.session() else { return ControlFlow::Continue(()) };
                if let Some(delivery) = self.document.engine.drained(session.key) {
                    self.send(Outgoing::Sync(delivery.message));
                }
            }
            Input::Wake(Wake::Event(Event::Ended(problem))) => self.drop_connection(problem).await,
            // Sorted into the batch.
            Input::Wake(Wake::Event(_)) | Input::Command(Command::Edit { .. }) => {}
        }
        ControlFlow::Continue(())
    }

    /// Starts to sync after the handshake. The replica speaks first: the server does not know which document it wants.
    fn start_sync(&mut self, storage: Option<StorageId>) {
        let Some(session) = self.connection.session() else { return };
        session.joined = true;
        let shared = storage.as_ref().map(|storage| self.server_records.shared_heads(storage)).unwrap_or_default();
        session.storage = storage;
        self.document.engine.join(session.key, shared);
        if let Some(delivery) = self.document.engine.greet(session.key) {
            let exists = self.document.engine.exists();
            self.send(if exists { Outgoing::Sync(delivery.message) } else { Outgoing::Request(delivery.message) });
        }
    }

    /// Sends a message. The caller has checked that the outbox has room. If the connection has ended meanwhile, its sync state
    /// has ended too, so nothing is lost.
    fn send(&mut self, outgoing: Outgoing) {
        if let Some(session) = self.connection.session() {
            let _ = session.outgoing.try_send(outgoing);
        }
    }

    /// Ends the session, and stores the heads that the server is known to have.
    async fn disconnect(&mut self) {
        let Some(session) = self.connection.disconnect() else { return };
        if let (Some(shared), Some(storage)) = (self.document.engine.leave(session.key), session.storage) {
            self.server_records.save(&storage, shared, &**self.log.store(), self.document.id()).await;
        }
    }

    async fn drop_connection(&mut self, problem: Problem) {
        if self.connection.session().is_some() {
            self.disconnect().await;
            self.connection.retry_after(problem);
        }
    }

    /// Applies a batch, appends it to the log and publishes it. No effect is visible before it is durable.
    async fn commit(&mut self, items: Vec<Item>, senders: Vec<ItemSource>) {
        if !self.log.recover(&mut self.document).await {
            let problem = Problem::Disk("the file cannot be read".to_owned());
            return self.fail_batch(senders, &EditFailed::Unreadable, problem).await;
        }
        let copies = items.clone();
        let document = &mut self.document;
        let mut applied = document.engine.apply(items);
        if applied.poisoned().is_some() {
            return self.recover_from_panic(copies, senders).await;
        }
        if !applied.chunks.is_empty() {
            let appended = self.log.append_batch(&mut self.document, &mut applied, now_ms()).await;
            let stored = appended.and_then(|append| match append {
                Append::Stored => Ok(()),
                // The file is locked, so no other process appends to it.
                Append::Behind => Err(StoreError::Contended { id: self.document.id().clone() }),
            });
            if let Err(error) = stored {
                tracing::error!(document = %self.document.id(), %error, "changes could not be stored");
                self.log.reload(&mut self.document).await;
                let problem = Problem::Disk(error.to_string());
                return self.fail_batch(senders, &EditFailed::NotStored(Arc::new(error)), problem).await;
            }
            self.log.compact_if_due(&self.document, || {});
        }
        let outcomes = std::mem::take(&mut applied.outcomes);
        let rejected = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Refused(error) => Some(Problem::BadServer(error.to_string())),
            _ => None,
        });
        if self.publish(applied).is_none() {
            // The batch is durable, but a message for the server may be lost.
            tracing::error!(document = %self.document.id(), "the Automerge library failed while publishing");
            self.log.reload(&mut self.document).await;
            self.drop_connection(Problem::Lost("the Automerge library failed".to_owned())).await;
        }
        if let Some(problem) = rejected {
            self.drop_connection(problem).await;
        }
        if self.connection.session().is_some_and(|session| self.document.engine.is_stalled(session.key)) {
            // A new connection resets the sync state of both sides.
            self.drop_connection(Problem::Lost("the sync does not progress".to_owned())).await;
        }
        // Before the callers get their answers: a caller that then waits for `Synced` must not see the old status.
        self.update_status();
        for (sender, outcome) in senders.into_iter().zip(outcomes) {
            if let (ItemSource::Edit(reply), Outcome::Edited(result)) = (sender, outcome) {
                let _ = reply.send(result.map_err(|error| EditFailed::Refused(Arc::new(error))));
            }
        }
    }

    /// Publishes a batch. Returns `None` if Automerge panicked.
    fn publish(&mut self, mut applied: Applied) -> Option<()> {
        let outgoing = self.connection.session().map(|session| session.outgoing.clone());
        let mut permit = None;
        let document = &mut self.document;
        let published = catch_unwind(AssertUnwindSafe(|| {
            document.publish(&mut applied, |_| {
                // Without room no message is generated. A later one covers more.
                permit = outgoing.as_ref().and_then(|outgoing| outgoing.try_reserve().ok());
                permit.is_some()
            })
        }))
        .ok()?;
        if let (Some(delivery), Some(permit)) = (published.deliveries.into_iter().next(), permit) {
            permit.send(Outgoing::Sync(delivery.message));
        }
        if published.changed {
            // Fails if there are no listeners.
            let _ = self.changes.send(Arc::new(published.view));
        }
        Some(())
    }

    /// Fails a batch. Callers get the error. The connection is dropped, since the server assumes that its changes arrived.
    async fn fail_batch(&mut self, senders: Vec<ItemSource>, error: &EditFailed, problem: Problem) {
        self.drop_connection(problem).await;
        self.update_status();
        for sender in senders {
            if let ItemSource::Edit(reply) = sender {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }

    /// Retries the items of a batch one by one after a panic, so that only the culprit fails.
    async fn recover_from_panic(&mut self, items: Vec<Item>, senders: Vec<ItemSource>) {
        tracing::error!(document = %self.document.id(), "the Automerge library failed while applying");
        self.log.reload(&mut self.document).await;
        if items.len() > 1 {
            for (item, sender) in items.into_iter().zip(senders) {
                Box::pin(self.commit(vec![item], vec![sender])).await;
            }
        } else if senders.iter().any(|sender| matches!(sender, ItemSource::Server)) {
            self.drop_connection(Problem::BadServer(BadMessage::Panicked.to_string())).await;
        } else {
            let problem = Problem::Lost("the Automerge library failed".to_owned());
            self.fail_batch(senders, &EditFailed::Panicked, problem).await;
        }
    }

    fn update_status(&mut self) {
        let status = self.connection.status().unwrap_or_else(|| self.status_of_session());
        let good = matches!(status, Status::Synced | Status::Unavailable);
        if let Some(session) = self.connection.session() {
            session.good |= good;
        }
        self.status.send_if_modified(|current| {
            let changed = *current != status;
            *current = status;
            changed
        });
    }

    fn status_of_session(&mut self) -> Status {
        let Some(session) = self.connection.session() else { return Status::Connecting };
        let (ours, theirs) = (self.document.engine.heads(), self.document.engine.their_heads(session.key));
        if self.document.engine.exists() {
            // Heads identify the whole history: equal heads mean equal changes.
            let refuses = session.refused_permanently || self.document.engine.refuses_changes(session.key);
            match &session.refused {
                _ if theirs == Some(&ours) => Status::Synced,
                Some(message) if refuses => Status::Refused { message: message.clone() },
                _ => Status::Syncing,
            }
        } else if session.unavailable || theirs.is_some_and(<[_]>::is_empty) {
            Status::Unavailable
        } else {
            Status::Syncing
        }
    }
}
