//! `/api/documents/{documentId}`: the settings of a document, and its deletion.

use std::sync::Arc;

use automerge::ChangeHash;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plan::position::{CURRENCY, DEPARTMENT_BUDGETS, NAME, TOTAL_BUDGET, UNIT, YEAR_START};
use plan::{Budget, Condition, DepartmentBudgetsPatch, Edit, MAX_BUDGET, Month, PlanPatch, View, read_view};
use primitives::MAX_TEXT;
use runtime::clock::now_ms;
use runtime::hub::Requester;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use super::body_fields::BodyFields;
use super::extract::{AuthorQuery, DocumentPath, EditAuthor, TargetDocument};
use super::patterns::NOT_BLANK;
use super::scenarios;
use super::schemas::{
    AnyProblem, BodyProblem, ConditionProblem, Document, DocumentProblem, DocumentRight, WriteProblem,
};
use crate::server::conditional::{self, Precondition};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, document_view};

/// Read a document's settings.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}",
    operation_id = "readDocument",
    tag = "documents",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The document", body = Document,
            headers(
                ("ETag" = String, description = "Identifies the document's heads and your right to it"),
                ("Link" = String, description = "Only if the document has a successor: its path, with the relation `successor-version`"),
            ),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &requester, &id).await?;
    let view = read_view(&view);
    let document = Document::for_requester(&requester, &app, &id, &view).with_extra(&view);
    let tag = etag(&requester, &document, &view);
    let link = document.successor.as_ref().map(|id| [(header::LINK, format!("<{id}>; rel=\"successor-version\""))]);
    Ok(conditional::respond(&headers, &tag, || (link, Json(document.with_sums(&view))).into_response()))
}

/// Changes to the settings of a document. Absent fields stay as they are.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
pub struct DocumentPatch {
    /// Name of the plan. Up to 1,000 characters, not only white space.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 1000, example = "Growth 2028")]
    name: Option<String>,
    /// ISO 4217 code.
    #[schema(value_type = String, required = false, pattern = "^[A-Z]{3}$", example = "INR")]
    currency: Option<String>,
    /// Currency units in one unit of a budget; more than 0. Existing budgets keep their numbers.
    #[schema(
        value_type = f64, required = false, exclusive_minimum = 0, maximum = 9_007_199_254_740_991_i64,
        example = 100_000
    )]
    unit: Option<Budget>,
    /// In units of the plan.
    #[schema(value_type = f64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 2500)]
    total_budget: Option<Budget>,
    /// First month of the plan's year. Null or an empty text: none from now on.
    #[schema(value_type = Option<String>, required = false, example = "2027-04")]
    year_start: Option<Option<Month>>,
    /// Budgets of departments to set, by the name of the department. Null removes the entry of a department. The other entries stay
    /// as they are.
    #[schema(schema_with = department_budgets, required = false)]
    department_budgets: DepartmentBudgetsPatch,
}

/// The schema of changed budgets of departments.
#[expect(deprecated, reason = "`example`, like the schemas that utoipa derives")]
fn department_budgets() -> Object {
    let amount = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Number, Type::Null]))
        .minimum(Some(0))
        .maximum(Some(MAX_BUDGET));
    let name = ObjectBuilder::new().schema_type(Type::String).max_length(Some(MAX_TEXT)).pattern(Some(NOT_BLANK));
    ObjectBuilder::new()
        .property_names(Some(name))
        .additional_properties(Some(amount))
        .example(Some(json!({ "Engineering": 400 })))
        .build()
}

impl DocumentPatch {
    fn read(fields: BodyFields) -> Result<Self, Problem> {
        let mut fields = fields.only(&[NAME, CURRENCY, UNIT, TOTAL_BUDGET, YEAR_START, DEPARTMENT_BUDGETS])?;
        Ok(Self {
            name: fields.text(NAME)?,
            currency: fields.text(CURRENCY)?,
            unit: fields.number(UNIT)?,
            total_budget: fields.number(TOTAL_BUDGET)?,
            year_start: fields.nullable_month(YEAR_START)?,
            department_budgets: fields.nullable_numbers(DEPARTMENT_BUDGETS)?.unwrap_or_default(),
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
            description = "The ETag of your copy: 412 if the document or one of its positions has changed since",
        ),
    ),
    request_body = DocumentPatch,
    responses(
        (
            status = 200, description = "The changed document", body = Document,
            headers(("ETag" = String, description = "Identifies the document's heads and your right to it")),
        ),
        (
            status = 409, description = "The document is a scenario, whose name is changed at its own path", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem, ConditionProblem,
    ),
)]
pub async fn change(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    EditAuthor(author): EditAuthor,
    headers: HeaderMap,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let DocumentPatch { name, currency, unit, total_budget, year_start, department_budgets } =
        DocumentPatch::read(fields)?;
    if let Some(plan) = app.hub.scenario_of(&id).filter(|_| name.is_some()) {
        let detail = format!("name: rename a scenario with PATCH /api/documents/{plan}/scenarios/{id}");
        return Err(Problem::new(StatusCode::CONFLICT, "scenario", "Scenario", detail));
    }
    let view = document_view::open(&app, &requester, &id).await?;
    let edit = Edit::Describe(PlanPatch { name, currency, unit, total_budget, year_start, department_budgets });
    let edit = if_unchanged(&headers, &read_view(&view), edit)?;
    let view = document_view::edit(&app, &requester, &id, edit, author).await?;
    let view = read_view(&view);
    let document = Document::for_requester(&requester, &app, &id, &view).with_extra(&view);
    let tag = etag(&requester, &document, &view);
    Ok(conditional::with_etag(&tag, Json(document.with_sums(&view)).into_response()))
}

/// Delete a document.
///
/// Connected clients are informed, and the document is not accessible any more, nor are its scenarios. The server keeps its file for some time, so that
/// the operator can restore it. Its id is never reused. For owners. The default document cannot be deleted.
#[utoipa::path(
    delete,
    path = "/api/documents/{documentId}",
    operation_id = "deleteDocument",
    tag = "documents",
    params(DocumentPath, AuthorQuery),
    responses(
        (status = 204, description = "Deleted"),
        (
            status = 409, description = "The default document cannot be deleted", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem,
    ),
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    EditAuthor(author): EditAuthor,
) -> Result<Response, Problem> {
    match app.hub.scenario_of(&id) {
        Some(plan) => scenarios::drop_scenario(&app, &requester, &plan, &id, author).await?,
        None => app.hub.delete(&requester, &id, now_ms()).await?,
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The entity tag of a document for this requester. With authentication it includes the requester's right, which can change while the
/// document does not.
pub fn etag(requester: &Requester, document: &Document, view: &View) -> String {
    match document.access {
        Some(right) if requester.grant().is_some() => etag_with_right(view, right),
        _ => conditional::etag_of_heads(view.heads()),
    }
}

fn etag_with_right(view: &View, right: DocumentRight) -> String {
    format!("{}-{}\"", conditional::etag_of_heads(view.heads()).trim_end_matches('"'), right.name())
}

/// Checks the `If-Match` precondition of a request. Returns the heads that the document must still have when it is written; `None`
/// for an unconditional write.
///
/// # Errors
/// When the header lists no current tag.
pub fn expected_heads(request: &HeaderMap, view: &View) -> Result<Option<Vec<ChangeHash>>, Problem> {
    // The tag matches with any right: the right to write is checked separately.
    let rights = [DocumentRight::Read, DocumentRight::Write, DocumentRight::Own];
    let without_right = conditional::etag_of_heads(view.heads());
    let tags = rights.map(|right| etag_with_right(view, right)).into_iter().chain([without_right]);
    let tags: Vec<String> = tags.collect();
    match conditional::if_match(request, &tags) {
        Precondition::None => Ok(None),
        Precondition::Holds => Ok(Some(view.heads().to_vec())),
        Precondition::Fails => {
            Err(Problem::precondition_failed("the document has changed since you read it; read it again and retry"))
        }
    }
}

/// Adds the `If-Match` precondition of a request to an edit.
///
/// # Errors
/// When the header lists no current tag.
pub fn if_unchanged(request: &HeaderMap, view: &View, edit: Edit) -> Result<Edit, Problem> {
    Ok(match expected_heads(request, view)? {
        Some(heads) => Edit::OnlyIf { condition: Condition::Heads(heads), edit: Box::new(edit) },
        None => edit,
    })
}
