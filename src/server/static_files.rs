//! Files that do not change while the server runs, with their compressed forms.

use std::io;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use offload::with_low_priority;
use tokio::sync::OnceCell;

use super::transport::compression::{SkipCompression, compress};
use super::transport::content_encoding::{ContentEncoding, negotiate};

/// Brotli quality for files that are compressed once.
const QUALITY: u32 = 6;
/// Base-2 logarithm of brotli's window size.
const WINDOW: u32 = 22;

/// A file in memory. Each compressed form is created when a client first requests it, and is kept.
#[derive(Debug)]
pub struct StaticFile {
    kind: HeaderValue,
    plain: Bytes,
    brotli: OnceCell<Bytes>,
    gzip: OnceCell<Bytes>,
}

impl StaticFile {
    /// A file with this media type and content.
    #[must_use]
    pub fn new(kind: HeaderValue, plain: impl Into<Bytes>) -> Self {
        Self { kind, plain: plain.into(), brotli: OnceCell::new(), gzip: OnceCell::new() }
    }

    /// The response to a request with these headers.
    pub async fn response(&self, request: &HeaderMap) -> Response {
        let encoding = negotiate(request);
        let (encoding, body) = match self.encoded(encoding).await {
            Ok(body) => (encoding, body),
            Err(error) => {
                tracing::error!(%error, "a file could not be compressed");
                (ContentEncoding::Identity, self.plain.clone())
            }
        };
        let mut response = body.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, self.kind.clone());
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(name) = encoding.name() {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        response.extensions_mut().insert(SkipCompression);
        response
    }

    async fn encoded(&self, encoding: ContentEncoding) -> io::Result<Bytes> {
        let form = match encoding {
            ContentEncoding::Brotli => &self.brotli,
            ContentEncoding::Gzip => &self.gzip,
            ContentEncoding::Identity => return Ok(self.plain.clone()),
        };
        let plain = self.plain.clone();
        let compressed = form.get_or_try_init(|| async move {
            let compressed =
                tokio::task::spawn_blocking(move || with_low_priority(|| compress(&plain, encoding, QUALITY, WINDOW)));
            compressed.await.map_err(io::Error::other)?.map(Bytes::from)
        });
        compressed.await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn file_is_compressed_once() {
        let file = StaticFile::new(HeaderValue::from_static("text/css"), "a { color: red }\n".repeat(1_000));
        for (accepted, sent) in [("br", Some("br")), ("gzip", Some("gzip")), ("identity", None)] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            let mut bodies = Vec::new();
            for _ in 0..3 {
                let response = file.response(&headers).await;
                let encoding =
                    response.headers().get(header::CONTENT_ENCODING).map(|name| name.to_str().expect("text"));
                assert_eq!(encoding, sent);
                bodies.push(response.into_body().collect().await.expect("read").to_bytes());
            }
            // Not only equal: the same bytes in memory.
            assert!(bodies.iter().all(|body| body.as_ptr() == bodies[0].as_ptr()), "{accepted}");
            assert_eq!(bodies[0].len() < 1_000, sent.is_some());
        }
    }
}
