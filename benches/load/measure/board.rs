//! Progress of the clients of a case. Scenarios wait for it.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::Latencies;

/// Progress of one case. Cheap to update: a delivery costs a few atomic additions.
#[derive(Default)]
pub struct Board {
    /// Number of clients that have received the initial document.
    ready: AtomicU64,
    /// Number of edits that reached viewers: edits × viewers when all have arrived.
    delivered: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    target: AtomicU64,
    moved: Notify,
    /// Phase under which latencies are recorded; 0 disables recording.
    phase: AtomicUsize,
    latencies: Mutex<Vec<Latencies>>,
    failures: Mutex<Vec<String>>,
}

/// Totals so far.
#[derive(Debug, Clone, Copy)]
pub struct Noted {
    pub delivered: u64,
    pub messages: u64,
    pub bytes: u64,
}

impl Board {
    /// Records that a client is ready.
    pub fn note_ready(&self) {
        self.ready.fetch_add(1, SeqCst);
        self.moved.notify_waiters();
    }

    /// Records that a client failed, and wakes all waiting tasks.
    pub fn note_failure(&self, what: String) {
        self.failures.lock().push(what);
        self.moved.notify_waiters();
    }

    /// Records a received message, regardless of its number of edits.
    pub fn note_message(&self, bytes: usize) {
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Records that a viewer has now received edits that were made at these times.
    pub fn note_delivered(&self, made: impl ExactSizeIterator<Item = Instant>, now: Instant, timed: bool) {
        let count = made.len() as u64;
        let phase = self.phase.load(Relaxed);
        if timed && phase > 0 {
            let mut all = self.latencies.lock();
            if all.len() <= phase {
                all.resize_with(phase + 1, Latencies::default);
            }
            let micros = made.map(|made| u32::try_from((now - made).as_micros()).unwrap_or(u32::MAX));
            all[phase].0.extend(micros);
        }
        let delivered = self.delivered.fetch_add(count, SeqCst) + count;
        if delivered >= self.target.load(SeqCst) {
            self.moved.notify_waiters();
        }
    }

    /// Records latencies under this phase from now on (0 disables recording).
    pub fn set_phase(&self, phase: usize) {
        self.phase.store(phase, Relaxed);
    }

    /// The latencies of a phase.
    pub fn latencies(&self, phase: usize) -> Latencies {
        let mut all = self.latencies.lock();
        all.get_mut(phase).map(std::mem::take).unwrap_or_default()
    }

    /// Totals so far.
    pub fn noted(&self) -> Noted {
        Noted {
            delivered: self.delivered.load(SeqCst),
            messages: self.messages.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// Number of ready clients.
    pub fn ready(&self) -> u64 {
        self.ready.load(SeqCst)
    }

    /// The first failure.
    pub fn failure(&self) -> Option<String> {
        self.failures.lock().first().cloned()
    }

    /// Number of failed clients.
    pub fn failures(&self) -> usize {
        self.failures.lock().len()
    }

    /// Waits until this number of edits has been delivered. `false` after a timeout or a failure of a client.
    pub async fn until_delivered(&self, count: u64, limit: Duration) -> bool {
        self.target.store(count, SeqCst);
        self.until(limit, || self.delivered.load(SeqCst) >= count).await
    }

    /// Waits until this number of clients is ready. `false` after a timeout or a failure of a client.
    pub async fn until_ready(&self, count: u64, limit: Duration) -> bool {
        self.until(limit, || self.ready() >= count).await
    }

    async fn until(&self, limit: Duration, done: impl Fn() -> bool) -> bool {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if done() {
                return true;
            }
            if self.failure().is_some() || timeout_at(deadline, moved).await.is_err() {
                return done();
            }
        }
    }
}
