//! The latest changes of all documents, in the order in which this server has published them.
//!
//! Followers of all documents share one list of bounded length. An entry names a document with its heads before and after a batch,
//! from which a follower reads the changes. A follower costs only its position in the list; one that is too slow, or comes
//! back after the list has moved on, is told so.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use automerge::ChangeHash;
use parking_lot::{Mutex, MutexGuard};
use primitives::DocumentId;
use store::{Position, StoreError};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};

use super::Hub;

/// Entries of the list.
const CAPACITY: usize = 4_096;
/// Most heads in the text of a position.
const MAX_HEADS: usize = 100;
/// Minimum time between two comparisons of all documents with the store.
const COMPARE_INTERVAL: Duration = Duration::from_secs(1);

/// A batch of changes that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentChange {
    /// The document.
    pub document: DocumentId,
    /// Its heads before and after the batch. `None` if they are unknown, because another server made the changes while the document
    /// was not open here.
    pub heads: Option<(Arc<[ChangeHash]>, Arc<[ChangeHash]>)>,
}

/// A place in the list. It is valid until the server restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentPosition {
    epoch: u64,
    /// Number of entries before it.
    sequence: u64,
    /// What the follower knows of the document of the next entry, if it knows a part of its changes.
    pub within: Option<Vec<ChangeHash>>,
}

impl RecentPosition {
    /// The place after the entry at this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { epoch: self.epoch, sequence: self.sequence + 1, within: None }
    }

    /// The place in the entry at this one, at which the follower knows these heads. `None` if they are too many for a header.
    #[must_use]
    pub fn part_way(&self, heads: &[ChangeHash]) -> Option<Self> {
        (heads.len() <= MAX_HEADS).then(|| Self { within: Some(heads.to_vec()), ..self.clone() })
    }
}

impl fmt::Display for RecentPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.epoch, self.sequence)?;
        for (index, head) in self.within.iter().flatten().enumerate() {
            write!(f, "{}{head}", if index == 0 { '.' } else { ',' })?;
        }
        Ok(())
    }
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position of this feed; send the `next` of the last answer, or the `id` of the last event")]
pub struct InvalidPosition;

impl FromStr for RecentPosition {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(InvalidPosition);
        let epoch = u64::from_str_radix(part()?, 16).map_err(|_| InvalidPosition)?;
        let sequence = part()?.parse().map_err(|_| InvalidPosition)?;
        let within = match part() {
            Ok(heads) => Some(heads.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| InvalidPosition)?),
            Err(InvalidPosition) => None,
        };
        let position = Self { epoch, sequence, within };
        // Only the canonical form is accepted.
        if position.to_string() == text { Ok(position) } else { Err(InvalidPosition) }
    }
}

/// The list, and the followers who wait for it to grow.
pub(super) struct RecentChanges {
    list: Mutex<List>,
    grown: watch::Sender<()>,
}

struct List {
    /// Changes when entries may be missing, which makes earlier positions invalid.
    epoch: u64,
    /// Number of the first entry.
    first: u64,
    entries: VecDeque<RecentChange>,
    /// Ends of the logs in a shared store, to find changes of documents that are not open here. Kept while there are followers.
    ends: Option<HashMap<DocumentId, Position>>,
    /// Whether notifications of other servers may be lost since the last comparison.
    is_compare_due: bool,
    compared: Option<Instant>,
}

impl Default for RecentChanges {
    fn default() -> Self {
        let list = List {
            epoch: rand::random(),
            first: 0,
            entries: VecDeque::new(),
            ends: None,
            is_compare_due: false,
            compared: None,
        };
        Self { list: Mutex::new(list), grown: watch::Sender::default() }
    }
}

impl RecentChanges {
    /// Adds a published batch.
    pub(super) fn changed(&self, document: &DocumentId, before: Vec<ChangeHash>, after: Vec<ChangeHash>) {
        self.push(RecentChange { document: document.clone(), heads: Some((before.into(), after.into())) });
    }

    /// Adds a change by another server to a document that is not open here.
    pub(super) fn moved(&self, document: &DocumentId) {
        self.push(RecentChange { document: document.clone(), heads: None });
    }

    fn push(&self, change: RecentChange) {
        let mut list = self.lock();
        if list.entries.len() >= CAPACITY {
            list.entries.pop_front();
            list.first += 1;
        }
        list.entries.push_back(change);
        drop(list);
        self.grown.send_replace(());
    }

    /// Notifications of other servers may be lost.
    pub(super) fn may_lack_some(&self) {
        let mut list = self.lock();
        if self.grown.receiver_count() > 0 {
            list.is_compare_due = true;
            return;
        }
        // Nobody follows: a follower who comes back starts again.
        list.epoch = rand::random();
        list.ends = None;
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock()
    }
}

impl List {
    fn end(&self) -> RecentPosition {
        RecentPosition { epoch: self.epoch, sequence: self.first + self.entries.len() as u64, within: None }
    }

    /// The entry at a position; `None` at the end.
    fn at(&self, position: &RecentPosition) -> Result<Option<RecentChange>, Lost> {
        let end = self.end();
        if position.epoch != self.epoch || position.sequence < self.first || position.sequence > end.sequence {
            return Err(Lost);
        }
        // The difference fits: it is at most the length.
        let index = usize::try_from(position.sequence - self.first).unwrap_or(usize::MAX);
        Ok(self.entries.get(index).cloned())
    }
}

/// The list does not reach back to a position.
struct Lost;

/// Follows the changes of all documents.
pub struct RecentFollower {
    hub: Hub,
    grown: watch::Receiver<()>,
    /// The place of the next entry.
    pub position: RecentPosition,
}

impl Hub {
    /// Follows the changes of all documents, from a position or from now on. Followers check the rights for each document.
    ///
    /// # Errors
    /// When a shared store cannot be read.
    pub async fn follow_recent(&self, from: Option<RecentPosition>) -> Result<RecentFollower, StoreError> {
        // Subscribes first, so that `ends` is kept.
        let grown = self.inner.recent_changes.grown.subscribe();
        let position = from.unwrap_or_else(|| self.inner.recent_changes.lock().end());
        if self.is_shared() && self.inner.recent_changes.lock().ends.is_none() {
            let ends = self.all_ends().await?;
            self.inner.recent_changes.lock().ends.get_or_insert(ends);
        }
        Ok(RecentFollower { hub: self.clone(), grown, position })
    }

    /// The ends of all logs in a shared store.
    async fn all_ends(&self) -> Result<HashMap<DocumentId, Position>, StoreError> {
        let ids = self.inner.store.list().await?;
        Ok(self.inner.store.positions(ids).await?.into_iter().collect())
    }

    /// Finds changes of other servers to documents that are not open here, if notifications may be lost.
    pub(super) async fn compare_closed_documents(&self) {
        {
            let mut list = self.inner.recent_changes.lock();
            let waits = list.compared.is_some_and(|compared| compared.elapsed() < COMPARE_INTERVAL);
            if !list.is_compare_due || waits {
                return;
            }
            list.is_compare_due = false;
            list.compared = Some(Instant::now());
        }
        let ends = match self.all_ends().await {
            Ok(ends) => ends,
            Err(error) => {
                tracing::warn!(%error, "positions of documents could not be compared; they will be again");
                self.inner.recent_changes.lock().is_compare_due = true;
                return;
            }
        };
        let before = self.inner.recent_changes.lock().ends.replace(ends.clone());
        let Some(before) = before else { return };
        // Open documents find the changes themselves.
        let open = self.registry().clone();
        for (id, end) in ends {
            if before.get(&id) != Some(&end) && !open.contains_key(&id) {
                self.inner.recent_changes.moved(&id);
            }
        }
    }
}

impl RecentFollower {
    /// The next entry; `None` if there is none yet: wait with [`grown`](Self::grown). The position stays at the entry until
    /// [`advance`](Self::advance) is called.
    ///
    /// # Errors
    /// The current end, if the list does not reach back to the position: changes were missed.
    pub fn peek(&mut self) -> Result<Option<RecentChange>, RecentPosition> {
        self.grown.mark_unchanged();
        let list = self.hub.inner.recent_changes.lock();
        list.at(&self.position).map_err(|Lost| list.end())
    }

    /// Moves to the entry after the one at the position.
    pub fn advance(&mut self) {
        self.position = self.position.next();
    }

    /// Waits until the list has grown since the last [`peek`](Self::peek).
    pub async fn grown(&mut self) {
        // Fails only when the hub is gone, which this follower holds.
        let _ = self.grown.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(seed: u8) -> DocumentId {
        DocumentId::from_random([seed; 16])
    }

    #[test]
    fn list_is_bounded_and_tells_what_it_lost() {
        let recent = RecentChanges::default();
        let start = recent.lock().end();
        recent.changed(&id(1), Vec::new(), vec![ChangeHash([1; 32])]);
        let second = recent.lock().end();
        assert_eq!(second, start.next());
        assert_eq!(recent.lock().at(&start).ok().flatten().map(|change| change.document), Some(id(1)));
        assert!(recent.lock().at(&second).is_ok_and(|change| change.is_none()), "the end");
        assert!(recent.lock().at(&second.next()).is_err(), "a place that does not exist yet");
        for _ in 0..CAPACITY {
            recent.moved(&id(2));
        }
        assert_eq!(recent.lock().entries.len(), CAPACITY);
        assert!(recent.lock().at(&start).is_err());
        assert!(recent.lock().at(&second).is_ok_and(|change| change.is_some_and(|change| change.heads.is_none())));
        recent.may_lack_some();
        assert!(recent.lock().at(&second).is_err(), "nobody follows, so nobody looks for lost notifications");
    }

    #[test]
    fn position_parses_only_its_canonical_form() {
        let position = RecentPosition { epoch: 7, sequence: 12, within: None };
        let within = position.part_way(&[ChangeHash([0xab; 32]), ChangeHash([1; 32])]).unwrap();
        assert_eq!(position.to_string(), "0000000000000007.12");
        for position in [position.clone(), within.clone()] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        let text = within.to_string();
        for other in
            ["", "7.12", "0000000000000007", "0000000000000007.012", "0000000000000007.12.", &text[..text.len() - 1]]
        {
            assert_eq!(other.parse::<RecentPosition>(), Err(InvalidPosition), "{other}");
        }
        assert_eq!(position.part_way(&vec![ChangeHash([1; 32]); MAX_HEADS + 1]), None);
    }
}
