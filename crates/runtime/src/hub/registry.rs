//! The document registry: open documents by id, and the mailboxes of their tasks.
//!
//! A task is registered before it has read anything, so a document is opened once however many clients ask for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::MutexGuard;
use primitives::DocumentId;
use tokio::sync::mpsc;

use super::Hub;
use super::command::{Command, Unavailable};
use super::followers::Followers;
use super::hints::Hints;
use super::published_view::PublishedView;
use super::task::DocumentTask;

/// Commands that a mailbox holds. When it is full, connections that send to the document wait.
const MAILBOX_CAPACITY: usize = 1_024;

/// Open documents by id.
pub(super) type DocumentRegistry = HashMap<DocumentId, DocumentHandle>;

/// A running document task. Clones address the same task.
#[derive(Clone)]
pub(super) struct DocumentHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) published_view: Arc<PublishedView>,
    /// Batches that other processes have announced.
    pub(super) hints: Arc<Hints>,
    /// Those who follow the changes.
    pub(super) followers: Followers,
    /// Set while a `Recheck` command is queued behind a full mailbox.
    recheck_pending: Arc<AtomicBool>,
}

impl Hub {
    /// Sends a command to a document's task, and starts the task if the document is not open.
    pub(super) async fn send(&self, id: &DocumentId, mut command: Command) -> Result<(), Unavailable> {
        loop {
            let handle = self.handle(id)?;
            match handle.commands.send(command).await {
                Ok(()) => return Ok(()),
                // The task ended between the look-up and the send. The next iteration finds or starts its successor.
                Err(mpsc::error::SendError(returned)) => {
                    command = returned;
                    self.unregister(id, &handle);
                    // While the tokio runtime shuts down, new tasks end at once: yield so that it can stop this one.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Sends a command only if the document is open.
    pub(super) async fn send_if_open(&self, id: &DocumentId, command: Command) {
        let handle = self.registry().get(id).cloned();
        if let Some(handle) = handle {
            // Fails only if the task has just ended: then the document is not open.
            let _ = handle.commands.send(command).await;
        }
    }

    /// Sends a command that may be lost: does nothing if the document is not open or its mailbox is full.
    pub(super) fn try_send_if_open(&self, id: &DocumentId, command: Command) {
        let handle = self.registry().get(id).cloned();
        if let Some(handle) = handle {
            let _ = handle.commands.try_send(command);
        }
    }

    /// Returns the handle of a document's task, and starts the task if the document is not open.
    pub(super) fn handle(&self, id: &DocumentId) -> Result<DocumentHandle, Unavailable> {
        let mut registry = self.registry();
        if let Some(handle) = registry.get(id) {
            return Ok(handle.clone());
        }
        if self.inner.stopping.load(Ordering::SeqCst) {
            return Err(Unavailable::Stopping);
        }
        let (commands, mailbox) = mpsc::channel(MAILBOX_CAPACITY);
        let handle = DocumentHandle {
            commands,
            published_view: Arc::default(),
            hints: Arc::default(),
            followers: Followers::default(),
            recheck_pending: Arc::default(),
        };
        registry.insert(id.clone(), handle.clone());
        let task = DocumentTask::new(self.clone(), id.clone(), mailbox, &handle);
        self.inner.tasks.spawn(task.run());
        Ok(handle)
    }

    /// Removes a task from the registry, unless a successor is registered under the same id.
    pub(super) fn unregister(&self, id: &DocumentId, handle: &DocumentHandle) {
        let mut registry = self.registry();
        if registry.get(id).is_some_and(|current| current.commands.same_channel(&handle.commands)) {
            registry.remove(id);
        }
    }

    /// Removes a task from the registry and closes its mailbox, if the mailbox is empty. Returns whether it did.
    pub(super) fn unregister_if_idle(&self, id: &DocumentId, mailbox: &mut mpsc::Receiver<Command>) -> bool {
        let mut registry = self.registry();
        if !mailbox.is_empty() {
            return false;
        }
        registry.remove(id);
        mailbox.close();
        true
    }

    /// Makes a document and its scenarios check the rights of their subscribers again, if they are open, and answers requests of
    /// users who may read them now.
    pub(super) fn recheck_document(&self, id: &DocumentId) {
        for id in std::iter::once(id.clone()).chain(self.inner.access.scenarios_of(id)) {
            let handle = self.registry().get(&id).cloned();
            handle.into_iter().for_each(|handle| self.recheck(handle));
            self.serve_denied_requests(&id);
        }
    }

    /// Makes all open documents check the rights of their subscribers again. Does not wait for any document.
    pub fn recheck_all(&self) {
        let open: Vec<DocumentHandle> = self.registry().values().cloned().collect();
        open.into_iter().for_each(|handle| self.recheck(handle));
        self.serve_all_denied_requests();
    }

    /// A document with a full mailbox gets the command once there is room. Until then no client can use a lost right: the
    /// task checks the rights of the sender again for each message.
    fn recheck(&self, handle: DocumentHandle) {
        if let Err(mpsc::error::TrySendError::Full(command)) = handle.commands.try_send(Command::Recheck)
            && !handle.recheck_pending.swap(true, Ordering::SeqCst)
        {
            self.inner.tasks.spawn(async move {
                // Fails only if the task has ended. Its successor checks the rights of all clients that join.
                if let Ok(room) = handle.commands.reserve().await {
                    // Reset before the send, so that a later change of rights queues another command.
                    handle.recheck_pending.store(false, Ordering::SeqCst);
                    room.send(command);
                }
            });
        }
    }

    /// Locks the registry.
    pub(super) fn registry(&self) -> MutexGuard<'_, DocumentRegistry> {
        self.inner.registry.lock()
    }
}
