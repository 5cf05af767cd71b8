//! The end of a WebSocket: writes the last frames, and reads on until the peer has received them.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use runtime::memory_budget::FREE_BYTES;
use runtime::metrics::Metrics;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::outbound::Outbound;
use super::upgrade::WebSocket;
use crate::server::transport::byte_stream::ByteWriter;

/// Pause between the last sync message and the close frame. A stock client that is still applying a sync message when its socket
/// begins to close throws an exception (automerge-repo 2.5.6, "Websocket not ready"), and can no longer change its copy of the
/// document.
pub const CLOSE_DELAY: Duration = Duration::from_millis(100);
/// Maximum bytes that are discarded while the server waits for the peer's close frame.
const MAX_DISCARD: u64 = 64 << 20;

/// Writes all queued frames, and counts the bytes. Cancel safe.
pub async fn flush(writer: &mut ByteWriter, out: &mut Outbound, metrics: &Metrics) -> io::Result<()> {
    poll_fn(|cx| {
        let before = out.written();
        let written = out.poll_write(cx, writer);
        metrics.bytes_sent.increment(out.written() - before);
        written
    })
    .await
}

/// Writes as much as the socket accepts without waiting, and drops the connection. For refusals without a close permit.
pub async fn close_immediately(WebSocket { mut writer, .. }: WebSocket, mut out: Outbound) {
    let _ = timeout(Duration::ZERO, poll_fn(|cx| out.poll_write(cx, &mut writer))).await;
}

/// Writes all queued frames, and gives the client time to process them before a close frame follows.
pub async fn flush_and_pause(WebSocket { writer, .. }: &mut WebSocket, out: &mut Outbound) -> io::Result<()> {
    poll_fn(|cx| out.poll_write(cx, writer)).await?;
    sleep(CLOSE_DELAY).await;
    Ok(())
}

/// Writes all queued frames, the last of which is a close frame. Then discards input until the peer closes: a socket that is
/// closed with unread input may lose its output. Each of the two steps takes at most `time_limit`.
pub async fn close(WebSocket { mut inbound, mut writer, .. }: WebSocket, mut out: Outbound, time_limit: Duration) {
    let _ = timeout(time_limit, poll_fn(|cx| out.poll_write(cx, &mut writer))).await;
    let discard = async {
        let until = inbound.read() + MAX_DISCARD;
        // A large message is not assembled just to find the close frame behind it.
        while inbound.unfinished() <= FREE_BYTES && inbound.read() < until {
            match inbound.next().await {
                Ok(Some(Message::Close(_))) => return,
                Ok(_) => {}
                // The input is not, or no longer, WebSocket frames.
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
    let _ = timeout(time_limit, discard).await;
}
