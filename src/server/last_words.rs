//! The end of a WebSocket: what is written last, and what is still read so that the other side gets it.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use runtime::memory_budget::FREE_BYTES;
use runtime::metrics::Metrics;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::outbound::Outbound;
use super::stream::Writer;
use super::upgrade::Socket;

/// Between the moment at which a client has heard the last sync message, and the close of its socket by the server. A stock
/// client that is still taking a sync message in when its socket begins to close throws in the middle of it
/// (automerge-repo 2.5.6, "Websocket not ready"), and its copy of the document cannot be changed from then on.
pub const BREATH: Duration = Duration::from_millis(100);
/// What is discarded after last words, at the most.
const MAX_DISCARD: u64 = 64 << 20;

/// Writes all of it. May be given up at any point and be called again.
pub async fn write(writer: &mut Writer, out: &mut Outbound, metrics: &Metrics) -> io::Result<()> {
    poll_fn(|cx| {
        let before = out.written();
        let written = out.poll_write(cx, writer);
        metrics.bytes_sent.increment(out.written() - before);
        written
    })
    .await
}

/// Writes what a socket takes at once, and lets go of it. For when there are too many to be told.
pub async fn say_briefly(Socket { mut writer, .. }: Socket, mut out: Outbound) {
    let _ = timeout(Duration::ZERO, poll_fn(|cx| out.poll_write(cx, &mut writer))).await;
}

/// Writes what waits, and gives a stock client the time to take it in before a close frame follows.
pub async fn write_and_pause(Socket { writer, .. }: &mut Socket, out: &mut Outbound) -> io::Result<()> {
    poll_fn(|cx| out.poll_write(cx, writer)).await?;
    sleep(BREATH).await;
    Ok(())
}

/// Writes what waits, a close frame last, and then discards what still comes in until the other side has heard it; or for
/// a moment.
pub async fn say_goodbye(Socket { mut inbound, mut writer }: Socket, mut out: Outbound, patience: Duration) {
    let _ = timeout(patience, poll_fn(|cx| out.poll_write(cx, &mut writer))).await;
    let discard = async {
        let until = inbound.read() + MAX_DISCARD;
        // What is large is not put together only to find the close frame behind it.
        while inbound.unfinished() <= FREE_BYTES && inbound.read() < until {
            match inbound.next().await {
                Ok(Some(Message::Close(_))) => return,
                Ok(_) => {}
                // It was no WebSocket, or is none any more.
                Err(_) => break,
            }
        }
        let mut discarded = inbound.read();
        let mut io = inbound.into_stream();
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = io.read(&mut buffer).await {
            discarded += count as u64;
            if discarded > until {
                break;
            }
        }
    };
    let _ = timeout(patience, discard).await;
}
