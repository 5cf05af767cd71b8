//! The write queue of one socket, as WebSocket frames.
//!
//! Large payloads, such as the snapshot of a document, are shared by all sockets and written without copying. Small frames are
//! collected in one buffer and written with one system call. Buffers are freed after writing: an idle socket holds at most
//! [`KEPT`] bytes.
//!
//! Long messages are fragmented, with a ping after every [`FRAGMENT`] bytes whose pong shows how much the peer has received.
//! Otherwise a peer on a slow line would look dead: operating systems and proxies buffer megabytes, and the pong to a ping behind
//! them would take minutes.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Minimum size of a shared payload. Copying a smaller one is cheaper than another buffer.
const MIN_SHARED: usize = 2 << 10;
/// Capacity that an empty buffer keeps for the next frames.
const KEPT: usize = 1 << 10;
/// Maximum number of buffers that are written with one system call.
const MAX_SLICES: usize = 16;
/// Maximum payload of a data frame, and distance between two pings: about a minute at 1 KiB/s.
const FRAGMENT: usize = 64 << 10;
/// Maximum payload of a control frame (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;

/// Frames that are queued for writing.
#[derive(Debug, Default)]
pub struct Outbound {
    /// Buffers to write before `tail`, in order.
    buffers: VecDeque<Bytes>,
    /// Small frames, and the headers of shared ones.
    tail: Vec<u8>,
    /// Number of bytes of `tail` that are written.
    tail_written: usize,
    /// Bytes that are queued and not written.
    waiting: usize,
    /// The stream may buffer bytes that were written to it, as TLS does.
    unflushed: bool,
    frames: usize,
    written: u64,
    /// Whether frames are masked, as those of clients are.
    masks: bool,
    /// Bytes queued since the socket was opened.
    queued: u64,
    /// Value of `queued` at the last ping.
    pinged: u64,
    /// Value of `queued` at the last ping that the peer has answered.
    delivered: u64,
    /// Key of the signatures in pings, so that a peer cannot answer a ping that it has not received.
    key: RandomState,
}

impl Outbound {
    /// The frames of a socket in this role. A client masks its frames: their payloads are copied, and not shared.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self { masks: role == Role::Client, ..Self::default() }
    }

    /// Whether everything is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0 && !self.unflushed
    }

    /// Bytes that are queued and not written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Messages and control frames added since the queue was last empty, without the pings inside long messages.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Bytes that the operating system has accepted since the socket was opened.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that the peer has received since the socket was opened, as confirmed by pongs.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Queues a text message.
    pub fn text(&mut self, text: &Bytes) {
        self.message(Data::Text, &[], text);
    }

    /// Queues a binary message that consists of `head` and `rest`.
    pub fn binary(&mut self, head: &[u8], rest: &Bytes) {
        self.message(Data::Binary, head, rest);
    }

    /// Queues a ping whose pong confirms the delivery of everything before it: see [`Outbound::acknowledge`].
    pub fn ping(&mut self) {
        self.frames += 1;
        self.mark();
    }

    /// Queues a ping with this content (at most 125 bytes), which the pong repeats.
    pub fn ping_with(&mut self, content: &[u8]) {
        self.control(Control::Ping, content);
    }

    /// Queues the answer to a ping.
    pub fn pong(&mut self, content: &[u8]) {
        self.control(Control::Pong, content);
    }

    /// Handles a pong. Returns true if it confirms the delivery of more bytes.
    pub fn acknowledge(&mut self, pong: &[u8]) -> bool {
        let Some((offset, signature)) = pong.split_first_chunk::<8>() else { return false };
        let offset = u64::from_be_bytes(*offset);
        let is_progress = offset > self.delivered && signature == self.signature(offset);
        if is_progress {
            self.delivered = offset;
        }
        is_progress
    }

    fn signature(&self, offset: u64) -> [u8; 8] {
        self.key.hash_one(offset).to_be_bytes()
    }

    /// Queues a ping that carries its offset in the stream, with a signature.
    fn mark(&mut self) {
        // Includes the first byte of the ping, so that offsets are unique.
        let offset = self.queued + 1;
        let content = [offset.to_be_bytes(), self.signature(offset)].concat();
        self.frame(OpCode::Control(Control::Ping), true, &content, &Bytes::new());
        self.pinged = self.queued;
    }

    fn control(&mut self, opcode: Control, content: &[u8]) {
        self.frames += 1;
        self.frame(OpCode::Control(opcode), true, &content[..content.len().min(MAX_CONTROL)], &Bytes::new());
    }

    fn message(&mut self, kind: Data, head: &[u8], rest: &Bytes) {
        self.frames += 1;
        let mut end = FRAGMENT.saturating_sub(head.len()).min(rest.len());
        self.data(OpCode::Data(kind), end == rest.len(), head, rest.slice(..end));
        while end < rest.len() {
            let begin = end;
            end = (begin + FRAGMENT).min(rest.len());
            self.data(OpCode::Data(Data::Continue), end == rest.len(), &[], rest.slice(begin..end));
        }
    }

    /// Queues a data frame, after a ping if the last one is more than a fragment ago.
    fn data(&mut self, opcode: OpCode, is_final: bool, head: &[u8], rest: Bytes) {
        if self.queued - self.pinged >= FRAGMENT as u64 {
            self.mark();
        }
        self.frame(opcode, is_final, head, &rest);
    }

    /// Queues a close frame. Truncates a reason that is too long. Without a code the frame has no reason either.
    pub fn close(&mut self, code: Option<u16>, reason: &str) {
        let content = match code {
            Some(code) => [&code.to_be_bytes(), truncate(reason).as_bytes()].concat(),
            None => Vec::new(),
        };
        self.control(Control::Close, &content);
    }

    fn frame(&mut self, opcode: OpCode, is_final: bool, head: &[u8], rest: &Bytes) {
        let before = self.tail.len();
        let mask = self.masks.then(rand::random::<[u8; 4]>);
        let header = FrameHeader { opcode, is_final, mask, ..FrameHeader::default() };
        let length = head.len() + rest.len();
        // A write to a vector cannot fail.
        let _ = header.format(length as u64, &mut self.tail);
        let payload = self.tail.len();
        self.tail.extend_from_slice(head);
        let added = self.tail.len() - before + rest.len();
        self.waiting += added;
        self.queued += added as u64;
        if let Some(mask) = mask {
            self.tail.extend_from_slice(rest);
            self.tail[payload..].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        } else if rest.len() < MIN_SHARED {
            self.tail.extend_from_slice(rest);
        } else {
            let mut tail = Bytes::from(std::mem::take(&mut self.tail));
            tail.advance(std::mem::take(&mut self.tail_written));
            self.buffers.push_back(tail);
            self.buffers.push_back(rest.clone());
        }
    }

    /// Writes until the queue is empty. Cancel safe.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn poll_write<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, io: &mut W) -> Poll<io::Result<()>> {
        while self.waiting > 0 {
            let count = if self.buffers.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, &self.tail[self.tail_written..]))?
            } else {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let waiting = self.buffers.iter().map(|buffer| &buffer[..]).chain([&self.tail[self.tail_written..]]);
                let mut count = 0;
                for (slot, buffer) in slices.iter_mut().zip(waiting) {
                    *slot = IoSlice::new(buffer);
                    count += 1;
                }
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count]))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut *io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut count: usize) {
        self.waiting -= count;
        self.written += count as u64;
        while let Some(buffer) = self.buffers.front_mut() {
            if count < buffer.len() {
                return buffer.advance(count);
            }
            count -= buffer.len();
            self.buffers.pop_front();
        }
        self.tail_written += count;
        if self.waiting == 0 {
            self.tail.clear();
            self.tail.shrink_to(KEPT);
            self.tail_written = 0;
            self.buffers.shrink_to(0);
            self.frames = 0;
        }
    }
}

/// Truncates a reason to the payload of a close frame, between two characters.
fn truncate(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use futures_util::{FutureExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, DuplexStream};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    async fn client(io: DuplexStream) -> Vec<Message> {
        received(io, Role::Client).await
    }

    /// All messages but pings that arrive at a peer in this role.
    async fn received(io: DuplexStream, role: Role) -> Vec<Message> {
        let mut client = WebSocketStream::from_raw_socket(io, role, None).await;
        let mut received = Vec::new();
        while let Some(Ok(message)) = client.next().await {
            if !message.is_ping() {
                received.push(message);
            }
        }
        received
    }

    #[tokio::test]
    async fn partial_writes_deliver_everything() {
        for space in [1, 7, 1_000, 1 << 20] {
            let (server, io) = tokio::io::duplex(space);
            let client = tokio::spawn(client(io));
            let (mut pongs, mut server) = tokio::io::split(server);
            tokio::spawn(async move { tokio::io::copy(&mut pongs, &mut tokio::io::sink()).await });
            let large = Bytes::from(vec![7; 200_000]);
            let mut out = Outbound::default();
            out.text(&Bytes::from_static(b"small"));
            out.binary(b"head", &large);
            out.binary(b"one", &Bytes::new());
            out.binary(&[], &large);
            out.pong(b"there");
            out.close(Some(1000), &"₹".repeat(100));
            assert_eq!(out.frames(), 6);
            poll_fn(|cx| out.poll_write(cx, &mut server)).await.unwrap();
            assert!(out.is_empty() && out.written() > 400_000 && out.frames() == 0);
            assert!(out.tail.capacity() <= KEPT && out.buffers.capacity() == 0, "buffers are freed");
            server.shutdown().await.unwrap();
            let received = client.await.unwrap();
            assert_eq!(received[0], Message::text("small"));
            assert_eq!(received[1], Message::binary([b"head", &large[..]].concat()));
            assert_eq!(received[2], Message::binary("one"));
            assert_eq!(received[3], Message::binary(large));
            assert_eq!(received[4], Message::Pong(Bytes::from_static(b"there")));
            let Message::Close(Some(close)) = &received[5] else { panic!("{:?}", received[5]) };
            assert!(close.reason.chars().all(|character| character == '₹') && close.reason.len() <= 123);
        }
    }

    #[tokio::test]
    async fn frames_of_a_client_are_masked() {
        let (mut client, io) = tokio::io::duplex(1_000);
        let server = tokio::spawn(received(io, Role::Server));
        let large = Bytes::from(vec![7; 200_000]);
        let mut out = Outbound::new(Role::Client);
        out.binary(b"head", &large);
        out.binary(b"one", &Bytes::new());
        out.close(Some(1000), "bye");
        poll_fn(|cx| out.poll_write(cx, &mut client)).await.unwrap();
        client.shutdown().await.unwrap();
        let received = server.await.unwrap();
        assert_eq!(received[0], Message::binary([b"head", &large[..]].concat()));
        assert_eq!(received[1], Message::binary("one"));
        assert!(received[2].is_close());
    }

    #[tokio::test]
    async fn bytes_in_the_buffer_of_a_stream_are_flushed() {
        let (server, mut client) = tokio::io::duplex(1_000);
        let mut server = BufWriter::new(server);
        let mut out = Outbound::default();
        out.binary(&[7; 1_500], &Bytes::new());
        let mut write = pin!(poll_fn(|cx| out.poll_write(cx, &mut server)));
        assert!(write.as_mut().now_or_never().is_none(), "some of it is in the stream's buffer");
        let mut read = vec![0; 1_504];
        let (written, _) = tokio::join!(write, client.read_exact(&mut read));
        assert!(written.is_ok() && out.is_empty() && read.ends_with(&[7; 1_500]));
    }

    #[tokio::test]
    async fn large_payload_is_not_copied() {
        let large = Bytes::from(vec![7; 1 << 20]);
        let mut out = Outbound::default();
        out.binary(b"head", &large);
        let shared = out.buffers.iter().filter(|buffer| large.as_ptr_range().contains(&buffer.as_ptr()));
        assert!(shared.map(Bytes::len).sum::<usize>() > large.len() - MIN_SHARED, "except its end");
    }

    /// The pongs of a peer that has read this many bytes of the output.
    fn pongs(out: &mut Outbound, read: usize) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(out.poll_write(&mut cx, &mut bytes).is_ready());
        let mut rest = &bytes[..read.min(bytes.len())];
        let mut pongs = Vec::new();
        while let Ok(Some((header, length))) = FrameHeader::parse(&mut std::io::Cursor::new(rest)) {
            let length = usize::try_from(length).unwrap();
            let start = header.len(length as u64);
            let Some(content) = rest.get(start..start + length) else { break };
            if header.opcode == OpCode::Control(Control::Ping) {
                pongs.push(content.to_vec());
            }
            rest = &rest[start + length..];
        }
        pongs
    }

    #[test]
    fn pongs_confirm_delivery_of_a_long_message() {
        let large = Bytes::from(vec![7; 1 << 20]);
        let mut out = Outbound::default();
        out.binary(b"head", &large);
        let answers = pongs(&mut out, 500_000);
        assert_eq!(answers.len(), 7);
        for pong in &answers {
            assert!(out.acknowledge(pong));
            assert!(!out.acknowledge(pong), "once");
        }
        assert!((400_000..500_000).contains(&out.delivered()), "{}", out.delivered());
    }

    #[test]
    fn small_messages_have_pings_in_between() {
        let mut out = Outbound::default();
        for _ in 0..100 {
            out.binary(&[7; 10_000], &Bytes::new());
        }
        assert_eq!(pongs(&mut out, usize::MAX).len(), 14);
    }

    #[test]
    fn forged_pongs_deliver_nothing() {
        let mut out = Outbound::default();
        out.binary(&[7; 100], &Bytes::new());
        out.ping();
        let pong = pongs(&mut out, usize::MAX).remove(0);
        let forged = [&1_000_000_u64.to_be_bytes(), &pong[8..]].concat();
        for forged in [&b""[..], b"last", &[0; 16], &forged, &pong[..15]] {
            assert!(!out.acknowledge(forged));
        }
        assert_eq!(out.delivered(), 0);
        assert!(out.acknowledge(&pong));
        assert_eq!(out.delivered(), 103);
    }
}
