//! Hints about batches of other processes, on their way to the document's task.
//!
//! A hint may be lost, doubled or late, so it only triggers a check: the task compares positions.

use parking_lot::Mutex;
use store::{Batch, Position};
use tokio::sync::Notify;

/// Bytes of batches that may wait for one document. Beyond that, the task reads the store.
const MAX_BYTES: usize = 1 << 20;

/// The hints that wait for one document.
#[derive(Default)]
pub(super) struct Hints {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

/// Hints, in the order in which they arrived.
#[derive(Default)]
pub(super) struct Waiting {
    /// Batches with their positions.
    pub(super) batches: Vec<(Position, Batch)>,
    /// The latest position that was announced without a batch, or whose batch had no room.
    pub(super) latest: Option<Position>,
    /// The end of the log, as read from the store.
    pub(super) end: Option<Position>,
    bytes: usize,
}

impl Hints {
    /// Adds a hint, and wakes the task.
    pub(super) fn push(&self, at: Position, batch: Option<Batch>) {
        let mut waiting = self.waiting.lock();
        match batch {
            Some(batch) if waiting.bytes + batch.chunks.len() + batch.authors.len() <= MAX_BYTES => {
                waiting.bytes += batch.chunks.len() + batch.authors.len();
                waiting.batches.push((at, batch));
            }
            _ if waiting.latest.is_none_or(|latest| latest.seq < at.seq) => waiting.latest = Some(at),
            _ => {}
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Adds the end of the log in the store, and wakes the task.
    pub(super) fn push_end(&self, end: Position) {
        self.waiting.lock().end = Some(end);
        self.arrived.notify_one();
    }

    /// Waits until there are hints.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Whether there are hints.
    pub(super) fn has_some(&self) -> bool {
        let waiting = self.waiting.lock();
        !waiting.batches.is_empty() || waiting.latest.is_some()
    }

    /// Takes all hints.
    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_beyond_the_bound_leave_only_their_position() {
        let hints = Hints::default();
        let batch = Batch::changes(vec![0; MAX_BYTES / 2], Vec::new());
        let mut at = Position::START;
        for _ in 0..3 {
            at = at.next(&batch);
            hints.push(at, Some(batch.clone()));
        }
        hints.push(Position::START, None);
        let waiting = hints.take();
        assert_eq!((waiting.batches.len(), waiting.latest), (2, Some(at)));
        assert!(hints.take().batches.is_empty());
    }
}
