//! Followers of a document: they are told that it has changed, and read the changes since the heads that they know.
//!
//! A document tells all of its followers with one call, and keeps nothing for any of them: a follower that is behind misses only
//! that it was told several times. So the memory of a slow follower is that of the heads that it knows.

use automerge::ChangeHash;
use offload::run_cpu_bound;
use plan::history::{FollowError, Since};
use primitives::DocumentId;
use store::Loaded;
use tokio::sync::{oneshot, watch};

use super::Hub;
use super::access::Right;
use super::command::{Command, ReadFailure, Unavailable};
use super::history::{MAX_ATTEMPTS, history_unavailable};
use super::requester::Requester;
use crate::document::AttributedFollowing;

/// Tells the followers of one document. Clones tell the same ones.
#[derive(Clone, Default)]
pub(super) struct Followers(watch::Sender<()>);

impl Followers {
    /// Tells all followers that the document or their right to it may have changed.
    pub(super) fn notify(&self) {
        self.0.send_replace(());
    }

    /// Whether there are followers.
    pub(super) fn are_there(&self) -> bool {
        self.0.receiver_count() > 0
    }

    fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// Changes for a follower.
#[derive(Debug)]
pub enum Changes {
    /// Some or all of the changes since the heads that it knows.
    Portion(AttributedFollowing),
    /// The changes cannot be listed: the document does not have these heads, or too many changes follow them. The follower has to
    /// read the document again, and continues from these heads.
    Reset(Vec<ChangeHash>),
}

/// Follows the changes of one document, which stays open meanwhile.
pub struct Follower {
    hub: Hub,
    requester: Requester,
    id: DocumentId,
    notified: watch::Receiver<()>,
}

impl Hub {
    /// Follows the changes of a document. `None` if `requester` may not read it.
    ///
    /// # Errors
    /// When the server is shutting down.
    pub fn follow(&self, requester: &Requester, id: &DocumentId) -> Result<Option<Follower>, Unavailable> {
        if self.right(requester, id) < Right::Read {
            return Ok(None);
        }
        let notified = self.handle(id)?.followers.subscribe();
        Ok(Some(Follower { hub: self.clone(), requester: requester.clone(), id: id.clone(), notified }))
    }

    /// The published heads of a document. `None` if the document does not exist, or `requester` may not read it.
    ///
    /// # Errors
    /// When the document cannot be opened.
    pub async fn heads(&self, requester: &Requester, id: &DocumentId) -> Result<Option<Vec<ChangeHash>>, Unavailable> {
        if self.right(requester, id) < Right::Read {
            return Ok(None);
        }
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Heads { reply }).await?;
        let heads = answer.await.map_err(|_| Unavailable::Stopping)??;
        Ok(heads.filter(|_| self.right(requester, id) >= Right::Read))
    }

    /// Like [`heads`](Self::heads), but a document that is not open stays closed: its heads are read from the store. For callers that
    /// compare many documents, which would all stay in memory for a while.
    ///
    /// # Errors
    /// When the document cannot be read.
    pub async fn stored_heads(
        &self,
        requester: &Requester,
        id: &DocumentId,
    ) -> Result<Option<Vec<ChangeHash>>, Unavailable> {
        let is_open = self.registry().contains_key(id);
        if is_open || self.right(requester, id) < Right::Read {
            return self.heads(requester, id).await;
        }
        let failed = |reason: &str| Unavailable::Store(format!("document {id}: {reason}"));
        // Loading takes memory.
        let _permit = self.acquire_document_permit().await;
        let loaded = self.inner.store.load(id).await.map_err(|error| failed(error.public_message()))?;
        let Some(Loaded { bytes, document, .. }) = loaded.filter(|loaded| !loaded.bytes.is_empty()) else {
            return Ok(None);
        };
        let heads = match document {
            Some(document) => document.get_heads(),
            None => {
                let read = run_cpu_bound(|| automerge_chunks::load::load(&bytes).map(|document| document.get_heads()));
                read.map_err(|error| failed(&error.to_string()))?
            }
        };
        Ok(Some(heads).filter(|_| self.right(requester, id) >= Right::Read))
    }

    /// A portion of the changes of a document after known heads. `None` if the document does not exist, or `requester` may not
    /// read it.
    ///
    /// # Errors
    /// When the document cannot be opened or read.
    pub async fn changes(
        &self,
        requester: &Requester,
        id: &DocumentId,
        mut since: Since,
    ) -> Result<Option<Changes>, ReadFailure> {
        since.heads.sort_unstable();
        since.heads.dedup();
        for _ in 0..MAX_ATTEMPTS {
            if self.right(requester, id) < Right::Read {
                return Ok(None);
            }
            let permit = self.inner.history_readers.acquire_page_permit().await;
            let (reply, answer) = oneshot::channel();
            self.send(id, Command::Following { since: Box::new(since.clone()), reply }).await?;
            let following = answer.await.map_err(|_| Unavailable::Stopping)?;
            drop(permit);
            if self.right(requester, id) < Right::Read {
                return Ok(None);
            }
            match following {
                Some(Ok(following)) => return Ok(Some(Changes::Portion(following))),
                Some(Err(FollowError::UnknownHeads | FollowError::TooFar)) => {
                    return Ok(self.heads(requester, id).await?.map(Changes::Reset));
                }
                Some(Err(FollowError::Failed)) => return Err(ReadFailure::Follow(FollowError::Failed)),
                None if !self.open_history(id).await? => return Ok(None),
                None => {}
            }
        }
        Err(history_unavailable(id).into())
    }
}

impl Follower {
    /// The document.
    #[must_use]
    pub fn document(&self) -> &DocumentId {
        &self.id
    }

    /// The heads now. `None` if the document does not exist, or may not be read any more.
    ///
    /// # Errors
    /// When the document cannot be opened.
    pub async fn heads(&self) -> Result<Option<Vec<ChangeHash>>, Unavailable> {
        self.hub.heads(&self.requester, &self.id).await
    }

    /// A portion of the changes after the heads that the follower knows. `None` if the document does not exist, or may not be
    /// read any more. After an empty portion, wait with [`changed`](Self::changed).
    ///
    /// # Errors
    /// When the document cannot be opened or read.
    pub async fn next(&mut self, known: &[ChangeHash], limit: usize) -> Result<Option<Changes>, ReadFailure> {
        // Before the changes are read: those that arrive meanwhile wake the follower again.
        self.notified.mark_unchanged();
        let since = Since { heads: known.to_vec(), until: None, limit };
        self.hub.changes(&self.requester, &self.id, since).await
    }

    /// Waits until the document or the right to it may have changed since the last call of [`next`](Self::next).
    pub async fn changed(&mut self) {
        if self.notified.changed().await.is_ok() {
            return;
        }
        // The document's task has ended, because of an error. If the server is stopping, the next read tells.
        if let Ok(handle) = self.hub.handle(&self.id) {
            self.notified = handle.followers.subscribe();
        }
    }
}
