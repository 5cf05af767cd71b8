//! `GET /` as a WebSocket. The first frame decides: binary is automerge-repo, text is the legacy protocol. A silent client is a
//! legacy one that only listens.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::App;
use super::authentication::Authentication;
use super::connect::{run_repo, run_text};
use super::origin::SocketOrigin;
use super::outbound::Outbound;
use super::upgrade::Socket;

/// How long a client may take to say what it is.
const SILENCE: Duration = Duration::from_secs(1);

/// How a socket begins.
pub enum First {
    /// With this message: text, binary or a close.
    Message(Message),
    /// With nothing for a second.
    Silence,
    /// The connection is gone.
    Gone,
}

/// Waits for the first message of a socket, at most a second. Pings are answered.
pub async fn first_message(socket: &mut Socket) -> First {
    let first = async {
        let mut out = Outbound::default();
        loop {
            match socket.inbound.next().await {
                Ok(Some(Message::Ping(content))) => {
                    out.pong(&content);
                    // Who is gone is noticed by the next look for a message.
                    let _ = poll_fn(|cx| out.poll_write(cx, &mut socket.writer)).await;
                }
                Ok(Some(Message::Pong(_)) | None) => {}
                Ok(Some(message)) => return First::Message(message),
                Err(_) => return First::Gone,
            }
        }
    };
    timeout(SILENCE, first).await.unwrap_or(First::Silence)
}

/// Waits for the first frame, and hands the connection on.
pub async fn run(app: Arc<App>, mut socket: Socket, authentication: &Authentication, origin: Arc<SocketOrigin>) {
    match first_message(&mut socket).await {
        First::Silence => run_text(app, socket, authentication.clone(), None, origin).await,
        First::Message(message @ Message::Binary(_)) => {
            run_repo(app, socket, authentication, Some(message), origin).await;
        }
        First::Message(message @ Message::Text(_)) => {
            run_text(app, socket, authentication.clone(), Some(message), origin).await;
        }
        First::Message(_) | First::Gone => {}
    }
}
