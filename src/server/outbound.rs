//! What waits to be written to one socket, as WebSocket frames.
//!
//! A document's snapshot or a long message goes to many sockets, and is the same bytes for all of them: it is shared, and
//! written from where it is. Everything small is put together, so that it goes out with one system call. Nothing of this
//! outlives its writing: an idle socket holds no more than [`KEPT`] bytes.
//!
//! Long messages are fragmented, with a ping after every [`FRAGMENT`] bytes whose answer tells how much the peer has received.
//! Without that, a peer on a slow line could not be told from a dead one: operating systems and proxies take megabytes
//! ahead, and an answer to a ping behind them would come minutes later.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// From how many bytes on a payload is shared; below, copying it is cheaper than a piece of its own.
const SHARED_FROM: usize = 2 << 10;
/// What an empty buffer may keep for the next frames.
const KEPT: usize = 1 << 10;
/// Pieces that are written with one system call.
const PIECES: usize = 16;
/// Bytes of a message in one frame, and between two pings: at 1 KiB/s about a minute.
const FRAGMENT: usize = 64 << 10;
/// A control frame's payload is at most so long (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;

/// Frames that wait to be written.
#[derive(Debug, Default)]
pub struct Outbound {
    /// In order, before `tail`.
    pieces: VecDeque<Bytes>,
    /// Small frames, and the heads of shared ones.
    tail: Vec<u8>,
    /// How much of `tail` is written.
    tail_written: usize,
    waiting: usize,
    /// The stream may still hold some of what it took: TLS does.
    unflushed: bool,
    frames: usize,
    written: u64,
    /// Bytes that were ever added.
    queued: u64,
    /// Of these, how many came before the last ping.
    pinged: u64,
    /// Of these, how many the peer has received: it has answered a ping behind them.
    delivered: u64,
    /// Signs pings, so that nobody can answer one that has not arrived.
    key: RandomState,
}

impl Outbound {
    /// Whether everything is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0 && !self.unflushed
    }

    /// Bytes that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Messages and control frames that were added since everything was written; without the pings inside long messages.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Bytes that the operating system has taken so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that the peer has received so far, as far as it has answered pings.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// A text message.
    pub fn text(&mut self, text: &Bytes) {
        self.message(Data::Text, &[], text);
    }

    /// A binary message that consists of these two.
    pub fn binary(&mut self, head: &[u8], rest: &Bytes) {
        self.message(Data::Binary, head, rest);
    }

    /// A ping whose answer counts as delivery of all before it: see [`Outbound::acknowledge`].
    pub fn ping(&mut self) {
        self.frames += 1;
        self.mark();
    }

    /// A ping whose answer can be told from others by its content: at most 125 bytes.
    pub fn ping_with(&mut self, content: &[u8]) {
        self.control(Control::Ping, content);
    }

    /// The answer to a ping.
    pub fn pong(&mut self, content: &[u8]) {
        self.control(Control::Pong, content);
    }

    /// Takes a pong in. True if it answers a ping of ours that was not answered before: the peer has received all before it.
    pub fn acknowledge(&mut self, pong: &[u8]) -> bool {
        let Some((offset, signature)) = pong.split_first_chunk::<8>() else { return false };
        let offset = u64::from_be_bytes(*offset);
        let is_news = offset > self.delivered && signature == self.signature(offset);
        if is_news {
            self.delivered = offset;
        }
        is_news
    }

    fn signature(&self, offset: u64) -> [u8; 8] {
        self.key.hash_one(offset).to_be_bytes()
    }

    /// A ping that carries its place in the stream.
    fn mark(&mut self) {
        // Up to and with its first byte, so that no two have the same.
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

    /// A data frame, after a ping if the last one is far behind.
    fn data(&mut self, opcode: OpCode, is_final: bool, head: &[u8], rest: Bytes) {
        if self.queued - self.pinged >= FRAGMENT as u64 {
            self.mark();
        }
        self.frame(opcode, is_final, head, &rest);
    }

    /// A close frame; without a code it has no reason either. Cuts a reason that is too long, between two characters.
    pub fn close(&mut self, code: Option<u16>, reason: &str) {
        let content = match code {
            Some(code) => [&code.to_be_bytes(), shorten(reason).as_bytes()].concat(),
            None => Vec::new(),
        };
        self.control(Control::Close, &content);
    }

    fn frame(&mut self, opcode: OpCode, is_final: bool, head: &[u8], rest: &Bytes) {
        let before = self.tail.len();
        let header = FrameHeader { opcode, is_final, ..FrameHeader::default() };
        let length = head.len() + rest.len();
        // Writing to a vector cannot fail.
        let _ = header.format(length as u64, &mut self.tail);
        self.tail.extend_from_slice(head);
        let added = self.tail.len() - before + rest.len();
        self.waiting += added;
        self.queued += added as u64;
        if rest.len() < SHARED_FROM {
            self.tail.extend_from_slice(rest);
        } else {
            let mut tail = Bytes::from(std::mem::take(&mut self.tail));
            tail.advance(std::mem::take(&mut self.tail_written));
            self.pieces.push_back(tail);
            self.pieces.push_back(rest.clone());
        }
    }

    /// Writes until all is written. May be given up at any point and be called again.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn poll_write<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, io: &mut W) -> Poll<io::Result<()>> {
        while self.waiting > 0 {
            let count = if self.pieces.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, &self.tail[self.tail_written..]))?
            } else {
                let mut slices = [IoSlice::new(&[]); PIECES];
                let waiting = self.pieces.iter().map(|piece| &piece[..]).chain([&self.tail[self.tail_written..]]);
                let mut count = 0;
                for (slot, piece) in slices.iter_mut().zip(waiting) {
                    *slot = IoSlice::new(piece);
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
        while let Some(piece) = self.pieces.front_mut() {
            if count < piece.len() {
                return piece.advance(count);
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
        self.tail_written += count;
        if self.waiting == 0 {
            self.tail.clear();
            self.tail.shrink_to(KEPT);
            self.tail_written = 0;
            self.pieces.shrink_to(0);
            self.frames = 0;
        }
    }
}

/// Cuts a reason to what a close frame takes besides its code.
fn shorten(reason: &str) -> &str {
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
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    async fn client(io: DuplexStream) -> Vec<Message> {
        let mut client = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
        let mut heard = Vec::new();
        while let Some(Ok(message)) = client.next().await {
            if !message.is_ping() {
                heard.push(message);
            }
        }
        heard
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
            assert!(out.tail.capacity() <= KEPT && out.pieces.capacity() == 0, "an idle socket holds next to nothing");
            server.shutdown().await.unwrap();
            let heard = client.await.unwrap();
            assert_eq!(heard[0], Message::text("small"));
            assert_eq!(heard[1], Message::binary([b"head", &large[..]].concat()));
            assert_eq!(heard[2], Message::binary("one"));
            assert_eq!(heard[3], Message::binary(large));
            assert_eq!(heard[4], Message::Pong(Bytes::from_static(b"there")));
            let Message::Close(Some(close)) = &heard[5] else { panic!("{:?}", heard[5]) };
            assert!(close.reason.chars().all(|character| character == '₹') && close.reason.len() <= 123);
        }
    }

    #[tokio::test]
    async fn what_a_stream_took_and_still_holds_waits_as_well() {
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
    async fn what_is_large_is_shared_and_not_copied() {
        let large = Bytes::from(vec![7; 1 << 20]);
        let mut out = Outbound::default();
        out.binary(b"head", &large);
        let shared = out.pieces.iter().filter(|piece| large.as_ptr_range().contains(&piece.as_ptr()));
        assert!(shared.map(Bytes::len).sum::<usize>() > large.len() - SHARED_FROM, "but for its end");
    }

    /// What a peer answers that has read this many bytes of what is written.
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
    fn pongs_tell_how_much_of_a_long_message_has_arrived() {
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
    fn pongs_are_expected_between_many_small_messages() {
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
