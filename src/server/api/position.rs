//! `/api/documents/{documentId}/positions/{positionId}`: one position.
//!
//! The ETag is that of the position, not of the document, so that edits of other positions do not fail an `If-Match`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plan::{Condition, Edit, FieldId, Form, PositionPatch, Row, View, read_view};
use utoipa::ToSchema;

use super::body_fields::BodyFields;
use super::extract::{AuthorQuery, DocumentPath, EditAuthor, PositionPath, TargetDocument, TargetPosition};
use super::schemas::{AnyProblem, BodyProblem, ConditionProblem, DocumentProblem, Position, WriteProblem};
use crate::server::conditional::{self, Precondition};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, document_view};

/// Read a position.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/positions/{positionId}",
    operation_id = "readPosition",
    tag = "positions",
    params(
        DocumentPath,
        PositionPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The position", body = Position,
            headers(("ETag" = String, description = "Identifies the content of the position")),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    TargetPosition(row): TargetPosition,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &requester, &id).await?;
    let view = read_view(&view);
    let row = find(&view, &row)?;
    Ok(conditional::respond(&headers, &etag(row), || json_response(row)))
}

/// Changes to a position. Absent fields stay as they are.
#[derive(Debug, ToSchema)]
#[schema(as = PositionPatch)]
// `FieldSchemas` adds the fields of `plan::FIELDS`.
#[serde(deny_unknown_fields)]
pub struct PatchBody {}

fn read_patch(fields: BodyFields) -> Result<PositionPatch, Problem> {
    let keys: Vec<&str> = FieldId::all().map(FieldId::key).collect();
    let mut fields = fields.only(&keys)?;
    let mut patch = PositionPatch::default();
    for field in FieldId::all() {
        patch.fields[field] = fields.value(field)?;
    }
    Ok(patch)
}

/// Change a position.
///
/// Writes only the fields that are sent, so that concurrent changes of different fields of one position both succeed. A field that
/// already has the value is not written, unless that resolves a conflict. All other fields stay as they are, including those that
/// this server does not know.
#[utoipa::path(
    patch,
    path = "/api/documents/{documentId}/positions/{positionId}",
    operation_id = "changePosition",
    tag = "positions",
    params(
        DocumentPath,
        PositionPath,
        AuthorQuery,
        (
            "If-Match" = Option<String>, Header,
            description = "The ETag of your copy: 412 if the position has changed since",
        ),
    ),
    request_body = PatchBody,
    responses(
        (
            status = 200, description = "The changed position", body = Position,
            headers(("ETag" = String, description = "Identifies the content of the position")),
        ),
        (
            status = 409, description = "Another program has put a value that is not a map in the place of the position (`value`)",
            body = Problem, content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem, ConditionProblem,
    ),
)]
pub async fn change(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    TargetPosition(row): TargetPosition,
    EditAuthor(author): EditAuthor,
    headers: HeaderMap,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let patch = read_patch(fields)?;
    let view = document_view::open(&app, &requester, &id).await?;
    let edit = if_unchanged(&headers, &read_view(&view), &row, Edit::Patch { id: row.clone(), patch })?;
    let view = document_view::edit(&app, &requester, &id, edit, author).await?;
    respond_with(&read_view(&view), &row)
}

/// Delete a position.
#[utoipa::path(
    delete,
    path = "/api/documents/{documentId}/positions/{positionId}",
    operation_id = "deletePosition",
    tag = "positions",
    params(
        DocumentPath,
        PositionPath,
        AuthorQuery,
        (
            "If-Match" = Option<String>, Header,
            description = "The ETag of your copy: 412 if the position has changed since",
        ),
    ),
    responses(
        (status = 204, description = "Deleted"),
        AnyProblem, DocumentProblem, WriteProblem, ConditionProblem,
    ),
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    TargetPosition(row): TargetPosition,
    EditAuthor(author): EditAuthor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &requester, &id).await?;
    let edit = if_unchanged(&headers, &read_view(&view), &row, Edit::Delete { id: row.clone() })?;
    document_view::edit(&app, &requester, &id, edit, author).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A response with a position and its entity tag.
pub fn respond_with(view: &View, id: &str) -> Result<Response, Problem> {
    let row = find(view, id)?;
    Ok(conditional::with_etag(&etag(row), json_response(row)))
}

fn json_response(row: &Row) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], row.form(Form::Json).to_vec()).into_response()
}

fn find<'a>(view: &'a View, id: &str) -> Result<&'a Row, Problem> {
    let not_found = || Problem::not_found(format!("there is no position with the id {id:?} in this document"));
    view.get(id).map(AsRef::as_ref).ok_or_else(not_found)
}

/// The ETag of a position, derived from its JSON.
fn etag(row: &Row) -> String {
    conditional::etag_of_content(row.form(Form::Json))
}

/// Adds the precondition of the request to an edit.
fn if_unchanged(request: &HeaderMap, view: &View, id: &str, edit: Edit) -> Result<Edit, Problem> {
    let row = find(view, id)?;
    match conditional::if_match(request, &[etag(row)]) {
        Precondition::None => Ok(edit),
        Precondition::Holds => {
            let condition = Condition::Row(Box::new(row.position.clone()));
            Ok(Edit::OnlyIf { condition, edit: Box::new(edit) })
        }
        Precondition::Fails => {
            Err(Problem::precondition_failed("the position has changed since you read it; read it again and retry"))
        }
    }
}
