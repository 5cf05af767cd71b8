//! `/healthz`, `/readyz` and `/metrics`, for operators.

use std::sync::Arc;

use auth::{Documents, Principal, Refused};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::security::authentication::Authentication;
use super::{App, Problem};

/// Whether this is one of the paths of this module. They are answered even on connections over a limit: a server at its connection
/// limit must not be restarted.
pub fn is_path(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// The routes of this module.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).route("/metrics", get(metrics))
}

/// Whether the requester may read all documents, or authentication is off.
fn may_read_all(app: &App, authentication: Option<&Extension<Authentication>>) -> bool {
    match authentication {
        _ if app.authority.is_none() => true,
        Some(Extension(Ok(Principal::User(grant)))) => grant.documents == Documents::All,
        _ => false,
    }
}

/// Reports whether a change could be stored now, by a trial write.
async fn ready(State(app): State<Arc<App>>, authentication: Option<Extension<Authentication>>) -> Response {
    // The reason may name documents.
    let hide_reason = !may_read_all(&app, authentication.as_ref());
    match app.hub.ready().await {
        Ok(()) if app.hub.is_polling() => "ok, without notifications from the database\n".into_response(),
        Ok(()) => "ok\n".into_response(),
        Err(_) if hide_reason => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// Returns the metrics. They reveal the activity of users, so they require access to all documents.
async fn metrics(State(app): State<Arc<App>>, authentication: Option<Extension<Authentication>>) -> Response {
    if !may_read_all(&app, authentication.as_ref()) {
        return match authentication {
            Some(Extension(Ok(Principal::User(_)))) => {
                let detail = "metrics require a token for all documents (*)";
                Problem::new(StatusCode::FORBIDDEN, "denied", "Permission denied", detail).into_response()
            }
            _ => Problem::from(Refused::Missing).into_response(),
        };
    }
    app.metrics.update_process(app.hub.metrics());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.hub.metrics().render()).into_response()
}
