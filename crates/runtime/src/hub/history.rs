//! Reading the history and earlier states of documents, without delaying edits.
//!
//! The document's task collects pages of the history itself, as that is cheap; their number is limited so that
//! batches do not wait. Building a history and reading an earlier state take long, and use a copy outside the task.

use std::sync::Arc;

use automerge::ChangeHash;
use limits::{KeyedLimit, KeyedPermit, Payer, fair_share};
use plan::Past;
use plan::history::Query;
use primitives::DocumentId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};

use super::Hub;
use super::access::Right;
use super::command::{Attributed, Command, ReadFailure, Unavailable};
use super::requester::Requester;
use crate::document::AttributedPage;

/// Pages of histories that are collected at a time.
const CONCURRENT_PAGES: usize = 4;
/// Requests for earlier states that may wait for a permit.
const MAX_WAITING: usize = 64;
/// Attempts to read a page: the history may be dropped between building and reading it.
pub(super) const MAX_ATTEMPTS: usize = 3;

/// Limits on readers of history, over all documents.
pub(super) struct HistoryReaders {
    pages: Semaphore,
    /// Requests for earlier states, waiting ones included: in total, and per user.
    limit: Arc<KeyedLimit<Payer>>,
    /// Requests for earlier states that are being read.
    permits: Arc<Semaphore>,
}

impl HistoryReaders {
    /// Allows `permits` earlier states to be read at a time.
    pub(super) fn new(permits: usize) -> Self {
        Self {
            pages: Semaphore::new(CONCURRENT_PAGES),
            limit: KeyedLimit::new(permits + MAX_WAITING, permits + fair_share(MAX_WAITING, 1)),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Waits for the permit to collect a page. (`None` does not occur: the semaphore is never closed.)
    pub(super) async fn acquire_page_permit(&self) -> Option<SemaphorePermit<'_>> {
        self.pages.acquire().await.ok()
    }
}

/// An earlier state of a document, with the permit to read it. Other requests wait until it is dropped.
#[derive(Debug)]
pub struct PastGuard {
    /// The earlier state.
    pub past: Past,
    _permit: ReadPermit,
}

/// The permit to read copies of documents.
#[derive(Debug)]
pub(super) struct ReadPermit {
    _permit: OwnedSemaphorePermit,
    _request_permit: KeyedPermit<Payer>,
}

impl Hub {
    /// Returns a page of a document's history. `None` if the document does not exist, or `requester` may not read it.
    ///
    /// # Errors
    /// When the document cannot be opened, or the page does not exist.
    pub async fn history(
        &self,
        requester: &Requester,
        id: &DocumentId,
        query: Query,
    ) -> Result<Option<AttributedPage>, ReadFailure> {
        if self.right(requester, id) < Right::Read {
            return Ok(None);
        }
        for _ in 0..MAX_ATTEMPTS {
            if !self.open_history(id).await? {
                return Ok(None);
            }
            let _permit = self.inner.history_readers.acquire_page_permit().await;
            let (reply, answer) = oneshot::channel();
            self.send(id, Command::HistoryPage { query: Box::new(query.clone()), reply }).await?;
            if let Some(page) = answer.await.map_err(|_| Unavailable::Stopping)? {
                // The right may have changed meanwhile.
                return if self.right(requester, id) < Right::Read { Ok(None) } else { Ok(Some(page?)) };
            }
        }
        Err(history_unavailable(id).into())
    }

    /// Returns the provenance of these changes, as far as it is known. `None` if the document does not exist, or
    /// `requester` may not read it.
    ///
    /// # Errors
    /// When the document cannot be opened.
    pub async fn attribution(
        &self,
        requester: &Requester,
        id: &DocumentId,
        changes: Vec<ChangeHash>,
    ) -> Result<Option<Attributed>, Unavailable> {
        if self.right(requester, id) < Right::Read {
            return Ok(None);
        }
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Attribution { changes, reply }).await?;
        let known = answer.await.map_err(|_| Unavailable::Stopping)??;
        Ok(known.filter(|_| self.right(requester, id) >= Right::Read))
    }

    /// Waits until the history is built. Returns false if the document does not exist.
    pub(super) async fn open_history(&self, id: &DocumentId) -> Result<bool, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::OpenHistory { reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopping)?
    }

    /// Returns a document at these heads. `None` if the document does not exist, or `requester` may not read it.
    ///
    /// # Errors
    /// When the document cannot be opened or has never had these heads, or when too many requests wait.
    pub async fn past(
        &self,
        requester: &Requester,
        id: &DocumentId,
        heads: Vec<ChangeHash>,
    ) -> Result<Option<PastGuard>, ReadFailure> {
        if self.right(requester, id) < Right::Read {
            return Ok(None);
        }
        let permit = self.acquire_read_permit(requester).await?;
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Past { heads, reply }).await?;
        let past = answer.await.map_err(|_| Unavailable::Stopping)??;
        let past = past.filter(|_| self.right(requester, id) >= Right::Read);
        Ok(past.map(|past| PastGuard { past, _permit: permit }))
    }

    /// Waits for the permit to read copies of documents. A request takes one for all copies that it reads.
    pub(super) async fn acquire_read_permit(&self, requester: &Requester) -> Result<ReadPermit, ReadFailure> {
        let HistoryReaders { limit, permits, .. } = &self.inner.history_readers;
        let request_permit = limit.take(requester.payer()).map_err(|_| ReadFailure::Busy)?;
        // Cannot fail: the semaphore is never closed.
        let permit = Arc::clone(permits).acquire_owned().await.map_err(|_| Unavailable::Stopping)?;
        Ok(ReadPermit { _permit: permit, _request_permit: request_permit })
    }
}

/// The error for a history that cannot be built or kept up to date.
pub(super) fn history_unavailable(id: &DocumentId) -> Unavailable {
    Unavailable::Store(format!("document {id}: the history is temporarily unavailable; try again later"))
}
