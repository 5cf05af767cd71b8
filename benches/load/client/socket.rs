//! A minimal WebSocket client: a thousand of them must cost less than the measured server.
//!
//! Frames are masked with the key 0, which is allowed and leaves the bytes unchanged. Pings are answered.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};

/// Size of a read, unless a longer frame is expected.
const READ: usize = 4 << 10;
/// Largest read of a long frame.
const LONG_READ: usize = 1 << 20;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A connected WebSocket.
pub struct Socket {
    stream: TcpStream,
    /// Received bytes.
    pub inbox: Inbox,
    /// Bytes to send.
    pub outbox: Outbox,
}

impl Socket {
    /// Connects from one of this machine's loopback addresses, as one address has too few ports for all clients of a
    /// run.
    pub async fn connect(from: Ipv4Addr, server: SocketAddr, path: &str) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        let mut socket = Self { stream, inbox: Inbox::default(), outbox: Outbox::default() };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
        );
        socket.outbox.bytes.extend_from_slice(request.as_bytes());
        loop {
            socket.turn().await?;
            if let Some(head) = socket.inbox.http_head() {
                return if head.starts_with("HTTP/1.1 101") { Ok(socket) } else { Err(io::Error::other(head)) };
            }
        }
    }

    /// Waits until the socket is readable or writable, and reads or writes.
    pub async fn turn(&mut self) -> io::Result<()> {
        let interest =
            if self.outbox.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        let ready = self.stream.ready(interest).await?;
        if ready.is_writable() {
            self.write_now()?;
        }
        if ready.is_readable() {
            self.read_now()?;
        }
        Ok(())
    }

    /// Answers pings and discards everything else until the server closes the socket. An error if the connection ends
    /// in another way.
    pub async fn until_closed(&mut self) -> io::Result<()> {
        while !self.inbox.closed {
            match self.inbox.next(&mut self.outbox).map(|frame| frame.is_some()) {
                Ok(true) => {}
                Ok(false) => self.turn().await?,
                Err(error) if !self.inbox.closed => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Reads available bytes without waiting. `false` if there are none.
    pub fn read_now(&mut self) -> io::Result<bool> {
        match self.inbox.read(&self.stream) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes as much as the operating system accepts, without waiting.
    pub fn write_now(&mut self) -> io::Result<()> {
        let Outbox { bytes } = &mut self.outbox;
        let mut written = 0;
        let result = loop {
            if written == bytes.len() {
                break Ok(());
            }
            match self.stream.try_write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        bytes.drain(..written);
        result
    }
}

/// Received bytes that are not parsed yet.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Number of bytes that were parsed.
    taken: usize,
    /// Length of the current frame, if known.
    expected: usize,
    /// The message that is received in several frames, or its complete payload.
    message: Vec<u8>,
    /// Whether a close frame was received.
    closed: bool,
}

impl Inbox {
    fn read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.is_empty() {
            self.bytes.shrink_to(2 * READ);
        }
        let missing = self.expected.saturating_sub(self.bytes.len());
        self.bytes.reserve(missing.clamp(READ, LONG_READ));
        stream.try_read_buf(&mut self.bytes)
    }

    /// The next complete text or binary message.
    pub fn next(&mut self, outbox: &mut Outbox) -> io::Result<Option<&[u8]>> {
        loop {
            let Some((opcode, is_final, head, length)) = self.frame()? else { return Ok(None) };
            let start = self.taken + head;
            let end = start + length;
            if self.bytes.len() < end {
                self.expected = head + length;
                return Ok(None);
            }
            self.taken = end;
            self.expected = 0;
            match opcode {
                TEXT | BINARY if is_final => return Ok(Some(&self.bytes[start..end])),
                TEXT | BINARY | CONTINUATION => {
                    if opcode != CONTINUATION {
                        self.message.clear();
                    }
                    self.message.extend_from_slice(&self.bytes[start..end]);
                    if is_final {
                        return Ok(Some(&self.message));
                    }
                }
                PING => outbox.frame(PONG, &[&self.bytes[start..end]]),
                PONG => {}
                CLOSE => {
                    self.closed = true;
                    let reason = String::from_utf8_lossy(&self.bytes[(start + 2).min(end)..end]);
                    return Err(io::Error::other(format!("the server closed the socket: {reason}")));
                }
                _ => return Err(io::Error::other("an unknown kind of frame")),
            }
        }
    }

    /// Opcode, whether the frame ends its message, length of the header, length of the payload.
    fn frame(&self) -> io::Result<Option<(u8, bool, usize, usize)>> {
        let bytes = &self.bytes[self.taken..];
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if second & MASKED != 0 {
            return Err(io::Error::other("a masked frame"));
        }
        let (head, length) = match (second, rest) {
            (126, [a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                (10, usize::try_from(length).map_err(io::Error::other)?)
            }
            (126 | 127, _) => return Ok(None),
            (length, _) => (2, usize::from(*length)),
        };
        Ok(Some((first & 0x0f, first & FIN != 0, head, length)))
    }

    /// The head of the response to the handshake, once complete.
    fn http_head(&mut self) -> Option<String> {
        let end = self.bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        self.taken = end;
        Some(String::from_utf8_lossy(&self.bytes[..end]).into_owned())
    }
}

/// Bytes to send.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
}

impl Outbox {
    /// Queues one binary frame, with its payload in parts.
    pub fn binary(&mut self, parts: &[&[u8]]) {
        self.frame(BINARY, parts);
    }

    /// Queues one text frame.
    pub fn text(&mut self, text: &str) {
        self.frame(TEXT, &[text.as_bytes()]);
    }

    /// The queued bytes, for callers that write them in another way.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Number of queued bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    fn frame(&mut self, opcode: u8, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.bytes.push(FIN | opcode);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..126), _) => self.bytes.push(MASKED | short),
            (_, Ok(medium)) => {
                self.bytes.push(MASKED | 126);
                self.bytes.extend(medium.to_be_bytes());
            }
            _ => {
                self.bytes.push(MASKED | 127);
                self.bytes.extend((length as u64).to_be_bytes());
            }
        }
        // The masking key.
        self.bytes.extend([0; 4]);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }
}
