//! What a document was, and how it came to be what it is: for those who look back. They must not hold up those who work.
//!
//! A page of the history is little work, and is collected by the document's task; only so many are asked for at a time that
//! a batch does not wait for them. What takes long, to make a history and to read a document as it was, is done beside the
//! task, from a copy.

use std::sync::Arc;

use automerge::ChangeHash;
use limits::{KeyedLimit, KeyedPermit, Payer, fair_share};
use plan::Past;
use plan::history::Query;
use primitives::DocumentId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Hub;
use super::access::Right;
use super::caller::Caller;
use super::command::{Attributed, Command, ReadFailure, Unavailable};
use crate::document::AttributedPage;

/// Pages of histories that are collected at a time.
const PAGES: usize = 4;
/// Those who may wait for their turn to read a document as it was.
const WAITING: usize = 64;
/// How often a page is asked for: a history may be let go of between being made and being read.
const TRIES: usize = 3;

/// What those who look back may take, all documents together.
pub(super) struct Readers {
    pages: Semaphore,
    /// Those who read documents as they were, and those who wait for that; a share of it for each user.
    places: Arc<KeyedLimit<Payer>>,
    /// Those who read.
    turns: Arc<Semaphore>,
}

impl Readers {
    /// `turns`: how many may do at a time what takes long.
    pub(super) fn new(turns: usize) -> Self {
        Self {
            pages: Semaphore::new(PAGES),
            places: KeyedLimit::new(turns + WAITING, turns + fair_share(WAITING, 1)),
            turns: Arc::new(Semaphore::new(turns)),
        }
    }
}

/// A document as it was, and the turn to read it: others wait until this is dropped.
#[derive(Debug)]
pub struct ReadPast {
    /// The document.
    pub past: Past,
    _turn: OwnedSemaphorePermit,
    _place: KeyedPermit<Payer>,
}

impl Hub {
    /// A page of a document's history; None when the document does not exist, for this caller.
    ///
    /// # Errors
    /// When the document cannot be opened, or has no such page.
    pub async fn history(
        &self,
        caller: &Caller,
        id: &DocumentId,
        query: Query,
    ) -> Result<Option<AttributedPage>, ReadFailure> {
        if self.right(caller, id) < Right::Read {
            return Ok(None);
        }
        for _ in 0..TRIES {
            if !self.open_history(id).await? {
                return Ok(None);
            }
            let _permit = self.inner.readers.pages.acquire().await;
            let (reply, answer) = oneshot::channel();
            self.send(id, Command::HistoryPage { query: Box::new(query.clone()), reply }).await?;
            if let Some(page) = answer.await.map_err(|_| Unavailable::Stopping)? {
                // All of that may have taken a while.
                return if self.right(caller, id) < Right::Read { Ok(None) } else { Ok(Some(page?)) };
            }
        }
        Err(no_history(id).into())
    }

    /// Who brought these changes in, as far as that is known; None when the document does not exist, for this caller.
    ///
    /// # Errors
    /// When the document cannot be opened.
    pub async fn attribution(
        &self,
        caller: &Caller,
        id: &DocumentId,
        changes: Vec<ChangeHash>,
    ) -> Result<Option<Attributed>, Unavailable> {
        if self.right(caller, id) < Right::Read {
            return Ok(None);
        }
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Attribution { changes, reply }).await?;
        let known = answer.await.map_err(|_| Unavailable::Stopping)??;
        Ok(known.filter(|_| self.right(caller, id) >= Right::Read))
    }

    /// Waits until there is a history. False: the document does not exist.
    async fn open_history(&self, id: &DocumentId) -> Result<bool, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::OpenHistory { reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopping)?
    }

    /// A document as it was with these heads, and the turn to read it; None when the document does not exist.
    ///
    /// # Errors
    /// When the document cannot be opened or has never had these heads, or too many wait for the same.
    pub async fn past(
        &self,
        caller: &Caller,
        id: &DocumentId,
        heads: Vec<ChangeHash>,
    ) -> Result<Option<ReadPast>, ReadFailure> {
        if self.right(caller, id) < Right::Read {
            return Ok(None);
        }
        let Readers { places, turns, .. } = &self.inner.readers;
        let place = places.take(caller.payer()).map_err(|_| ReadFailure::Busy)?;
        // An error never happens: turns do not end.
        let turn = Arc::clone(turns).acquire_owned().await.map_err(|_| Unavailable::Stopping)?;
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Past { heads, reply }).await?;
        let past = answer.await.map_err(|_| Unavailable::Stopping)??;
        let past = past.filter(|_| self.right(caller, id) >= Right::Read);
        Ok(past.map(|past| ReadPast { past, _turn: turn, _place: place }))
    }
}

/// Said when a history cannot be made or kept.
pub(super) fn no_history(id: &DocumentId) -> Unavailable {
    Unavailable::Store(format!("document {id}: its history cannot be read at the moment; try again later"))
}
