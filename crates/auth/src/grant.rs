//! What a good token says, and why another one is refused.

use std::sync::Arc;

use super::{Documents, Role};

/// What a token that is good says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub user: Arc<str>,
    /// What that person may do.
    pub role: Role,
    /// With which documents.
    pub documents: Documents,
    /// Until when, in Unix seconds.
    pub expires: i64,
    /// The id of the key that signed the token (`kid`).
    pub key: Arc<str>,
    /// The token's own id (`jti`). Without one it cannot be logged out.
    pub id: Option<Arc<str>>,
    /// Made by a login: role and documents are those of the account as it is now.
    pub session: bool,
    /// Of a session: how often those of its account had been ended when it began.
    pub generation: u64,
    /// Since when, in Unix seconds; 0: the token does not say.
    pub issued: i64,
}

/// Why somebody is not let in.
///
/// Whoever asked is told one and the same sentence, whatever it was: a reason would tell an attacker how far a forged
/// token got, or that an account is there. The operator's log has [`reason`](Self::reason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("this needs a valid token: log in again, or ask the operator of this server for one")]
pub enum Refused {
    /// There is no token.
    Missing,
    /// It is no token, or none of a key that is known here, or it says what no token may say.
    Invalid,
    /// Its time is over.
    Expired,
    /// Its time has not come yet.
    NotYet,
    /// Its user is disabled or gone, or has another password since.
    Disabled,
    /// It was logged out.
    LoggedOut,
}

impl Refused {
    /// For logs and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Disabled => "disabled",
            Self::LoggedOut => "logged_out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_the_same_whatever_the_reason_is() {
        let all = [
            Refused::Missing,
            Refused::Invalid,
            Refused::Expired,
            Refused::NotYet,
            Refused::Disabled,
            Refused::LoggedOut,
        ];
        let reasons: std::collections::BTreeSet<_> = all.iter().map(|refused| refused.reason()).collect();
        assert_eq!(reasons.len(), all.len());
        for refused in all {
            assert_eq!(refused.to_string(), Refused::Missing.to_string());
        }
    }
}
