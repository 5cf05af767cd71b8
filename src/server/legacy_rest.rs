//! `/data/…`, `/accounts/api/login/`: the legacy REST paths.
use std::sync::Arc;

use axum::Router;

use super::App;

/// The legacy paths.
pub fn router() -> Router<Arc<App>> {
    Router::new()
}
