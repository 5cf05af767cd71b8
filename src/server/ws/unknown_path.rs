//! Sockets at paths that have none. A stock automerge-repo client on Node.js crashes if the upgrade fails, so the socket is
//! accepted, gets an error message in the client's own protocol, and is closed.

use runtime::metrics::RefusalReason;
use tokio_tungstenite::tungstenite::Message;

use super::client_info::ClientInfo;
use super::close_codes;
use super::first_message::{FirstMessage, first_message};
use super::protocol_kind::ProtocolKind;
use super::refuse::refuse_with;
use super::upgrade::WebSocket;
use crate::server::App;

/// Fits into a close frame.
const REASON: &str = "There is no WebSocket at this path. Connect to /sync, /sync/{documentId} or /ws/dashboard/.";

/// Refuses the socket. The client's first message shows its protocol; a silent client gets only the close frame.
pub async fn refuse_unknown_path(app: &App, mut socket: WebSocket, client: &ClientInfo) {
    app.hub.metrics().record_refusal(RefusalReason::UnknownPath);
    let close_permit = app.connection_limiter.try_close_permit();
    let mut protocol = ProtocolKind::Unknown;
    if close_permit.is_some() {
        protocol = match first_message(&mut socket).await {
            FirstMessage::Received(Message::Binary(bytes)) if repo_protocol::decode(&bytes).is_ok() => {
                ProtocolKind::Repo
            }
            FirstMessage::Received(Message::Text(_)) => ProtocolKind::Text,
            FirstMessage::Received(_) | FirstMessage::TimedOut => ProtocolKind::Unknown,
            FirstMessage::Disconnected => return,
        };
    }
    refuse_with(app, socket, &protocol, close_codes::NOT_FOUND, REASON, close_permit.is_some(), client).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_fits_into_a_close_frame() {
        assert!(REASON.len() <= 123);
    }
}
