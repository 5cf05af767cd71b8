//! Decides when a connection is dead: it makes no progress, or sends a large message too slowly.
//!
//! Progress of a write is what the peer has received, not what the operating system has accepted: long messages are fragmented
//! with pings in between ([`outbound`](super::outbound)), and each pong shows how much of the stream has arrived, through TLS and
//! proxies. A peer that is sending a large message cannot answer pings; then received bytes count as progress.
//!
//! Time and counts are arguments, so that tests need no clock.

use std::time::Duration;

use tokio::time::Instant;

/// Number of unanswered pings after which a peer is dead.
const MISSED_PINGS: u32 = 2;
/// Minimum average rate of a large incoming message, in bytes per second. The message holds a memory reservation meanwhile.
pub const MIN_RATE: u64 = 1 << 10;

/// Bytes that a connection has transferred since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Received from the peer.
    pub read: u64,
    /// Accepted by the operating system.
    pub written: u64,
    /// Received by the peer, as confirmed by pongs.
    pub delivered: u64,
}

/// The action for a connection at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing: a write makes progress, or has not stalled for long enough.
    Wait,
    /// Send a ping.
    Ping,
    /// Close the connection.
    Close,
}

/// Watches the progress of one connection.
#[derive(Debug)]
pub struct Liveness {
    last: Progress,
    unanswered: u32,
    /// Since when data is queued without progress.
    stalled_since: Option<Instant>,
}

impl Liveness {
    /// Watches a connection from this point on.
    #[must_use]
    pub fn new(progress: Progress) -> Self {
        Self { last: progress, unanswered: 0, stalled_since: None }
    }

    /// Records that the peer has sent a message.
    pub fn record_message(&mut self) {
        self.unanswered = 0;
    }

    /// Call this at the ping interval. `writing`: data is queued. `paused`: reading is paused, so the peer's pongs are not seen.
    /// `stall`: how long a write may make no progress.
    pub fn tick(&mut self, now: Instant, progress: Progress, writing: bool, paused: bool, stall: Duration) -> Action {
        let last = std::mem::replace(&mut self.last, progress);
        if progress.read != last.read || paused {
            self.unanswered = 0;
        }
        if !writing || (progress.written, progress.delivered) != (last.written, last.delivered) {
            self.stalled_since = None;
        }
        if writing {
            // A ping would be queued behind the stalled data.
            let since = *self.stalled_since.get_or_insert(now);
            return if now - since >= stall { Action::Close } else { Action::Wait };
        }
        if self.unanswered >= MISSED_PINGS {
            return Action::Close;
        }
        self.unanswered += 1;
        Action::Ping
    }
}

/// A large message that is being received.
#[derive(Debug)]
pub struct Upload {
    started: Instant,
    /// Start of the window over which the rate is averaged.
    window: Instant,
    /// Bytes read from the connection before the window.
    read: u64,
}

impl Upload {
    /// A message that has become large just now. `read`: bytes read from the connection so far.
    #[must_use]
    pub fn new(now: Instant, read: u64) -> Self {
        Self { started: now, window: now, read }
    }

    /// Time since the message became large.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now - self.started
    }

    /// Whether the average rate over `window` is below [`MIN_RATE`]. `paused`: the server has paused reading, so the rate is not
    /// the sender's fault.
    pub fn is_too_slow(&mut self, now: Instant, read: u64, paused: bool, window: Duration) -> bool {
        let elapsed = now - self.window;
        if !paused && elapsed < window {
            return false;
        }
        let wanted = elapsed.as_millis() * u128::from(MIN_RATE) / 1_000;
        let is_slow = !paused && u128::from(read - self.read) < wanted;
        (self.window, self.read) = (now, read);
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(60);
    const PING: Duration = Duration::from_secs(20);

    struct Watch {
        liveness: Liveness,
        now: Instant,
        progress: Progress,
    }

    impl Watch {
        fn new() -> Self {
            Self { liveness: Liveness::new(Progress::default()), now: Instant::now(), progress: Progress::default() }
        }

        fn tick(&mut self, writing: bool) -> Action {
            self.now += PING;
            self.liveness.tick(self.now, self.progress, writing, false, STALL)
        }
    }

    #[test]
    fn silent_peer_is_dead_after_two_pings() {
        let mut watch = Watch::new();
        assert_eq!(
            [watch.tick(false), watch.tick(false), watch.tick(false)],
            [Action::Ping, Action::Ping, Action::Close]
        );
    }

    #[test]
    fn stalled_write_is_dead_after_the_stall_time() {
        let mut watch = Watch::new();
        watch.progress.written = 100;
        let actions: Vec<Action> = (0..4).map(|_| watch.tick(true)).collect();
        assert_eq!(actions, [Action::Wait, Action::Wait, Action::Wait, Action::Close]);
    }

    #[test]
    fn delivery_without_a_write_is_progress() {
        let mut watch = Watch::new();
        for _ in 0..100 {
            watch.progress.delivered += 1;
            assert_eq!(watch.tick(true), Action::Wait);
        }
    }

    #[test]
    fn received_bytes_replace_missing_pongs() {
        let mut watch = Watch::new();
        for _ in 0..100 {
            watch.progress.read += 1;
            assert_eq!(watch.tick(false), Action::Ping);
        }
    }

    #[test]
    fn upload_must_average_the_minimum_rate() {
        let start = Instant::now();
        let mut upload = Upload::new(start, 0);
        let later = |seconds| start + Duration::from_secs(seconds);
        assert!(!upload.is_too_slow(later(59), 0, false, STALL), "the window is not over");
        assert!(!upload.is_too_slow(later(60), 60 * MIN_RATE, false, STALL));
        assert!(!upload.is_too_slow(later(120), 60 * MIN_RATE, true, STALL), "paused");
        assert!(!upload.is_too_slow(later(150), 60 * MIN_RATE, false, STALL));
        assert!(upload.is_too_slow(later(180), 120 * MIN_RATE - 1, false, STALL));
        assert_eq!(upload.age(later(180)), Duration::from_secs(180));
    }
}
