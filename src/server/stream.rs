//! A connection's bytes, in the clear or over TLS: while it speaks HTTP, and then the two directions of a WebSocket.
//!
//! What is in the clear costs what it would cost alone: it is divided as sockets can be, into halves that share no lock.
//! TLS has one state for both directions, so its halves do. They are polled by one task, and never wait for each other.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::coop;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// Both directions: in the clear (left), or over TLS. (Boxed, as it is much larger than a socket.)
pub type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;
/// What comes in.
pub type Reader = Either<OwnedReadHalf, TlsReader>;
/// What goes out. It ends its direction when it is dropped.
pub type Writer = Either<OwnedWriteHalf, TlsWriter>;

/// What comes in over TLS.
#[derive(Debug)]
pub struct TlsReader(ReadHalf<TlsStream<TcpStream>>);

/// What goes out over TLS.
#[derive(Debug)]
pub struct TlsWriter(WriteHalf<TlsStream<TcpStream>>);

/// The two directions, apart.
#[must_use]
pub fn split(stream: Stream) -> (Reader, Writer) {
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
        // A socket reminds the task that reads from it that others want their turn. What was decrypted with what came
        // before it comes without asking the socket.
        let turn = ready!(coop::poll_proceed(cx));
        let read = Pin::new(&mut self.0).poll_read(cx, buf);
        if read.is_ready() {
            turn.made_progress();
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
    /// A socket's half says by being dropped that this was all. TLS has a record for that, and many clients take its
    /// absence for an error. Nobody waits for it: it goes out if the socket takes it now.
    fn drop(&mut self) {
        // What has panicked may be what is behind the lock.
        if !thread::panicking() {
            let end = poll_fn(|cx| Pin::new(&mut self.0).poll_shutdown(cx));
            let _ = coop::unconstrained(end).now_or_never();
        }
    }
}
