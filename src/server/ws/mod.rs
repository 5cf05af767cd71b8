//! WebSockets: from the upgrade of a request to the close handshake.
//!
//! [`routes`] upgrades a request, [`serve`] selects a [`protocol`], and [`connection`] runs it: one task per socket.
//!
//! | module | purpose |
//! |---|---|
//! | [`routes`], [`upgrade`] | WebSocket paths, and the handshake of RFC 6455 |
//! | [`first_message`], [`unknown_path`] | sockets whose protocol or path is not known |
//! | [`refuse`] | closes a socket with a reason before a protocol runs on it |
//! | [`serve`], [`connection`] | runs a protocol on a socket |
//! | [`sync`] | the sync protocols: automerge-repo, and plain Automerge sync |
//! | [`inbound`], [`outbound`], [`frame_tracker`] | messages read, and frames queued for writing |
//! | [`liveness`], [`timeouts`], [`closing`] | heartbeat, deadlines, close handshake |
//! | [`read_budget`], [`rate_limit`], [`ephemeral_rate`] | limits of incoming data |

pub mod client_info;
pub mod close_codes;
pub mod closing;
pub mod connection;
pub mod ephemeral_rate;
pub mod first_message;
mod frame_tracker;
pub mod inbound;
mod liveness;
pub mod outbound;
pub mod protocol;
pub mod protocol_kind;
pub mod rate_limit;
mod read_budget;
pub mod refuse;
pub mod routes;
pub mod serve;
pub mod server_identity;
pub mod sync;
pub mod timeouts;
pub mod unknown_path;
pub mod upgrade;
