//! How fast documents are created, all clients together.
//!
//! A sync client that brings documents faster waits for its turn: it keeps its changes and is read from more slowly. An
//! HTTP client is told to try again later.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep};

use crate::token_bucket::TokenBucket;

/// How often a client that waits looks whether the server stops.
const STOP_CHECK: Duration = Duration::from_millis(250);
/// Time between two log lines about clients that wait.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The rate limit of new documents.
pub(super) struct NewDocuments {
    bucket: Mutex<TokenBucket>,
    /// Held by the one whose turn is next: first come, first served.
    queue: AsyncMutex<()>,
    /// How many wait for their turn.
    waiting: AtomicUsize,
    logged_at: Mutex<Option<Instant>>,
}

impl NewDocuments {
    /// `per_minute` documents (0: any number), and `at_once` after a quiet time.
    pub(super) fn new(per_minute: u32, at_once: u32) -> Self {
        let bucket = TokenBucket::new(f64::from(per_minute) / 60.0, f64::from(at_once.max(1)), Instant::now());
        Self {
            bucket: Mutex::new(bucket),
            queue: AsyncMutex::new(()),
            waiting: AtomicUsize::new(0),
            logged_at: Mutex::default(),
        }
    }

    /// Counts one more document if it may be created now, and nobody waits for that.
    pub(super) fn take(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0 && self.take_token().is_ok()
    }

    fn take_token(&self) -> Result<(), Duration> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(1.0, Instant::now)
    }

    /// Waits until one more document may be created, and counts it. False: the server stops.
    pub(super) async fn take_in_turn(&self, stopping: &AtomicBool) -> bool {
        let _waits = Waits::new(&self.waiting);
        let _turn = self.queue.lock().await;
        while !stopping.load(Ordering::SeqCst) {
            match self.take_token() {
                Ok(()) => return true,
                Err(wait) => sleep(wait.min(STOP_CHECK)).await,
            }
        }
        false
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
}

/// One more waits, until this is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clients_wait_for_their_turn_and_are_served_in_order() {
        let (new, going_on) = (NewDocuments::new(60, 2), AtomicBool::new(false));
        let start = Instant::now();
        for _ in 0..5 {
            assert!(new.take_in_turn(&going_on).await);
        }
        let waited = start.elapsed();
        assert!(
            (Duration::from_secs(3)..Duration::from_secs(4)).contains(&waited),
            "two at once, one a second: {waited:?}"
        );
        assert!(!new.take(), "an HTTP client does not wait");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_server_that_stops() {
        let (new, stopping) = (NewDocuments::new(1, 1), AtomicBool::new(true));
        assert!(!new.take_in_turn(&stopping).await);
    }
}
