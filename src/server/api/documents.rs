//! `/api/documents`: which documents there are, and new ones.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use plan::position::{CURRENCY, NAME, TOTAL_BUDGET, UNIT};
use plan::{Budget, Edit, PlanPatch, read_view};
use primitives::DocumentId;
use runtime::hub::Caller;
use utoipa::ToSchema;

use super::document::tag;
use super::fields::{Fields, required};
use super::shapes::{AnyProblem, BodyProblem, BrokenDocument, Document, Listed, WriteProblem};
use super::target::{AuthorQuery, Writer};
use crate::server::security::authentication::ApiCaller;
use crate::server::{App, Problem, conditional, document_view};

/// Documents that are opened at a time to be listed.
const OPEN_TOGETHER: usize = 8;

/// List the documents.
///
/// The default document comes first. A document that cannot be opened is listed with an `error`, and nothing but its
/// id.
#[utoipa::path(
    get,
    path = "/api/documents",
    operation_id = "listDocuments",
    tag = "documents",
    responses((status = 200, description = "All documents", body = Vec<Listed>), AnyProblem),
)]
pub async fn list(State(app): State<Arc<App>>, ApiCaller(caller): ApiCaller) -> Result<Response, Problem> {
    let mut ids = app.hub.list(&caller).await?;
    ids.sort_by_key(|id| (*id != app.default_id, id.clone()));
    let listed: Vec<Listed> = stream::iter(ids)
        .map(|id| list_one(&app, &caller, id))
        .buffered(OPEN_TOGETHER)
        .filter_map(std::future::ready)
        .collect()
        .await;
    Ok(([(header::CACHE_CONTROL, "private, no-cache")], Json(listed)).into_response())
}

/// None: nothing was ever written to it.
async fn list_one(app: &App, caller: &Caller, id: DocumentId) -> Option<Listed> {
    match app.hub.view(caller, &id).await {
        Ok(view) => view.map(|view| Listed::Document(Document::to(caller, app, &id, &read_view(&view)))),
        Err(error) => Some(Listed::Broken(BrokenDocument {
            id: id.to_string(),
            url: id.url(),
            default: id == app.default_id,
            error: error.to_string(),
        })),
    }
}

/// A document to be made.
#[derive(Debug, PartialEq, ToSchema)]
#[schema(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
pub struct NewDocument {
    /// The plan's name; up to 1,000 characters, not only white space.
    #[schema(min_length = 1, max_length = 1000, example = "Growth 2027")]
    name: String,
    /// ISO 4217 code.
    #[schema(value_type = String, required = false, pattern = "^[A-Z]{3}$", default = "INR", example = "EUR")]
    currency: String,
    /// Currency units in one unit of a budget; more than 0.
    #[schema(
        value_type = f64, required = false, exclusive_minimum = 0, maximum = 9_007_199_254_740_991_i64,
        default = 100_000, example = 1000
    )]
    unit: Budget,
    /// In units.
    #[schema(value_type = f64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 2000)]
    total_budget: Option<Budget>,
}

impl NewDocument {
    fn read(fields: Fields) -> Result<Self, Problem> {
        let mut fields = fields.only(&[NAME, CURRENCY, UNIT, TOTAL_BUDGET])?;
        Ok(Self {
            name: required(fields.text(NAME)?, NAME)?,
            currency: fields.text(CURRENCY)?.unwrap_or_else(|| "INR".to_owned()),
            unit: fields.number(UNIT)?.unwrap_or(Budget::Int(100_000)),
            total_budget: fields.number(TOTAL_BUDGET)?,
        })
    }
}

/// Make a document.
#[utoipa::path(
    post,
    path = "/api/documents",
    operation_id = "createDocument",
    tag = "documents",
    params(AuthorQuery),
    request_body = NewDocument,
    responses(
        (
            status = 201, description = "It is stored", body = Document,
            headers(
                ("Location" = String, description = "The document's path"),
                ("ETag" = String, description = "Stands for the document's heads, and for what you may do"),
            ),
        ),
        AnyProblem, WriteProblem, BodyProblem,
    ),
)]
pub async fn create(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Writer(author): Writer,
    fields: Fields,
) -> Result<Response, Problem> {
    let NewDocument { name, currency, unit, total_budget } = NewDocument::read(fields)?;
    let id = DocumentId::from_random(rand::random());
    let plan = PlanPatch { name: Some(name), currency: Some(currency), unit: Some(unit), total_budget };
    let edit = Edit::Create { id: id.clone(), plan, positions: Vec::new() };
    let view = document_view::edit(&app, &caller, &id, edit, author).await?;
    let view = read_view(&view);
    let location = format!("/api/documents/{id}");
    let document = Document::to(&caller, &app, &id, &view);
    let tag = tag(&caller, &document, &view);
    Ok(conditional::tagged(&tag, (StatusCode::CREATED, [(header::LOCATION, location)], Json(document)).into_response()))
}
