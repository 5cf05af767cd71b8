//! All routes of the server, with their middleware.

use std::sync::Arc;

use axum::Router;

use super::{App, about, api, fallback, health, identity_provider, middleware, ws};

/// Returns the routes of all protocols, wrapped in the middleware.
pub fn router(app: &Arc<App>) -> Router {
    let additional = app.additional.as_ref().map(|surface| surface.routes()).unwrap_or_default();
    let routes = Router::new()
        .merge(ws::routes::router())
        .merge(additional)
        .merge(api::router(app))
        .merge(identity_provider::routes::router())
        .merge(health::router())
        .merge(about::router())
        .fallback(fallback::fallback)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .with_state(Arc::clone(app));
    middleware::wrap(routes, app)
}
