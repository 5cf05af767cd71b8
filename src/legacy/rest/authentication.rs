//! Authentication of requests to the legacy REST paths.

use std::sync::Arc;

use auth::Refused;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use runtime::hub::Requester;
use sync_engine::Surface;

use crate::server::App;
use crate::server::security::authentication::caller;

/// Extractor: the caller of a request to the legacy REST paths. Rejects unauthenticated requests.
pub struct LegacyCaller(pub Requester);

impl FromRequestParts<Arc<App>> for LegacyCaller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        caller(parts, app, Surface::Legacy).map(Self).map_err(unauthorized)
    }
}

/// The response to an unauthenticated request.
pub fn unauthorized(refused: Refused) -> Response {
    let body = axum::Json(serde_json::json!({ "error": refused.to_string() }));
    (axum::http::StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
}
