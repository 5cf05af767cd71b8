//! Clients: writers with a real document, viewers without one, and the socket under both.

pub mod answers;
mod crowd;
pub mod envelope;
pub mod ledger;
mod socket;
mod viewer;
mod writer;

pub use crowd::{Audience, Crowd};

pub use socket::Socket;
pub use writer::{Order, Role, Writer};
