//! `Idempotency-Key`: a client that did not get the answer to a `POST` can send it again without a second effect
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! The first request with a key runs to its end even if its client disconnects, and its answer is kept. The same request with the same
//! key gets that answer. Answers are in memory: a restart forgets them, and other servers of a database do not know them.

mod store;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use runtime::hub::Requester;
use sha2::{Digest, Sha256};
pub use store::IdempotencyStore;
use store::{Claim, Fingerprint, KeptAnswer, MAX_ANSWER, Scope};
use sync_engine::Surface;
use tokio::time::Instant;

use super::import::{self, IMPORT_PATHS};
use crate::server::security::authentication::{Authentication, PARAMETER as TOKEN, requester_of};
use crate::server::{App, Problem, body};

/// The request header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a repeated answer.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key, in characters.
pub const MAX_KEY: usize = 255;
/// `Retry-After` in seconds while the first request runs.
const RETRY_RUNNING: u64 = 1;
/// The path that takes no key: its caller is nobody yet.
const SETUP: &str = "/api/setup";

/// Whether an operation takes a key.
#[must_use]
pub fn takes_key(method: &Method, path: &str) -> bool {
    *method == Method::POST && path.starts_with("/api/") && path != SETUP
}

/// Answers a repeated request with the answer of the first one.
pub async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    if !request.headers().contains_key(IDEMPOTENCY_KEY) || !takes_key(request.method(), &path) {
        return next.run(request).await;
    }
    let requester = request.extensions().get::<Authentication>().map(|who| requester_of(who, Surface::Api));
    let Some(Ok(requester)) = requester else { return next.run(request).await };
    match answer_once(&app, requester, &path, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer_once(
    app: &Arc<App>,
    requester: Requester,
    path: &str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key_of(request.headers())?;
    let (mut head, content) = request.into_parts();
    let is_import = IMPORT_PATHS.contains(&path);
    if is_import {
        import::check_rights(app, &requester, path, &mut head).await?;
    }
    let limit = if is_import { body::MAX_IMPORT } else { body::MAX_BATCH };
    let content = body::receive(app, content, limit, requester.payer()).await?;
    // The token may have expired while the body arrived.
    app.recheck(&requester)?;
    let fingerprint = fingerprint(&head, content.bytes());
    let scope = Scope::of(requester.payer());
    let claim = app.idempotency.lock().claim(&scope, &key, fingerprint, Instant::now());
    let number = match claim {
        Claim::New(number) => number,
        Claim::Kept(answer) => return Ok(replayed(answer)),
        Claim::Running => {
            let detail = "the first request with this Idempotency-Key is not answered yet; send it again later";
            let title = "The request is running";
            return Err(Problem::new(StatusCode::CONFLICT, "running", title, detail).retry_after(RETRY_RUNNING));
        }
        Claim::Different => {
            let detail = format!("{IDEMPOTENCY_KEY}: this key was sent with another request; make up a new one");
            return Err(Problem::invalid(IDEMPOTENCY_KEY.as_str(), detail));
        }
    };
    // The handler charges the content to the payer again, so it must not be charged here as well.
    let request = Request::from_parts(head, Body::from(content.into_bytes()));
    let task_app = Arc::clone(app);
    // A client that disconnects cancels its request. The task goes on, so that a repetition gets its answer.
    let task = app.connections.spawn(async move {
        let _unfinished = Unfinished { app: &task_app, number };
        let response = next.run(request).await;
        keep(&task_app, number, response).await
    });
    task.await.map_err(|_| {
        let detail = "the request failed; the server's log has the reason";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    })
}

/// Releases the key of a request whose answer was not kept, also after a panic.
struct Unfinished<'a> {
    app: &'a App,
    number: u64,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.app.idempotency.lock().release_unfinished(self.number);
    }
}

/// Keeps the answer of a request that has had an effect, or may have had one. After other errors nothing was stored, so the request
/// may run again.
async fn keep(app: &App, number: u64, response: Response) -> Response {
    let status = response.status();
    if !status.is_success() && status != StatusCode::INTERNAL_SERVER_ERROR {
        return response;
    }
    let (head, content) = response.into_parts();
    // The bodies of the API are in memory, so this does not wait.
    let content = match content.collect().await {
        Ok(content) => content.to_bytes(),
        Err(error) => {
            tracing::error!(%error, "the body of a response cannot be read");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let body = (content.len() <= MAX_ANSWER).then(|| content.clone());
    let answer = KeptAnswer { status, headers: head.headers.clone(), body };
    app.idempotency.lock().finish(number, answer);
    Response::from_parts(head, Body::from(content))
}

fn replayed(KeptAnswer { status, headers, body }: KeptAnswer) -> Response {
    let Some(body) = body else {
        let detail = "the first request with this Idempotency-Key was answered, but the answer is no longer kept; read what it has changed";
        return Problem::new(StatusCode::CONFLICT, "answered", "The request was answered", detail).into_response();
    };
    let mut response = (status, body).into_response();
    *response.headers_mut() = headers;
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// The key of a request: a string of structured fields (`"8e03…"`), or the same without quotes.
fn key_of(headers: &HeaderMap) -> Result<String, Problem> {
    let invalid = || {
        let detail =
            format!("must be one text of 1 to {MAX_KEY} visible ASCII characters without quotes and backslashes");
        Problem::bad_parameter(IDEMPOTENCY_KEY.as_str(), detail)
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(invalid()) };
    let text = value.to_str().map_err(|_| invalid())?.trim();
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_key = key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    if is_key && (1..=MAX_KEY).contains(&key.len()) { Ok(key.to_owned()) } else { Err(invalid()) }
}

/// Identifies a request: its method, URL without a token, type, precondition and body.
fn fingerprint(head: &axum::http::request::Parts, body: &[u8]) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(head.method.as_str().as_bytes());
    add(head.uri.path().as_bytes());
    for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
        if name != TOKEN {
            add(name.as_bytes());
            add(value.as_bytes());
        }
    }
    for name in [axum::http::header::CONTENT_TYPE, axum::http::header::IF_MATCH] {
        for value in head.headers.get_all(&name) {
            add(value.as_bytes());
        }
        add(name.as_str().as_bytes());
    }
    add(body);
    Fingerprint(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        }
        key_of(&headers).ok()
    }

    #[test]
    fn quoted_and_bare_keys_are_equal() {
        assert_eq!(key(&["\"8e03-978e\""]), key(&["8e03-978e"]));
        assert_eq!(key(&[" 8e03 "]).as_deref(), Some("8e03"));
        assert_eq!(key(&[&"x".repeat(MAX_KEY)]).map(|key| key.len()), Some(MAX_KEY));
        for values in [&[""][..], &["\"\""], &["\""], &["a b"], &["a\"b"], &["a", "a"], &[&"x".repeat(MAX_KEY + 1)]] {
            assert_eq!(key(values), None, "{values:?}");
        }
    }

    #[test]
    fn fingerprint_tells_requests_apart() {
        let parts = |method: &str, uri: &str, kind: &str| {
            let request = Request::builder().method(method).uri(uri).header("content-type", kind);
            request.body(()).unwrap().into_parts().0
        };
        let first = fingerprint(&parts("POST", "/api/documents?author=a&token=x", "application/json"), b"{}");
        let same = fingerprint(&parts("POST", "/api/documents?token=y&author=a", "application/json"), b"{}");
        assert_eq!(first, same, "a renewed token is no other request");
        for (uri, kind, body) in [
            ("/api/documents?author=b", "application/json", "{}"),
            ("/api/documents", "application/json", "{}"),
            ("/api/documents/import?author=a", "application/json", "{}"),
            ("/api/documents?author=a", "text/csv", "{}"),
            ("/api/documents?author=a", "application/json", "{ }"),
        ] {
            assert_ne!(fingerprint(&parts("POST", uri, kind), body.as_bytes()), first, "{uri} {kind} {body}");
        }
    }
}
