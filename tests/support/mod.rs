//! The helpers of all integration tests.
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | [`TestServer`]: a real server in this process, on a free port and in a folder of its own |
//! | [`ports`] | ports that stay free between two starts |
//! | [`process`] | the program as a child process |
//! | [`http`] | HTTP requests to a server |
//! | [`feed`] | a client of the change feed |
//! | [`socket`] | [`Socket`]: a WebSocket client, frame by frame |
//! | [`plain_peer`] | [`PlainPeer`]: the Automerge library over `/sync/{id}` |
//! | [`repo_peer`] | a peer that speaks automerge-repo's protocol frame by frame |
//! | [`replica`] | the offline replica of the `client` crate |
//! | [`users`] | a folder with keys and accounts, and tokens signed with them |
//! | [`promises`] | acknowledged changes, to compare with the server's files |

#![allow(dead_code, unused_imports, clippy::unwrap_used, reason = "each test binary uses a part of this")]

pub mod feed;
pub mod http;
pub mod plain_peer;
pub mod ports;
pub mod process;
pub mod promises;
pub mod replica;
pub mod repo_peer;
pub mod server;
pub mod socket;
pub mod users;

use std::time::Duration;

pub use feed::{FeedStream, SentEvent};
pub use http::{Answer, encrypted, http_over, http_to, post_to};
pub use plain_peer::PlainPeer;
pub use server::{TestServer, options};
pub use socket::{Socket, add, connect_to, socket_to, wrapped};

/// Longest time that a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);
