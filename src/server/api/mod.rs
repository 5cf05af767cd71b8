//! `/api`: the JSON API.
use std::sync::Arc;

use axum::Router;

use super::App;

/// The API's paths.
pub fn router() -> Router<Arc<App>> {
    Router::new()
}
