//! `/api/documents/{documentId}/export.…`: a document as a JSON, CSV, Excel or Automerge file.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use offload::run_cpu_bound;
use plan::{Form, View, read_view};
use runtime::hub::Unavailable;
use runtime::metrics::RefusalReason;
use utoipa::ToSchema;

use super::extract::{DocumentPath, TargetDocument, percent_encoded};
use super::schemas::{AnyProblem, Document, DocumentProblem, Export};
use crate::server::csv_table::{CsvTable, omitted_in_json};
use crate::server::security::authentication::ApiRequester;
use crate::server::xlsx_table::{self, XlsxContent, XlsxTable};
use crate::server::{App, Problem, conditional, document_view, reserved_body};

/// Number of values of the document that a file does not contain.
const OMITTED: HeaderName = HeaderName::from_static("happierwork-omitted");
/// The media type of a workbook.
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// Maximum number of characters of a plan's name in a file name.
const MAX_NAME: usize = 80;

/// An Automerge document as a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes the file")]
pub struct AutomergeFile(Vec<u8>);

/// Export as JSON: all of the current state that JSON can represent.
///
/// Contains the settings and all positions, with the fields that other programs have added (`extra`) and the values that lost
/// against a concurrent write (`conflicts`). `omitted` and the header `Happierwork-Omitted` count the other values.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/export.json",
    operation_id = "exportJson",
    tag = "exports",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "A file", body = Export,
            headers(
                ("ETag" = String, description = "Identifies the document's heads"),
                ("Content-Disposition" = String, description = "A file name, derived from the plan's name"),
                ("Happierwork-Omitted" = usize, description = "Number of values of the document that the file does not contain"),
            ),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn json(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &requester, &id).await?;
    let view = read_view(&view);
    Ok(conditional::respond(&headers, &conditional::etag_of_heads(view.heads()), || {
        let out = run_cpu_bound(|| {
            let mut out = b"{\"document\":".to_vec();
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut out, &Document::of(&app, &id, &view).with_extra(&view).with_sums(&view));
            out.extend_from_slice(b",\"positions\":[");
            view.join(Form::Json, b",", &mut out);
            out.extend_from_slice(b"]}");
            out
        });
        with_omitted(omitted_in_json(&view), file(&app, &view, "json", "application/json", out))
    }))
}

/// Export as CSV, for spreadsheets.
///
/// UTF-8 with a byte order mark, commas, CRLF. A text that a spreadsheet would evaluate as a formula is preceded by an
/// apostrophe. Fields that other programs have added are columns after the standard ones, in the order of their names (with the
/// prefix `extra.` if a standard column has the name); maps and lists are JSON. An unknown budget is an empty cell. The header
/// `Happierwork-Omitted` counts the values without a cell: values that lost against a concurrent write, root keys beyond the
/// settings, columns beyond 200, and the values that `omitted` counts in JSON.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/export.csv",
    operation_id = "exportCsv",
    tag = "exports",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "A file", body = String, content_type = "text/csv; charset=utf-8",
            headers(
                ("ETag" = String, description = "Identifies the document's heads"),
                ("Content-Disposition" = String, description = "A file name, derived from the plan's name"),
                ("Happierwork-Omitted" = usize, description = "Number of values of the document that the file does not contain"),
            ),
            example = "id,designation,department,budget,location,updatedBy,updatedAt,createdAt,status,start,end\r\n\
                0be30cc0d3f126,UI developer,Engineering,11.5,Ahmedabad,Anita Rao,\
                2026-11-22T14:21:00.000Z,2026-11-22T14:21:00.000Z,approved,2027-06,\r\n",
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn csv(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &requester, &id).await?;
    let view = read_view(&view);
    Ok(conditional::respond(&headers, &conditional::etag_of_heads(view.heads()), || {
        let CsvTable { csv, omitted } = run_cpu_bound(|| CsvTable::from_view(&view));
        with_omitted(omitted, file(&app, &view, "csv", "text/csv; charset=utf-8", csv))
    }))
}

/// A workbook of Excel.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes the file")]
pub struct XlsxFile(Vec<u8>);

/// Export as an Excel workbook.
///
/// One sheet with the positions and columns of the CSV export. Numbers are numbers, times and months are dates, and texts are texts, also
/// if they begin like a formula. A column that people have added to the plan has its title as header. `Happierwork-Omitted` counts as
/// for CSV, and the texts that are cut at 32,767 characters. Two exports of the same content have different bytes, so the ETag is
/// weak.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/export.xlsx",
    operation_id = "exportXlsx",
    tag = "exports",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "A file", body = inline(XlsxFile),
            content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            headers(
                ("ETag" = String, description = "Identifies the document's heads"),
                ("Content-Disposition" = String, description = "A file name, derived from the plan's name"),
                ("Happierwork-Omitted" = usize, description = "Number of values of the document that the file does not contain"),
            ),
        ),
        (status = 304, description = "Your copy is current"),
        (
            status = 422, description = "The plan has more positions than a sheet has rows", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn xlsx(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &requester, &id).await?;
    // The workbook takes long, and writers of the document wait for readers of its view.
    let (tag, name, content) = {
        let view = read_view(&view);
        let tag = format!("W/{}", conditional::etag_of_heads(view.heads()));
        if conditional::is_known(&headers, &tag) {
            return Ok(conditional::respond(&headers, &tag, || ().into_response()));
        }
        (tag, view.plan().name.clone().unwrap_or_default(), XlsxContent::from_view(&view))
    };
    if content.row_count() > xlsx_table::MAX_ROWS {
        let detail = format!("a sheet has {} rows; export the plan as CSV", xlsx_table::MAX_ROWS);
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-large", "The plan is too large", detail));
    }
    let mut memory = app.hub.memory_budget().reservation();
    memory.resize(content.memory_estimate()).map_err(|full| {
        app.hub.metrics().record_refusal(RefusalReason::Memory);
        Problem::from(Unavailable::from(full))
    })?;
    let XlsxTable { xlsx, omitted } = run_cpu_bound(|| content.write()).map_err(|error| {
        tracing::error!(document = %id, %error, "a workbook cannot be made");
        let detail = "the workbook could not be made; the server's log has the reason";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    })?;
    drop(memory);
    Ok(conditional::respond(&headers, &tag, || with_omitted(omitted, named_file(&app, &name, "xlsx", XLSX, xlsx))))
}

/// Export the Automerge document with its history.
///
/// Every Automerge binding can load the file. Two exports of the same content may have different bytes, so the ETag is weak.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/export.automerge",
    operation_id = "exportAutomerge",
    tag = "exports",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "A file", body = inline(AutomergeFile), content_type = "application/octet-stream",
            headers(
                ("ETag" = String, description = "Identifies the document's heads"),
                ("Content-Disposition" = String, description = "A file name, derived from the plan's name"),
            ),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn automerge(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = match app.hub.view(&requester, &id).await {
        Ok(view) => view.ok_or_else(|| Problem::no_document(&id))?,
        // The document is too large to open, so only its bytes are available.
        Err(error @ Unavailable::TooLarge(_)) => {
            let bytes = app.hub.export(&requester, &id).await?.ok_or(error)?;
            let mut response = reserved_body::response(&app, "application/octet-stream", bytes);
            let disposition = HeaderValue::from_static("attachment; filename=\"plan.automerge\"");
            response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
            return Ok(response);
        }
        Err(error) => return Err(error.into()),
    };
    let tag = format!("W/{}", conditional::etag_of_heads(read_view(&view).heads()));
    // Avoids reading the file if the client's copy is current.
    let known = conditional::respond(&headers, &tag, || ().into_response());
    if known.status().is_redirection() {
        return Ok(known);
    }
    let Some(bytes) = app.hub.export(&requester, &id).await? else {
        return Err(Problem::no_document(&id));
    };
    // The file may already contain a change that the view does not. The copy is then newer than its tag, and the next
    // conditional request reads it again.
    let view = read_view(&view);
    Ok(conditional::respond(&headers, &tag, || file(&app, &view, "automerge", "application/octet-stream", bytes)))
}

fn file(app: &App, view: &View, extension: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    named_file(app, view.plan().name.as_deref().unwrap_or_default(), extension, kind, bytes)
}

fn named_file(app: &App, name: &str, extension: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = reserved_body::response(app, kind, bytes);
    if !response.status().is_success() {
        return response;
    }
    let disposition = disposition(name, extension);
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

fn with_omitted(omitted: usize, mut response: Response) -> Response {
    if response.status().is_success() {
        response.headers_mut().insert(OMITTED, omitted.into());
    }
    response
}

/// A `Content-Disposition` with both forms of the file name (RFC 6266): ASCII for old clients, and UTF-8.
fn disposition(name: &str, extension: &str) -> String {
    let name = sanitize(name, |letter| !letter.is_control() && !"/\\:*?\"<>|".contains(letter));
    let ascii = sanitize(&name, |letter| letter.is_ascii_alphanumeric() || " ._-".contains(letter));
    let name = percent_encoded(&name);
    format!("attachment; filename=\"{ascii}.{extension}\"; filename*=UTF-8''{name}.{extension}")
}

/// Replaces each character that is not `allowed` by `_`. The result names no folder, no hidden file, and nothing that an
/// operating system rejects.
fn sanitize(name: &str, allowed: impl Fn(char) -> bool) -> String {
    let name: String = name.chars().take(MAX_NAME).map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    let name = name.trim_matches([' ', '.']);
    if name.chars().all(|letter| letter == '_') { "plan".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn file_names_are_safe() {
        for (name, plain, whole) in [
            ("Growth 2027", "Growth 2027", "Growth%202027"),
            ("Größe", "Gr__e", "Gr%C3%B6%C3%9Fe"),
            ("../../etc/passwd", "_.._etc_passwd", "_.._etc_passwd"),
            ("a\"; x=\"\r\nb", "a_; x=___b", "a_%3B%20x%3D___b"),
            (".hidden.", "hidden", "hidden"),
            ("計画", "plan", "%E8%A8%88%E7%94%BB"),
            ("", "plan", "plan"),
            ("///", "plan", "plan"),
        ] {
            let plain = plain.replace([';', '='], "_");
            let expected = format!("attachment; filename=\"{plain}.csv\"; filename*=UTF-8''{whole}.csv");
            assert_eq!(disposition(name, "csv"), expected, "{name:?}");
        }
        assert!(disposition(&"x".repeat(500), "csv").len() < 250);
    }
}
