//! How fast documents are created: by all clients together, and by one user, who has a share of that.
//!
//! A sync client that brings documents faster waits for its turn: it keeps its changes and is read from more slowly. An
//! HTTP client is told to try again later. Others wait for neither, as long as the server's own limit is not reached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use limits::{KeyedRate, Payer, Rate, Wait, fair_share};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Time between two log lines about clients that wait.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Documents that one user may create at once, as far as all may: a client brings what it has made offline.
const OF_ONE_USER: usize = 6_000;

/// The rate limit of new documents.
pub(super) struct NewDocuments {
    rate: Mutex<KeyedRate<Payer>>,
    queues: Mutex<HashMap<Option<Payer>, Queue>>,
    logged_at: Mutex<Option<Instant>>,
}

/// The documents of one payer that wait.
#[derive(Default)]
struct Queue {
    /// Held by the one whose turn is next: first come, first served.
    turn: Arc<AsyncMutex<()>>,
    waiting: usize,
}

impl NewDocuments {
    /// `per_minute` documents (0: any number), and `at_once` after a quiet time. One user may create a quarter of them, and
    /// half of what may be created at once by default.
    pub(super) fn new(per_minute: u32, at_once: u32) -> Self {
        let at_once = at_once.max(1);
        let per_second = f64::from(per_minute) / 60.0;
        let share = fair_share(at_once as usize, OF_ONE_USER);
        let share = f64::from(u32::try_from(share).unwrap_or(at_once));
        let total = Rate { per_second, burst: f64::from(at_once) };
        let each = Rate { per_second: per_second / 4.0, burst: share };
        Self {
            rate: Mutex::new(KeyedRate::new(total, each, Instant::now())),
            queues: Mutex::default(),
            logged_at: Mutex::default(),
        }
    }

    /// Counts one more document if it may be created now, and no other one of this payer waits for that.
    pub(super) fn take(&self, payer: Option<&Payer>) -> bool {
        !self.queues().contains_key(&payer.cloned()) && self.count(payer).is_ok()
    }

    /// Takes back a document that was counted and did not come to be.
    pub(super) fn give_back(&self, payer: Option<&Payer>) {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).give_back(payer);
    }

    fn count(&self, payer: Option<&Payer>) -> Result<(), Wait> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).take(payer, Instant::now())
    }

    /// Waits until this payer may create one more document, and counts it. False: the server stops.
    pub(super) async fn take_in_turn(&self, payer: Option<&Payer>, draining: &CancellationToken) -> bool {
        let waits = Waits::begin(self, payer.cloned());
        let counted = async {
            let _turn = waits.turn.lock().await;
            while let Err(wait) = self.count(payer) {
                sleep(wait.duration()).await;
            }
        };
        draining.run_until_cancelled(counted).await.is_some()
    }

    /// Whether it is time to write to the log that clients wait.
    pub(super) fn is_news(&self) -> bool {
        let (now, mut logged_at) = (Instant::now(), self.logged_at.lock().unwrap_or_else(PoisonError::into_inner));
        let is_news = logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL);
        if is_news {
            *logged_at = Some(now);
        }
        is_news
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<Option<Payer>, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more document of a payer waits, until this is dropped.
struct Waits<'a> {
    all: &'a NewDocuments,
    payer: Option<Payer>,
    turn: Arc<AsyncMutex<()>>,
}

impl<'a> Waits<'a> {
    fn begin(all: &'a NewDocuments, payer: Option<Payer>) -> Self {
        let mut queues = all.queues();
        let queue = queues.entry(payer.clone()).or_default();
        queue.waiting += 1;
        let turn = Arc::clone(&queue.turn);
        drop(queues);
        Self { all, payer, turn }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut queues = self.all.queues();
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
    async fn clients_wait_for_their_turn_and_are_served_in_order() {
        let (new, draining) = (NewDocuments::new(60, 2), CancellationToken::new());
        let start = Instant::now();
        for _ in 0..5 {
            assert!(new.take_in_turn(None, &draining).await);
        }
        let waited = start.elapsed();
        assert!(
            (Duration::from_secs(3)..Duration::from_secs(4)).contains(&waited),
            "two at once, one a second: {waited:?}"
        );
        assert!(!new.take(None), "an HTTP client does not wait");
    }

    #[tokio::test(start_paused = true)]
    async fn user_who_creates_without_end_leaves_others_their_share() {
        let (new, draining) = (NewDocuments::new(1_200, 12_000), CancellationToken::new());
        let (editor, other) = (user("editor"), user("other"));
        let made = std::iter::repeat_with(|| new.take(Some(&editor))).take_while(|made| *made).count();
        assert_eq!(made, 6_000, "what one has made offline is not slowed down");
        let mut waits = Box::pin(new.take_in_turn(Some(&editor), &draining));
        assert!((&mut waits).now_or_never().is_none());
        let made = std::iter::repeat_with(|| new.take(Some(&other))).take(5_000).filter(|made| *made).count();
        assert_eq!(made, 5_000, "as if the first were not there");
        assert!(waits.await);
    }

    #[tokio::test(start_paused = true)]
    async fn document_that_did_not_come_to_be_is_not_charged() {
        let new = NewDocuments::new(1, 1);
        for _ in 0..10 {
            assert!(new.take(Some(&user("editor"))));
            new.give_back(Some(&user("editor")));
        }
        assert!(new.take(None));
        assert!(!new.take(None));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_server_that_stops() {
        let (new, draining) = (NewDocuments::new(1, 1), CancellationToken::new());
        draining.cancel();
        assert!(!new.take_in_turn(None, &draining).await);
    }
}
