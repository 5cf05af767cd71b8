//! Messages that come in on one socket: tungstenite's protocol over tokio's stream, without anything between them.
//!
//! tungstenite only reads here. What it would write by itself (answers to pings and closes) is dropped: whoever reads
//! sees the pings and closes, and answers them ([`super::outbound`]).

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use runtime::memory_budget::FREE_BYTES;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::frames::Frames;
use super::stream::Reader;

/// What one system call reads: an acknowledgement is some 300 bytes. It is cleared before each, and every connection holds
/// it; a larger message gets a buffer of its own size while it comes in.
const READ_BUFFER: usize = 2 << 10;
/// Bytes that are read between two looks at how much it was: a message may be large, or consist of endless empty frames.
const ACCOUNTED: u64 = FREE_BYTES;

/// The side of a connection that is read.
pub struct Inbound {
    stream: Reader,
    protocol: WebSocketContext,
    config: WebSocketConfig,
    frames: Frames,
    read: u64,
    /// How much it was when the last message was whole.
    whole: u64,
    /// How far may be read before that is accounted for.
    until: u64,
}

impl Inbound {
    /// Messages from this stream, of which `early` was read already. `max` bounds a message and a frame alike, since
    /// browsers send a message as one frame.
    #[must_use]
    pub fn new(stream: Reader, early: Vec<u8>, max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(max))
            .max_frame_size(Some(max));
        let mut frames = Frames::default();
        frames.pass(&early);
        let protocol = WebSocketContext::from_partially_read(early, Role::Server, Some(config));
        Self { stream, protocol, config, frames, read: 0, whole: 0, until: ACCOUNTED }
    }

    /// Bytes that have come in so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The next message, a ping or a close included; None: much has come in, and no message is whole yet. May be given up
    /// at any point and be called again.
    ///
    /// # Errors
    /// When the connection is gone, or what came is not WebSocket, or too large.
    pub async fn next(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let Self { stream, protocol, frames, read, whole, until, .. } = self;
        let mut stream = Polled { stream, frames, read, whole: *whole, until: *until, cx };
        let result = match protocol.read(&mut stream) {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.read < self.until {
                    return Poll::Pending;
                }
                Ok(None)
            }
            result => {
                // A ping may come between the frames of a message.
                if matches!(result, Ok(Message::Binary(_) | Message::Text(_))) {
                    self.let_go();
                    self.whole = self.read;
                }
                result.map(Some)
            }
        };
        self.until = self.read + ACCOUNTED;
        Poll::Ready(result)
    }

    /// tungstenite keeps the buffer of the largest frame that it has read as long as the connection lasts. A thousand
    /// connections that sent something large once would hold all of that, and nobody would account for it; so another one
    /// takes over after a large message, of which nothing was read beyond its end.
    fn let_go(&mut self) {
        if self.unfinished() > FREE_BYTES && self.frames.is_between() {
            self.protocol = WebSocketContext::from_partially_read(Vec::new(), Role::Server, Some(self.config));
        }
    }

    /// Bytes that have come in since the last message was whole.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.read - self.whole
    }

    /// The stream under it, once messages do not matter any more.
    pub fn into_stream(self) -> Reader {
        self.stream
    }
}

/// The stream as tungstenite knows streams: "would block" where a task waits to be woken.
struct Polled<'a, 'b> {
    stream: &'a mut Reader,
    frames: &'a mut Frames,
    read: &'a mut u64,
    whole: u64,
    until: u64,
    cx: &'a mut Context<'b>,
}

impl Read for Polled<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if *self.read >= self.until {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // Of a large message nothing is read beyond its end (see `Inbound::let_go`).
        let most = if *self.read - self.whole > FREE_BYTES { self.frames.left() } else { u64::MAX };
        let most = usize::try_from(most).map_or(buffer.len(), |most| buffer.len().min(most));
        let mut buffer = ReadBuf::new(&mut buffer[..most]);
        match Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                self.frames.pass(buffer.filled());
                *self.read += buffer.filled().len() as u64;
                Ok(buffer.filled().len())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Polled<'_, '_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
