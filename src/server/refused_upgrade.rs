//! A WebSocket that is accepted only to be told why it is refused: browsers do not show the answer to a failed handshake.

/// A refusal that a WebSocket surface tells after the upgrade: a stock Node client dies of an HTTP refusal.
#[derive(Debug, Clone)]
pub struct RefusedUpgrade {
    /// The close code.
    pub code: u16,
    /// What happened, and what to do.
    pub reason: String,
}
