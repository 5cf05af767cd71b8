//! `GET /data/`: lists the positions. The legacy client requests them whenever its budget page opens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use plan::{Form, read_view};

use super::authentication::LegacyCaller;
use super::response;
use crate::server::{App, conditional, document_view, reserved_body};

/// Lists all rows, newest first. Budgets are numbers.
pub async fn list(State(app): State<Arc<App>>, LegacyCaller(caller): LegacyCaller, headers: HeaderMap) -> Response {
    let view = match document_view::open(&app, &caller, &app.default_id).await {
        Ok(view) => view,
        Err(problem) => return response::problem(&problem),
    };
    let view = read_view(&view);
    conditional::respond(&headers, &conditional::etag_of_heads(view.heads()), || {
        let mut rows = vec![b'['];
        view.join(Form::Additional, b",", &mut rows);
        rows.push(b']');
        match reserved_body::reserve(&app, rows) {
            Ok(rows) => ([(header::CONTENT_TYPE, "application/json")], rows).into_response(),
            Err(problem) => response::problem(&problem),
        }
    })
}
