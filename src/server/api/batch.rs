//! `/api/documents/{documentId}/positions:batch`: many positions in one change.

use std::iter;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use offload::run_cpu_bound;
use plan::{Batch, Edit, Extras, FieldId, Form, NewRow, PositionPatch, RowChange, View, read_view};
use primitives::DocumentId;
use runtime::hub::EditFailure;
use utoipa::ToSchema;

use super::body_fields::{BodyFields, LargeFields, required};
use super::document::if_unchanged;
use super::extract::{AuthorQuery, DocumentPath, EditAuthor, TargetDocument};
use super::positions::{PositionBody, read_new};
use super::positions_query::list_start;
use super::schemas::{AnyProblem, BodyProblem, ConditionProblem, DocumentProblem, Position, WriteProblem, heads};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional, document_view, reserved_body};

/// Most items of each list.
const MAX_ROWS: usize = 1_000;
const ADD: &str = "add";
const CHANGE: &str = "change";
const DELETE: &str = "delete";
const ID: &str = "id";

/// A change of a position in a batch. Absent fields stay as they are.
#[derive(Debug, ToSchema)]
#[schema(as = BatchChange)]
// `FieldSchemas` adds the fields of `plan::FIELDS`.
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    /// The position.
    #[schema(example = "0be30cc0d3f126")]
    #[expect(dead_code, reason = "describes the body that `read_change` reads")]
    id: String,
}

/// Positions to create, to change and to delete: up to 1,000 together, each once.
#[derive(Debug, ToSchema)]
#[schema(as = Batch)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body that `read` reads")]
pub struct BatchBody {
    /// Positions to create.
    #[schema(value_type = Vec<PositionBody>, required = false, max_items = 1000)]
    add: Vec<PositionBody>,
    /// Changes of positions.
    #[schema(value_type = Vec<ChangeBody>, required = false, max_items = 1000)]
    change: Vec<ChangeBody>,
    /// Ids of positions to delete.
    #[schema(value_type = Vec<String>, required = false, max_items = 1000, example = json!(["28f6d1a4b9c073"]))]
    delete: Vec<String>,
}

/// The result of a batch.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what is assembled from rendered rows; a test compares both")]
pub struct BatchResult {
    /// The document's id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: String,
    /// The heads after the batch.
    heads: Vec<String>,
    /// The created positions, then the changed ones, in the order of the request. Without those that another user has deleted at once.
    positions: Vec<Position>,
    /// The ids of the deleted positions.
    deleted: Vec<String>,
}

fn read(fields: BodyFields) -> Result<Batch, Problem> {
    let mut fields = fields.only(&[ADD, CHANGE, DELETE])?;
    let (add, change) = (fields.objects(ADD)?, fields.objects(CHANGE)?);
    let delete = fields.texts(DELETE)?.unwrap_or_default();
    for (list, rows) in [(ADD, add.len()), (CHANGE, change.len()), (DELETE, delete.len())] {
        if rows > MAX_ROWS {
            let detail = format!("{list}: may have {MAX_ROWS} items, and this one has {rows}; send several batches");
            return Err(Problem::invalid(list, detail));
        }
    }
    let new = |fields| Ok(NewRow { position: read_new(fields)?, extra: Extras::new() });
    Ok(Batch { add: read_items(ADD, add, new)?, change: read_items(CHANGE, change, read_change)?, delete })
}

/// Reads the items of a list. A problem names its item.
fn read_items<T>(
    list: &str,
    items: Vec<BodyFields>,
    read: impl Fn(BodyFields) -> Result<T, Problem>,
) -> Result<Vec<T>, Problem> {
    let item = |(index, fields)| read(fields).map_err(|problem| problem.within(&format!("{list}[{index}]")));
    items.into_iter().enumerate().map(item).collect()
}

fn read_change(fields: BodyFields) -> Result<RowChange, Problem> {
    let keys: Vec<&str> = iter::once(ID).chain(FieldId::all().map(FieldId::key)).collect();
    let mut fields = fields.only(&keys)?;
    let id = required(fields.text(ID)?, ID)?;
    let mut patch = PositionPatch::default();
    for field in FieldId::all() {
        patch.fields[field] = fields.value(field)?;
    }
    Ok(RowChange { id, patch, extra: Extras::new() })
}

/// Create, change and delete positions at once.
///
/// All of it happens in one change of the document, or nothing if one item is rejected; `field` then names the item, such as
/// `change[3].budget`. Concurrent changes of other fields and other positions are kept.
#[utoipa::path(
    post,
    path = "/api/documents/{documentId}/positions:batch",
    operation_id = "batchPositions",
    tag = "positions",
    params(
        DocumentPath,
        AuthorQuery,
        (
            "If-Match" = Option<String>, Header,
            description = "The ETag of your copy of the list: 412 if the document has changed since",
        ),
    ),
    request_body = BatchBody,
    responses(
        (
            status = 200, description = "The batch is stored", body = BatchResult,
            headers(("ETag" = String, description = "Identifies the document's heads")),
        ),
        (
            status = 409, description = "A position to create exists, or one to change is no map", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem, ConditionProblem,
    ),
)]
pub async fn run(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    EditAuthor(author): EditAuthor,
    headers: HeaderMap,
    LargeFields { fields, body }: LargeFields,
) -> Result<Response, Problem> {
    let batch = run_cpu_bound(|| read(fields))?;
    drop(body);
    let shown: Vec<String> = batch
        .add
        .iter()
        .map(|row| row.position.id.clone())
        .chain(batch.change.iter().map(|row| row.id.clone()))
        .collect();
    let deleted = batch.delete.clone();
    let view = document_view::open(&app, &requester, &id).await?;
    let edit = if_unchanged(&headers, &read_view(&view), Edit::Batch(Box::new(batch)))?;
    let view = document_view::edit(&app, &requester, &id, edit, author).await?;
    let view = read_view(&view);
    let tag = conditional::etag_of_heads(view.heads());
    let json = assemble(&id, &view, &shown, &deleted);
    // The batch is stored: a client that is told to try again would repeat it.
    let body = reserved_body::reserve(&app, json).map_err(|_| EditFailure::Unknown)?;
    let response = ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response();
    Ok(conditional::with_etag(&tag, response))
}

fn assemble(id: &DocumentId, view: &View, shown: &[String], deleted: &[String]) -> Vec<u8> {
    let mut out = list_start(id, &heads(view));
    for (index, row) in shown.iter().filter_map(|id| view.get(id)).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(row.form(Form::Json));
    }
    out.extend_from_slice(b"],\"deleted\":");
    // Writing texts to memory cannot fail.
    let _ = serde_json::to_writer(&mut out, deleted);
    out.push(b'}');
    out
}
