//! `/api/documents/{documentId}/positions`: lists and creates positions.

use std::iter;
use std::sync::Arc;

use automerge::ChangeHash;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use offload::run_cpu_bound;
use plan::{Edit, FieldId, FieldValue, Form, NewPosition, Row, View, read_view};
use primitives::DocumentId;
use runtime::hub::Requester;
use utoipa::ToSchema;

use super::body_fields::{BodyFields, required};
use super::document::if_unchanged;
use super::extract::{AuthorQuery, DocumentPath, EditAuthor, TargetDocument, percent_encoded};
use super::paging::with_link;
use super::position;
use super::positions_query::{PositionsPage, PositionsQuery, PositionsRequest, list_start};
use super::schemas::{
    AnyProblem, BodyProblem, ConditionProblem, DocumentProblem, Position, PositionList, WriteProblem, heads,
};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional, document_view, new_position_id, renderings, reserved_body};

/// List the positions.
///
/// Poll with `If-None-Match`: while nothing changes the response is 304, which costs next to nothing. With `at`, reads the
/// positions at earlier heads from the history. With `limit`, returns a page; follow the link `next` to the others.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/positions",
    operation_id = "listPositions",
    tag = "positions",
    params(
        DocumentPath,
        PositionsQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The positions, the newest first", body = PositionList,
            headers(
                ("ETag" = String, description = "Identifies the document's heads"),
                ("Link" = String, description = "The next page, with `rel=\"next\"`; absent after the last"),
            ),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    mut request: PositionsRequest,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(heads) = request.at.take() {
        return list_at(&app, &requester, &id, heads, request, &headers).await;
    }
    let view = document_view::open(&app, &requester, &id).await?;
    let view = read_view(&view);
    let tag = conditional::etag_of_heads(view.heads());
    Ok(conditional::respond(&headers, &tag, || {
        if request.is_whole() {
            return reserved_body::response(&app, "application/json", assemble(&id, &view));
        }
        respond(&app, run_cpu_bound(|| page(&id, &view, request)))
    }))
}

/// Lists the positions at these heads.
async fn list_at(
    app: &App,
    requester: &Requester,
    id: &DocumentId,
    at: Vec<ChangeHash>,
    request: PositionsRequest,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let read = app.hub.past(requester, id, at).await?.ok_or_else(|| Problem::no_document(id))?;
    let tag = conditional::etag_of_heads(read.past.heads());
    Ok(conditional::respond(headers, &tag, || {
        let page = run_cpu_bound(|| {
            let positions = read.past.positions();
            let cursor = request.cursor().cloned();
            let after = positions.iter().filter(|one| cursor.as_ref().is_none_or(|cursor| cursor.precedes(one)));
            let heads: Vec<String> = read.past.heads().iter().map(ToString::to_string).collect();
            request.write(id, &heads, after, |position| position, |position, out| renderings::json(position, out))
        });
        respond(app, page)
    }))
}

/// A page of the current positions.
fn page(id: &DocumentId, view: &View, request: PositionsRequest) -> PositionsPage {
    let heads = heads(view);
    let render = |row: &&Arc<Row>, out: &mut Vec<u8>| out.extend_from_slice(row.form(Form::Json));
    match request.cursor().cloned() {
        Some(cursor) => request.write(id, &heads, view.rows_after(&cursor), |row| &row.position, render),
        None => request.write(id, &heads, view.rows(), |row| &row.position, render),
    }
}

fn respond(app: &App, PositionsPage { json, link }: PositionsPage) -> Response {
    with_link(link.as_deref(), reserved_body::response(app, "application/json", json))
}

/// Joins the rendered rows.
fn assemble(id: &DocumentId, view: &View) -> Vec<u8> {
    let mut out = list_start(id, &heads(view));
    view.join(Form::Json, b",", &mut out);
    out.extend_from_slice(b"]}");
    out
}

/// A position to be created.
#[derive(Debug, ToSchema)]
#[schema(as = NewPosition)]
// `FieldSchemas` adds the fields of `plan::FIELDS`.
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `read` reads")]
pub struct PositionBody {
    /// Up to 200 characters, and not the id of another position. Send one to be able to repeat a request without creating two
    /// positions. Generated if absent.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200, example = "0be30cc0d3f126")]
    id: String,
}

/// Reads a position to be created.
///
/// # Errors
/// When a field is missing, unknown or of the wrong type.
pub fn read_new(fields: BodyFields) -> Result<NewPosition, Problem> {
    let keys: Vec<&str> = iter::once("id").chain(FieldId::all().map(FieldId::key)).collect();
    let mut fields = fields.only(&keys)?;
    let mut position = NewPosition::new(fields.text("id")?.unwrap_or_else(new_position_id), "");
    for field in FieldId::all() {
        let value = fields.value(field)?;
        let value = if field.is_required() { Some(required(value, field.key())?) } else { value };
        position.fields[field] = value.unwrap_or(FieldValue::empty(field.kind()));
    }
    Ok(position)
}

/// Create a position.
#[utoipa::path(
    post,
    path = "/api/documents/{documentId}/positions",
    operation_id = "createPosition",
    tag = "positions",
    params(
        DocumentPath,
        AuthorQuery,
        (
            "If-Match" = Option<String>, Header,
            description = "The ETag of your copy of the list: 412 if the document has changed since",
        ),
    ),
    request_body = PositionBody,
    responses(
        (
            status = 201, description = "The position is stored", body = Position,
            headers(
                ("Location" = String, description = "The position's path"),
                ("ETag" = String, description = "Identifies the content of the position"),
            ),
        ),
        (
            status = 409, description = "A position with this id exists", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem, ConditionProblem,
    ),
)]
pub async fn create(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    EditAuthor(author): EditAuthor,
    headers: HeaderMap,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let position = read_new(fields)?;
    let row = position.id.clone();
    let view = document_view::open(&app, &requester, &id).await?;
    let path = format!("/api/documents/{id}/positions/{}", percent_encoded(&row));
    let edit = if_unchanged(&headers, &read_view(&view), Edit::Add(position))?;
    let view = document_view::edit(&app, &requester, &id, edit, author).await?;
    let response = position::respond_with(&read_view(&view), &row)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, path)], response).into_response())
}
