//! What a connection may read: how fast, in how much memory, and for how long before it yields to the others.

use std::future::pending;
use std::pin::Pin;

use runtime::hub::{ConnectionKey, Hub};
use runtime::memory_budget::{OutOfMemory, Reservation};
use runtime::metrics::RefusalReason;
use tokio::time::{Instant, Sleep, sleep};

use super::liveness::Upload;
use super::pace::Pace;
use super::socket_times::SocketTimes;

/// Bytes that a socket reads before it yields to the others.
const READ_IN_A_TURN: u64 = 256 << 10;

/// The read budget of one connection. `read` is everywhere the number of bytes that were read from it so far.
pub struct ReadBudget {
    key: ConnectionKey,
    hub: Hub,
    rate: Pace,
    /// The memory of the message that is coming in.
    reservation: Reservation,
    /// Bytes read when that message began.
    begun: u64,
    /// That message, once it is large.
    upload: Option<Upload>,
    /// Bytes read when it is another connection's turn.
    yield_at: u64,
    /// Set while the other side is too fast to be read from.
    pause: Option<Pin<Box<Sleep>>>,
    was_throttled: bool,
}

/// What is wrong with a large message that is coming in.
pub enum UploadProblem {
    /// It comes in too slowly, or not at all.
    Stalled,
    /// Others need the memory that it takes, and it has taken long.
    OutOfMemory,
}

impl ReadBudget {
    /// The budget of a connection that has `read` so many bytes, the last `unfinished` of which belong to a message that is not
    /// complete.
    ///
    /// # Errors
    /// When there is no memory for these.
    pub fn begin(key: ConnectionKey, hub: Hub, rate: Pace, read: u64, unfinished: u64) -> Result<Self, OutOfMemory> {
        let mut reservation = hub.memory_budget().reservation();
        reservation.resize(unfinished)?;
        let upload = reservation.is_used().then(|| Upload::new(Instant::now(), read));
        let (begun, yield_at) = (read - unfinished, read + READ_IN_A_TURN);
        Ok(Self { key, hub, rate, reservation, begun, upload, yield_at, pause: None, was_throttled: false })
    }

    /// Whether the connection is not to be read from.
    pub fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Waits until it may be read from again.
    pub async fn pause_over(&mut self) {
        match &mut self.pause {
            Some(sleep) => sleep.await,
            None => pending().await,
        }
        self.pause = None;
    }

    /// Counts what was read: pauses a connection that is too fast, and holds the memory of a message that is not complete.
    ///
    /// # Errors
    /// When there is no memory for that message.
    pub fn count(&mut self, messages: u32, read: u64) -> Result<(), OutOfMemory> {
        if let Some(too_fast) = self.rate.count(messages, read, Instant::now) {
            self.hub.metrics().record_refusal(RefusalReason::Slowed);
            if !std::mem::replace(&mut self.was_throttled, true) {
                tracing::info!(connection = self.key.0, "rate limit exceeded; the connection is throttled");
            }
            self.pause = Some(Box::pin(sleep(too_fast)));
        }
        self.reservation.resize(read - self.begun)?;
        if self.reservation.is_used() {
            self.upload.get_or_insert_with(|| Upload::new(Instant::now(), read));
        }
        Ok(())
    }

    /// The memory of a message that is complete. The next begins.
    pub fn complete(&mut self, read: u64) -> Reservation {
        self.begun = read;
        self.upload = None;
        std::mem::replace(&mut self.reservation, self.hub.memory_budget().reservation())
    }

    /// Whether it is another connection's turn: tokio lets one task make 128 reads, up to 8 MiB here, while the other sockets of its
    /// worker wait.
    pub fn yields(&mut self, read: u64) -> bool {
        let yields = read >= self.yield_at;
        if yields {
            self.yield_at = read + READ_IN_A_TURN;
        }
        yields
    }

    /// Whether a large message is coming in as it should. `is_read`: the connection is read from.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_upload(
        &mut self,
        now: Instant,
        read: u64,
        is_read: bool,
        times: &SocketTimes,
    ) -> Result<(), UploadProblem> {
        let is_paused = self.is_paused() || !is_read;
        let Some(upload) = &mut self.upload else { return Ok(()) };
        if upload.is_too_slow(now, read, is_paused, times.stall) {
            return Err(UploadProblem::Stalled);
        }
        // A slow line is no fault as long as the room is not needed.
        if upload.age(now) >= times.message && self.hub.memory_budget().is_scarce() {
            return Err(UploadProblem::OutOfMemory);
        }
        Ok(())
    }
}
