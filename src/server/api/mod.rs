//! `/api`: the JSON API.
//!
//! Lists are assembled from rows that are kept rendered, under tags that change with the document: reading again what
//! has not changed costs next to nothing. Bodies are strict: a field that is not known is an error that names it, not a
//! wish that is silently ignored. So are queries. The whole of it is described at `/api/openapi.json`, for people at `/api/`.

mod access;
mod attribution;
mod common;
mod describe;
mod document;
mod documents;
mod export;
mod field_schemas;
mod fields;
mod history;
mod login;
mod names;
mod parameters;
mod past;
mod patterns;
mod position;
mod positions;
mod session;
mod shapes;
mod target;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, put};

use self::parameters::Parameters;
use super::App;

/// The API's paths.
pub fn router() -> Router<Arc<App>> {
    routes().into_iter().fold(describe::router(), |router, (path, methods)| {
        let strict = from_fn_with_state(Parameters::of(&describe::DESCRIPTION, path), parameters::refuse_unknown);
        router.route(path, methods.route_layer(strict))
    })
}

/// What is described. A table, so that a test can hold it against the description.
fn routes() -> [(&'static str, MethodRouter<Arc<App>>); 12] {
    [
        ("/api/documents", get(documents::list).post(documents::create)),
        ("/api/documents/{documentId}", get(document::read).patch(document::change).delete(document::delete)),
        ("/api/documents/{documentId}/access", get(access::read)),
        ("/api/documents/{documentId}/access/{user}", put(access::allow).delete(access::disallow)),
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
