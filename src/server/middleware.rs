//! What every HTTP answer goes through: who may ask, CORS, compression, headers that keep browsers honest.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use runtime::metrics::RefusalReason;
use tower_http::cors::{AllowCredentials, AllowOrigin, CorsLayer};

use super::access::ListenerKind;
use super::guests::{Full, Guest};
use super::refused_upgrade::RefusedUpgrade;
use super::secure::{is_secure, strict_transport};
use super::upgrade::Upgrade;
use super::{App, PREFLIGHT_AGE, Problem, close_codes, compression, health, websockets};

/// Says which pages may embed an answer that they cannot read.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Bytes that the path and the query of a request may have.
const MAX_URL: usize = 8 << 10;
/// Bytes that its headers may have together.
const MAX_HEADERS: usize = 16 << 10;

/// Puts the layers around the surfaces.
pub fn around(surfaces: Router, app: &Arc<App>) -> Router {
    let (allowing, owning) = (Arc::clone(app), Arc::clone(app));
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, parts| {
            let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
            allowing.access.allows(origin, host, is_secure(&allowing.guests, &parts.extensions, &parts.headers))
        }))
        .allow_methods([Method::DELETE, Method::GET, Method::OPTIONS, Method::PATCH, Method::POST, Method::PUT])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::USER_AGENT,
            HeaderName::from_static("x-csrftoken"),
            HeaderName::from_static("x-requested-with"),
        ])
        .allow_credentials(AllowCredentials::predicate(move |origin, parts| {
            let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
            owning.access.is_ours(origin, host, is_secure(&owning.guests, &parts.extensions, &parts.headers))
        }))
        .expose_headers([header::ETAG, header::LOCATION, header::CONTENT_DISPOSITION])
        .max_age(PREFLIGHT_AGE);
    surfaces
        .layer(from_fn_with_state(Arc::clone(app), compression::layer))
        .layer(cors)
        .layer(from_fn_with_state(Arc::clone(app), guard))
}

async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let may_read = is_for_other_origin(&app, &request);
    let mut response = answer(app, request, next).await;
    if !may_read {
        // No other page embeds it, with or without reading it. A page that CORS lets read is not asked by this header.
        response.headers_mut().insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    }
    response
}

/// Whether a page of another origin asks that may read the answer.
fn is_for_other_origin(app: &App, request: &Request) -> bool {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let secure = is_secure(&app.guests, request.extensions(), headers);
    headers.get(header::ORIGIN).is_some_and(|origin| app.access.allows(origin, host, secure))
}

async fn answer(app: Arc<App>, mut request: Request, next: Next) -> Response {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let listener =
        request.extensions().get::<ListenerKind>().copied().unwrap_or(ListenerKind { loopback: true, tls: false });
    let strict = strict_transport(&app.guests, request.extensions(), request.headers());
    let secure = is_secure(&app.guests, request.extensions(), request.headers());
    if let Err(refused) = app.access.check(request.headers(), authority, listener.loopback, secure) {
        app.hub.metrics().record_refusal(RefusalReason::Origin);
        if !is_socket(&app, &request) {
            return with_headers(Problem::from(refused).into_response(), strict);
        }
        request.extensions_mut().insert(RefusedUpgrade { code: close_codes::FORBIDDEN, reason: refused.to_string() });
    } else if let Some(full) = request.extensions().get::<Arc<Guest>>().and_then(|guest| guest.refused()) {
        if !is_socket(&app, &request) {
            return with_headers(without_room(full, request, next).await, strict);
        }
        request.extensions_mut().insert(RefusedUpgrade { code: close_codes::TRY_AGAIN, reason: full.to_string() });
    }
    if !is_socket(&app, &request)
        && let Some(problem) = too_large(&request)
    {
        app.hub.metrics().record_refusal(RefusalReason::LargeRequest);
        return with_headers(problem.into_response(), strict);
    }
    let authentication = app.authenticate(&request);
    if let Err(refused) = &authentication
        && is_socket(&app, &request)
        && websockets::is_path(&app, request.uri().path())
        && request.extensions().get::<RefusedUpgrade>().is_none()
    {
        request
            .extensions_mut()
            .insert(RefusedUpgrade { code: close_codes::UNAUTHORIZED, reason: refused.to_string() });
    }
    request.extensions_mut().insert(authentication);
    with_headers(next.run(request).await, strict)
}

/// Whether a request is for a socket, on which a refusal can be told.
fn is_socket(app: &App, request: &Request) -> bool {
    Upgrade::is_well_asked_for(request) && !is_http_path(app, request.uri().path())
}

/// Whether a path belongs to a surface that speaks HTTP only. Any other becomes a socket, if only to be told the right path.
fn is_http_path(app: &App, path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let is_http = ["about", "api", "assets", "healthz", "metrics", "readyz"].contains(&first)
        || app.has_additional_routes_below(first);
    is_http && !websockets::is_path(app, path)
}

/// What is wrong with the size of a request's head, if something is.
fn too_large(request: &Request) -> Option<Problem> {
    let url = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if url > MAX_URL {
        let detail = format!("a URL of at most {MAX_URL} bytes is accepted");
        return Some(Problem::new(StatusCode::URI_TOO_LONG, "url-too-long", "The URL is too long", detail));
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > MAX_HEADERS {
        let detail = format!("headers of at most {MAX_HEADERS} bytes are accepted; maybe there are too many cookies");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Some(Problem::new(status, "headers-too-large", "The headers are too large", detail));
    }
    None
}

/// The one answer on a connection for which there is no room.
async fn without_room(full: Full, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let mut response =
        if health::is_path(path) { next.run(request).await } else { Problem::from(full).into_response() };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A strong entity tag promises the same bytes, and a compressed answer has others.
fn weaken_tag(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONTENT_ENCODING) {
        return;
    }
    let weak = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| tag.starts_with('"'));
    if let Some(weak) = weak.and_then(|tag| HeaderValue::try_from(format!("W/{tag}")).ok()) {
        headers.insert(header::ETAG, weak);
    }
}

fn with_headers(mut response: Response, more: Option<(HeaderName, HeaderValue)>) -> Response {
    weaken_tag(response.headers_mut());
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().extend(more);
    response
}
