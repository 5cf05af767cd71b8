//! The maker of a request.

use limits::Payer;

use super::Grant;

/// The client that makes a request or holds a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A client of a server that does not authenticate. Holds the payer that is charged for its use, if known.
    Anonymous(Option<Payer>),
    /// An authenticated user, with the grant of the token.
    User(Box<Grant>),
}
