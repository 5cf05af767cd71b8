//! Who asks: from the tokens that a request brings to the [`Requester`] that the hub is asked with.
//!
//! A token comes as `Authorization: Bearer`, as a WebSocket subprotocol, as `?token=` (all that the stock JavaScript
//! client can do), or as the cookie that a login sets. The first of these that is there counts; a bad one is not made up
//! for by another. Everything that a client can be told of a token that does not count is one and the same sentence.

use std::sync::Arc;

use auth::{Grant, Principal, Refused};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use limits::Payer;
use runtime::clock::now;
use runtime::hub::Requester;
use runtime::metrics::RefusalReason;
use sync_engine::Surface;

use super::access::Access;
use super::guests::Guest;
use super::secure::is_secure;
use super::sessions::renew;
use super::upgrade::Upgrade;
use super::{App, Problem};

/// The subprotocol that announces that the next one is a token. It is the one that the server picks.
pub const SUBPROTOCOL: &str = "happierwork.bearer";
/// The cookie of a login.
pub const COOKIE: &str = "happierwork_session";
/// The same where it is only sent over TLS: no other host of the domain can set one of this name.
const SECURE_COOKIE: &str = "__Host-happierwork_session";
/// The parameter of a URL that holds a token.
pub const PARAMETER: &str = "token";

/// The principal of a request, or why it has none. Every request has this as an extension.
pub type Authentication = Result<Principal, Refused>;

/// The caller of a request over this surface.
///
/// # Errors
/// When the request is not authenticated.
pub fn caller_of(authentication: &Authentication, surface: Surface) -> Result<Requester, Refused> {
    match authentication {
        Ok(Principal::Anonymous(payer)) => Ok(Requester::anonymous_charged_to(surface, payer.clone())),
        Ok(Principal::User(grant)) => Ok(Requester::authenticated(surface, Grant::clone(grant))),
        Err(refused) => Err(*refused),
    }
}

impl App {
    /// What a caller may do now, who has taken their time with what comes after the head of a request.
    ///
    /// # Errors
    /// When their token does not count any more.
    pub fn renew(&self, caller: &Requester) -> Result<(), Refused> {
        self.authority.as_ref().map_or(Ok(()), |authority| renew(authority, caller))
    }

    /// Where a request has its token.
    pub fn token_of<'a, B>(&self, request: &'a axum::http::Request<B>) -> Found<'a> {
        let secure = is_secure(&self.guests, request.extensions(), request.headers());
        Found::of(request.method(), request.uri(), request.headers(), &self.access, secure)
    }

    /// Who is charged for what a request uses, where users are not known.
    fn payer<B>(&self, request: &axum::http::Request<B>) -> Option<Payer> {
        let guest = request.extensions().get::<Arc<Guest>>()?;
        Payer::at(self.guests.origin(guest.peer, request.headers()))
    }

    /// Whom a request comes from, by its head.
    pub fn authenticate<B>(&self, request: &axum::http::Request<B>) -> Authentication {
        let Some(authority) = &self.authority else { return Ok(Principal::Anonymous(self.payer(request))) };
        authority.authenticate(self.token_of(request).token(), now()).inspect_err(|refused| {
            if *refused != Refused::Missing {
                self.hub.metrics().record_refusal(RefusalReason::Unauthorized);
                tracing::debug!(reason = refused.reason(), "a token that does not count");
            }
        })
    }
}

/// Where a request has its token.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// In a place where programs put it.
    Given(std::borrow::Cow<'a, str>),
    /// In the cookie of a page of ours.
    Cookie(&'a str),
    /// Nowhere.
    Nothing,
}

impl<'a> Found<'a> {
    /// Looks into all places, in order. `secure`: the request came over TLS.
    fn of(method: &Method, uri: &'a Uri, headers: &'a HeaderMap, access: &Access, secure: bool) -> Self {
        if let Some(token) = bearer(headers) {
            return Self::Given(token.into());
        }
        if let Some(token) = subprotocol(headers) {
            return Self::Given(token.into());
        }
        if let Some(token) = parameter(uri) {
            return Self::Given(token);
        }
        // A browser sends the cookie with the requests of any page.
        match cookie(headers, secure) {
            Some(token) if comes_from_our_page(method, headers, access, secure) => Self::Cookie(token),
            _ => Self::Nothing,
        }
    }

    /// The token.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Given(token) => Some(token),
            Self::Cookie(token) => Some(token),
            Self::Nothing => None,
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    // What else a proxy in front may have asked for is not for us.
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

/// What is to be answered to the subprotocols that were offered: a browser ends a socket on which none was picked.
pub fn picked(headers: &HeaderMap) -> Option<HeaderValue> {
    subprotocols(headers).any(|protocol| protocol == SUBPROTOCOL).then(|| HeaderValue::from_static(SUBPROTOCOL))
}

fn parameter(uri: &Uri) -> Option<std::borrow::Cow<'_, str>> {
    let pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.into_iter().find(|(name, _)| name == PARAMETER).map(|(_, token)| token)
}

/// Over TLS there is one that no other host, and nobody between, can have set: there the other one does not count.
fn cookie(headers: &HeaderMap, secure: bool) -> Option<&str> {
    let cookies = || {
        let lists = headers.get_all(header::COOKIE).iter().filter_map(|list| list.to_str().ok());
        lists.flat_map(|list| list.split(';')).filter_map(|cookie| cookie.trim().split_once('='))
    };
    let named = |wanted: &str| cookies().find(|(name, _)| *name == wanted).map(|(_, token)| token);
    named(SECURE_COOKIE).or_else(|| named(COOKIE).filter(|_| !secure))
}

/// Whether a request that brings a cookie was made by a page of this server, or of one that its operator named. Browsers say
/// where a request comes from when it is more than a plain `GET`. (Other ports of this machine are the same site to a
/// browser, which sends them its cookies: that a page is on loopback is not enough here.)
fn comes_from_our_page(method: &Method, headers: &HeaderMap, access: &Access, secure: bool) -> bool {
    if headers.contains_key(header::ORIGIN) {
        return is_from_our_page(headers, access, secure);
    }
    (method == Method::GET || method == Method::HEAD) && !Upgrade::is_asked_for(headers)
}

/// Whether no page, or one of ours, made a request.
pub fn is_from_our_page(headers: &HeaderMap, access: &Access, secure: bool) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    headers.get_all(header::ORIGIN).iter().all(|origin| access.is_ours(origin, host, secure))
}

/// The cookie that holds a session.
#[cfg(feature = "legacy")]
pub fn session_cookie(token: &str, seconds: u64, secure: bool) -> String {
    let (name, secure) = if secure { (SECURE_COOKIE, "; Secure") } else { (COOKIE, "") };
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// What takes it back: both names, as it may have been set either way.
#[cfg(feature = "legacy")]
pub fn ended_cookies() -> [String; 2] {
    [session_cookie("", 0, false), session_cookie("", 0, true)]
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = axum::http::StatusCode::UNAUTHORIZED;
        Self::new(status, "unauthorized", "It is not known who you are", refused.to_string())
    }
}

/// Who asks, for the JSON API.
pub struct Asker(pub Requester);

impl FromRequestParts<Arc<App>> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        Ok(Self(caller(parts, app, Surface::Api)?))
    }
}

/// The caller of a request over this surface.
///
/// # Errors
/// When authentication is required and the request has none that is valid.
pub fn caller(parts: &mut Parts, app: &App, surface: Surface) -> Result<Requester, Refused> {
    // One for all parts of a request: who reads its body, which may take a while, renews it for the others.
    if let Some(known) = parts.extensions.get::<Requester>() {
        return Ok(known.clone());
    }
    let caller = match parts.extensions.get::<Authentication>() {
        Some(authentication) => caller_of(authentication, surface)?,
        // Nothing but a mistake in the order of layers leads here: nobody is let in by it.
        None if app.authority.is_some() => return Err(Refused::Missing),
        None => Requester::anonymous(surface),
    };
    parts.extensions.insert(caller.clone());
    Ok(caller)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cookies: &str, secure: bool) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookies).expect("a header"))]);
        let uri = Uri::from_static("/data/");
        Found::of(&Method::GET, &uri, &headers, &Access::default(), secure).token().map(str::to_owned)
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
            assert_eq!(found(cookies, true).as_deref(), over_tls, "{cookies}");
            assert_eq!(found(cookies, false).as_deref(), without, "{cookies}");
        }
    }
}
