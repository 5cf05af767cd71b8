//! Bounds what a connection reads: its rate, the memory of an incoming message, and the bytes before it yields to other tasks.

use std::future::pending;
use std::pin::Pin;

use runtime::hub::{ConnectionKey, Hub};
use runtime::memory_budget::{OutOfMemory, Reservation};
use runtime::metrics::RefusalReason;
use tokio::time::{Instant, Sleep, sleep};

use super::liveness::Upload;
use super::rate_limit::RateLimit;
use super::timeouts::SocketTimeouts;

/// Bytes that a connection reads before it yields to other tasks.
const READ_BEFORE_YIELD: u64 = 256 << 10;

/// The read budget of one connection. In all methods, `read` is the number of bytes read since the connection was opened.
pub struct ReadBudget {
    key: ConnectionKey,
    hub: Hub,
    rate_limit: RateLimit,
    /// The memory reservation of the incoming message.
    reservation: Reservation,
    /// Value of `read` at the start of the incoming message.
    message_start: u64,
    /// The incoming message, once it is large.
    upload: Option<Upload>,
    /// Value of `read` at which the connection yields.
    yield_at: u64,
    /// Set while reading is paused because the peer exceeded its rate limit.
    pause: Option<Pin<Box<Sleep>>>,
    was_throttled: bool,
}

/// Why a large incoming message is not accepted any longer.
pub enum UploadProblem {
    /// It arrives too slowly, or not at all.
    Stalled,
    /// It takes too long while memory for large messages is scarce.
    OutOfMemory,
}

impl ReadBudget {
    /// The budget of a connection. The last `unfinished` bytes of `read` belong to a message that is not complete.
    ///
    /// # Errors
    /// If there is no memory for the unfinished message.
    pub fn new(
        key: ConnectionKey,
        hub: Hub,
        rate_limit: RateLimit,
        read: u64,
        unfinished: u64,
    ) -> Result<Self, OutOfMemory> {
        let mut reservation = hub.memory_budget().reservation();
        reservation.resize(unfinished)?;
        let upload = reservation.is_used().then(|| Upload::new(Instant::now(), read));
        let (message_start, yield_at) = (read - unfinished, read + READ_BEFORE_YIELD);
        Ok(Self {
            key,
            hub,
            rate_limit,
            reservation,
            message_start,
            upload,
            yield_at,
            pause: None,
            was_throttled: false,
        })
    }

    /// Whether reading is paused.
    pub fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Waits until the pause is over. Never returns without a pause.
    pub async fn pause_elapsed(&mut self) {
        match &mut self.pause {
            Some(sleep) => sleep.await,
            None => pending().await,
        }
        self.pause = None;
    }

    /// Counts messages and bytes: pauses reading if a rate limit is exceeded, and reserves memory for the incoming message.
    ///
    /// # Errors
    /// If there is no memory for the incoming message.
    pub fn count(&mut self, messages: u32, read: u64) -> Result<(), OutOfMemory> {
        if let Some(pause) = self.rate_limit.count(messages, read, Instant::now) {
            self.hub.metrics().record_refusal(RefusalReason::Slowed);
            if !std::mem::replace(&mut self.was_throttled, true) {
                tracing::info!(connection = self.key.0, "rate limit exceeded; the connection is throttled");
            }
            self.pause = Some(Box::pin(sleep(pause)));
        }
        self.reservation.resize(read - self.message_start)?;
        if self.reservation.is_used() {
            self.upload.get_or_insert_with(|| Upload::new(Instant::now(), read));
        }
        Ok(())
    }

    /// Returns the reservation of a message that is complete, and starts the next message.
    pub fn complete_message(&mut self, read: u64) -> Reservation {
        self.message_start = read;
        self.upload = None;
        std::mem::replace(&mut self.reservation, self.hub.memory_budget().reservation())
    }

    /// Whether the task should yield. tokio's cooperative budget allows 128 reads, up to 8 MiB here, while the other sockets of the
    /// worker thread wait.
    pub fn should_yield(&mut self, read: u64) -> bool {
        let should_yield = read >= self.yield_at;
        if should_yield {
            self.yield_at = read + READ_BEFORE_YIELD;
        }
        should_yield
    }

    /// Checks the progress of a large incoming message. `is_read`: the connection is being read from.
    ///
    /// # Errors
    /// If the message arrives too slowly, or takes too long while memory is scarce.
    pub fn check_upload(
        &mut self,
        now: Instant,
        read: u64,
        is_read: bool,
        timeouts: &SocketTimeouts,
    ) -> Result<(), UploadProblem> {
        let is_paused = self.is_paused() || !is_read;
        let Some(upload) = &mut self.upload else { return Ok(()) };
        if upload.is_too_slow(now, read, is_paused, timeouts.stall) {
            return Err(UploadProblem::Stalled);
        }
        // A slow client is accepted as long as its memory is not needed.
        if upload.age(now) >= timeouts.message && self.hub.memory_budget().is_scarce() {
            return Err(UploadProblem::OutOfMemory);
        }
        Ok(())
    }
}
