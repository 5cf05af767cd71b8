//! `POST /accounts/api/login/` and `POST /accounts/api/logout/`.
//!
//! Where there are accounts a password is checked, and who logs in gets a token: in the answer, for programs, and in a
//! cookie, for pages. Where nobody is asked who they are, the answers are those of the original, for programs that call
//! it before anything else: an e-mail address is all that is looked at, nothing is stored, and nobody gets any right by it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use auth::{Authority, LoginRefused, Session};
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::clock::now;
use runtime::metrics::RefusalReason;
use serde_json::{Map, Value, json};

use super::answer;
use crate::server::App;
use crate::server::authentication::{ended_cookies, is_from_our_page, session_cookie};
use crate::server::guests::Guest;
use crate::server::secure::is_secure;

/// Bytes of a password that are looked at: more is none.
const MAX_PASSWORD: usize = 1_024;
/// Seconds after which there is room for another login: all that wait have been looked at.
const BUSY_FOR: u64 = 2;

/// Says that it is fine, if it is.
pub async fn login(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let object = match answer::read_object(&head.headers, body).await {
        Ok(object) => object,
        Err(response) => return response,
    };
    let email = match object.get("email") {
        None | Some(Value::Null) => return answer::error(StatusCode::BAD_REQUEST, "Email is required"),
        Some(Value::String(email)) if email.trim().is_empty() => {
            return answer::error(StatusCode::BAD_REQUEST, "Email is required");
        }
        Some(Value::String(email)) => email,
        Some(_) => return answer::invalid_json(),
    };
    match &app.authority {
        None => answer::message(StatusCode::OK, "Login successful"),
        Some(authority) => check(&app, authority, &head, email, &object).await,
    }
}

async fn check(app: &App, authority: &Authority, head: &Parts, email: &str, object: &Map<String, Value>) -> Response {
    if !authority.has_accounts() {
        let reason = "This server has no accounts; ask its operator for a token";
        return answer::error(StatusCode::UNAUTHORIZED, reason);
    }
    let password = match object.get("password") {
        Some(Value::String(password)) if !password.is_empty() && password.len() <= MAX_PASSWORD => password,
        Some(Value::String(_)) => return wrong(app),
        _ => return answer::error(StatusCode::BAD_REQUEST, "Password is required"),
    };
    let peer = head.extensions.get::<Arc<Guest>>().map(|guest| guest.peer);
    let from = app.guests.origin(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), &head.headers);
    match authority.login(email, password, from, now()).await {
        Ok(session) => welcome(app, head, &session),
        Err(LoginRefused::Wrong) => wrong(app),
        Err(LoginRefused::Later(wait)) => {
            app.hub.metrics().record_refusal(RefusalReason::Unauthorized);
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let reason = format!("Too many attempts; try again in {seconds} s");
            let mut response = answer::error(StatusCode::TOO_MANY_REQUESTS, &reason);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
        Err(LoginRefused::Busy) => {
            app.hub.metrics().record_refusal(RefusalReason::TooManyLogins);
            let reason = "Too many are logging in at the moment; try again in a few seconds";
            let mut response = answer::error(StatusCode::SERVICE_UNAVAILABLE, reason);
            response.headers_mut().insert(header::RETRY_AFTER, BUSY_FOR.into());
            response
        }
        Err(LoginRefused::Unavailable) => {
            answer::error(StatusCode::SERVICE_UNAVAILABLE, "Login is not possible at the moment; try again later")
        }
    }
}

fn wrong(app: &App) -> Response {
    app.hub.metrics().record_refusal(RefusalReason::Unauthorized);
    answer::error(StatusCode::UNAUTHORIZED, "Invalid credentials")
}

fn welcome(app: &App, head: &Parts, Session { token, grant }: &Session) -> Response {
    let body = json!({
        "message": "Login successful",
        "token": token,
        "user": grant.user,
        "role": grant.role,
        "expires": grant.expires,
    });
    let mut response = (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    // A page of somebody else's may have typed a password of its own in; nobody is to find themselves logged in by that.
    let seconds = u64::try_from(grant.expires - now()).unwrap_or(0);
    let secure = is_secure(&app.guests, &head.extensions, &head.headers);
    if is_from_our_page(&head.headers, &app.access, secure)
        && let Ok(cookie) = HeaderValue::try_from(session_cookie(token, seconds, secure))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The token of this request does not count any more, wherever it is.
pub async fn logout(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let found = app.token_of(&request);
    let secure = is_secure(&app.guests, request.extensions(), request.headers());
    let is_ours = is_from_our_page(request.headers(), &app.access, secure);
    if app.authority.is_some() && !is_ours && found.token().is_none() {
        // A page on another port of this machine: the browser has sent it our cookie along, and would take it back for it.
        app.hub.metrics().record_refusal(RefusalReason::Origin);
        let reason = "Pages of other origins cannot log you out; a program brings the token that it wants to end";
        return answer::error(StatusCode::FORBIDDEN, reason);
    }
    if let (Some(authority), Some(token)) = (&app.authority, found.token())
        && let Ok(grant) = authority.verify(token, now())
        && let Err(error) = authority.logout(token, now()).await
    {
        tracing::error!(user = &*grant.user, %error, "a token could not be logged out");
        let reason = "You are not logged out: the server could not note it; try again later";
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, reason);
    }
    let mut response = answer::message(StatusCode::OK, "Logged out");
    for cookie in ended_cookies().into_iter().filter(|_| is_ours) {
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// Any method but POST.
pub async fn wrong_method() -> Response {
    answer::error(StatusCode::METHOD_NOT_ALLOWED, "Only POST method is allowed")
}
