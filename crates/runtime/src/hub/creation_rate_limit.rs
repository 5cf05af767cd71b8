//! The rate limit of new documents: for all clients together, and a share of it for each user.
//!
//! A sync client that exceeds its share waits: it keeps its changes, and the server reads from it more slowly. An
//! HTTP client gets an error. Other users are not delayed unless the total is used up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use limits::{KeyedRate, Payer, Quota, Rate, Wait, fair_share};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Minimum time between two log lines about waiting clients.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Documents that one user may create at once, if the total allows: a client that was offline sends all of its new
/// documents.
const USER_BURST: usize = 6_000;

/// The rate limit of new documents.
pub(super) struct CreationRateLimit {
    rate: Mutex<KeyedRate<Payer>>,
    queues: Mutex<HashMap<Option<Payer>, Queue>>,
    logged_at: Mutex<Option<Instant>>,
}

/// The waiting documents of one payer.
#[derive(Default)]
struct Queue {
    /// Held by the document that is next in line: first come, first served.
    order: Arc<AsyncMutex<()>>,
    waiting: usize,
}

impl CreationRateLimit {
    /// Allows `per_minute` documents (0 disables the limit), and a burst of `at_once`. Each user has a quarter of the
    /// rate, and by default half of the burst.
    pub(super) fn new(per_minute: u32, at_once: u32) -> Self {
        let at_once = at_once.max(1);
        let per_second = f64::from(per_minute) / 60.0;
        let share = fair_share(at_once as usize, USER_BURST);
        let share = f64::from(u32::try_from(share).unwrap_or(at_once));
        let total = Rate { per_second, burst: f64::from(at_once) };
        let each = Rate { per_second: per_second / 4.0, burst: share };
        Self {
            rate: Mutex::new(KeyedRate::new(total, each, Instant::now())),
            queues: Mutex::default(),
            logged_at: Mutex::default(),
        }
    }

    /// Counts one more document. Returns false if the limit is reached, or other documents of this payer are waiting.
    pub(super) fn try_acquire(&self, payer: Option<&Payer>) -> bool {
        !self.queues().contains_key(&payer.cloned()) && self.take(payer).is_ok()
    }

    /// Takes back the count of a document that was not created.
    pub(super) fn release(&self, payer: Option<&Payer>) {
        self.rate.lock().give_back(payer);
    }

    /// How many documents this payer may create now. `None` if there is no limit.
    pub(super) fn quota(&self, payer: Option<&Payer>) -> Option<Quota> {
        self.rate.lock().quota(payer, Instant::now())
    }

    fn take(&self, payer: Option<&Payer>) -> Result<(), Wait> {
        self.rate.lock().take(payer, Instant::now())
    }

    /// Waits until this payer may create one more document, and counts it. Returns false if the server shuts down
    /// first.
    pub(super) async fn acquire(&self, payer: Option<&Payer>, draining: &CancellationToken) -> bool {
        let entry = QueueEntry::join(self, payer.cloned());
        let counted = async {
            let _guard = entry.order.lock().await;
            while let Err(wait) = self.take(payer) {
                sleep(wait.duration()).await;
            }
        };
        draining.run_until_cancelled(counted).await.is_some()
    }

    /// Whether to log that clients wait: at most once a minute.
    pub(super) fn should_log(&self) -> bool {
        let (now, mut logged_at) = (Instant::now(), self.logged_at.lock());
        let should_log = logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL);
        if should_log {
            *logged_at = Some(now);
        }
        should_log
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<Option<Payer>, Queue>> {
        self.queues.lock()
    }
}

/// One waiting document of a payer. Leaves the queue on drop.
struct QueueEntry<'a> {
    limit: &'a CreationRateLimit,
    payer: Option<Payer>,
    order: Arc<AsyncMutex<()>>,
}

impl<'a> QueueEntry<'a> {
    fn join(limit: &'a CreationRateLimit, payer: Option<Payer>) -> Self {
        let mut queues = limit.queues();
        let queue = queues.entry(payer.clone()).or_default();
        queue.waiting += 1;
        let order = Arc::clone(&queue.order);
        drop(queues);
        Self { limit, payer, order }
    }
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        let mut queues = self.limit.queues();
        if let Some(queue) = queues.get_mut(&self.payer) {
            queue.waiting -= 1;
            if queue.waiting == 0 {
                queues.remove(&self.payer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn user(name: &str) -> Payer {
        Payer::User(name.into())
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_clients_are_served_at_the_configured_rate() {
        let (limit, draining) = (CreationRateLimit::new(60, 2), CancellationToken::new());
        let start = Instant::now();
        for _ in 0..5 {
            assert!(limit.acquire(None, &draining).await);
        }
        let waited = start.elapsed();
        assert!(
            (Duration::from_secs(3)..Duration::from_secs(4)).contains(&waited),
            "a burst of two, then one a second: {waited:?}"
        );
        assert!(!limit.try_acquire(None), "an HTTP client gets an error");
    }

    #[tokio::test(start_paused = true)]
    async fn busy_user_leaves_other_users_their_share() {
        let (limit, draining) = (CreationRateLimit::new(1_200, 12_000), CancellationToken::new());
        let (editor, other) = (user("editor"), user("other"));
        let made = std::iter::repeat_with(|| limit.try_acquire(Some(&editor))).take_while(|made| *made).count();
        assert_eq!(made, 6_000, "the burst covers offline work");
        let mut waits = Box::pin(limit.acquire(Some(&editor), &draining));
        assert!((&mut waits).now_or_never().is_none());
        let made = std::iter::repeat_with(|| limit.try_acquire(Some(&other))).take(5_000).filter(|made| *made).count();
        assert_eq!(made, 5_000, "the first user has used only their own share");
        assert!(waits.await);
    }

    #[tokio::test(start_paused = true)]
    async fn document_that_was_not_created_is_not_charged() {
        let limit = CreationRateLimit::new(1, 1);
        for _ in 0..10 {
            assert!(limit.try_acquire(Some(&user("editor"))));
            limit.release(Some(&user("editor")));
        }
        assert!(limit.try_acquire(None));
        assert!(!limit.try_acquire(None));
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_ends_all_waits() {
        let (limit, draining) = (CreationRateLimit::new(1, 1), CancellationToken::new());
        draining.cancel();
        assert!(!limit.acquire(None, &draining).await);
    }
}
