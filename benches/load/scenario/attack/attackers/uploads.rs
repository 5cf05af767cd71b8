//! Messages and requests that never end.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use super::line::Line;
use super::{Gang, HOME};
use crate::Fallible;

/// Claimed length of a frame; number of bytes that are sent at once, and then every second.
const ANNOUNCED: u64 = 200 << 20;
const BROUGHT: usize = 60 << 20;
const DRIP: usize = 4 << 10;
const DRIPS: usize = 20;
const EVERY: Duration = Duration::from_secs(1);
/// Claimed length of a request body, and number of bytes that are sent.
const BODY: usize = 60_000;
const HALF: usize = 30_000;
/// How long the rest is delayed.
const PUT_OFF: Duration = Duration::from_secs(9);

/// Starts a message of the largest accepted size, and continues very slowly.
pub async fn announce(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let mut line = Line::open(&gang, &gang.viewer_sync).await?;
    let head = [&[0x82, 0xff][..], &ANNOUNCED.to_be_bytes(), &[0; 4]].concat();
    line.send(&head).await?;
    let zeros = vec![0; BROUGHT];
    line.send(&zeros).await?;
    for _ in 0..DRIPS {
        if line.is_over() {
            return Err("closed".into());
        }
        line.send(&zeros[..DRIP]).await?;
        sleep(EVERY).await;
    }
    Ok(())
}

/// Starts a request, and stops within its body.
pub async fn stop_halfway(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((HOME, 0).into())?;
    let mut stream = socket.connect(gang.server).await?;
    let head = format!(
        "POST /api/documents HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {BODY}\r\n\r\n",
        gang.server, gang.editor_token
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b' '; HALF]).await?;
    // A refusal is answered early.
    match timeout(PUT_OFF, stream.read_u8()).await {
        Ok(_) => Err("refused".into()),
        Err(_) => Ok(()),
    }
}
