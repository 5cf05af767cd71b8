//! `POST /accounts/api/login/` and `POST /accounts/api/logout/`.
//!
//! With accounts, a login checks the password and returns a token: in the body for programs, and in a cookie for pages. If
//! authentication is off, any e-mail address is accepted as in the legacy backend, for programs that log in first; nothing is stored
//! and no rights are granted.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use auth::{Authority, LoginRefused, Refused, Session};
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::clock::now;
use runtime::metrics::RefusalReason;
use serde_json::{Map, Value, json};

use super::response;
use crate::server::App;
use crate::server::security::authentication::{expired_cookies, is_from_own_page, session_cookie};
use crate::server::security::https::is_https;
use crate::server::transport::client_connection::ClientConnection;

/// Maximum length of a password, in bytes. Longer ones are rejected without hashing.
const MAX_PASSWORD: usize = 1_024;
/// Value of `Retry-After` when the login queue is full, in seconds: by then the queue has been processed.
const RETRY_LOGIN: u64 = 2;

/// Logs a user in.
pub async fn login(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let object = match response::read_object(&head.headers, body).await {
        Ok(object) => object,
        Err(response) => return response,
    };
    let email = match object.get("email") {
        None | Some(Value::Null) => return response::error(StatusCode::BAD_REQUEST, "Email is required"),
        Some(Value::String(email)) if email.trim().is_empty() => {
            return response::error(StatusCode::BAD_REQUEST, "Email is required");
        }
        Some(Value::String(email)) => email,
        Some(_) => return response::invalid_json(),
    };
    match &app.authority {
        None => response::message(StatusCode::OK, "Login successful"),
        Some(authority) => authenticate(&app, authority, &head, email, &object).await,
    }
}

async fn authenticate(
    app: &App,
    authority: &Authority,
    head: &Parts,
    email: &str,
    object: &Map<String, Value>,
) -> Response {
    if !authority.has_accounts() {
        let reason = "This server has no accounts; ask its operator for a token";
        return response::error(StatusCode::UNAUTHORIZED, reason);
    }
    let password = match object.get("password") {
        Some(Value::String(password)) if !password.is_empty() && password.len() <= MAX_PASSWORD => password,
        Some(Value::String(_)) => return invalid_credentials(app),
        _ => return response::error(StatusCode::BAD_REQUEST, "Password is required"),
    };
    let peer = head.extensions.get::<Arc<ClientConnection>>().map(|client| client.peer);
    let from = app.connection_limiter.client_address(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), &head.headers);
    match authority.login(email, password, from, now()).await {
        Ok(session) => welcome(app, head, &session),
        Err(LoginRefused::Wrong) => invalid_credentials(app),
        Err(LoginRefused::Later(wait)) => {
            app.hub.metrics().record_refusal(RefusalReason::Unauthorized);
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let reason = format!("Too many attempts; try again in {seconds} s");
            let mut response = response::error(StatusCode::TOO_MANY_REQUESTS, &reason);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
        Err(LoginRefused::Busy) => {
            app.hub.metrics().record_refusal(RefusalReason::TooManyLogins);
            let reason = "Too many logins at the moment; try again in a few seconds";
            let mut response = response::error(StatusCode::SERVICE_UNAVAILABLE, reason);
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_LOGIN.into());
            response
        }
        Err(LoginRefused::Unavailable) => {
            response::error(StatusCode::SERVICE_UNAVAILABLE, "Login is not possible at the moment; try again later")
        }
    }
}

fn invalid_credentials(app: &App) -> Response {
    app.hub.metrics().record_refusal(RefusalReason::Unauthorized);
    response::error(StatusCode::UNAUTHORIZED, "Invalid credentials")
}

/// The response to a successful login. Sets a cookie for pages of this server.
fn welcome(app: &App, head: &Parts, Session { token, grant }: &Session) -> Response {
    let body = json!({
        "message": "Login successful",
        "token": token,
        "user": grant.user,
        "role": grant.role,
        "expires": grant.expires,
    });
    let mut response = (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    // A page of another origin may log in with its own password. It must not replace the user's session.
    let seconds = u64::try_from(grant.expires - now()).unwrap_or(0);
    let https = is_https(&app.connection_limiter, &head.extensions, &head.headers);
    if is_from_own_page(&head.headers, &app.origin_policy, https)
        && let Ok(cookie) = HeaderValue::try_from(session_cookie(token, seconds, https))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Revokes the token of this request, and deletes the cookies.
pub async fn logout(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let found = app.token_of(&request);
    let https = is_https(&app.connection_limiter, request.extensions(), request.headers());
    let is_own_page = is_from_own_page(request.headers(), &app.origin_policy, https);
    if app.authority.is_some() && !is_own_page && found.token().is_none() {
        // A page of another origin must not end the user's session, although the browser sends the cookie with its request.
        app.hub.metrics().record_refusal(RefusalReason::Origin);
        let reason = "Pages of other origins cannot log you out; programs must send the token to revoke";
        return response::error(StatusCode::FORBIDDEN, reason);
    }
    if let (Some(authority), Some(token)) = (&app.authority, found.token()) {
        let stored = match authority.verify(token, now()) {
            Ok(_) => authority.logout(token, now()).await,
            Err(Refused::Unavailable) => Err(Refused::Unavailable.into()),
            // A token that is not valid needs no revocation.
            Err(_) => Ok(()),
        };
        if let Err(error) = stored {
            tracing::error!(%error, "a token could not be logged out");
            let reason = "You are not logged out: the logout could not be stored; try again later";
            return response::error(StatusCode::SERVICE_UNAVAILABLE, reason);
        }
    }
    let mut response = response::message(StatusCode::OK, "Logged out");
    for cookie in expired_cookies().into_iter().filter(|_| is_own_page) {
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// Answers any method other than POST.
pub async fn wrong_method() -> Response {
    response::error(StatusCode::METHOD_NOT_ALLOWED, "Only POST method is allowed")
}
