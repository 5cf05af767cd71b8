//! The status of a replica.

use std::time::SystemTime;

use dialer::Problem;

/// The status of a replica's connection and sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Not connected. Edits are stored, and sent after the next connection.
    Offline {
        /// When the last connection ended, or the replica was opened.
        since: SystemTime,
        /// Why the last connection or attempt ended. `None` if it was not requested, or ended on request.
        last_error: Option<Problem>,
        /// Time of the next attempt. `None` if the replica stays offline until [`connect`](super::Replica::connect).
        retry_at: Option<SystemTime>,
    },
    /// A connection is being established.
    Connecting,
    /// Connected, and either side may have changes that the other lacks.
    Syncing,
    /// The server has confirmed that it has exactly the changes of this replica.
    Synced,
    /// Connected, but the server rejects the changes of this replica. They are kept locally. If the reason is temporary,
    /// the server asks for them later.
    Refused {
        /// The server's message.
        message: String,
    },
    /// Connected, but neither side has the document. Either side sends it as soon as it has it.
    Unavailable,
}

impl Status {
    /// Whether the replica is connected.
    #[must_use]
    pub fn is_online(&self) -> bool {
        matches!(self, Self::Syncing | Self::Synced | Self::Refused { .. } | Self::Unavailable)
    }
}
