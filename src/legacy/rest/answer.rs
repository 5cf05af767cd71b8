//! What legacy clients are told: `{"message": …}` or `{"error": …}`.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use plan::EditError;
use primitives::strict_json;
use runtime::hub::{EditFailure, Requester};
use serde_json::{Map, Value, json};

use super::caller::legacy_refusal;
use crate::server::{App, Problem, body};

/// What some programs put in front of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// It was done.
pub fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// It was not done.
pub fn error(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// A body that is no JSON, or no JSON object.
pub fn invalid_json() -> Response {
    error(StatusCode::BAD_REQUEST, "Invalid JSON")
}

/// Why not, in this protocol: it knows no 422.
pub fn problem(problem: &Problem) -> Response {
    let status = match StatusCode::from_u16(problem.status) {
        Ok(StatusCode::UNPROCESSABLE_ENTITY) => StatusCode::BAD_REQUEST,
        Ok(status) => status,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    error(status, &problem.detail)
}

/// Why an edit was not made.
pub fn failure(failure: EditFailure) -> Response {
    match failure {
        EditFailure::Edit(EditError::NotFound(_)) => error(StatusCode::NOT_FOUND, "Entry not found"),
        failure => problem(&Problem::from(failure)),
    }
}

/// The object that a body holds, as JSON clients of old send it. The content type is ignored.
///
/// # Errors
/// The answer to give.
pub async fn read_object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Response> {
    let bytes = body::read(headers, body).await.map_err(|error| problem(&error))?;
    match strict_json::from_slice(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes)) {
        Ok(Value::Object(object)) => Ok(object),
        // The only error of a key: it appears twice.
        Err(reason) if reason.is_data() => Err(error(StatusCode::BAD_REQUEST, &format!("Invalid JSON: {reason}"))),
        _ => Err(invalid_json()),
    }
}

/// The same for somebody who has to be let in still when all of it has come.
///
/// # Errors
/// The answer to give.
pub async fn read_object_of(app: &App, caller: &Requester, request: Request) -> Result<Map<String, Value>, Response> {
    let (head, body) = request.into_parts();
    let object = read_object(&head.headers, body).await;
    app.renew(caller).map_err(legacy_refusal)?;
    object
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use runtime::hub::Unavailable;

    use super::*;

    #[tokio::test]
    async fn repeated_keys_are_refused_by_name() {
        let response = read_object(&HeaderMap::new(), Body::from(r#"{"budget": 5, "budget": 50}"#)).await.unwrap_err();
        assert_eq!(response.status(), 400);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice::<Value>(&body).unwrap();
        assert!(body["error"].as_str().unwrap().contains("the key \"budget\" appears twice"), "{body}");
    }

    #[tokio::test]
    async fn every_failure_is_json_with_an_error() {
        let storage = |full| EditFailure::Storage { full, message: "the server's disk is full" };
        for (error, status, text) in [
            (storage(true), 507, "the server's disk is full"),
            (storage(false), 503, "the server's disk is full"),
            (Unavailable::Stopping.into(), 503, "the server is shutting down"),
            (EditError::NotFound("x".into()).into(), 404, "Entry not found"),
            (EditError::Exists("x".into()).into(), 409, "there is a position with the id \"x\" already"),
            (EditError::Invalid { field: "id", reason: "is bad".into() }.into(), 400, "id: is bad"),
        ] {
            let response = failure(error);
            assert_eq!(response.status(), status);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({ "error": text }));
        }
    }
}
