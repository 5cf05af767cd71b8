//! How a replica stands with its server.

use std::time::SystemTime;

use super::backoff::Pace;

/// How a replica stands with its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is no connection. Edits are kept, and sent when there is one.
    Offline {
        /// Since when.
        since: SystemTime,
        /// Why the last connection, or attempt, ended. None: nobody asked for one, or it ended as wished.
        last_error: Option<Problem>,
        /// When the next attempt is made. None: when somebody asks for it.
        retry_at: Option<SystemTime>,
    },
    /// A connection is being made.
    Connecting,
    /// Connected, and one side may have what the other has not.
    Syncing,
    /// The server has said that it has exactly what this replica has.
    Synced,
    /// Connected, and the server does not accept the changes of this replica. They are kept here. Some refusals pass: the
    /// server asks for the changes then.
    Refused {
        /// The server's words.
        message: String,
    },
    /// Connected, and neither side has the document: the server will send it when it gets it, and gets it from here
    /// when it is made here.
    Unavailable,
}

impl Status {
    /// Whether there is a connection.
    #[must_use]
    pub fn is_online(&self) -> bool {
        matches!(self, Self::Syncing | Self::Synced | Self::Refused { .. } | Self::Unavailable)
    }
}

/// Why a connection ended, or could not be made. Attempts go on after each of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nobody answers at the address.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// Somebody answers who cannot prove to be the server: the certificate is signed by nobody who is trusted, is for
    /// another name, or has expired.
    #[error("the server is not known: {0}")]
    Untrusted(String),
    /// Somebody answers, but does not speak automerge-repo's protocol.
    #[error("the server does not speak automerge-repo's protocol: {0}")]
    Handshake(String),
    /// Nothing was heard for too long.
    #[error("the server has stopped answering")]
    Silent,
    /// The network, or the server, broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The server shuts down (close code 1001 or 1012).
    #[error("the server is going away: {0}")]
    GoingAway(String),
    /// The server has too much to do (close code 1013).
    #[error("the server asks to try again later: {0}")]
    Busy(String),
    /// The server does not want this client (4401, HTTP 401: not known; 4403, HTTP 403: not allowed), or what it sent.
    #[error("the server refuses: {message}{}", code.map(|code| format!(" (close code {code})")).unwrap_or_default())]
    Refused {
        /// The close code, if there was one.
        code: Option<u16>,
        /// The server's words.
        message: String,
    },
    /// The server sent something that must not be applied.
    #[error("the server sent something unacceptable: {0}")]
    BadServer(String),
    /// What the server sent could not be made durable here.
    #[error("what the server sent could not be stored here: {0}")]
    Disk(String),
}

impl Problem {
    /// What a close frame means; `words`: the `error` message before it, which has room for more than the frame.
    pub(super) fn from_close(code: Option<u16>, reason: &str, words: Option<String>) -> Self {
        let said_why = words.is_some();
        let message = words.unwrap_or_else(|| if reason.is_empty() { "no reason given" } else { reason }.to_owned());
        match code {
            Some(1001 | 1012) => Self::GoingAway(message),
            Some(1013) => Self::Busy(message),
            // What was sent is not acceptable, or who sent it.
            Some(1002 | 1003 | 1007..=1010 | 4400..=4408) => Self::Refused { code, message },
            // automerge-repo's own servers say `error` and close without a code.
            _ if said_why => Self::Refused { code, message },
            _ => Self::Lost(format!("the server closed it, {message}")),
        }
    }

    pub(super) fn pace(&self) -> Pace {
        match self {
            Self::Busy(_) => Pace::Patient,
            Self::Refused { .. } | Self::Untrusted(_) => Pace::Slowest,
            _ => Pace::Usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_select_the_retry_policy() {
        let paces = |code| Problem::from_close(Some(code), "", None).pace();
        assert_eq!([1000, 1001, 1006, 1011, 1012, 4409].map(paces), [Pace::Usual; 6]);
        assert_eq!(paces(1013), Pace::Patient);
        assert_eq!([1002, 1008, 1009, 4401, 4403].map(paces), [Pace::Slowest; 5]);
    }

    #[test]
    fn error_message_takes_precedence_over_close_reason() {
        let refused = Problem::from_close(Some(4403), "no", Some("this origin is not allowed".to_owned()));
        assert_eq!(refused.to_string(), "the server refuses: this origin is not allowed (close code 4403)");
        assert_eq!(Problem::from_close(None, "", Some("bye".to_owned())).pace(), Pace::Slowest);
        assert_eq!(Problem::from_close(Some(1001), "restart", None), Problem::GoingAway("restart".to_owned()));
        let lost = Problem::from_close(None, "", None).to_string();
        assert_eq!(lost, "the connection was lost: the server closed it, no reason given");
    }
}
