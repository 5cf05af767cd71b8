//! All routes of the server.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::spoken::Spoken;
use super::upgrade::Upgrade;
use super::websockets::{self, upgrade};
use super::{App, api, health, middleware, page};

/// The routes of all surfaces, with their middleware.
pub fn router(app: &Arc<App>) -> Router {
    let additional = app.additional.as_ref().map(|surface| surface.routes()).unwrap_or_default();
    let surfaces = Router::new()
        .merge(websockets::router())
        .merge(additional)
        .merge(api::router())
        .merge(health::router())
        .merge(page::router())
        .fallback(fallback)
        .method_not_allowed_fallback(page::method_not_allowed)
        .with_state(Arc::clone(app));
    middleware::around(surfaces, app)
}

/// Handles requests that match no route, in this order:
///
/// 1. A WebSocket of the additional surface. The legacy protocol accepts any path that contains its own.
/// 2. Any other WebSocket. It is upgraded to report the right paths, and closed.
/// 3. A file of the dashboard.
/// 4. Everything else: 404.
async fn fallback(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    if app.has_additional_socket_at(uri.path()) && Upgrade::is_asked_for(request.headers()) {
        return upgrade(app, request, Spoken::Text).await;
    }
    if Upgrade::is_well_asked_for(&request) {
        return upgrade(app, request, Spoken::Unknown).await;
    }
    if let Some(file) = app.dashboard.file(&request) {
        return file;
    }
    page::not_found(uri).await.into_response()
}
