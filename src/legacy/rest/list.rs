//! `GET /data/`: the positions. The legacy client asks for them each time that its budget page opens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use plan::{Form, read_view};

use super::answer;
use super::caller::LegacyAsker;
use crate::server::{App, conditional, large, write};

/// All rows in their order; budgets are numbers.
pub async fn list(State(app): State<Arc<App>>, LegacyAsker(caller): LegacyAsker, headers: HeaderMap) -> Response {
    let view = match write::open(&app, &caller, &app.default_id).await {
        Ok(view) => view,
        Err(problem) => return answer::problem(&problem),
    };
    let view = read_view(&view);
    conditional::respond(&headers, &conditional::etag_of_heads(view.heads()), || {
        let mut rows = vec![b'['];
        view.join(Form::Legacy, b",", &mut rows);
        rows.push(b']');
        match large::body(&app, rows) {
            Ok(rows) => ([(header::CONTENT_TYPE, "application/json")], rows).into_response(),
            Err(problem) => answer::problem(&problem),
        }
    })
}
