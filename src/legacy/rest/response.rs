//! Responses of the legacy REST paths, `{"message": …}` or `{"error": …}`; and the bodies of requests.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use plan::EditError;
use primitives::strict_json;
use runtime::hub::{EditFailure, Requester};
use serde_json::{Map, Value, json};

use super::authentication::unauthorized;
use crate::server::{App, Problem, body};

/// Byte order mark, which some programs write before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A response that reports success.
pub fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// A response that reports an error.
pub fn error(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

/// The response to a body that is not a JSON object.
pub fn invalid_json() -> Response {
    error(StatusCode::BAD_REQUEST, "Invalid JSON")
}

/// The response for a [`Problem`]. The legacy protocol has no status 422, so it becomes 400.
pub fn problem(problem: &Problem) -> Response {
    let status = match StatusCode::from_u16(problem.status) {
        Ok(StatusCode::UNPROCESSABLE_ENTITY) => StatusCode::BAD_REQUEST,
        Ok(status) => status,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    error(status, &problem.detail)
}

/// The response for an edit that failed.
pub fn failure(failure: EditFailure) -> Response {
    match failure {
        EditFailure::Edit(EditError::NotFound(_)) => error(StatusCode::NOT_FOUND, "Entry not found"),
        failure => problem(&Problem::from(failure)),
    }
}

/// Reads a body as a JSON object, whatever its content type.
///
/// # Errors
/// The response to send if the body cannot be read.
pub async fn read_object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Response> {
    let bytes = body::read(headers, body).await.map_err(|error| problem(&error))?;
    match strict_json::from_slice(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes)) {
        Ok(Value::Object(object)) => Ok(object),
        // A key appears twice.
        Err(reason) if reason.is_data() => Err(error(StatusCode::BAD_REQUEST, &format!("Invalid JSON: {reason}"))),
        _ => Err(invalid_json()),
    }
}

/// Reads the body of an authenticated request, and checks the caller's token again afterwards.
///
/// # Errors
/// The response to send if the body cannot be read, or the token is no longer valid.
pub async fn read_object_of(app: &App, caller: &Requester, request: Request) -> Result<Map<String, Value>, Response> {
    let (head, body) = request.into_parts();
    let object = read_object(&head.headers, body).await;
    app.recheck(caller).map_err(unauthorized)?;
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
    async fn failures_are_json_with_an_error() {
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
