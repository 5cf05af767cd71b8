//! The client of a WebSocket, for the log.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use primitives::DocumentId;
use tracing::field::display;

use crate::server::App;
use crate::server::transport::client_connection::ClientConnection;

/// Maximum number of characters of a path that are logged.
const MAX_PATH: usize = 200;

/// The client's address, if known, and the requested path without its query, which may hold a token.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    address: Option<IpAddr>,
    path: String,
}

impl ClientInfo {
    /// The client that sent this request.
    #[must_use]
    pub fn of(app: &App, request: &Request) -> Self {
        let client = request.extensions().get::<Arc<ClientConnection>>();
        Self {
            address: client.map(|client| app.connection_limiter.client_address(client.peer, request.headers())),
            path: request.uri().path().chars().take(MAX_PATH).collect(),
        }
    }

    /// The server that was dialled as this peer.
    #[must_use]
    pub fn dialled(peer: &str) -> Self {
        Self { address: None, path: peer.to_owned() }
    }

    /// Logs that the server refused the WebSocket, or closed it because of an error of the client. `user`: the authenticated user.
    /// `document`: the only document of the connection.
    pub fn log_refusal(&self, code: u16, reason: &str, user: Option<&str>, document: Option<&DocumentId>) {
        let (address, document) = (self.address.map(display), document.map(display));
        tracing::info!(address, path = self.path, user, document, code, reason, "a WebSocket was refused");
    }
}
