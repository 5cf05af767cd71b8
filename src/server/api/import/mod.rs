//! `/api/documents/import` and `/api/documents/{documentId}/import`: imports a file into a new or an existing document.
//!
//! | file | holds |
//! |---|---|
//! | `file`, `row` | what is read from a file |
//! | `json_file`, `csv_file`, `times` | the formats |
//! | `report` | the rows that cannot be imported |

mod csv_file;
mod file;
mod json_file;
mod report;
mod row;
mod times;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use file::{FileError, ImportFile};
use offload::run_cpu_bound;
use plan::{Batch, Budget, Edit, NewContent, View, read_view};
use primitives::DocumentId;
use report::ImportReport;
use row::ImportedRow;
use runtime::hub::{EditFailure, Requester};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::document::{etag, if_unchanged};
use super::export::AutomergeFile;
use super::extract::{AuthorQuery, DocumentPath, EditAuthor, TargetDocument};
use super::schemas::{AnyProblem, BodyProblem, ConditionProblem, Document, DocumentProblem, WriteProblem};
use crate::server::body::{self, LargeBody};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, InvalidRow, Problem, conditional, document_view, new_position_id};

/// The paths of imports.
pub const IMPORT_PATHS: [&str; 2] = ["/api/documents/import", "/api/documents/{documentId}/import"];
/// Name of a new document if neither the request nor the file has one.
const DEFAULT_NAME: &str = "Imported plan";
/// Currency and unit of a new document if the file has none, as for the command line.
const DEFAULT_CURRENCY: &str = "INR";
const DEFAULT_UNIT: u64 = 100_000;

/// Memory of the rows that are read from JSON or CSV, as a multiple of the size of the file.
const ROW_MEMORY: usize = 4;

/// The format of a file, by the `Content-Type` of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Automerge,
}

impl Format {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let sent =
            headers.get(header::CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase());
        match sent.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default().trim() {
            "application/json" => Ok(Self::Json),
            "text/csv" => Ok(Self::Csv),
            "application/octet-stream" | "application/vnd.automerge" => Ok(Self::Automerge),
            _ => {
                let sent = sent.map_or_else(|| "it is missing".to_owned(), |kind| format!("it is {kind}"));
                Err(Problem::unsupported_media_type(format!(
                    "the Content-Type must be application/json, text/csv, or application/octet-stream for an Automerge file; {sent}"
                )))
            }
        }
    }
}

/// Extracts the file of a request, which is not received yet: first the right to import it is checked.
pub struct Upload {
    format: Format,
    headers: HeaderMap,
    body: Body,
}

impl FromRequest<Arc<App>> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Problem> {
        let format = Format::of(request.headers())?;
        let (head, body) = request.into_parts();
        Ok(Self { format, headers: head.headers, body })
    }
}

/// Checks the right to import before the content of a request is received. `path` is one of [`IMPORT_PATHS`].
///
/// # Errors
/// When the requester may not import, or the path has no valid id.
pub async fn check_rights(app: &Arc<App>, requester: &Requester, path: &str, head: &mut Parts) -> Result<(), Problem> {
    if path == IMPORT_PATHS[0] {
        return Ok(app.hub.check_creation(requester)?);
    }
    let TargetDocument(id) = TargetDocument::from_request_parts(head, app).await?;
    Ok(app.hub.check_write(requester, &id)?)
}

impl Upload {
    async fn receive(self, app: &App, requester: &Requester) -> Result<LargeBody, Problem> {
        let Self { format, headers, body } = self;
        let mut body = body::read_large(app, &headers, body, body::MAX_IMPORT, requester.payer()).await?;
        // Automerge files are decoded one at a time.
        if format != Format::Automerge {
            body.reserve_for_reading(app, ROW_MEMORY)?;
        }
        app.recheck(requester)?;
        Ok(body)
    }
}

/// Query parameter: what to do with invalid rows.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct SkipQuery {
    /// Import the other rows if some are invalid. Otherwise nothing is imported then. No effect on Automerge files.
    #[param(value_type = bool, required = false, example = false)]
    skip_invalid: Option<String>,
}

/// Query parameter: the name of a new document.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NameQuery {
    /// Name of the new plan. Absent: that of the file, or `Imported plan`. No effect on Automerge files.
    #[param(min_length = 1, max_length = 1000, example = "Growth 2028")]
    name: Option<String>,
}

/// Extracts whether invalid rows are skipped.
pub struct SkipInvalid(bool);

impl FromRequestParts<Arc<App>> for SkipInvalid {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<SkipQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(SkipQuery { skip_invalid }) = query.map_err(Problem::bad_query)?;
        let flag = skip_invalid.map(|flag| flag.parse()).transpose();
        flag.map(|flag| Self(flag.unwrap_or_default()))
            .map_err(|_| Problem::bad_parameter("skipInvalid", "must be true or false"))
    }
}

/// Extracts the name of a new document.
pub struct NewName(Option<String>);

impl FromRequestParts<Arc<App>> for NewName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<NameQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        Ok(Self(query.map_err(Problem::bad_query)?.0.name))
    }
}

/// The result of an import.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// The document.
    document: Document,
    /// Number of positions that were created. 0 for an Automerge file.
    added: usize,
    /// Number of positions of the file that existed, and have its values now. 0 for an Automerge file.
    updated: usize,
    /// Number of rows that were skipped because they are invalid.
    skipped: usize,
    /// The skipped rows, the first 1,000 of them.
    invalid_rows: Vec<InvalidRow>,
}

/// What an import has done.
#[derive(Default)]
struct Counts {
    added: usize,
    updated: usize,
    report: ImportReport,
}

/// Import a file into a new document.
///
/// The body is an Automerge file (`application/octet-stream`), CSV (`text/csv`), or JSON: what `export.json`, `export.csv`,
/// `export.automerge` and the list of positions give, up to 64 MiB. Positions keep their ids, their times and their last editors. From `export.json` the
/// document also gets the settings, the columns and the unknown fields; the values that lost against concurrent writes are in no file but
/// `export.automerge`, which keeps the whole history. The document gets an id of its own. If rows are invalid, nothing is imported, and
/// `invalidRows` lists them.
#[utoipa::path(
    post,
    path = "/api/documents/import",
    operation_id = "importDocument",
    tag = "documents",
    params(NameQuery, SkipQuery, AuthorQuery),
    request_body(content(
        (serde_json::Value = "application/json"), (String = "text/csv"), (AutomergeFile = "application/octet-stream"),
    )),
    responses(
        (
            status = 201, description = "The document is stored", body = Imported,
            headers(
                ("Location" = String, description = "The document's path"),
                ("ETag" = String, description = "Identifies the document's heads and your right to it"),
            ),
        ),
        AnyProblem, WriteProblem, BodyProblem,
    ),
)]
pub async fn create(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    EditAuthor(author): EditAuthor,
    NewName(name): NewName,
    SkipInvalid(skip): SkipInvalid,
    upload: Upload,
) -> Result<Response, Problem> {
    app.hub.check_creation(&requester)?;
    let format = upload.format;
    let body = upload.receive(&app, &requester).await?;
    let id = DocumentId::from_random(rand::random());
    let mut counts = Counts::default();
    if format == Format::Automerge {
        app.hub.import_new(&requester, &id, body.bytes(), author).await.map_err(file_problem)?;
    } else {
        let read = run_cpu_bound(|| new_content(read(format, body.bytes())?, name, skip));
        let content;
        (content, counts) = read?;
        app.hub.create_with(&requester, &id, content, author).await?;
    }
    drop(body);
    let location = format!("/api/documents/{id}");
    let response = respond(&app, &requester, &id, counts).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], response).into_response())
}

/// Import a file into a document.
///
/// For the formats see `importDocument`. Of an Automerge file, the changes are merged that the document lacks: it is meant for copies of the
/// same document. Rows of CSV and JSON with the id of a position set the fields that the file has; other rows become new positions. No position is deleted,
/// and the settings of the document do not change. All rows are written in one change.
#[utoipa::path(
    post,
    path = "/api/documents/{documentId}/import",
    operation_id = "importIntoDocument",
    tag = "documents",
    params(
        DocumentPath,
        SkipQuery,
        AuthorQuery,
        (
            "If-Match" = Option<String>, Header,
            description = "The ETag of your copy of the document: 412 if it has changed since. Not for Automerge files",
        ),
    ),
    request_body(content(
        (serde_json::Value = "application/json"), (String = "text/csv"), (AutomergeFile = "application/octet-stream"),
    )),
    responses(
        (
            status = 200, description = "The file is imported", body = Imported,
            headers(("ETag" = String, description = "Identifies the document's heads and your right to it")),
        ),
        (
            status = 409, description = "A position was created meanwhile with an id of the file", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem, ConditionProblem,
    ),
)]
pub async fn merge(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    EditAuthor(author): EditAuthor,
    SkipInvalid(skip): SkipInvalid,
    headers: HeaderMap,
    upload: Upload,
) -> Result<Response, Problem> {
    app.hub.check_write(&requester, &id)?;
    let format = upload.format;
    let body = upload.receive(&app, &requester).await?;
    let view = document_view::open(&app, &requester, &id).await?;
    let mut counts = Counts::default();
    if format == Format::Automerge {
        app.hub.import_into(&requester, &id, body.bytes(), author).await.map_err(file_problem)?;
    } else {
        let file = run_cpu_bound(|| read(format, body.bytes()))?;
        let (edit, is_change) = {
            let view = read_view(&view);
            let batch;
            (batch, counts) = run_cpu_bound(|| batch_of(file, &view, skip))?;
            let is_change = !batch.add.is_empty() || !batch.change.is_empty();
            (if_unchanged(&headers, &view, Edit::Batch(Box::new(batch)))?, is_change)
        };
        if is_change {
            app.hub.edit(&requester, &id, edit, author).await?;
        }
    }
    drop(body);
    respond(&app, &requester, &id, counts).await
}

fn read(format: Format, bytes: &[u8]) -> Result<ImportFile, FileError> {
    match format {
        Format::Csv => csv_file::read(bytes),
        Format::Json | Format::Automerge => json_file::read(bytes),
    }
}

/// Adds a problem if an earlier row has the id of this one.
fn note_repeated_id(lines: &mut HashMap<String, usize>, line: usize, row: &ImportedRow, problems: &mut Vec<String>) {
    let Some(id) = &row.id else { return };
    match lines.entry(id.clone()) {
        Entry::Occupied(earlier) => problems.push(format!("id: it is also that of line {}", earlier.get())),
        Entry::Vacant(free) => drop(free.insert(line)),
    }
}

/// The content of a new document.
fn new_content(file: ImportFile, name: Option<String>, skip: bool) -> Result<(NewContent, Counts), Problem> {
    let ImportFile { mut content, rows } = file;
    let settings = &mut content.settings;
    settings.name = name.or(settings.name.take()).or(Some(DEFAULT_NAME.to_owned()));
    settings.currency.get_or_insert_with(|| DEFAULT_CURRENCY.to_owned());
    settings.unit.get_or_insert(Budget::Int(DEFAULT_UNIT));
    let (mut counts, mut lines) = (Counts::default(), HashMap::new());
    for (line, row, mut problems) in rows {
        note_repeated_id(&mut lines, line, &row, &mut problems);
        row.check(None, &mut problems);
        if counts.report.note(line, problems) {
            content.positions.push(row.into_new(new_position_id));
        }
    }
    counts.added = content.positions.len();
    if counts.report.invalid > 0 && !skip { Err(counts.report.into_problem()) } else { Ok((content, counts)) }
}

/// The rows as changes of an existing document.
fn batch_of(file: ImportFile, view: &View, skip: bool) -> Result<(Batch, Counts), Problem> {
    let (mut counts, mut batch, mut lines) = (Counts::default(), Batch::default(), HashMap::new());
    for (line, mut row, mut problems) in file.rows {
        note_repeated_id(&mut lines, line, &row, &mut problems);
        let existing = row.id.as_deref().and_then(|id| view.get(id));
        row.check(existing.map(|row| &row.position), &mut problems);
        if existing.is_some_and(|row| row.position.extra.as_ref().is_some_and(|extra| extra.value.is_some())) {
            problems.push("id: another program has put a value that is no position in this place".to_owned());
        }
        if !counts.report.note(line, problems) {
            continue;
        }
        match existing {
            Some(existing) => {
                row.leave_out_same(&existing.position);
                let extra = existing.position.extra.as_ref().map(|extra| &extra.fields);
                let id = row.id.take().unwrap_or_default();
                counts.updated += 1;
                // An unchanged row costs nothing.
                batch.change.extend(row.into_change(id, extra));
            }
            None => batch.add.push(row.into_new(new_position_id)),
        }
    }
    counts.added = batch.add.len();
    if counts.report.invalid > 0 && !skip { Err(counts.report.into_problem()) } else { Ok((batch, counts)) }
}

/// The problem of an Automerge file that was not imported.
fn file_problem(failure: EditFailure) -> Problem {
    match failure {
        EditFailure::Merge(error) => {
            // The reasons are those of sync messages, which hold the same chunks.
            let reason = error.to_string().replace("sync message", "file");
            let detail = format!("{reason}. Nothing was imported");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-file", "The file cannot be imported", detail)
        }
        failure => failure.into(),
    }
}

async fn respond(app: &App, requester: &Requester, id: &DocumentId, counts: Counts) -> Result<Response, Problem> {
    let view = document_view::after_edit(app, requester, id).await?;
    let view = read_view(&view);
    let document = Document::for_requester(requester, app, id, &view);
    let tag = etag(requester, &document, &view);
    let Counts { added, updated, report } = counts;
    let imported = Imported { document, added, updated, skipped: report.invalid, invalid_rows: report.rows };
    Ok(conditional::with_etag(&tag, Json(imported).into_response()))
}
