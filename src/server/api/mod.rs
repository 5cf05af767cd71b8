//! `/api`: the JSON API.
//!
//! Lists are concatenations of rendered rows. Their entity tags change with the document, so polling an unchanged list is cheap.
//! Bodies and queries are strict: an unknown field or parameter is an error that names it. `/api/openapi.json` describes the
//! API, and `/api/` shows the description as a page.

mod access;
mod attribution;
mod body_fields;
mod common_responses;
mod document;
mod documents;
mod enum_schemas;
mod export;
mod extract;
mod field_schemas;
mod history;
mod login;
mod openapi;
mod patterns;
mod position;
mod positions;
mod positions_at;
mod query_parameters;
mod schemas;
mod session;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, put};

use self::query_parameters::QueryParameters;
use super::App;

/// The routes of the API and of its description.
pub fn router() -> Router<Arc<App>> {
    routes().into_iter().fold(openapi::router(), |router, (path, methods)| {
        let parameters = QueryParameters::of(&openapi::OPENAPI, path);
        router.route(path, methods.route_layer(from_fn_with_state(parameters, query_parameters::reject_unknown)))
    })
}

/// The routes that the description contains. A test compares both.
fn routes() -> [(&'static str, MethodRouter<Arc<App>>); 12] {
    [
        ("/api/documents", get(documents::list).post(documents::create)),
        ("/api/documents/{documentId}", get(document::read).patch(document::change).delete(document::delete)),
        ("/api/documents/{documentId}/access", get(access::read)),
        ("/api/documents/{documentId}/access/{user}", put(access::grant).delete(access::revoke)),
        ("/api/documents/{documentId}/positions", get(positions::list).post(positions::create)),
        (
            "/api/documents/{documentId}/positions/{positionId}",
            get(position::read).patch(position::change).delete(position::delete),
        ),
        ("/api/session", get(session::read)),
        ("/api/documents/{documentId}/history", get(history::read)),
        ("/api/documents/{documentId}/attribution", get(attribution::read)),
        ("/api/documents/{documentId}/export.json", get(export::json)),
        ("/api/documents/{documentId}/export.csv", get(export::csv)),
        ("/api/documents/{documentId}/export.automerge", get(export::automerge)),
    ]
}
