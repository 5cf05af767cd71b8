//! Where a WebSocket comes from, for the log.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;

use super::App;
use super::guests::Guest;

/// Characters of a path that are logged.
const MAX_PATH: usize = 200;

/// The client's address, if it is known, and the path that it asked for. Never the query, which may hold a token.
#[derive(Debug, Clone)]
pub struct SocketOrigin {
    address: Option<IpAddr>,
    path: String,
}

impl SocketOrigin {
    /// The client's address, if it is known.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Of the socket that this request asks for.
    #[must_use]
    pub fn of(app: &App, request: &Request) -> Self {
        let guest = request.extensions().get::<Arc<Guest>>();
        Self {
            address: guest.map(|guest| app.guests.origin(guest.peer, request.headers())),
            path: request.uri().path().chars().take(MAX_PATH).collect(),
        }
    }

    /// Notes in the log that the socket was refused, or closed by the server for a fault.
    pub fn log_refusal(&self, code: u16, reason: &str) {
        tracing::info!(address = self.address.map(display), path = self.path, code, reason, "a WebSocket was refused");
    }
}
