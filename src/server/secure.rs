//! Whether a request came over TLS, all the way from the client: what may be promised to browsers depends on it.

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};

use super::access::{ListenerKind, host_of, is_loopback_name};
use super::guests::{Guest, Guests};

/// How a proxy says in which scheme it was asked.
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// For a year, browsers that have seen this come over TLS only.
const STRICT_TRANSPORT: (HeaderName, HeaderValue) =
    (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));

/// Whether the client reached us over TLS: directly, or by a trusted proxy that says so. What a proxy of ours says counts
/// before how it reached us itself; what anybody else says does not count.
#[must_use]
pub fn is_secure(guests: &Guests, extensions: &Extensions, headers: &HeaderMap) -> bool {
    forwarded(guests, extensions, headers)
        .unwrap_or_else(|| extensions.get::<ListenerKind>().is_some_and(|listener| listener.tls))
}

/// The header that goes with an answer to this request, if there is anything to promise. Browsers apply it to all ports of
/// a name, so `localhost` is spared: a person who runs this server there runs others, without TLS.
#[must_use]
pub fn strict_transport(
    guests: &Guests,
    extensions: &Extensions,
    headers: &HeaderMap,
) -> Option<(HeaderName, HeaderValue)> {
    let secure = match forwarded(guests, extensions, headers) {
        // The `Host` is the one by which the proxy knows us.
        Some(secure) => secure,
        None => is_secure(guests, extensions, headers) && !is_reached_as_loopback(headers),
    };
    secure.then_some(STRICT_TRANSPORT)
}

/// What a proxy of ours says about the client's side. If it was handed on by several, all have to say the same: the first
/// may be the client's own words.
fn forwarded(guests: &Guests, extensions: &Extensions, headers: &HeaderMap) -> Option<bool> {
    let guest = extensions.get::<Arc<Guest>>()?;
    if !guests.is_proxy(guest.peer) || !headers.contains_key(FORWARDED_PROTO) {
        return None;
    }
    let is_https = |part: &str| part.trim().eq_ignore_ascii_case("https");
    let mut said = headers.get_all(FORWARDED_PROTO).iter();
    Some(said.all(|value| value.to_str().is_ok_and(|value| value.split(',').all(is_https))))
}

fn is_reached_as_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_loopback_name(host_of(host)))
}
