//! `/api/login` sends the browser to the provider, and `/api/login/callback` is where the provider sends it back.
//!
//! Both are visited by browsers, so they answer with redirects, also for errors: the login page shows them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use auth::Session;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use limits::Payer;
use runtime::clock::now;
use runtime::metrics::RefusalReason;

use super::attempt::{Attempt, LIFETIME};
use super::exchange::{Answer, LoginError};
use crate::server::App;
use crate::server::security::authentication::session_cookie;
use crate::server::security::cookies::{LOGIN, SameSite};
use crate::server::security::https::is_https;
use crate::server::security::origin::is_loopback_name;
use crate::server::transport::client_connection::ClientConnection;

/// The page, relative to these paths: the server may be below a prefix that it does not know.
const PAGE_FROM_LOGIN: &str = "../";
const PAGE_FROM_CALLBACK: &str = "../../";

/// The paths of logins.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/api/login", get(begin)).route("/api/login/callback", get(finish))
}

async fn begin(State(app): State<Arc<App>>, request: Request) -> Response {
    let https = is_by_https(&app, &request);
    let attempt = Attempt::new();
    let origin = origin(request.headers(), &app.origin_policy.hosts, https);
    let url = match &app.identity_provider {
        Some(provider) => provider.authorization_url(&attempt, origin.as_deref()),
        None => Err(LoginError::NoProvider),
    };
    match url {
        Ok(url) => redirect(&url, &[LOGIN.set(&attempt.to_cookie(), LIFETIME, SameSite::Lax, https)]),
        Err(error) => failed(&app, &error, PAGE_FROM_LOGIN, https),
    }
}

async fn finish(State(app): State<Arc<App>>, request: Request) -> Response {
    let https = is_by_https(&app, &request);
    let attempt = LOGIN.find(request.headers(), https).and_then(Attempt::from_cookie);
    let answer = answer(request.uri().query().unwrap_or_default());
    let peer = request.extensions().get::<Arc<ClientConnection>>().map(|client| client.peer);
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let from = Payer::at(app.connection_limiter.client_address(peer, request.headers()));
    let origin = origin(request.headers(), &app.origin_policy.hosts, https);
    let session = match &app.identity_provider {
        Some(provider) => provider.finish(attempt, answer, origin.as_deref(), from).await,
        None => Err(LoginError::NoProvider),
    };
    match session {
        Ok(Session { token, grant }) => {
            let seconds = u64::try_from(grant.expires - now()).unwrap_or(0);
            redirect(PAGE_FROM_CALLBACK, &[session_cookie(&token, seconds, https), ended(https)])
        }
        Err(error) => failed(&app, &error, PAGE_FROM_CALLBACK, https),
    }
}

/// The parameters of the provider's answer. Unknown ones are ignored, as providers add their own.
fn answer(query: &str) -> Answer {
    let mut answer = Answer::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let field = match &*name {
            "code" => &mut answer.code,
            "state" => &mut answer.state,
            "error" => &mut answer.error,
            "iss" => &mut answer.issuer,
            _ => continue,
        };
        *field = Some(value.into_owned());
    }
    answer
}

/// Whether the browser's request came over TLS, for the cookies.
fn is_by_https(app: &App, request: &Request) -> bool {
    app.identity_provider.as_ref().is_some_and(|provider| provider.is_public_by_https())
        || is_https(&app.connection_limiter, request.extensions(), request.headers())
}

/// Scheme and host of this server, as the browser sees them. `None` unless the host is of loopback, or one of `hosts`: with another
/// name, whoever has written the request would decide where the provider sends the code.
fn origin(headers: &HeaderMap, hosts: &[String], https: bool) -> Option<String> {
    // Parsed, since a path or a user in the header would change the host of the URL.
    let authority: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    let host = authority.host();
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_known = is_loopback_name(host) || hosts.iter().any(|known| known.eq_ignore_ascii_case(name));
    let is_plain = !authority.as_str().contains('@');
    (is_known && is_plain).then(|| format!("{}://{authority}", if https { "https" } else { "http" }))
}

/// Deletes the cookie of a login.
fn ended(https: bool) -> String {
    LOGIN.set("", 0, SameSite::Lax, https)
}

/// Returns to the login page, which explains the error.
fn failed(app: &App, error: &LoginError, page: &str, https: bool) -> Response {
    app.hub.metrics().record_refusal(RefusalReason::Unauthorized);
    if error.is_of_client() {
        tracing::debug!(%error, "a login by the identity provider failed");
    } else {
        tracing::info!(%error, "a login by the identity provider failed");
    }
    redirect(&format!("{page}#login={}", error.code()), &[ended(https)])
}

fn redirect(to: &str, cookies: &[String]) -> Response {
    let Ok(location) = HeaderValue::try_from(to) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies.iter().filter_map(|cookie| HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_of_this_server_count() {
        let hosts = ["plan.example.com".to_owned()];
        let origin = |host: &'static str, https| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            origin(&headers, &hosts, https)
        };
        assert_eq!(origin("localhost:8000", false).as_deref(), Some("http://localhost:8000"));
        assert_eq!(origin("127.0.0.1:8000", false).as_deref(), Some("http://127.0.0.1:8000"));
        assert_eq!(origin("Plan.example.com", true).as_deref(), Some("https://Plan.example.com"));
        assert_eq!(origin("[::1]:8000", false).as_deref(), Some("http://[::1]:8000"));
        for host in [
            "evil.example",
            "10.0.0.5:8000",
            "plan.example.com.evil.example",
            "localhost@evil.example",
            "evil@localhost",
            "evil.example/.localhost",
            "evil.example?.localhost",
            "evil.example#.localhost",
            "",
        ] {
            assert_eq!(origin(host, true), None, "{host:?}");
        }
        assert_eq!(super::origin(&HeaderMap::new(), &hosts, true), None);
    }

    #[test]
    fn unknown_parameters_of_an_answer_are_ignored() {
        let answer = answer("code=a%20b&state=s&session_state=7&iss=https%3A%2F%2Flogin.example.com&error");
        assert_eq!((answer.code.as_deref(), answer.state.as_deref()), (Some("a b"), Some("s")));
        assert_eq!((answer.issuer.as_deref(), answer.error.as_deref()), (Some("https://login.example.com"), Some("")));
    }
}
