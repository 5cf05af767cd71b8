//! `/api/documents/{documentId}/content`: any document as JSON, also one that is no plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use offload::run_cpu_bound;
use plan::{ContentError, read_view};
use serde_json::Value;
use utoipa::ToSchema;

use super::extract::{DocumentPath, TargetDocument};
use super::heads_query::{AtHeads, AtQuery};
use super::schemas::{AnyProblem, DocumentProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional, document_view, reserved_body};

/// Largest content, in bytes.
const MAX_CONTENT: usize = 128 << 20;

/// The content of a document.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what the handler writes; a test compares both")]
pub struct Content {
    /// The document's id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: String,
    /// The heads that were read.
    heads: Vec<String>,
    /// The root map.
    content: BTreeMap<String, Value>,
}

/// Read any document as JSON.
///
/// Shows the whole current state, or that at earlier heads (`at`), also of documents that are no plans. Maps are objects, lists arrays, texts
/// and strings strings, numbers numbers. Other values have a member whose name begins with `$`: `{"$counter": 3}`,
/// `{"$date": "2026-11-22T14:21:00.020Z"}`, `{"$bytes": "<base64>"}`, `{"$int": "9223372036854775807"}` beyond 2^53,
/// `{"$float": "NaN"}`, and `{"$spans": [{"text": "Bold", "marks": {"bold": true}}, {"block": {}}]}` for texts with marks or blocks. A map
/// with values that lost against a concurrent write has `"$conflicts": {"<key>": [<losing>]}`; such a list is
/// `{"$list": [], "$conflicts": {"<index>": [<losing>]}}`. A key that begins with `$` gets another `$` in front.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/content",
    operation_id = "readContent",
    tag = "documents",
    params(
        DocumentPath,
        AtQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The content", body = Content,
            headers(("ETag" = String, description = "Identifies the document's heads")),
        ),
        (status = 304, description = "Your copy is current"),
        (
            status = 422, description = "The document has more than 128 MiB as JSON, or more than 100 levels", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    AtHeads(at): AtHeads,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let heads = match at {
        Some(heads) => heads,
        None => {
            let view = document_view::open(&app, &requester, &id).await?;
            let heads = read_view(&view).heads().to_vec();
            let tag = conditional::etag_of_heads(&heads);
            if conditional::is_known(&headers, &tag) {
                return Ok(not_modified(&tag));
            }
            heads
        }
    };
    let read = app.hub.past(&requester, &id, heads).await?.ok_or_else(|| Problem::no_document(&id))?;
    let tag = conditional::etag_of_heads(read.past.heads());
    if conditional::is_known(&headers, &tag) {
        return Ok(not_modified(&tag));
    }
    let body = run_cpu_bound(|| -> Result<Vec<u8>, ContentError> {
        let names: Vec<String> = read.past.heads().iter().map(ToString::to_string).collect();
        // Ids and hashes are letters and digits.
        let names = names.join("\",\"");
        let mut out = format!("{{\"documentId\":\"{id}\",\"heads\":[\"{names}\"],\"content\":").into_bytes();
        out.extend(plan::content(&read.past, MAX_CONTENT)?);
        out.push(b'}');
        Ok(out)
    });
    let body = body.map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-large", "The document is too large", error.to_string())
    })?;
    Ok(conditional::respond(&headers, &tag, || reserved_body::response(&app, "application/json", body)))
}

fn not_modified(tag: &str) -> Response {
    conditional::with_etag(tag, StatusCode::NOT_MODIFIED.into_response())
}
