//! `/api/login` sends the browser to the provider, and `/api/login/callback` is where the provider sends it back.
//!
//! Both are visited by browsers, so they answer with redirects, also for errors: the login page shows them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use auth::Session;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
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
use crate::server::transport::client_connection::ClientConnection;

/// The page, relative to these paths: the server may be below a prefix that it does not know.
const PAGE_FROM_LOGIN: &str = "../";
const PAGE_FROM_CALLBACK: &str = "../../";

/// The paths of logins.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/api/login", get(begin)).route("/api/login/callback", get(finish))
}

async fn begin(State(app): State<Arc<App>>, request: Request) -> Response {
    let https = is_https(&app.connection_limiter, request.extensions(), request.headers());
    let attempt = Attempt::new();
    let url = match &app.identity_provider {
        Some(provider) => provider.authorization_url(&attempt, &origin(&request, https)),
        None => Err(LoginError::NoProvider),
    };
    match url {
        Ok(url) => redirect(&url, &[LOGIN.set(&attempt.to_cookie(), LIFETIME, SameSite::Lax, https)]),
        Err(error) => failed(&app, &error, PAGE_FROM_LOGIN, https),
    }
}

async fn finish(State(app): State<Arc<App>>, request: Request) -> Response {
    let https = is_https(&app.connection_limiter, request.extensions(), request.headers());
    let attempt = LOGIN.find(request.headers(), https).and_then(Attempt::from_cookie);
    let answer = answer(request.uri().query().unwrap_or_default());
    let peer = request.extensions().get::<Arc<ClientConnection>>().map(|client| client.peer);
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let from = Payer::at(app.connection_limiter.client_address(peer, request.headers()));
    let session = match &app.identity_provider {
        Some(provider) => provider.finish(attempt, answer, &origin(&request, https), from).await,
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

/// Scheme and host of this server, as the browser sees them.
fn origin(request: &Request, https: bool) -> String {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("{}://{host}", if https { "https" } else { "http" })
}

/// Deletes the cookie of a login.
fn ended(https: bool) -> String {
    LOGIN.set("", 0, SameSite::Lax, https)
}

/// Returns to the login page, which explains the error.
fn failed(app: &App, error: &LoginError, page: &str, https: bool) -> Response {
    app.hub.metrics().record_refusal(RefusalReason::Unauthorized);
    match error.code() {
        // Anybody can cause these.
        "expired" | "busy" | "cancelled" => tracing::debug!(%error, "a login by the identity provider failed"),
        _ => tracing::info!(%error, "a login by the identity provider failed"),
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
    fn unknown_parameters_of_an_answer_are_ignored() {
        let answer = answer("code=a%20b&state=s&session_state=7&iss=https%3A%2F%2Flogin.example.com&error");
        assert_eq!((answer.code.as_deref(), answer.state.as_deref()), (Some("a b"), Some("s")));
        assert_eq!((answer.issuer.as_deref(), answer.error.as_deref()), (Some("https://login.example.com"), Some("")));
    }
}
