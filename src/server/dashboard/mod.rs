//! The dashboard: the page that people open, and the files that it is made of. They are built with the server (`build.rs`)
//! and are part of the program; they hold no figures, so nobody is asked who they are.

mod asset;
mod embedded;

pub use asset::{Asset, Content};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::compression::AsItIs;
use super::encoding::{Encoding, accepted};
use super::{conditional, page};

/// The page itself.
const INDEX: &str = "/index.html";
/// Names below this hold a hash of their content: what is there never changes.
const HASHED: &str = "/assets/";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Revalidated each time; 304 if it has not changed.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");
/// Nothing comes from elsewhere, and nothing is run but the page's own files and Automerge's WebAssembly. `'self'` covers
/// WebSockets in every browser that knows `'wasm-unsafe-eval'`. (Safari learned the one in 15.4, and the other in 16.)
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; \
     font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'",
);

/// The files of the page; or none, in a server that was built without it.
#[derive(Debug, Clone, Copy)]
pub struct Dashboard(&'static [Asset]);

impl Dashboard {
    /// What this program was built with.
    #[must_use]
    pub const fn embedded() -> Self {
        Self(embedded::ASSETS)
    }

    /// No page.
    #[must_use]
    pub const fn none() -> Self {
        Self(&[])
    }

    /// A page of these files.
    #[must_use]
    pub const fn of(assets: &'static [Asset]) -> Self {
        Self(assets)
    }

    /// Whether there is a page.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.find(INDEX).is_some()
    }

    /// The page; None if there is none.
    #[must_use]
    pub fn index(&self, request: &HeaderMap) -> Option<Response> {
        Some(answer(self.find(INDEX)?, request))
    }

    /// The answer to a request for one of the files; None if there is none at this path.
    #[must_use]
    pub fn file(&self, request: &Request) -> Option<Response> {
        let asset = self.find(request.uri().path())?;
        if *request.method() == Method::GET || *request.method() == Method::HEAD {
            return Some(answer(asset, request.headers()));
        }
        let refused = page::not_allowed(request.method(), request.uri());
        Some(([(header::ALLOW, "GET, HEAD")], refused).into_response())
    }

    /// There are a few dozen.
    fn find(&self, path: &str) -> Option<&'static Asset> {
        self.0.iter().find(|asset| asset.path == path)
    }
}

fn answer(asset: &'static Asset, request: &HeaderMap) -> Response {
    let mut response = if conditional::is_known(request, asset.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (encoding, body) = match asset.content {
            Content::Plain(bytes) => (None, Bytes::from_static(bytes)),
            Content::Compressed { brotli, gzip, length } => match accepted(request) {
                Encoding::Brotli => (Some("br"), Bytes::from_static(brotli)),
                Encoding::Gzip => (Some("gzip"), Bytes::from_static(gzip)),
                Encoding::Identity => match asset::inflated(gzip, length) {
                    Ok(bytes) => (None, bytes),
                    Err(error) => {
                        tracing::error!(path = asset.path, %error, "an embedded file does not inflate");
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
    let cache = if asset.path.starts_with(HASHED) { FOR_EVER } else { ASK };
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CACHE_CONTROL, cache),
        (header::ETAG, HeaderValue::from_static(asset.tag)),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    response.headers_mut().extend(headers);
    response.extensions_mut().insert(AsItIs);
    response
}
