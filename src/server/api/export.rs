//! `/api/documents/{documentId}/export.…`: everything, to take away.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use offload::heavily;
use plan::{Form, View, read_view};
use runtime::hub::Unavailable;
use utoipa::ToSchema;

use super::shapes::{AnyProblem, Document, DocumentProblem, Export};
use super::target::{DocumentPath, Target, percent_encoded};
use crate::server::security::authentication::ApiCaller;
use crate::server::table::{Table, omitted_in_json};
use crate::server::{App, Problem, conditional, document_view, reserved_body};

/// How many values of the document an export does not hold.
const OMITTED: HeaderName = HeaderName::from_static("happierwork-omitted");
/// Characters of a plan's name that go into a file's.
const MAX_NAME: usize = 80;

/// An Automerge document as a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes")]
pub struct AutomergeFile(Vec<u8>);

/// Export as JSON: everything that JSON can hold of the document as it is.
///
/// The settings and all positions, with the fields that other programs have added (`extra`) and the values that lost against
/// a concurrent write (`conflicts`). What is not held is counted, in `omitted` and in the header `Happierwork-Omitted`.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/export.json",
    operation_id = "exportJson",
    tag = "exports",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what you have; 304 if it still holds"),
    ),
    responses(
        (
            status = 200, description = "A file", body = Export,
            headers(
                ("ETag" = String, description = "Stands for the document's heads"),
                ("Content-Disposition" = String, description = "A name for the file, made from the plan's name"),
                ("Happierwork-Omitted" = usize, description = "How many values of the document the file does not hold"),
            ),
        ),
        (status = 304, description = "You have it already"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn json(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &caller, &id).await?;
    let view = read_view(&view);
    Ok(conditional::answer(&headers, &conditional::tag_of_heads(view.heads()), || {
        let out = heavily(|| {
            let mut out = b"{\"document\":".to_vec();
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut out, &Document::of(&app, &id, &view).with_extra(&view));
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
/// UTF-8 with a byte order mark, commas, CRLF. A text that a spreadsheet would run as a formula has an apostrophe in
/// front. Fields that other programs have added are columns after the others, in the order of their names (`extra.` stands
/// in front of a name that every table has); maps and lists are JSON. An unknown budget is an empty cell. What no cell holds is
/// counted in the header `Happierwork-Omitted`: values that lost against a concurrent write, root keys beyond the settings,
/// columns beyond 200, and what `omitted` counts in JSON.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/export.csv",
    operation_id = "exportCsv",
    tag = "exports",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what you have; 304 if it still holds"),
    ),
    responses(
        (
            status = 200, description = "A file", body = String, content_type = "text/csv; charset=utf-8",
            headers(
                ("ETag" = String, description = "Stands for the document's heads"),
                ("Content-Disposition" = String, description = "A name for the file, made from the plan's name"),
                ("Happierwork-Omitted" = usize, description = "How many values of the document the file does not hold"),
            ),
            example = "id,designation,department,budget,location,updatedBy,updatedAt,createdAt\r\n\
                0be30cc0d3f126,UI developer,Engineering,11.5,Ahmedabad,Anita Rao,\
                2026-11-22T14:21:00.000Z,2026-11-22T14:21:00.000Z\r\n",
        ),
        (status = 304, description = "You have it already"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn csv(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = document_view::open(&app, &caller, &id).await?;
    let view = read_view(&view);
    Ok(conditional::answer(&headers, &conditional::tag_of_heads(view.heads()), || {
        let Table { csv, omitted } = heavily(|| Table::of(&view));
        with_omitted(omitted, file(&app, &view, "csv", "text/csv; charset=utf-8", csv))
    }))
}

/// Export the whole Automerge document, its history included.
///
/// The file loads in every Automerge binding. Its bytes may differ from one time to the next while its content is the
/// same; the ETag stands for the content, and is weak therefore.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/export.automerge",
    operation_id = "exportAutomerge",
    tag = "exports",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what you have; 304 if it still holds"),
    ),
    responses(
        (
            status = 200, description = "A file", body = inline(AutomergeFile), content_type = "application/octet-stream",
            headers(
                ("ETag" = String, description = "Stands for the document's heads"),
                ("Content-Disposition" = String, description = "A name for the file, made from the plan's name"),
            ),
        ),
        (status = 304, description = "You have it already"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn automerge(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = match app.hub.view(&caller, &id).await {
        Ok(view) => view.ok_or_else(|| Problem::no_document(&id))?,
        // Nothing is known of it but its bytes.
        Err(error @ Unavailable::TooLarge(_)) => {
            let bytes = app.hub.export(&caller, &id).await?.ok_or(error)?;
            let mut response = reserved_body::response(&app, "application/octet-stream", bytes);
            let disposition = HeaderValue::from_static("attachment; filename=\"plan.automerge\"");
            response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
            return Ok(response);
        }
        Err(error) => return Err(error.into()),
    };
    let tag = format!("W/{}", conditional::tag_of_heads(read_view(&view).heads()));
    // What is known already need not be read from the disk.
    let known = conditional::answer(&headers, &tag, || ().into_response());
    if known.status().is_redirection() {
        return Ok(known);
    }
    let Some(bytes) = app.hub.export(&caller, &id).await? else {
        return Err(Problem::no_document(&id));
    };
    // A change may be in the file a moment before it is in the view. Then the copy is newer than its tag says, and is read
    // again the next time: once too often, never once too little.
    let view = read_view(&view);
    Ok(conditional::answer(&headers, &tag, || file(&app, &view, "automerge", "application/octet-stream", bytes)))
}

fn file(app: &App, view: &View, extension: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = reserved_body::response(app, kind, bytes);
    if !response.status().is_success() {
        return response;
    }
    let disposition = disposition(view.plan().name.as_deref().unwrap_or_default(), extension);
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

/// A file's name in both forms of RFC 6266: plain for those who know no other, and as it is.
fn disposition(name: &str, extension: &str) -> String {
    let name = safe(name, |letter| !letter.is_control() && !"/\\:*?\"<>|".contains(letter));
    let plain = safe(&name, |letter| letter.is_ascii_alphanumeric() || " ._-".contains(letter));
    let name = percent_encoded(&name);
    format!("attachment; filename=\"{plain}.{extension}\"; filename*=UTF-8''{name}.{extension}")
}

/// The name with `_` for every character that is not `allowed`: no folders, no hidden files, nothing that a system
/// refuses.
fn safe(name: &str, allowed: impl Fn(char) -> bool) -> String {
    let name: String = name.chars().take(MAX_NAME).map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    let name = name.trim_matches([' ', '.']);
    if name.chars().all(|letter| letter == '_') { "plan".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn names_of_files_are_safe() {
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
