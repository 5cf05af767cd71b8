//! Who makes a request.

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
