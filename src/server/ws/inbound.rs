//! Reads the messages of one socket, with tungstenite's protocol directly on tokio's stream.
//!
//! tungstenite only reads here; its automatic answers to pings and closes are discarded. The caller receives pings and closes, and
//! answers them through [`outbound`](super::outbound).

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use runtime::memory_budget::FREE_BYTES;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::frame_tracker::FrameTracker;
use crate::server::transport::byte_stream::ByteReader;

/// Size of the read buffer, which every connection holds and which is cleared before each read. An acknowledgement has about 300
/// bytes. tungstenite allocates more for a larger message while it arrives.
const READ_BUFFER: usize = 2 << 10;
/// [`Inbound::next`] returns after this many bytes even without a complete message, so that the caller can account for them: a
/// message may be large, or consist of endless empty frames.
const ACCOUNTING_STEP: u64 = FREE_BYTES;

/// The incoming side of a WebSocket.
pub struct Inbound {
    stream: ByteReader,
    protocol: WebSocketContext,
    role: Role,
    config: WebSocketConfig,
    frames: FrameTracker,
    /// Bytes read so far.
    read: u64,
    /// Value of `read` at the end of the last complete message.
    message_end: u64,
    /// Value of `read` at which `next` returns without a message.
    until: u64,
}

impl Inbound {
    /// Reads messages from `stream`, after the bytes `early` that were already read from it, in this role. `max` is the maximum size
    /// of a message and of a frame, since browsers send a message as one frame.
    #[must_use]
    pub fn new(stream: ByteReader, early: Vec<u8>, max: usize, role: Role) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(max))
            .max_frame_size(Some(max));
        let mut frames = FrameTracker::default();
        frames.advance(&early);
        let protocol = WebSocketContext::from_partially_read(early, role, Some(config));
        Self { stream, protocol, role, config, frames, read: 0, message_end: 0, until: ACCOUNTING_STEP }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Returns the next message, including pings and closes. Returns `None` after [`ACCOUNTING_STEP`] bytes without a complete
    /// message. Cancel safe.
    ///
    /// # Errors
    /// If the connection is lost, a frame is invalid, or a message is too large.
    pub async fn next(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let Self { stream, protocol, frames, read, message_end, until, .. } = self;
        let mut stream = PolledStream { stream, frames, read, message_end: *message_end, until: *until, cx };
        let result = match protocol.read(&mut stream) {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.read < self.until {
                    return Poll::Pending;
                }
                Ok(None)
            }
            result => {
                // A ping may arrive between the frames of a message.
                if matches!(result, Ok(Message::Binary(_) | Message::Text(_))) {
                    self.release_buffer();
                    self.message_end = self.read;
                }
                result.map(Some)
            }
        };
        self.until = self.read + ACCOUNTING_STEP;
        Poll::Ready(result)
    }

    /// Frees the buffer of a large message. tungstenite keeps the buffer of the largest frame for the lifetime of the context,
    /// outside of the memory budget. So a new context replaces it after a large message. No bytes are lost, since nothing is read
    /// beyond the end of a large message.
    fn release_buffer(&mut self) {
        if self.unfinished() > FREE_BYTES && self.frames.is_at_boundary() {
            self.protocol = WebSocketContext::from_partially_read(Vec::new(), self.role, Some(self.config));
        }
    }

    /// Bytes read since the end of the last complete message.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.read - self.message_end
    }

    /// The underlying stream, to discard the remaining input.
    pub fn into_stream(self) -> ByteReader {
        self.stream
    }
}

/// Adapts the asynchronous stream to the blocking traits that tungstenite uses: pending becomes `WouldBlock`.
struct PolledStream<'a, 'b> {
    stream: &'a mut ByteReader,
    frames: &'a mut FrameTracker,
    read: &'a mut u64,
    message_end: u64,
    until: u64,
    cx: &'a mut Context<'b>,
}

impl Read for PolledStream<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if *self.read >= self.until {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // Does not read beyond the end of a large message (see `Inbound::release_buffer`).
        let max = if *self.read - self.message_end > FREE_BYTES { self.frames.remaining() } else { u64::MAX };
        let max = usize::try_from(max).map_or(buffer.len(), |max| buffer.len().min(max));
        let mut buffer = ReadBuf::new(&mut buffer[..max]);
        match Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                self.frames.advance(buffer.filled());
                *self.read += buffer.filled().len() as u64;
                Ok(buffer.filled().len())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for PolledStream<'_, '_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
