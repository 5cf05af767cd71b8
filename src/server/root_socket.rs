//! `GET /` as a WebSocket: both worlds' habit. The first frame decides: binary is automerge-repo, text is legacy; whoever
//! is silent is a legacy client that only listens, as the old live URL promised.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::App;
use super::upgrade::Stream;
use super::websockets::{run_legacy, run_repo};

/// How long a client may take to say what it is.
const SILENCE: Duration = Duration::from_secs(1);

/// Waits for the first frame, and hands the connection on.
pub async fn run(app: Arc<App>, mut stream: Stream) {
    let first = async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => return other,
            }
        }
    };
    match timeout(SILENCE, first).await {
        Err(_) => run_legacy(app, stream, None).await,
        Ok(Some(Ok(message @ Message::Binary(_)))) => run_repo(app, stream, Some(message)).await,
        Ok(Some(Ok(message @ Message::Text(_)))) => run_legacy(app, stream, Some(message)).await,
        Ok(_) => {}
    }
}
