//! Whether a request came over TLS on its whole way from the client. Secure cookies and HSTS depend on it.

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};

use super::origin::{host_of, is_loopback_name};
use crate::server::transport::client_connection::{ClientConnection, ListenerKind};
use crate::server::transport::connection_limits::ConnectionLimiter;

/// Header in which a proxy reports the scheme of the client's request.
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// Browsers that receive this header use only TLS for a year.
const HSTS: (HeaderName, HeaderValue) =
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));

/// Whether the client's connection uses TLS. The report of a trusted proxy takes precedence over the proxy's own connection to
/// this server.
#[must_use]
pub fn is_https(limiter: &ConnectionLimiter, extensions: &Extensions, headers: &HeaderMap) -> bool {
    forwarded(limiter, extensions, headers)
        .unwrap_or_else(|| extensions.get::<ListenerKind>().is_some_and(|listener| listener.tls))
}

/// The HSTS header for the response to this request; `None` without TLS, and for loopback names: browsers apply the header to
/// all ports of a name, and other servers on a developer's machine have no TLS.
#[must_use]
pub fn hsts_header(
    limiter: &ConnectionLimiter,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Option<(HeaderName, HeaderValue)> {
    let https = match forwarded(limiter, extensions, headers) {
        // Behind a proxy, `Host` may be the proxy's name for this server.
        Some(https) => https,
        None => is_https(limiter, extensions, headers) && !is_loopback_host(headers),
    };
    https.then_some(HSTS)
}

/// Whether a trusted proxy reports TLS; `None` without a report. If several proxies report, all must report TLS: the client may
/// have written the first entry.
fn forwarded(limiter: &ConnectionLimiter, extensions: &Extensions, headers: &HeaderMap) -> Option<bool> {
    let client = extensions.get::<Arc<ClientConnection>>()?;
    if !limiter.is_trusted_proxy(client.peer) || !headers.contains_key(FORWARDED_PROTO) {
        return None;
    }
    let is_https = |part: &str| part.trim().eq_ignore_ascii_case("https");
    let mut values = headers.get_all(FORWARDED_PROTO).iter();
    Some(values.all(|value| value.to_str().is_ok_and(|value| value.split(',').all(is_https))))
}

fn is_loopback_host(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_loopback_name(host_of(host)))
}
