//! `GET /` as a WebSocket: both worlds' habit. The first frame decides: binary is automerge-repo, text is legacy; whoever
//! is silent is a legacy client that only listens, as the old live URL promised.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::App;
use super::authentication::Identified;
use super::outbound::Outbound;
use super::upgrade::Socket;
use super::websockets::{run_legacy, run_repo};

/// How long a client may take to say what it is.
const SILENCE: Duration = Duration::from_secs(1);

/// Waits for the first frame, and hands the connection on.
pub async fn run(app: Arc<App>, mut socket: Socket, identified: &Identified) {
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
                Ok(Some(message)) => return Some(message),
                Err(_) => return None,
            }
        }
    };
    match timeout(SILENCE, first).await {
        Err(_) => run_legacy(app, socket, identified, None).await,
        Ok(Some(message @ Message::Binary(_))) => run_repo(app, socket, identified, Some(message)).await,
        Ok(Some(message @ Message::Text(_))) => run_legacy(app, socket, identified, Some(message)).await,
        Ok(_) => {}
    }
}
