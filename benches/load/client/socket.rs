//! A WebSocket client as small as it can be: a thousand of these must cost less than the server that they measure.
//!
//! Frames are masked with the key 0, which is allowed and leaves the bytes as they are. Pings are answered.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};

/// Read at a time, unless a longer frame is on its way.
const READ: usize = 4 << 10;
/// What one read of a long frame takes at most.
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
    /// What came in.
    pub inbox: Inbox,
    /// What is to go out.
    pub outbox: Outbox,
}

impl Socket {
    /// Connects from one of this machine's loopback addresses: one address has too few ports for all clients of a run.
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

    /// Waits until something can be read or written, and does it.
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

    /// Answers pings, and leaves all else unread, until the other side closes. An error: it has ended in another way.
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

    /// Reads what is there, without waiting. False: nothing is.
    pub fn read_now(&mut self) -> io::Result<bool> {
        match self.inbox.read(&self.stream) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes what the operating system takes, without waiting.
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

/// Bytes that came in and are not read yet.
#[derive(Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// What was taken already.
    taken: usize,
    /// How long the frame is that is on its way, when that is known.
    expected: usize,
    /// The last message that came in several frames, or what has come of it.
    message: Vec<u8>,
    /// The other side has said that this is the end.
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

    /// The next text or binary message that is here whole.
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

    /// Opcode, whether it ends its message, length of the head, length of the payload.
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

    /// The head of the answer to the handshake, once it is here whole.
    fn http_head(&mut self) -> Option<String> {
        let end = self.bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        self.taken = end;
        Some(String::from_utf8_lossy(&self.bytes[..end]).into_owned())
    }
}

/// Bytes that are to go out.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
}

impl Outbox {
    /// Queues one binary frame; its payload is given in parts.
    pub fn binary(&mut self, parts: &[&[u8]]) {
        self.frame(BINARY, parts);
    }

    /// Queues one text frame.
    pub fn text(&mut self, text: &str) {
        self.frame(TEXT, &[text.as_bytes()]);
    }

    /// What is queued, for who writes it by other means.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether all is written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes wait.
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
        // The key of the mask.
        self.bytes.extend([0; 4]);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }
}
