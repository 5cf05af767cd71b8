//! The documents that are open: one task each, begun when somebody needs it, and reached by its mailbox.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use primitives::DocumentId;
use tokio::sync::mpsc;

use super::Hub;
use super::command::{Command, Unavailable};
use super::hints::Hints;
use super::shown::Shown;
use super::task::DocumentTask;

/// Commands that may wait for a document; a connection that sends more waits itself.
const MAILBOX: usize = 1_024;

#[derive(Clone)]
pub(super) struct Slot {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) shown: Arc<Shown>,
    /// What other processes have appended, as far as they have told.
    pub(super) hints: Arc<Hints>,
    /// Somebody waits for room in the mailbox to say that rights may have changed.
    recheck_waits: Arc<AtomicBool>,
}

impl Hub {
    /// Sends to a document's task, which is started if there is none.
    pub(super) async fn send(&self, id: &DocumentId, mut command: Command) -> Result<(), Unavailable> {
        loop {
            let slot = self.slot(id)?;
            match slot.commands.send(command).await {
                Ok(()) => return Ok(()),
                // Unloaded between the look-up and the sending: the next one is in the table, or made.
                Err(mpsc::error::SendError(returned)) => {
                    command = returned;
                    self.forget(id, &slot);
                    // A runtime that is being torn down ends every task that is begun: this one must let it.
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// The same for what only makes sense for a document that is open.
    pub(super) async fn send_if_open(&self, id: &DocumentId, command: Command) {
        let slot = self.documents().get(id).cloned();
        if let Some(slot) = slot {
            // Refused only by a task that has just ended: then the document is not open.
            let _ = slot.commands.send(command).await;
        }
    }

    /// The same for what may be lost: nobody waits for a place in the mailbox with it.
    pub(super) fn offer_if_open(&self, id: &DocumentId, command: Command) {
        let slot = self.documents().get(id).cloned();
        if let Some(slot) = slot {
            let _ = slot.commands.try_send(command);
        }
    }

    pub(super) fn slot(&self, id: &DocumentId) -> Result<Slot, Unavailable> {
        let mut documents = self.documents();
        if let Some(slot) = documents.get(id) {
            return Ok(slot.clone());
        }
        if self.inner.stopping.load(Ordering::SeqCst) {
            return Err(Unavailable::Stopping);
        }
        let (commands, mailbox) = mpsc::channel(MAILBOX);
        let slot = Slot {
            commands,
            shown: Arc::default(),
            hints: Arc::default(),
            recheck_waits: Arc::default(),
        };
        documents.insert(id.clone(), slot.clone());
        let task = DocumentTask::new(self.clone(), id.clone(), mailbox, &slot);
        self.inner.tasks.spawn(task.run());
        Ok(slot)
    }

    /// Takes a task out of the table, unless another one has taken its place.
    pub(super) fn forget(&self, id: &DocumentId, slot: &Slot) {
        let mut documents = self.documents();
        if documents.get(id).is_some_and(|current| current.commands.same_channel(&slot.commands)) {
            documents.remove(id);
        }
    }

    /// Takes a task out of the table if nothing waits for it. False: there is something to do.
    pub(super) fn forget_if_idle(&self, id: &DocumentId, mailbox: &mut mpsc::Receiver<Command>) -> bool {
        let mut documents = self.documents();
        if !mailbox.is_empty() {
            return false;
        }
        documents.remove(id);
        mailbox.close();
        true
    }

    /// What anybody may do with this document has changed, or may have.
    pub(super) fn recheck_document(&self, id: &DocumentId) {
        let slot = self.documents().get(id).cloned();
        slot.into_iter().for_each(|slot| self.recheck(slot));
    }

    /// Rechecks the rights of many clients, which may have changed. Does not wait for any document.
    pub fn recheck_all(&self) {
        let open: Vec<Slot> = self.documents().values().cloned().collect();
        open.into_iter().for_each(|slot| self.recheck(slot));
    }

    /// A document that is busy is told as soon as its mailbox has room. Until then nobody writes what they may not: that is
    /// asked again for each message.
    fn recheck(&self, slot: Slot) {
        if let Err(mpsc::error::TrySendError::Full(command)) = slot.commands.try_send(Command::Recheck)
            && !slot.recheck_waits.swap(true, Ordering::SeqCst)
        {
            self.inner.tasks.spawn(async move {
                // The send fails only when the task ends; its successor checks the rights of all clients that come.
                if let Ok(room) = slot.commands.reserve().await {
                    // Before it is sent: what changes from here on is told once more.
                    slot.recheck_waits.store(false, Ordering::SeqCst);
                    room.send(command);
                }
            });
        }
    }

    pub(super) fn documents(&self) -> MutexGuard<'_, HashMap<DocumentId, Slot>> {
        self.inner.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
