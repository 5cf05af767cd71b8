//! When a connection counts as dead: nothing moves on it, or a large message comes in more slowly than anybody's line is.
//!
//! Progress is what the peer has received, not what the operating system has taken: long messages are fragmented with pings in
//! between ([`super::outbound`]), and each answer tells how much of the stream has arrived, through TLS and through any proxy.
//! A peer in the middle of sending a large message cannot answer pings; there, progress is the bytes received.
//!
//! Time and counts are arguments.

use std::time::Duration;

use tokio::time::Instant;

/// Pings that may stay unanswered.
const MISSED_PINGS: u32 = 2;
/// Bytes a second that a large incoming message must average. A sender that is slower holds its share of the memory for
/// nothing.
pub const MIN_RATE: u64 = 1 << 10;

/// What a connection has moved so far, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Received from the peer.
    pub read: u64,
    /// Taken by the operating system.
    pub written: u64,
    /// Received by the peer, as far as it has said.
    pub delivered: u64,
}

/// What to do about a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it moves, or has not been still for long enough.
    Wait,
    /// Ask whether the peer is there.
    Ping,
    /// Close it.
    Dead,
}

/// Watches one connection.
#[derive(Debug)]
pub struct Liveness {
    last: Moved,
    unanswered: u32,
    /// Since when nothing has moved although something waits to be written.
    stuck: Option<Instant>,
}

impl Liveness {
    /// Watches a connection that has moved so much.
    #[must_use]
    pub fn new(moved: Moved) -> Self {
        Self { last: moved, unanswered: 0, stuck: None }
    }

    /// The peer has said something.
    pub fn heard(&mut self) {
        self.unanswered = 0;
    }

    /// To be called at the interval of pings. `writing`: something waits to be written. `paused`: the peer is not read from, and
    /// so has no way to answer. `stall`: how long a write may make no progress.
    pub fn tick(&mut self, now: Instant, moved: Moved, writing: bool, paused: bool, stall: Duration) -> Verdict {
        let last = std::mem::replace(&mut self.last, moved);
        if moved.read != last.read || paused {
            self.unanswered = 0;
        }
        if !writing || (moved.written, moved.delivered) != (last.written, last.delivered) {
            self.stuck = None;
        }
        if writing {
            // A ping would only queue behind what is stuck.
            let since = *self.stuck.get_or_insert(now);
            return if now - since >= stall { Verdict::Dead } else { Verdict::Wait };
        }
        if self.unanswered >= MISSED_PINGS {
            return Verdict::Dead;
        }
        self.unanswered += 1;
        Verdict::Ping
    }
}

/// A large message that is being received.
#[derive(Debug)]
pub struct Upload {
    began: Instant,
    /// Start of the window over which the rate is averaged.
    window: Instant,
    /// Bytes read from the connection by then.
    read: u64,
}

impl Upload {
    /// It is large from now on. `read`: bytes read from the connection so far.
    #[must_use]
    pub fn new(now: Instant, read: u64) -> Self {
        Self { began: now, window: now, read }
    }

    /// How long it has been coming in.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now - self.began
    }

    /// Whether less than [`MIN_RATE`] has come in, averaged over `window`. `paused`: it was not read from, which is not its
    /// sender's fault.
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
        moved: Moved,
    }

    impl Watch {
        fn new() -> Self {
            Self { liveness: Liveness::new(Moved::default()), now: Instant::now(), moved: Moved::default() }
        }

        fn tick(&mut self, writing: bool) -> Verdict {
            self.now += PING;
            self.liveness.tick(self.now, self.moved, writing, false, STALL)
        }
    }

    #[test]
    fn silent_peer_is_dead_after_two_pings() {
        let mut watch = Watch::new();
        assert_eq!(
            [watch.tick(false), watch.tick(false), watch.tick(false)],
            [Verdict::Ping, Verdict::Ping, Verdict::Dead]
        );
    }

    #[test]
    fn stuck_write_is_dead_after_the_stall_time() {
        let mut watch = Watch::new();
        watch.moved.written = 100;
        let verdicts: Vec<Verdict> = (0..4).map(|_| watch.tick(true)).collect();
        assert_eq!(verdicts, [Verdict::Wait, Verdict::Wait, Verdict::Wait, Verdict::Dead]);
    }

    #[test]
    fn delivery_is_progress_though_the_system_takes_nothing() {
        let mut watch = Watch::new();
        for _ in 0..100 {
            watch.moved.delivered += 1;
            assert_eq!(watch.tick(true), Verdict::Wait);
        }
    }

    #[test]
    fn bytes_of_an_upload_stand_for_missing_pongs() {
        let mut watch = Watch::new();
        for _ in 0..100 {
            watch.moved.read += 1;
            assert_eq!(watch.tick(false), Verdict::Ping);
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
