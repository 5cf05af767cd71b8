//! `/healthz`, `/readyz`, `/metrics`: for those who operate the server.

use std::sync::Arc;

use auth::{Documents, Principal, Refused};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::authentication::Authentication;
use super::{App, Problem};

/// Whether this is one of the operators' paths. They are answered also when there is no room for clients: a server that
/// is full is not one that has to be restarted.
pub fn is_path(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// The operators' paths.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).route("/metrics", get(metrics))
}

fn sees_all(app: &App, authentication: Option<&Extension<Authentication>>) -> bool {
    match authentication {
        _ if app.authority.is_none() => true,
        Some(Extension(Ok(Principal::User(grant)))) => grant.documents == Documents::All,
        _ => false,
    }
}

/// Ready means that a change would be stored now: it is tried out.
async fn ready(State(app): State<Arc<App>>, authentication: Option<Extension<Authentication>>) -> Response {
    // Which documents there are is not for everybody.
    let is_nobody = !sees_all(&app, authentication.as_ref());
    match app.hub.ready().await {
        Ok(()) => "ok\n".into_response(),
        Err(_) if is_nobody => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// What happens here tells much about those who use it: where users are known it is for those who may see all documents.
async fn metrics(State(app): State<Arc<App>>, authentication: Option<Extension<Authentication>>) -> Response {
    if !sees_all(&app, authentication.as_ref()) {
        return match authentication {
            Some(Extension(Ok(Principal::User(_)))) => {
                let detail = "metrics are for tokens that name all documents (*)";
                Problem::new(StatusCode::FORBIDDEN, "denied", "You may not do this", detail).into_response()
            }
            _ => Problem::from(Refused::Missing).into_response(),
        };
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.hub.metrics().render()).into_response()
}
