//! Requests that no route matches, and methods that a route does not allow.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::ws::protocol_kind::ProtocolKind;
use super::ws::routes::upgrade;
use super::ws::upgrade::WebSocketUpgrade;
use super::{App, Problem};

/// Handles a request that no route matches: a WebSocket of the additional surface (the legacy backend accepted any path that
/// contains its own), another WebSocket, which is refused with a list of the valid paths, or a file of the dashboard.
pub async fn fallback(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    if app.has_additional_socket_at(uri.path()) && WebSocketUpgrade::is_requested(request.headers()) {
        return upgrade(app, request, ProtocolKind::Text).await;
    }
    if WebSocketUpgrade::is_valid_request(&request) {
        return upgrade(app, request, ProtocolKind::Unknown).await;
    }
    if let Some(file) = app.dashboard.file(&request) {
        return file;
    }
    not_found(&uri).into_response()
}

fn not_found(uri: &Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; /about lists the endpoints", uri.path()))
}

/// Handles a request whose method the route does not allow. The router adds the `Allow` header.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    method_problem(&method, &uri)
}

/// The problem of a method that a path does not allow.
pub fn method_problem(method: &Method, uri: &Uri) -> Problem {
    let detail = format!("{} does not allow {method}; see the Allow header", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
}
