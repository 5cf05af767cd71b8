//! Compression of answers: in portions, off the threads that serve connections, and few at a time.
//!
//! To compress an export of 20,000 rows takes tens of milliseconds. Done by the thread that writes the answer, a few exports at a
//! time hold up everything else. So a large answer is compressed in portions of 64 KiB by threads of their own, and each
//! portion waits for a turn: all clients together keep at most some of the processors busy, and answers take turns. An
//! encoder takes memory as long as its client takes to read; when many are in use, further answers go out uncompressed.
//!
//! Files of the pages are compressed once, and not per answer: see [`Static`](super::static_files::Static).

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::write::GzEncoder;
use futures_util::stream;
use http_body_util::BodyExt;
use offload::with_low_priority;
use runtime::metrics::Metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::encoding::{Encoding, accepted};
use super::{App, Problem};

/// Bytes of an answer that are compressed at a time: about a millisecond's work.
const PORTION: usize = 64 << 10;
/// Answers of at most so many bytes are compressed where they are, at once: that takes a fraction of a millisecond.
const SMALL: u64 = 8 << 10;
/// Smaller answers are not worth it.
const LEAST: u64 = 32;
/// Larger answers that are compressed at the same time. Each takes up to 2 MiB for its encoder, until it has been read.
const ENCODERS: usize = 32;
/// Brotli's quality for what is made anew for each answer: beyond it, time grows much faster than size shrinks.
const QUALITY: u32 = 4;
/// Bytes that brotli looks back, as a power of two: with more, an encoder takes several times the memory.
const WINDOW: u32 = 18;
/// Bytes of brotli's own buffer.
const BUFFER: usize = 4 << 10;

/// Said by an answer that is encoded as it is to be, or had better not be.
#[derive(Debug, Clone, Copy)]
pub struct AsItIs;

/// What compression may take. Clones share it.
#[derive(Debug, Clone)]
pub struct Compression {
    /// A permit for each large answer that is being compressed.
    encoders: Arc<Semaphore>,
    /// A permit for each portion that is being compressed at this moment.
    turns: Arc<Semaphore>,
}

impl Compression {
    /// One processor stays free for everything else, if there are several.
    #[must_use]
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of(ENCODERS, processors.saturating_sub(1).max(1))
    }

    fn of(encoders: usize, turns: usize) -> Self {
        Self { encoders: Arc::new(Semaphore::new(encoders)), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// Compresses an answer for a client that takes this encoding.
    async fn compressed(&self, mut response: Response, encoding: Encoding, metrics: &Arc<Metrics>) -> Response {
        if !is_compressible(&response) {
            return response;
        }
        let headers = response.headers_mut();
        if !headers.get_all(header::VARY).iter().any(names_encoding) {
            headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        let Some(name) = encoding.name() else { return response };
        let (mut parts, body) = response.into_parts();
        let small = body.size_hint().exact().is_some_and(|length| length <= SMALL);
        let body = if small {
            let compressed = match body.collect().await {
                Ok(body) => compress(&body.to_bytes(), encoding, QUALITY, WINDOW).map_err(axum::Error::new),
                Err(error) => Err(error),
            };
            match compressed {
                Ok(bytes) => Body::from(bytes),
                Err(error) => return failed(&error),
            }
        } else if let Ok(place) = Arc::clone(&self.encoders).try_acquire_owned() {
            self.stream(body, encoding, place, metrics)
        } else {
            metrics.uncompressed.increment(1);
            return Response::from_parts(parts, body);
        };
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::ACCEPT_RANGES);
        parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        Response::from_parts(parts, body)
    }

    fn stream(&self, body: Body, encoding: Encoding, place: OwnedSemaphorePermit, metrics: &Arc<Metrics>) -> Body {
        let portions = Portions {
            body,
            rest: Bytes::new(),
            encoder: Encoder::new(encoding, QUALITY, WINDOW),
            turns: Arc::clone(&self.turns),
            metrics: Arc::clone(metrics),
            _place: place,
        };
        Body::from_stream(stream::try_unfold(Some(portions), async |portions| match portions {
            Some(portions) => portions.next().await,
            None => Ok(None),
        }))
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::new()
    }
}

/// An answer that is compressed as it is read.
struct Portions {
    body: Body,
    /// What has come of the answer and is not compressed yet.
    rest: Bytes,
    encoder: Encoder,
    turns: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    _place: OwnedSemaphorePermit,
}

impl Portions {
    /// The next compressed bytes, and what goes on behind them, if anything does.
    async fn next(mut self) -> Result<Option<(Bytes, Option<Self>)>, axum::Error> {
        loop {
            if self.rest.is_empty() {
                match self.body.frame().await {
                    Some(frame) => self.rest = frame?.into_data().unwrap_or_default(),
                    None => break,
                }
            }
            let portion = self.rest.split_to(self.rest.len().min(PORTION));
            let mut encoder = self.encoder;
            let written;
            (encoder, written) = self
                .turns
                .in_turn(move || encoder.write(&portion).map(|bytes| (encoder, bytes)))
                .await
                .map_err(axum::Error::new)?;
            self.encoder = encoder;
            self.metrics.compressed_portions.increment(1);
            if !written.is_empty() {
                return Ok(Some((written.into(), Some(self))));
            }
        }
        let Self { encoder, turns, .. } = self;
        let last = turns.in_turn(move || encoder.finish()).await.map_err(axum::Error::new)?;
        Ok(Some((last.into(), None)))
    }
}

/// Work that waits for its turn and is done by a thread that may take its time.
trait InTurn {
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T>;
}

impl InTurn for Arc<Semaphore> {
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        let turn = Arc::clone(self).acquire_owned().await.map_err(io::Error::other)?;
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _turn = turn;
            with_low_priority(work)
        });
        done.await.map_err(io::Error::other)?
    }
}

enum Encoder {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    fn new(encoding: Encoding, quality: u32, window: u32) -> Self {
        match encoding {
            Encoding::Brotli => {
                Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), BUFFER, quality, window)))
            }
            Encoding::Gzip | Encoding::Identity => {
                Self::Gzip(Box::new(GzEncoder::new(Vec::new(), flate2::Compression::default())))
            }
        }
    }

    /// Takes bytes. Returns what has come out, which may be nothing yet.
    fn write(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes).map(|()| std::mem::take(encoder.get_mut())),
            Self::Brotli(encoder) => encoder.write_all(bytes).map(|()| std::mem::take(encoder.get_mut())),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
        }
    }
}

/// Compresses all of it at once, with this quality and window of brotli.
pub(super) fn compress(bytes: &[u8], encoding: Encoding, quality: u32, window: u32) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(encoding, quality, window);
    let mut compressed = encoder.write(bytes)?;
    compressed.extend(encoder.finish()?);
    Ok(compressed)
}

fn names_encoding(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|names| names.to_ascii_lowercase().contains("accept-encoding"))
}

fn is_compressible(response: &Response) -> bool {
    let headers = response.headers();
    let is_encoded = headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key(header::CONTENT_RANGE);
    let is_large = response.body().size_hint().exact().is_none_or(|length| length >= LEAST);
    response.extensions().get::<AsItIs>().is_none() && !is_encoded && is_large && is_text(headers)
}

/// Pictures are compressed by themselves, and so are the chunks of an Automerge document. Events must not wait for each other.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_picture = kind.starts_with("image/") && !kind.starts_with("image/svg+xml");
    !is_picture && !kind.starts_with("application/octet-stream") && !kind.starts_with("text/event-stream")
}

fn failed(error: &axum::Error) -> Response {
    tracing::error!(%error, "an answer could not be compressed");
    let detail = "the answer could not be compressed; ask for it without Accept-Encoding";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed here", detail).into_response()
}

/// Compresses the answers of what is below, as their clients take it.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let encoding = accepted(request.headers());
    let response = next.run(request).await;
    app.compression.compressed(response, encoding, app.hub.metrics()).await
}

#[cfg(test)]
#[path = "compression/tests.rs"]
mod tests;
