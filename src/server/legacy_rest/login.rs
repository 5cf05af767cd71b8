//! `POST /accounts/api/login/`: the answers of the original's login, for programs that call it before anything else.
//!
//! There are no accounts yet. An e-mail address is all that is looked at; the password is ignored, nothing is stored,
//! and nobody gets any right by it. (The original ignored the password, too. The names that it appended to a file had
//! no use.)

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::answer;

/// Says that it is fine.
pub async fn login(body: Body) -> Response {
    let object = match answer::read_object(body).await {
        Ok(object) => object,
        Err(response) => return response,
    };
    match object.get("email") {
        None | Some(Value::Null) => answer::error(StatusCode::BAD_REQUEST, "Email is required"),
        Some(Value::String(email)) if email.trim().is_empty() => {
            answer::error(StatusCode::BAD_REQUEST, "Email is required")
        }
        Some(Value::String(_)) => answer::message(StatusCode::OK, "Login successful"),
        Some(_) => answer::invalid_json(),
    }
}

/// Any method but POST.
pub async fn wrong_method() -> Response {
    answer::error(StatusCode::METHOD_NOT_ALLOWED, "Only POST method is allowed")
}
