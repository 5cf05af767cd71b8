//! Clients: writers with a real document, viewers without one, and their sockets.

pub mod answers;
mod crowd;
mod desk;
pub mod envelope;
mod follower;
mod http;
pub mod ledger;
pub mod newcomer;
pub mod returning;
pub mod script;
mod socket;
mod viewer;
mod writer;
pub mod yjs;

pub use crowd::{Audience, Crowd, IN_ORDER, Sleepers, source};
pub use follower::Followers;
pub use http::Http;
pub use socket::{Outbox, Socket};
pub use viewer::{Hello, Language, Viewer};
pub use writer::{Order, Role, Writer};
