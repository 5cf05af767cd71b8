//! Grants of valid tokens, and reasons to refuse a token.

use std::sync::Arc;

use primitives::DocumentId;

use super::{Documents, Role};

/// The rights of a user with a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Name of the user (`sub`), recorded as the author of their changes.
    pub user: Arc<str>,
    /// The user's role on [`documents`](Self::documents).
    pub role: Role,
    /// The documents that the user may see.
    pub documents: Documents,
    /// When the token expires, in Unix seconds (`exp`).
    pub expires: i64,
    /// Id of the key that signed the token (`kid`).
    pub key: Arc<str>,
    /// The token's own id (`jti`). A token without one cannot be logged out.
    pub id: Option<Arc<str>>,
    /// Whether a login issued the token. Role and documents are then the current ones of the account.
    pub session: bool,
    /// For a session: the account's session generation when the session began, see [`Account`](super::Account).
    pub generation: u64,
    /// When the token was issued, in Unix seconds (`iat`); 0 if the token has no `iat`.
    pub issued: i64,
}

impl Grant {
    /// The role that this grant gives on a document; `None` if the document is not among the granted ones.
    ///
    /// `default` is the id of the server's default document, if it has one.
    #[must_use]
    pub fn role_for(&self, document: &DocumentId, default: Option<&DocumentId>) -> Option<Role> {
        self.documents.include(document, default).then_some(self.role)
    }
}

/// Why a request is not authenticated.
///
/// All reasons that lie with the token have the same message, so that an attacker does not learn how far a forged token got, or
/// that an account exists. [`reason`](Self::reason) is for the operator's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// There is no token.
    #[error("{NEEDS_TOKEN}")]
    Missing,
    /// The token is malformed, its key is unknown, its signature is wrong, or its claims are not acceptable.
    #[error("{NEEDS_TOKEN}")]
    Invalid,
    /// The token has expired.
    #[error("{NEEDS_TOKEN}")]
    Expired,
    /// The token is not valid yet (`nbf`).
    #[error("{NEEDS_TOKEN}")]
    NotYet,
    /// The user's account is disabled or removed, or its password has changed since.
    #[error("{NEEDS_TOKEN}")]
    Disabled,
    /// The token was logged out.
    #[error("{NEEDS_TOKEN}")]
    LoggedOut,
    /// The server could not ask for a while which tokens are still valid.
    #[error("the server cannot check tokens at the moment; try again later")]
    Unavailable,
}

const NEEDS_TOKEN: &str = "this needs a valid token: log in again, or ask the operator of this server for one";

impl Refused {
    /// Short name of the reason, for logs and metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Disabled => "disabled",
            Self::LoggedOut => "logged_out",
            Self::Unavailable => "unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DocumentName;

    fn grant(documents: Documents) -> Grant {
        Grant {
            user: "cfo".into(),
            role: Role::Editor,
            documents,
            expires: 0,
            key: "1".into(),
            id: None,
            session: false,
            generation: 0,
            issued: 0,
        }
    }

    #[test]
    fn grant_covers_documents_by_id_and_the_default_by_name() {
        let [one, two] = [1, 2].map(|seed| DocumentId::from_random([seed; 16]));
        let covers = |documents: Documents, default: Option<&DocumentId>| {
            [&one, &two].map(|id| grant(documents.clone()).role_for(id, default) == Some(Role::Editor))
        };
        let named = |name: DocumentName| Documents::Named([name].into());
        assert_eq!(covers(Documents::All, Some(&one)), [true, true]);
        assert_eq!(covers(Documents::none(), Some(&one)), [false, false]);
        assert_eq!(covers(named(DocumentName::Default), Some(&one)), [true, false]);
        assert_eq!(covers(named(DocumentName::Default), None), [false, false]);
        assert_eq!(covers(named(DocumentName::Id(one.clone())), Some(&one)), [true, false]);
        assert_eq!(covers(named(DocumentName::Id(two.clone())), Some(&one)), [false, true]);
    }

    #[test]
    fn refusal_message_reveals_no_reason() {
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
