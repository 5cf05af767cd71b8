//! Authentication of requests: finds the token of a request, and turns it into the [`Requester`] that is passed to the hub.
//!
//! A token is sent as `Authorization: Bearer`, as a WebSocket subprotocol, as `?token=` (the stock JavaScript client supports
//! nothing else), or in the cookie that a login sets. The first of these counts, even if it is invalid. All invalid tokens get
//! the same error message.

use std::sync::Arc;

use auth::{Grant, Principal, Refused};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use limits::Payer;
use runtime::clock::now;
use runtime::hub::Requester;
use runtime::metrics::RefusalReason;
use sync_engine::Surface;

use super::cookies::{SESSION, SameSite};
use super::https::is_https;
use super::origin::OriginPolicy;
use super::session_monitor::recheck;
use crate::server::header_tokens::lists_token;
use crate::server::transport::client_connection::ClientConnection;
use crate::server::{App, Problem};

/// WebSocket subprotocol that precedes a token in the client's offer. The server selects it.
pub const SUBPROTOCOL: &str = "happierwork.bearer";
/// Query parameter that holds a token.
pub const PARAMETER: &str = "token";

/// The principal of a request, or why authentication failed. Every request has this as an extension.
pub type Authentication = Result<Principal, Refused>;

/// The requester of a request through this surface.
///
/// # Errors
/// When the request is not authenticated.
pub fn requester_of(authentication: &Authentication, surface: Surface) -> Result<Requester, Refused> {
    match authentication {
        Ok(Principal::Anonymous(payer)) => Ok(Requester::anonymous_charged_to(surface, payer.clone())),
        Ok(Principal::User(grant)) => Ok(Requester::authenticated(surface, Grant::clone(grant))),
        Err(refused) => Err(*refused),
    }
}

impl App {
    /// Checks a requester's token again, after the body of a request has arrived. Updates the requester's grant.
    ///
    /// # Errors
    /// If the token is no longer valid.
    pub fn recheck(&self, requester: &Requester) -> Result<(), Refused> {
        self.authority.as_ref().map_or(Ok(()), |authority| recheck(authority, requester))
    }

    /// The token of a request.
    pub fn token_of<'a, B>(&self, request: &'a axum::http::Request<B>) -> TokenSource<'a> {
        let https = is_https(&self.connection_limiter, request.extensions(), request.headers());
        TokenSource::find(request.method(), request.uri(), request.headers(), &self.origin_policy, https)
    }

    /// The payer that is charged for a request without a user.
    fn payer<B>(&self, request: &axum::http::Request<B>) -> Option<Payer> {
        let client = request.extensions().get::<Arc<ClientConnection>>()?;
        Payer::at(self.connection_limiter.client_address(client.peer, request.headers()))
    }

    /// Authenticates a request by its head.
    pub fn authenticate<B>(&self, request: &axum::http::Request<B>) -> Authentication {
        let Some(authority) = &self.authority else { return Ok(Principal::Anonymous(self.payer(request))) };
        authority.authenticate(self.token_of(request).token(), now()).inspect_err(|refused| {
            if *refused != Refused::Missing {
                self.hub.metrics().record_refusal(RefusalReason::Unauthorized);
                tracing::debug!(reason = refused.reason(), "rejected a token");
            }
        })
    }
}

/// The token of a request, by its source.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenSource<'a> {
    /// The client sent the token explicitly: in a header, a subprotocol or the URL.
    Explicit(std::borrow::Cow<'a, str>),
    /// The session cookie, sent by a page of this server.
    Cookie(&'a str),
    /// The request has no token.
    Missing,
}

impl<'a> TokenSource<'a> {
    /// Searches all sources, in order. `https`: the request came over TLS.
    fn find(method: &Method, uri: &'a Uri, headers: &'a HeaderMap, policy: &OriginPolicy, https: bool) -> Self {
        if let Some(token) = bearer(headers) {
            return Self::Explicit(token.into());
        }
        if let Some(token) = subprotocol(headers) {
            return Self::Explicit(token.into());
        }
        if let Some(token) = parameter(uri) {
            return Self::Explicit(token);
        }
        match SESSION.find(headers, https) {
            Some(token) if is_cookie_trusted(method, headers, policy, https) => Self::Cookie(token),
            _ => Self::Missing,
        }
    }

    /// The token; `None` if it is missing.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Explicit(token) => Some(token),
            Self::Cookie(token) => Some(token),
            Self::Missing => None,
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    // Other schemes may be meant for a proxy.
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',').map(str::trim))
}

fn subprotocol(headers: &HeaderMap) -> Option<&str> {
    let mut protocols = subprotocols(headers);
    protocols.find(|protocol| *protocol == SUBPROTOCOL)?;
    protocols.next()
}

/// The subprotocol to select from the client's offer. Browsers close a WebSocket if the server selects none of those offered.
pub fn selected_subprotocol(headers: &HeaderMap) -> Option<HeaderValue> {
    subprotocols(headers).any(|protocol| protocol == SUBPROTOCOL).then(|| HeaderValue::from_static(SUBPROTOCOL))
}

fn parameter(uri: &Uri) -> Option<std::borrow::Cow<'_, str>> {
    let pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.into_iter().find(|(name, _)| name == PARAMETER).map(|(_, token)| token)
}

/// Whether the cookie of a request authenticates it: browsers also send it with requests of other pages. Requests other than
/// plain `GET`s have an `Origin`, which must be this server's own or configured. Loopback origins are not sufficient: browsers
/// send a cookie to all ports of a host.
fn is_cookie_trusted(method: &Method, headers: &HeaderMap, policy: &OriginPolicy, https: bool) -> bool {
    if headers.contains_key(header::ORIGIN) {
        return is_from_own_page(headers, policy, https);
    }
    (method == Method::GET || method == Method::HEAD) && !lists_token(headers, &header::UPGRADE, "websocket")
}

/// Whether a request comes from a page of this server, or from no page.
pub fn is_from_own_page(headers: &HeaderMap, policy: &OriginPolicy, https: bool) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    headers.get_all(header::ORIGIN).iter().all(|origin| policy.is_own_origin(origin, host, https))
}

/// The `Set-Cookie` value of a session. `seconds`: its lifetime.
pub fn session_cookie(token: &str, seconds: u64, https: bool) -> String {
    SESSION.set(token, seconds, SameSite::Strict, https)
}

/// `Set-Cookie` values that delete the session cookie under both names.
#[cfg(feature = "legacy")]
pub fn expired_cookies() -> [String; 2] {
    [session_cookie("", 0, false), session_cookie("", 0, true)]
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        if refused == Refused::Unavailable {
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Temporarily unavailable",
                refused.to_string(),
            );
        }
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Authentication required", refused.to_string())
    }
}

/// Extractor: the requester of an API request. Rejects unauthenticated requests.
pub struct ApiRequester(pub Requester);

impl FromRequestParts<Arc<App>> for ApiRequester {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        Ok(Self(requester(parts, app, Surface::Api)?))
    }
}

/// The requester of a request through this surface.
///
/// # Errors
/// When authentication is required and the request has none that is valid.
pub fn requester(parts: &mut Parts, app: &App, surface: Surface) -> Result<Requester, Refused> {
    // All extractors of a request share one requester, so that a recheck after the body affects all of them.
    if let Some(requester) = parts.extensions.get::<Requester>() {
        return Ok(requester.clone());
    }
    let requester = match parts.extensions.get::<Authentication>() {
        Some(authentication) => requester_of(authentication, surface)?,
        // Only a wrong order of layers leads here. It must not grant access.
        None if app.authority.is_some() => return Err(Refused::Missing),
        None => Requester::anonymous(surface),
    };
    parts.extensions.insert(requester.clone());
    Ok(requester)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(cookies: &str, https: bool) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookies).expect("a header"))]);
        let uri = Uri::from_static("/data/");
        TokenSource::find(&Method::GET, &uri, &headers, &OriginPolicy::default(), https).token().map(str::to_owned)
    }

    #[test]
    fn tls_accepts_only_the_host_prefixed_cookie() {
        let (plain, secure) = ("happierwork_session=plain", "__Host-happierwork_session=secure");
        let both = format!("{plain}; {secure}");
        for (cookies, over_tls, without) in [
            (plain, None, Some("plain")),
            (secure, Some("secure"), Some("secure")),
            (&*both, Some("secure"), Some("secure")),
        ] {
            assert_eq!(token(cookies, true).as_deref(), over_tls, "{cookies}");
            assert_eq!(token(cookies, false).as_deref(), without, "{cookies}");
        }
    }
}
