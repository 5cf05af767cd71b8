//! Why a connection to a server ended, or could not be established.

use crate::retry::RetryClass;

/// Why a connection ended or could not be established. Clients retry after each of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No connection to the server.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The server's certificate is invalid: untrusted issuer, another name, or expired.
    #[error("the server cannot be trusted: {0}")]
    Untrusted(String),
    /// The server does not speak automerge-repo's protocol.
    #[error("the server does not speak automerge-repo's protocol: {0}")]
    Handshake(String),
    /// The server did not answer within the deadline.
    #[error("the server has stopped answering")]
    Silent,
    /// The network or the server failed.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The server is shutting down (close code 1001 or 1012).
    #[error("the server is shutting down: {0}")]
    GoingAway(String),
    /// The server is overloaded (close code 1013).
    #[error("the server asks to try again later: {0}")]
    Busy(String),
    /// The server rejects this client (not authenticated: 4401 or HTTP 401; not allowed: 4403 or HTTP 403) or its messages.
    #[error("the server refused: {message}{}", code.map(|code| format!(" (close code {code})")).unwrap_or_default())]
    Refused {
        /// The close code, if there was one.
        code: Option<u16>,
        /// The server's message.
        message: String,
    },
    /// The server sent an invalid message.
    #[error("the server sent an invalid message: {0}")]
    BadServer(String),
    /// Changes from the server could not be stored locally.
    #[error("changes from the server could not be stored: {0}")]
    Disk(String),
}

impl Problem {
    /// Interprets a close frame. `error` is the text of an `error` message before it, which may be longer than a reason.
    #[must_use]
    pub fn from_close(code: Option<u16>, reason: &str, error: Option<String>) -> Self {
        let has_error = error.is_some();
        let message = error.unwrap_or_else(|| if reason.is_empty() { "no reason given" } else { reason }.to_owned());
        match code {
            Some(1001 | 1012) => Self::GoingAway(message),
            Some(1013) => Self::Busy(message),
            // The client or one of its messages is not acceptable.
            Some(1002 | 1003 | 1007..=1010 | 4400..=4408) => Self::Refused { code, message },
            // automerge-repo's own servers send `error` and close without a code.
            _ if has_error => Self::Refused { code, message },
            _ => Self::Lost(format!("the server closed it ({message})")),
        }
    }

    /// How long to wait before the next attempt.
    #[must_use]
    pub fn retry_class(&self) -> RetryClass {
        match self {
            Self::Busy(_) => RetryClass::Busy,
            Self::Refused { .. } | Self::Untrusted(_) => RetryClass::Rejected,
            _ => RetryClass::Outage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_select_the_retry_policy() {
        let classes = |code| Problem::from_close(Some(code), "", None).retry_class();
        assert_eq!([1000, 1001, 1006, 1011, 1012, 4409].map(classes), [RetryClass::Outage; 6]);
        assert_eq!(classes(1013), RetryClass::Busy);
        assert_eq!([1002, 1008, 1009, 4401, 4403].map(classes), [RetryClass::Rejected; 5]);
    }

    #[test]
    fn error_message_takes_precedence_over_close_reason() {
        let refused = Problem::from_close(Some(4403), "no", Some("this origin is not allowed".to_owned()));
        assert_eq!(refused.to_string(), "the server refused: this origin is not allowed (close code 4403)");
        assert_eq!(Problem::from_close(None, "", Some("bye".to_owned())).retry_class(), RetryClass::Rejected);
        assert_eq!(Problem::from_close(Some(1001), "restart", None), Problem::GoingAway("restart".to_owned()));
        let lost = Problem::from_close(None, "", None).to_string();
        assert_eq!(lost, "the connection was lost: the server closed it (no reason given)");
    }
}
