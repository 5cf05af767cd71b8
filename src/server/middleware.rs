//! Middleware of all routes: origin checks, connection limits, authentication, CORS, compression, and security headers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use runtime::metrics::RefusalReason;
use tokio::time::Instant;
use tower_http::cors::{AllowCredentials, AllowOrigin, CorsLayer};
use tracing::Instrument;

use super::security::https::{hsts_header, is_https};
use super::transport::client_connection::{ClientConnection, ListenerKind};
use super::transport::compression;
use super::transport::connection_limits::TooManyConnections;
use super::ws::close_codes;
use super::ws::refuse::RefusedUpgrade;
use super::ws::routes::is_websocket_path;
use super::ws::upgrade::WebSocketUpgrade;
use super::{App, Problem, health, request_span};

/// Time for which browsers cache the answer to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(86_400);
/// Prevents pages of other origins from embedding responses that they may not read.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// `Retry-After` in seconds of responses that do not say when to try again.
const RETRY_LATER: u64 = 5;
/// Maximum size of the path and query of a request, in bytes.
const MAX_URL: usize = 8 << 10;
/// Maximum size of all headers of a request together, in bytes.
const MAX_HEADERS: usize = 16 << 10;

/// Wraps routes in the middleware.
pub fn wrap(routes: Router, app: &Arc<App>) -> Router {
    let (origins, credentials) = (Arc::clone(app), Arc::clone(app));
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, parts| {
            let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let https = is_https(&origins.connection_limiter, &parts.extensions, &parts.headers);
            origins.origin_policy.allows(origin, host, https)
        }))
        .allow_methods([Method::DELETE, Method::GET, Method::OPTIONS, Method::PATCH, Method::POST, Method::PUT])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::USER_AGENT,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("x-csrftoken"),
            HeaderName::from_static("x-requested-with"),
        ])
        .allow_credentials(AllowCredentials::predicate(move |origin, parts| {
            let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let https = is_https(&credentials.connection_limiter, &parts.extensions, &parts.headers);
            credentials.origin_policy.is_own_origin(origin, host, https)
        }))
        .expose_headers([
            header::CONTENT_DISPOSITION,
            header::ETAG,
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("happierwork-omitted"),
            HeaderName::from_static("idempotent-replayed"),
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
        ])
        .max_age(PREFLIGHT_MAX_AGE);
    routes
        .layer(from_fn_with_state(Arc::clone(app), compression::layer))
        .layer(cors)
        .layer(from_fn_with_state(Arc::clone(app), add_resource_policy))
        .layer(from_fn_with_state(Arc::clone(app), measure))
}

/// Records how long a request took.
async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (begun, method) = (Instant::now(), request.method().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let span = request_span::begin(&app, &request, route);
    let response = next.run(request).instrument(span.clone()).await;
    request_span::record(&span, response.status());
    app.metrics.record_request(app.hub.metrics(), (&method, route), response.status(), begun.elapsed());
    response
}

async fn add_resource_policy(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_cors = has_allowed_origin(&app, &request);
    let mut response = check_request(app, request, next).await;
    if !is_cors {
        response.headers_mut().insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    }
    response
}

/// Whether the request comes from a page that CORS allows to read the response.
fn has_allowed_origin(app: &App, request: &Request) -> bool {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let https = is_https(&app.connection_limiter, request.extensions(), headers);
    headers.get(header::ORIGIN).is_some_and(|origin| app.origin_policy.allows(origin, host, https))
}

/// Checks the origin, the connection limits and the size of a request, and authenticates it. Requests that fail a check are answered
/// here; WebSocket handshakes continue with a [`RefusedUpgrade`], so that the client gets the reason on the socket.
async fn check_request(app: Arc<App>, mut request: Request, next: Next) -> Response {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let listener =
        request.extensions().get::<ListenerKind>().copied().unwrap_or(ListenerKind { loopback: true, tls: false });
    let hsts = hsts_header(&app.connection_limiter, request.extensions(), request.headers());
    let https = is_https(&app.connection_limiter, request.extensions(), request.headers());
    let connection = request.extensions().get::<Arc<ClientConnection>>();
    if let Err(forbidden) = app.origin_policy.check(request.headers(), authority, listener.loopback, https) {
        app.hub.metrics().record_refusal(RefusalReason::Origin);
        if !is_socket(&app, &request) {
            return with_headers(Problem::from(forbidden).into_response(), hsts);
        }
        request.extensions_mut().insert(RefusedUpgrade { code: close_codes::FORBIDDEN, reason: forbidden.to_string() });
    } else if let Some(limit) = connection.and_then(|connection| connection.rejection()) {
        if !is_socket(&app, &request) {
            return with_headers(reject_connection(limit, request, next).await, hsts);
        }
        request.extensions_mut().insert(RefusedUpgrade { code: close_codes::TRY_AGAIN, reason: limit.to_string() });
    }
    if !is_socket(&app, &request)
        && let Some(problem) = too_large(&request)
    {
        app.hub.metrics().record_refusal(RefusalReason::LargeRequest);
        return with_headers(problem.into_response(), hsts);
    }
    let authentication = app.authenticate(&request);
    if let Err(refused) = &authentication
        && is_socket(&app, &request)
        && is_websocket_path(&app, request.uri().path())
        && request.extensions().get::<RefusedUpgrade>().is_none()
    {
        let refused = RefusedUpgrade::from(*refused);
        request.extensions_mut().insert(refused);
    }
    request.extensions_mut().insert(authentication);
    with_headers(next.run(request).await, hsts)
}

/// Whether a request is a WebSocket handshake that is accepted, so that errors are reported on the socket.
fn is_socket(app: &App, request: &Request) -> bool {
    WebSocketUpgrade::is_valid_request(request) && !is_http_path(app, request.uri().path())
}

/// Whether a path belongs to HTTP routes only. Handshakes on all other paths are accepted, if only to report the valid paths.
fn is_http_path(app: &App, path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let is_http = ["about", "api", "assets", "healthz", "metrics", "readyz"].contains(&first)
        || app.has_additional_routes_below(first);
    is_http && !is_websocket_path(app, path)
}

/// The problem of a request whose head is too large.
fn too_large(request: &Request) -> Option<Problem> {
    let url = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if url > MAX_URL {
        let detail = format!("a URL may have at most {MAX_URL} bytes");
        return Some(Problem::new(StatusCode::URI_TOO_LONG, "url-too-long", "The URL is too long", detail));
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > MAX_HEADERS {
        let detail = format!("headers may have at most {MAX_HEADERS} bytes together; there may be too many cookies");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Some(Problem::new(status, "headers-too-large", "The headers are too large", detail));
    }
    None
}

/// The only response on a connection over a limit.
async fn reject_connection(limit: TooManyConnections, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let mut response =
        if health::is_path(path) { next.run(request).await } else { Problem::from(limit).into_response() };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Makes the entity tag of a compressed response weak: a strong tag identifies the bytes, which depend on the encoding.
fn weaken_tag(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONTENT_ENCODING) {
        return;
    }
    let weak = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| tag.starts_with('"'));
    if let Some(weak) = weak.and_then(|tag| HeaderValue::try_from(format!("W/{tag}")).ok()) {
        headers.insert(header::ETAG, weak);
    }
}

fn with_headers(mut response: Response, hsts: Option<(HeaderName, HeaderValue)>) -> Response {
    weaken_tag(response.headers_mut());
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let is_temporary = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if is_temporary && !response.headers().contains_key(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_LATER.into());
    }
    response.headers_mut().extend(hsts);
    response
}
