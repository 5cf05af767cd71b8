//! `/api`: the JSON API.
//!
//! Lists are concatenations of rendered rows. Their entity tags change with the document, so polling an unchanged list is cheap.
//! Bodies and queries are strict: an unknown field or parameter is an error that names it. `/api/openapi.json` describes the
//! API, and `/api/` shows the description as a page.

mod access;
mod attribution;
mod body_fields;
mod common_responses;
mod diff;
mod document;
mod documents;
mod enum_schemas;
mod export;
mod extract;
mod feed;
mod field_schemas;
mod history;
mod login;
mod openapi;
mod patterns;
mod position;
mod positions;
mod positions_at;
mod query_parameters;
mod scenarios;
mod schemas;
mod session;
mod setup;
pub mod webhooks;

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
pub fn router() -> Router<Arc<App>> {
    openapi::router().merge(routes())
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
        routes!(scenarios::list, scenarios::create),
        routes!(scenarios::rename, scenarios::delete),
        routes!(diff::read),
        routes!(diff::merge),
        routes!(session::read),
        routes!(setup::create),
        routes!(history::read),
        routes!(attribution::read),
        routes!(feed::document::read),
        routes!(feed::all::read),
        routes!(webhooks::endpoints::list, webhooks::endpoints::add),
        routes!(webhooks::endpoints::remove),
        routes!(webhooks::endpoints::test),
        routes!(export::json),
        routes!(export::csv),
        routes!(export::automerge),
    ];
    routes.into_iter().fold(OpenApiRouter::with_openapi(ApiDoc::openapi()), |router, (schemas, paths, methods)| {
        let strict = from_fn_with_state(QueryParameters::of(&paths), query_parameters::reject_unknown);
        router.routes((schemas, paths, methods.route_layer(strict)))
    })
}
