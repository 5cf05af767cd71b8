//! Time limits of WebSockets.

use std::time::Duration;

/// Time limits of a WebSocket.
#[derive(Debug, Clone, Copy)]
pub struct SocketTimeouts {
    /// Interval between two pings. A peer that misses two is disconnected.
    pub ping: Duration,
    /// A socket is closed when it makes no progress for this long although data is queued. Also the period over which a large
    /// incoming message must average 1 KiB/s.
    pub stall: Duration,
    /// Time limit for a large incoming message, from its first to its last byte. Applies only while more than half of the
    /// memory for large messages is in use.
    pub message: Duration,
    /// Time limit for sending the close reason, and again for waiting until the peer has received it.
    pub close: Duration,
}

impl Default for SocketTimeouts {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            message: Duration::from_secs(300),
            close: Duration::from_secs(2),
        }
    }
}
