//! Who makes a request.

use std::sync::Arc;

use limits::Payer;

use super::Grant;

/// Who makes a request or holds a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A client of a server that does not authenticate. Holds who is charged for its use, if that is known.
    Anonymous(Option<Payer>),
    /// An authenticated user, with what the token grants.
    User(Box<Grant>),
}

impl Principal {
    /// What the user's token grants; `None` for an anonymous client.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Anonymous(_) => None,
            Self::User(grant) => Some(grant),
        }
    }

    /// Who is charged for what this principal uses; `None` where clients cannot be told apart.
    #[must_use]
    pub fn payer(&self) -> Option<Payer> {
        match self {
            Self::Anonymous(payer) => payer.clone(),
            Self::User(grant) => Some(Payer::User(Arc::clone(&grant.user))),
        }
    }
}
