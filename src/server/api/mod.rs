//! `/api`: the JSON API.
//!
//! Lists are concatenations of rendered rows. Their entity tags change with the document, so polling an unchanged list is cheap.
//! Bodies and queries are strict: an unknown field or parameter is an error that names it. `/api/openapi.json` describes the
//! API, and `/api/` shows the description as a page.

mod access;
mod attribution;
mod batch;
mod body_fields;
mod common_responses;
mod content;
mod diff;
mod document;
mod documents;
mod documents_query;
mod enum_schemas;
mod export;
mod extract;
pub(super) mod feed;
mod field_schemas;
mod heads_query;
mod history;
pub(super) mod idempotency;
pub(super) mod import;
mod login;
mod openapi;
mod paging;
mod patterns;
mod position;
mod positions;
mod positions_query;
mod problems;
mod query_parameters;
mod rate_limit_headers;
mod scenarios;
mod schemas;
mod session;
mod setup;
mod successor;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::openapi::ApiDoc;
use self::query_parameters::QueryParameters;
use super::App;

/// The routes of the API and of its description.
pub fn router(app: &Arc<App>) -> Router<Arc<App>> {
    openapi::router()
        .merge(routes())
        .layer(from_fn_with_state(Arc::clone(app), idempotency::layer))
        .layer(from_fn_with_state(Arc::clone(app), rate_limit_headers::layer))
}

/// The routes with their descriptions, both from the `utoipa::path` of the handlers.
fn routes() -> OpenApiRouter<Arc<App>> {
    let routes = [
        routes!(documents::list, documents::create),
        routes!(document::read, document::change, document::delete),
        routes!(access::read),
        routes!(access::grant, access::revoke),
        routes!(positions::list, positions::create),
        routes!(position::read, position::change, position::delete),
        routes!(batch::run),
        routes!(import::create),
        routes!(import::merge),
        routes!(problems::read),
        routes!(successor::create),
        routes!(scenarios::list, scenarios::create),
        routes!(scenarios::rename, scenarios::delete),
        routes!(diff::read),
        routes!(diff::merge),
        routes!(content::read),
        routes!(session::read),
        routes!(setup::create),
        routes!(history::read),
        routes!(attribution::read),
        routes!(feed::document::read),
        routes!(feed::all::read),
        routes!(webhooks::list, webhooks::add),
        routes!(webhooks::remove),
        routes!(webhooks::test),
        routes!(export::json),
        routes!(export::csv),
        routes!(export::xlsx),
        routes!(export::automerge),
    ];
    routes.into_iter().fold(OpenApiRouter::with_openapi(ApiDoc::openapi()), |router, (schemas, paths, methods)| {
        let strict = from_fn_with_state(QueryParameters::of(&paths), query_parameters::reject_unknown);
        router.routes((schemas, paths, methods.route_layer(strict)))
    })
}
