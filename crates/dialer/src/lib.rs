//! Dials servers over WebSocket: address, token, TLS, handshake, and the delay before the next attempt.
//!
//! The offline replica and the peerings of a server use it. It knows no messages.
//!
//! | module | holds |
//! |---|---|
//! | [`endpoint`] | a server as the program names it: [`Endpoint`], and [`Server`] once it is validated |
//! | `url`, `token` | its address, and the bearer token for it |
//! | `tls`, `handshake` | verification of its certificate, and the WebSocket handshake |
//! | `problem`, `retry` | why a connection ended, and when to dial again |

pub mod endpoint;
mod handshake;
mod problem;
mod retry;
mod tls;
mod token;
mod url;

use std::time::Duration;

pub use endpoint::{BadCertificate, Endpoint, Server};
pub use handshake::upgrade;
pub use problem::Problem;
pub use retry::{RetryClass, RetryDelay};
pub use tls::{MaybeTls, TrustStore, encrypt};
pub use token::{BadToken, Token};
use tokio::net::TcpStream;
pub use url::{BadUrl, ServerUrl};

/// Time limit for connecting and all handshakes.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// Opens a TCP connection to the server.
///
/// # Errors
/// If the name cannot be resolved or no address of it can be reached.
pub async fn connect(url: &ServerUrl) -> Result<TcpStream, Problem> {
    let socket = TcpStream::connect((url.host.as_str(), url.port)).await;
    let socket = socket.map_err(|error| Problem::Unreachable(error.to_string()))?;
    // Every write is a whole message, so Nagle's algorithm would only delay it.
    let _ = socket.set_nodelay(true);
    Ok(socket)
}
