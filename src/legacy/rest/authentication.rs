//! Authentication of requests to the legacy REST paths.

use std::sync::Arc;

use auth::Refused;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::hub::Requester;
use sync_engine::Surface;

use super::response;
use crate::server::App;
use crate::server::security::authentication::requester;

/// Extractor: the requester of a request to the legacy REST paths. Rejects unauthenticated requests.
pub struct LegacyRequester(pub Requester);

impl FromRequestParts<Arc<App>> for LegacyRequester {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        requester(parts, app, Surface::Legacy).map(Self).map_err(unauthorized)
    }
}

/// The response to an unauthenticated request.
pub fn unauthorized(refused: Refused) -> Response {
    if refused == Refused::Unavailable {
        return response::error(StatusCode::SERVICE_UNAVAILABLE, &refused.to_string());
    }
    let body = axum::Json(serde_json::json!({ "error": refused.to_string() }));
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
}
