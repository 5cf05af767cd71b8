//! Compression of HTTP responses, on blocking threads and in portions.
//!
//! Compressing an export of 20,000 rows takes tens of milliseconds, which would delay the other connections of a worker thread.
//! So large responses are compressed in portions of 64 KiB on blocking threads. Each portion needs a permit: compression leaves
//! one processor free, and responses alternate. An encoder holds memory until its client has read the response; when all
//! encoders are in use, further responses are sent uncompressed.
//!
//! Static files are compressed only once: see [`StaticFile`](crate::server::static_files::StaticFile).

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

use super::content_encoding::{ContentEncoding, negotiate};
use crate::server::{App, Problem};

/// Bytes that are compressed at a time: about a millisecond of work.
const PORTION: usize = 64 << 10;
/// Responses up to this size are compressed in place, which takes a fraction of a millisecond.
const MAX_IN_PLACE: u64 = 8 << 10;
/// Smaller responses are not compressed.
const MIN_LENGTH: u64 = 32;
/// Maximum number of large responses that are compressed at the same time. An encoder takes up to 2 MiB.
const MAX_ENCODERS: usize = 32;
/// Brotli quality for responses. Above it, the time grows much faster than the size shrinks.
const QUALITY: u32 = 4;
/// Base-2 logarithm of brotli's window size. A larger window takes several times the memory.
const WINDOW: u32 = 18;
/// Size of brotli's output buffer, in bytes.
const BUFFER: usize = 4 << 10;

/// Response extension: the middleware does not compress this response.
#[derive(Debug, Clone, Copy)]
pub struct SkipCompression;

/// Bounds the resources of compression. Clones share the bounds.
#[derive(Debug, Clone)]
pub struct Compression {
    /// One permit per large response that is being compressed.
    encoders: Arc<Semaphore>,
    /// One permit per portion that is being compressed.
    workers: Arc<Semaphore>,
}

impl Compression {
    /// Leaves one processor free, if there are several.
    #[must_use]
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_limits(MAX_ENCODERS, processors.saturating_sub(1).max(1))
    }

    fn with_limits(encoders: usize, workers: usize) -> Self {
        Self { encoders: Arc::new(Semaphore::new(encoders)), workers: Arc::new(Semaphore::new(workers)) }
    }

    /// Compresses a response with this encoding, unless its content is not compressible.
    async fn compressed(&self, mut response: Response, encoding: ContentEncoding, metrics: &Arc<Metrics>) -> Response {
        if !is_compressible(&response) {
            return response;
        }
        let headers = response.headers_mut();
        if !headers.get_all(header::VARY).iter().any(names_encoding) {
            headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        let Some(name) = encoding.name() else { return response };
        let (mut parts, body) = response.into_parts();
        let in_place = body.size_hint().exact().is_some_and(|length| length <= MAX_IN_PLACE);
        let body = if in_place {
            let compressed = match body.collect().await {
                Ok(body) => compress(&body.to_bytes(), encoding, QUALITY, WINDOW).map_err(axum::Error::new),
                Err(error) => Err(error),
            };
            match compressed {
                Ok(bytes) => Body::from(bytes),
                Err(error) => return internal_error(&error),
            }
        } else if let Ok(permit) = Arc::clone(&self.encoders).try_acquire_owned() {
            self.stream(body, encoding, permit, metrics)
        } else {
            metrics.uncompressed.increment(1);
            return Response::from_parts(parts, body);
        };
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::ACCEPT_RANGES);
        parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        Response::from_parts(parts, body)
    }

    fn stream(
        &self,
        body: Body,
        encoding: ContentEncoding,
        permit: OwnedSemaphorePermit,
        metrics: &Arc<Metrics>,
    ) -> Body {
        let portions = Portions {
            body,
            rest: Bytes::new(),
            encoder: Encoder::new(encoding, QUALITY, WINDOW),
            workers: Arc::clone(&self.workers),
            metrics: Arc::clone(metrics),
            _permit: permit,
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

/// A response that is compressed while the client reads it.
struct Portions {
    body: Body,
    /// Bytes of the last frame of `body` that are not compressed yet.
    rest: Bytes,
    encoder: Encoder,
    workers: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl Portions {
    /// Returns the next compressed bytes, and the remaining response unless these were the last.
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
            (encoder, written) =
                run_with_permit(&self.workers, move || encoder.write(&portion).map(|bytes| (encoder, bytes)))
                    .await
                    .map_err(axum::Error::new)?;
            self.encoder = encoder;
            self.metrics.compressed_portions.increment(1);
            if !written.is_empty() {
                return Ok(Some((written.into(), Some(self))));
            }
        }
        let Self { encoder, workers, .. } = self;
        let last = run_with_permit(&workers, move || encoder.finish()).await.map_err(axum::Error::new)?;
        Ok(Some((last.into(), None)))
    }
}

/// Waits for a permit, and runs `work` on a blocking thread with a low priority.
async fn run_with_permit<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let done = tokio::task::spawn_blocking(move || {
        // Held until the work is done, even if the response is dropped.
        let _permit = permit;
        with_low_priority(work)
    });
    done.await.map_err(io::Error::other)?
}

enum Encoder {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    fn new(encoding: ContentEncoding, quality: u32, window: u32) -> Self {
        match encoding {
            ContentEncoding::Brotli => {
                Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), BUFFER, quality, window)))
            }
            ContentEncoding::Gzip | ContentEncoding::Identity => {
                Self::Gzip(Box::new(GzEncoder::new(Vec::new(), flate2::Compression::default())))
            }
        }
    }

    /// Compresses bytes. Returns the output so far, which may be empty.
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

/// Compresses bytes in one call. `quality` and `window` apply to brotli.
pub fn compress(bytes: &[u8], encoding: ContentEncoding, quality: u32, window: u32) -> io::Result<Vec<u8>> {
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
    let is_long_enough = response.body().size_hint().exact().is_none_or(|length| length >= MIN_LENGTH);
    response.extensions().get::<SkipCompression>().is_none() && !is_encoded && is_long_enough && is_text(headers)
}

/// Whether the media type benefits from compression. Images and Automerge chunks are compressed already; buffering would delay
/// server-sent events.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_picture = kind.starts_with("image/") && !kind.starts_with("image/svg+xml");
    !is_picture && !kind.starts_with("application/octet-stream") && !kind.starts_with("text/event-stream")
}

fn internal_error(error: &axum::Error) -> Response {
    tracing::error!(%error, "a response could not be compressed");
    let detail = "the response could not be compressed; retry without Accept-Encoding";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail).into_response()
}

/// Middleware that compresses responses.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let encoding = negotiate(request.headers());
    let response = next.run(request).await;
    app.compression.compressed(response, encoding, app.hub.metrics()).await
}

#[cfg(test)]
mod tests;
