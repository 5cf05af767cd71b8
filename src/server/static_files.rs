//! Files that never change while the server runs, with their compressed forms.

use std::io;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use offload::with_low_priority;
use tokio::sync::OnceCell;

use super::compression::{AsItIs, compress};
use super::encoding::{Encoding, accepted};

/// Brotli's quality for what is compressed once.
const QUALITY: u32 = 6;
/// Bytes that brotli looks back, as a power of two.
const WINDOW: u32 = 22;

/// The content of a file. Each compressed form is made once, when a client first asks for it: answers cost no processor time,
/// however many there are.
#[derive(Debug)]
pub struct Static {
    kind: HeaderValue,
    plain: Bytes,
    brotli: OnceCell<Bytes>,
    gzip: OnceCell<Bytes>,
}

impl Static {
    /// A file of this media type.
    #[must_use]
    pub fn new(kind: HeaderValue, plain: impl Into<Bytes>) -> Self {
        Self { kind, plain: plain.into(), brotli: OnceCell::new(), gzip: OnceCell::new() }
    }

    /// The answer to a client that sent these headers.
    pub async fn answer(&self, request: &HeaderMap) -> Response {
        let encoding = accepted(request);
        let (encoding, body) = match self.encoded(encoding).await {
            Ok(body) => (encoding, body),
            Err(error) => {
                tracing::error!(%error, "a file could not be compressed");
                (Encoding::Identity, self.plain.clone())
            }
        };
        let mut response = body.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, self.kind.clone());
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(name) = encoding.name() {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        response.extensions_mut().insert(AsItIs);
        response
    }

    async fn encoded(&self, encoding: Encoding) -> io::Result<Bytes> {
        let form = match encoding {
            Encoding::Brotli => &self.brotli,
            Encoding::Gzip => &self.gzip,
            Encoding::Identity => return Ok(self.plain.clone()),
        };
        let plain = self.plain.clone();
        let made = form.get_or_try_init(|| async move {
            let made =
                tokio::task::spawn_blocking(move || with_low_priority(|| compress(&plain, encoding, QUALITY, WINDOW)));
            made.await.map_err(io::Error::other)?.map(Bytes::from)
        });
        made.await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn file_is_compressed_once_however_often_it_is_asked_for() {
        let file = Static::new(HeaderValue::from_static("text/css"), "a { color: red }\n".repeat(1_000));
        for (taken, sent) in [("br", Some("br")), ("gzip", Some("gzip")), ("identity", None)] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(taken))]);
            let mut bodies = Vec::new();
            for _ in 0..3 {
                let response = file.answer(&headers).await;
                let encoding =
                    response.headers().get(header::CONTENT_ENCODING).map(|name| name.to_str().expect("text"));
                assert_eq!(encoding, sent);
                bodies.push(response.into_body().collect().await.expect("read").to_bytes());
            }
            // The very same bytes in memory, not equal ones.
            assert!(bodies.iter().all(|body| body.as_ptr() == bodies[0].as_ptr()), "{taken}");
            assert_eq!(bodies[0].len() < 1_000, sent.is_some());
        }
    }
}
