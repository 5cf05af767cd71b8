//! Serves the dashboard: the files of a web application, which `build.rs` builds and embeds. They contain no data of the plan, so
//! they need no authentication.

mod asset;
mod embedded;

pub use asset::{Asset, Content};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::conditional;
use super::fallback::method_problem;
use super::transport::compression::SkipCompression;
use super::transport::content_encoding::{ContentEncoding, negotiate};

/// The HTML page.
const INDEX: &str = "/index.html";
/// Paths below this contain a hash of the content, so the files never change.
const HASHED: &str = "/assets/";
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Browsers revalidate each time.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// Content security policy: only the dashboard's own files and Automerge's WebAssembly are loaded and run. `'self'` covers WebSockets
/// in every browser that supports `'wasm-unsafe-eval'`. (Safari has supported the one since 15.4, and the other since 16.)
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
     font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'",
);

/// The files of the dashboard. Empty in a server that was built without it.
#[derive(Debug, Clone, Copy)]
pub struct Dashboard(&'static [Asset]);

impl Dashboard {
    /// The files that this program was built with.
    #[must_use]
    pub const fn embedded() -> Self {
        Self(embedded::ASSETS)
    }

    /// No dashboard.
    #[must_use]
    pub const fn none() -> Self {
        Self(&[])
    }

    /// A dashboard of these files.
    #[must_use]
    pub const fn of(assets: &'static [Asset]) -> Self {
        Self(assets)
    }

    /// Whether there is a dashboard.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.find(INDEX).is_some()
    }

    /// The response with the HTML page; `None` without a dashboard.
    #[must_use]
    pub fn index(&self, request: &HeaderMap) -> Option<Response> {
        Some(response(self.find(INDEX)?, request))
    }

    /// The response to a request for one of the files; `None` if no file has this path.
    #[must_use]
    pub fn file(&self, request: &Request) -> Option<Response> {
        let asset = self.find(request.uri().path())?;
        if *request.method() == Method::GET || *request.method() == Method::HEAD {
            return Some(response(asset, request.headers()));
        }
        let problem = method_problem(request.method(), request.uri());
        Some(([(header::ALLOW, "GET, HEAD")], problem).into_response())
    }

    /// Searches linearly: there are a few dozen files.
    fn find(&self, path: &str) -> Option<&'static Asset> {
        self.0.iter().find(|asset| asset.path == path)
    }
}

fn response(asset: &'static Asset, request: &HeaderMap) -> Response {
    let mut response = if conditional::is_known(request, asset.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (encoding, body) = match asset.content {
            Content::Plain(bytes) => (None, Bytes::from_static(bytes)),
            Content::Compressed { brotli, gzip, length } => match negotiate(request) {
                ContentEncoding::Brotli => (Some("br"), Bytes::from_static(brotli)),
                ContentEncoding::Gzip => (Some("gzip"), Bytes::from_static(gzip)),
                ContentEncoding::Identity => match asset::decompress(gzip, length) {
                    Ok(bytes) => (None, bytes),
                    Err(error) => {
                        tracing::error!(path = asset.path, %error, "an embedded file cannot be decompressed");
                        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                    }
                },
            },
        };
        let mut response = body.into_response();
        let media = HeaderValue::from_static(asset.media);
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        let encoding = encoding.map(|encoding| (header::CONTENT_ENCODING, HeaderValue::from_static(encoding)));
        response.headers_mut().extend(encoding);
        response
    };
    let cache = if asset.path.starts_with(HASHED) { IMMUTABLE } else { REVALIDATE };
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CACHE_CONTROL, cache),
        (header::ETAG, HeaderValue::from_static(asset.tag)),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    response.headers_mut().extend(headers);
    response.extensions_mut().insert(SkipCompression);
    response
}
