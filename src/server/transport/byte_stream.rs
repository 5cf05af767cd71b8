//! The bytes of a connection, with or without TLS: one stream for HTTP, two halves for a WebSocket.
//!
//! The halves of a plain socket share no lock. TLS has one state for both directions, so its halves share one; a single task
//! polls them, so the lock is never contended.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use dialer::MaybeTls;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::coop;
use tokio_rustls::TlsStream;
use tokio_util::either::Either;

/// Both directions of a connection: plain (left) or TLS. TLS is boxed because it is much larger than a socket.
pub type ByteStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;
/// Incoming bytes.
pub type ByteReader = Either<OwnedReadHalf, TlsReader>;
/// Outgoing bytes. Shuts its direction down on drop.
pub type ByteWriter = Either<OwnedWriteHalf, TlsWriter>;

/// Incoming bytes of a TLS connection.
#[derive(Debug)]
pub struct TlsReader(ReadHalf<TlsStream<TcpStream>>);

/// Outgoing bytes of a TLS connection.
#[derive(Debug)]
pub struct TlsWriter(WriteHalf<TlsStream<TcpStream>>);

/// Maximum encrypted bytes buffered per connection, in addition to the socket's buffer. Other unsent data stays unencrypted, in
/// buffers that connections share.
pub const MAX_UNSENT: usize = 16 << 10;

/// A connection that this server has dialled.
#[must_use]
pub fn dialled(stream: MaybeTls<TcpStream>) -> ByteStream {
    match stream {
        Either::Left(plain) => Either::Left(plain),
        Either::Right(mut tls) => {
            tls.get_mut().1.set_buffer_limit(Some(MAX_UNSENT));
            Either::Right(Box::new((*tls).into()))
        }
    }
}

/// Splits a connection into its directions.
#[must_use]
pub fn split(stream: ByteStream) -> (ByteReader, ByteWriter) {
    match stream {
        Either::Left(plain) => {
            let (reader, writer) = plain.into_split();
            (Either::Left(reader), Either::Left(writer))
        }
        Either::Right(tls) => {
            let (reader, writer) = tokio::io::split(*tls);
            (Either::Right(TlsReader(reader)), Either::Right(TlsWriter(writer)))
        }
    }
}

impl AsyncRead for TlsReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Reading from a socket consumes the task's cooperative budget. Bytes that TLS has already decrypted are read without
        // the socket, so they consume the budget here.
        let budget = ready!(coop::poll_proceed(cx));
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        if read.is_ready() {
            budget.made_progress();
        }
        read
    }
}

impl AsyncWrite for TlsWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Drop for TlsWriter {
    /// Sends TLS's close notification, since many clients report an error without it. It is lost if the socket is not writable.
    fn drop(&mut self) {
        // The panic may have happened inside the shared lock.
        if !thread::panicking() {
            let end = poll_fn(|cx| Pin::new(&mut self.0).poll_shutdown(cx));
            let _ = coop::unconstrained(end).now_or_never();
        }
    }
}
