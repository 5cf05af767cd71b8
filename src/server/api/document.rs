//! `/api/documents/{documentId}`: what a document says about itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use plan::position::{CURRENCY, NAME, TOTAL_BUDGET, UNIT};
use plan::{Budget, Condition, Edit, PlanPatch, View, read_view};
use runtime::clock::now_ms;
use runtime::hub::Caller;
use utoipa::ToSchema;

use super::fields::Fields;
use super::shapes::{
    AnyProblem, BodyProblem, ConditionProblem, Document, DocumentProblem, DocumentRight, WriteProblem,
};
use super::target::{AuthorQuery, DocumentPath, Target, Writer};
use crate::server::conditional::{self, IfMatch};
use crate::server::security::authentication::ApiCaller;
use crate::server::{App, Problem, document_view};

/// Read a document's settings.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}",
    operation_id = "readDocument",
    tag = "documents",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what you have; 304 if it still holds"),
    ),
    responses(
        (
            status = 200, description = "The document", body = Document,
            headers(("ETag" = String, description = "Stands for the document's heads, and for what you may do")),
        ),
        (status = 304, description = "You have it already"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &caller, &id).await?;
    let view = read_view(&view);
    let document = Document::to(&caller, &app, &id, &view).with_extra(&view);
    Ok(conditional::answer(&headers, &tag(&caller, &document, &view), || Json(document).into_response()))
}

/// What is to be changed of a document's settings; absent fields stay.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
pub struct DocumentPatch {
    /// The plan's name; up to 1,000 characters, not only white space.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 1000, example = "Growth 2028")]
    name: Option<String>,
    /// ISO 4217 code.
    #[schema(value_type = String, required = false, pattern = "^[A-Z]{3}$", example = "INR")]
    currency: Option<String>,
    /// Currency units in one unit of a budget; more than 0. Budgets stay the numbers that they are.
    #[schema(
        value_type = f64, required = false, exclusive_minimum = 0, maximum = 9_007_199_254_740_991_i64,
        example = 100_000
    )]
    unit: Option<Budget>,
    /// In units.
    #[schema(value_type = f64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 2500)]
    total_budget: Option<Budget>,
}

impl DocumentPatch {
    fn read(fields: Fields) -> Result<Self, Problem> {
        let mut fields = fields.only(&[NAME, CURRENCY, UNIT, TOTAL_BUDGET])?;
        Ok(Self {
            name: fields.text(NAME)?,
            currency: fields.text(CURRENCY)?,
            unit: fields.number(UNIT)?,
            total_budget: fields.number(TOTAL_BUDGET)?,
        })
    }
}

/// Change a document's settings.
#[utoipa::path(
    patch,
    path = "/api/documents/{documentId}",
    operation_id = "changeDocument",
    tag = "documents",
    params(
        DocumentPath,
        AuthorQuery,
        (
            "If-Match" = Option<String>, Header,
            description = "The ETag of what you have read: 412 if the document, or a position in it, has changed since",
        ),
    ),
    request_body = DocumentPatch,
    responses(
        (
            status = 200, description = "The document, as it is now", body = Document,
            headers(("ETag" = String, description = "Stands for the document's heads, and for what you may do")),
        ),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem, ConditionProblem,
    ),
)]
pub async fn change(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    Writer(author): Writer,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Problem> {
    let DocumentPatch { name, currency, unit, total_budget } = DocumentPatch::read(fields)?;
    let view = document_view::open(&app, &caller, &id).await?;
    let edit = Edit::Describe(PlanPatch { name, currency, unit, total_budget });
    let edit = if_unchanged(&headers, &read_view(&view), edit)?;
    let view = document_view::edit(&app, &caller, &id, edit, author).await?;
    let view = read_view(&view);
    let document = Document::to(&caller, &app, &id, &view).with_extra(&view);
    Ok(conditional::tagged(&tag(&caller, &document, &view), Json(document).into_response()))
}

/// Delete a document.
///
/// Everybody who is connected to it is told, and nobody reaches it from then on. Its file is kept for some time, in which the
/// server's operator can bring it back; its id is never given again. For owners. The default document cannot be deleted.
#[utoipa::path(
    delete,
    path = "/api/documents/{documentId}",
    operation_id = "deleteDocument",
    tag = "documents",
    params(DocumentPath),
    responses(
        (status = 204, description = "It is gone"),
        (
            status = 409, description = "The default document cannot be deleted", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem,
    ),
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
) -> Result<Response, Problem> {
    app.hub.delete(&caller, &id, now_ms()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What stands for a document as somebody is shown it. What they may do is a part of that where users are known: it can
/// change while the document does not.
pub fn tag(caller: &Caller, document: &Document, view: &View) -> String {
    match document.access {
        Some(access) if caller.grant().is_some() => with_access(view, access),
        _ => conditional::tag_of_heads(view.heads()),
    }
}

fn with_access(view: &View, access: DocumentRight) -> String {
    format!("{}-{}\"", conditional::tag_of_heads(view.heads()).trim_end_matches('"'), access.name())
}

/// The edit, to be made only if the document is still what the request says that it has read.
pub fn if_unchanged(request: &HeaderMap, view: &View, edit: Edit) -> Result<Edit, Problem> {
    // What its reader might do then does not matter: whether they may write now is decided elsewhere.
    let rights = [DocumentRight::Read, DocumentRight::Write, DocumentRight::Own];
    let plain = conditional::tag_of_heads(view.heads());
    let tags: Vec<String> = rights.map(|access| with_access(view, access)).into_iter().chain([plain]).collect();
    match conditional::if_match(request, &tags) {
        IfMatch::Anything => Ok(edit),
        IfMatch::This => Ok(Edit::OnlyIf { condition: Condition::Heads(view.heads().to_vec()), edit: Box::new(edit) }),
        IfMatch::Other => Err(Problem::changed("the document has changed since; read it again, and decide again")),
    }
}
