//! A WebSocket at a path that has none. A stock Node client dies of an HTTP refusal of the upgrade; so the socket is accepted,
//! told the right paths in the client's own protocol, and closed.

use runtime::metrics::RefusalReason;
use tokio_tungstenite::tungstenite::Message;

use super::dismiss::dismiss;
use super::origin::SocketOrigin;
use super::root_socket::{First, first_message};
use super::spoken::Spoken;
use super::upgrade::Socket;
use super::{App, close_codes};

/// Short enough for a close frame.
const REASON: &str = "There is no WebSocket at this path. Connect to /sync, /sync/{documentId} or /ws/dashboard/.";

/// Refuses the socket. The client's first message shows which protocol it speaks; a silent one gets the close frame alone.
pub async fn run(app: &App, mut socket: Socket, origin: &SocketOrigin) {
    app.hub.metrics().record_refusal(RefusalReason::UnknownPath);
    let goodbye = app.guests.goodbye();
    let mut spoken = Spoken::Unknown;
    if goodbye.is_some() {
        spoken = match first_message(&mut socket).await {
            First::Message(Message::Binary(bytes)) if repo_protocol::decode(&bytes).is_ok() => Spoken::Repo,
            First::Message(Message::Text(_)) => Spoken::Text,
            First::Message(_) | First::Silence => Spoken::Unknown,
            First::Gone => return,
        };
    }
    dismiss(app, socket, &spoken, close_codes::NOT_FOUND, REASON, goodbye.is_some(), origin).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_fits_into_a_close_frame() {
        assert!(REASON.len() <= 123);
    }
}
