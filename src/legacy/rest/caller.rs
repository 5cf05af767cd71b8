//! The caller of a request to the legacy REST paths.

use std::sync::Arc;

use auth::Refused;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use runtime::hub::Requester;
use sync_engine::Surface;

use crate::server::App;
use crate::server::authentication::caller;

/// Who asks, for the legacy REST paths.
pub struct LegacyAsker(pub Requester);

impl FromRequestParts<Arc<App>> for LegacyAsker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        caller(parts, app, Surface::Legacy).map(Self).map_err(legacy_refusal)
    }
}

/// The answer of the legacy REST paths to somebody who is not let in.
pub fn legacy_refusal(refused: Refused) -> Response {
    let body = axum::Json(serde_json::json!({ "error": refused.to_string() }));
    (axum::http::StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
}
