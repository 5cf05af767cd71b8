//! Where clients note what they got, and where a scenario waits until they have got it.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::Latencies;

/// One case's notes. Cheap to write: a delivery costs a few atomic additions.
#[derive(Default)]
pub struct Board {
    /// Clients that have the document as it was when they came.
    ready: AtomicU64,
    /// Edits that reached viewers: edits x viewers when all have arrived.
    delivered: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    target: AtomicU64,
    moved: Notify,
    /// Under which number latencies are kept. 0: they are not.
    phase: AtomicUsize,
    latencies: Mutex<Vec<Latencies>>,
    failures: Mutex<Vec<String>>,
}

/// What was noted so far.
#[derive(Debug, Clone, Copy)]
pub struct Noted {
    pub delivered: u64,
    pub messages: u64,
    pub bytes: u64,
}

impl Board {
    /// A client is ready.
    pub fn note_ready(&self) {
        self.ready.fetch_add(1, SeqCst);
        self.moved.notify_waiters();
    }

    /// A client failed: all waiting tasks are woken, and see it.
    pub fn note_failure(&self, what: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        self.moved.notify_waiters();
    }

    /// A message came, however many edits it brought.
    pub fn note_message(&self, bytes: usize) {
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Edits that were made at these moments have reached a viewer now.
    pub fn note_delivered(&self, made: impl ExactSizeIterator<Item = Instant>, now: Instant, timed: bool) {
        let count = made.len() as u64;
        let phase = self.phase.load(Relaxed);
        if timed && phase > 0 {
            let mut all = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// From now on latencies are kept under this number (0: not).
    pub fn set_phase(&self, phase: usize) {
        self.phase.store(phase, Relaxed);
    }

    /// The latencies of a phase.
    pub fn latencies(&self, phase: usize) -> Latencies {
        let mut all = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        all.get_mut(phase).map(std::mem::take).unwrap_or_default()
    }

    /// What was noted so far.
    pub fn noted(&self) -> Noted {
        Noted {
            delivered: self.delivered.load(SeqCst),
            messages: self.messages.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// How many are ready.
    pub fn ready(&self) -> u64 {
        self.ready.load(SeqCst)
    }

    /// What went wrong first.
    pub fn failure(&self) -> Option<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// How many clients have failed.
    pub fn failures(&self) -> usize {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until so many edits have been delivered. False: not in time, or a client has failed.
    pub async fn until_delivered(&self, count: u64, limit: Duration) -> bool {
        self.target.store(count, SeqCst);
        self.until(limit, || self.delivered.load(SeqCst) >= count).await
    }

    /// Waits until so many clients are ready. False: not in time, or a client has failed.
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
