//! Sockets at `/`: the first message decides the protocol. Binary is automerge-repo, text the legacy protocol. A client that
//! sends nothing is a legacy client that only listens.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::client_info::ClientInfo;
use super::outbound::Outbound;
use super::serve::{serve_repo, serve_text};
use super::upgrade::WebSocket;
use crate::server::App;
use crate::server::security::authentication::Authentication;

/// Time limit for the first message.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The first message of a socket.
pub enum FirstMessage {
    /// A text, binary or close message.
    Received(Message),
    /// No message arrived in time.
    TimedOut,
    /// The connection is closed.
    Disconnected,
}

/// Waits for the first message of a socket, and answers pings meanwhile.
pub async fn first_message(socket: &mut WebSocket) -> FirstMessage {
    let first = async {
        let mut out = Outbound::default();
        loop {
            match socket.inbound.next().await {
                Ok(Some(Message::Ping(content))) => {
                    out.pong(&content);
                    // An error is reported by the next read.
                    let _ = poll_fn(|cx| out.poll_write(cx, &mut socket.writer)).await;
                }
                Ok(Some(Message::Pong(_)) | None) => {}
                Ok(Some(message)) => return FirstMessage::Received(message),
                Err(_) => return FirstMessage::Disconnected,
            }
        }
    };
    timeout(FIRST_MESSAGE_TIMEOUT, first).await.unwrap_or(FirstMessage::TimedOut)
}

/// Waits for the first message, and serves the protocol that it belongs to.
pub async fn serve_by_first_message(
    app: Arc<App>,
    mut socket: WebSocket,
    authentication: &Authentication,
    client: Arc<ClientInfo>,
) {
    match first_message(&mut socket).await {
        FirstMessage::TimedOut => serve_text(app, socket, authentication.clone(), None, client).await,
        FirstMessage::Received(message @ Message::Binary(_)) => {
            serve_repo(app, socket, authentication, Some(message), client).await;
        }
        FirstMessage::Received(message @ Message::Text(_)) => {
            serve_text(app, socket, authentication.clone(), Some(message), client).await;
        }
        FirstMessage::Received(_) | FirstMessage::Disconnected => {}
    }
}
