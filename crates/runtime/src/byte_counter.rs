//! A byte stream that counts its traffic, which tells a stalled socket from a slow one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Maximum number of unsent bytes in the operating system's send buffer.
#[cfg(any(target_os = "android", target_os = "linux"))]
const MAX_UNSENT: u32 = 128 << 10;

/// Limits the unsent bytes in the operating system's send buffer, which by default takes megabytes.
/// [`ByteCounter::written`] then follows the progress of the other machine, also on a slow line; otherwise it would
/// stand still for minutes. Does nothing on systems without this option.
pub fn limit_unsent(socket: &TcpStream) {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_notsent_lowat(MAX_UNSENT) {
        tracing::debug!(%error, "cannot limit the unsent bytes of a socket");
    }
    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    let _ = socket;
}

/// A stream that counts the bytes that it transfers.
#[derive(Debug)]
pub struct CountedStream<S> {
    stream: S,
    counter: Arc<ByteCounter>,
}

/// The counts of a [`CountedStream`], readable while it is in use.
#[derive(Debug, Default)]
pub struct ByteCounter {
    read: AtomicU64,
    written: AtomicU64,
}

impl ByteCounter {
    /// Bytes received so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes accepted by the operating system so far; see [`limit_unsent`].
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl<S> CountedStream<S> {
    /// Starts at zero.
    pub fn new(stream: S) -> Self {
        Self { stream, counter: Arc::default() }
    }

    /// Returns the inner stream.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Returns the counts.
    pub fn counter(&self) -> Arc<ByteCounter> {
        Arc::clone(&self.counter)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.counter.read.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.counter.written.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.counter.written.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
