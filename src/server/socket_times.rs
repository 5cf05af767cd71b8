//! How long a socket may take for what.

use std::time::Duration;

/// How long a socket may take.
#[derive(Debug, Clone, Copy)]
pub struct SocketTimes {
    /// Between two pings.
    pub ping: Duration,
    /// Without any progress although bytes wait to go out; and over how long the rate of a large incoming message is
    /// averaged, which must not fall below 1 KiB/s.
    pub stall: Duration,
    /// For one message that is large enough to be counted, from its first byte to its last, when half of the memory for such
    /// messages is taken.
    pub message: Duration,
    /// For last words, and for discarding what comes after them.
    pub goodbye: Duration,
}

impl Default for SocketTimes {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            message: Duration::from_secs(300),
            goodbye: Duration::from_secs(2),
        }
    }
}
