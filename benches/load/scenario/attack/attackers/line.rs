//! A connection that does what no client does: it does not read, sends prepared frames, and stops anywhere.

use std::time::Duration;

use bytes::Bytes;
use primitives::DocumentId;
use repo_protocol::{Message, PeerId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Gang, HOME};
use crate::Fallible;
use crate::client::Outbox;
use crate::client::envelope::{join, request};

/// Receive buffer of a connection that does not read.
const SMALL_BUFFER: u32 = 4 << 10;
/// Longest duration of sending a message, unless nothing is accepted.
const SENDING: Duration = Duration::from_secs(20);

/// A WebSocket.
pub struct Line {
    writer: OwnedWriteHalf,
    reading: Reading,
}

enum Reading {
    /// Incoming data is discarded.
    On(JoinHandle<()>),
    Off(#[expect(dead_code, reason = "kept open")] OwnedReadHalf),
}

impl Line {
    /// Connects, and keeps reading.
    pub async fn open(gang: &Gang, path: &str) -> Fallible<Self> {
        let (mut reader, writer) = upgraded(gang, path, None).await?.into_split();
        let reading = tokio::task::spawn_local(async move {
            let mut buffer = vec![0; 64 << 10];
            while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        });
        Ok(Self { writer, reading: Reading::On(reading) })
    }

    /// Connects, and never reads.
    pub async fn open_deaf(gang: &Gang, path: &str) -> Fallible<Self> {
        let (reader, writer) = upgraded(gang, path, Some(SMALL_BUFFER)).await?.into_split();
        Ok(Self { writer, reading: Reading::Off(reader) })
    }

    /// Connects, and joins with this peer id.
    pub async fn join(gang: &Gang, path: &str, name: &str) -> Fallible<Self> {
        let mut line = Self::open(gang, path).await?;
        line.send(&binary(&join(name)?)).await?;
        Ok(line)
    }

    /// Sends raw bytes: frames, or parts of one.
    pub async fn send(&mut self, bytes: &[u8]) -> Fallible<()> {
        timeout(SENDING, self.writer.write_all(bytes)).await??;
        Ok(())
    }

    /// Sends zeros.
    pub async fn send_zeros(&mut self, count: usize) -> Fallible<()> {
        static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
        for start in (0..count).step_by(ZEROS.len()) {
            self.send(&ZEROS[..ZEROS.len().min(count - start)]).await?;
        }
        Ok(())
    }

    /// Waits until the server closes the connection, at most for this duration.
    pub async fn stay(&mut self, limit: Duration) {
        match &mut self.reading {
            Reading::On(reading) => drop(timeout(limit, reading).await),
            Reading::Off(_) => tokio::time::sleep(limit).await,
        }
    }

    /// Whether the server has closed the connection. Unknown to a connection that does not read.
    pub fn is_over(&self) -> bool {
        matches!(&self.reading, Reading::On(reading) if reading.is_finished())
    }
}

/// Upgrades a connection to a WebSocket, without reading further.
async fn upgraded(gang: &Gang, path: &str, buffer: Option<u32>) -> Fallible<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind((HOME, 0).into())?;
    let mut stream = socket.connect(gang.server).await?;
    stream.set_nodelay(true)?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n",
        gang.server
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    if answer.starts_with(b"HTTP/1.1 101") { Ok(stream) } else { Err("refused".into()) }
}

/// A frame.
pub fn binary(payload: &[u8]) -> Vec<u8> {
    let mut outbox = Outbox::default();
    outbox.binary(&[payload]);
    outbox.bytes().to_vec()
}

/// A text frame.
pub fn text(payload: &str) -> Vec<u8> {
    let mut outbox = Outbox::default();
    outbox.text(payload);
    outbox.bytes().to_vec()
}

/// A frame with a sync message. A connection that does not read cannot know the server's peer id.
pub fn sync(name: &str, document: &DocumentId, data: &[u8]) -> Fallible<Vec<u8>> {
    let (sender, target) = (PeerId::new(name)?, PeerId::new("server")?);
    let data = Bytes::copy_from_slice(data);
    Ok(binary(&Message::Sync { sender, target, document: document.clone(), data }.encode()))
}

/// A frame that requests a document.
pub fn ask(name: &str, document: &DocumentId, data: &[u8]) -> Fallible<Vec<u8>> {
    Ok(binary(&request(name, &PeerId::new("server")?, document, data)?))
}

/// The start of a frame of this type with an additional key. Its value is this number of zero bytes, which
/// [`Line::send_zeros`] sends.
pub fn with_unknown_key(
    kind: &str,
    name: &str,
    document: &DocumentId,
    data: &[u8],
    unknown: usize,
) -> Fallible<Vec<u8>> {
    let ephemeral = kind == "ephemeral";
    let mut encoder = minicbor::Encoder::new(Vec::new());
    encoder.map(if ephemeral { 8 } else { 6 })?.str("type")?.str(kind)?;
    for (key, value) in [("targetId", "server"), ("documentId", document.as_str()), ("senderId", name)] {
        encoder.str(key)?.str(value)?;
    }
    encoder.str("data")?.bytes(data)?;
    if ephemeral {
        encoder.str("count")?.u64(u64::from(rand::random::<u32>()))?;
        encoder.str("sessionId")?.str(name)?;
    }
    // The header of a byte string with a length of four bytes.
    encoder.str("padding")?;
    let mut payload = encoder.into_writer();
    payload.push(0x5a);
    payload.extend(u32::try_from(unknown)?.to_be_bytes());
    // A final binary frame with a length of eight bytes. The mask of zeros leaves the bytes unchanged.
    let length = (payload.len() + unknown) as u64;
    Ok([&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4], &payload].concat())
}
