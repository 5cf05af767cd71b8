//! `/api/documents/{documentId}/problems`: the values that do not fit the plan's schema.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use plan::problems::PlacedProblem;
use plan::{View, read_view};
use primitives::DocumentId;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{DocumentPath, TargetDocument};
use super::schemas::{AnyProblem, DocumentProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional, document_view};

/// Most values that are listed.
const MAX_LISTED: usize = 200;

/// The values of a document that do not fit the plan's schema.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaProblems {
    /// The document's id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: String,
    /// See `Document`.
    heads: Vec<String>,
    /// Number of these values.
    #[schema(example = 1)]
    total: usize,
    /// The first 200 of them: of the settings, then of the positions in the order of their list.
    problems: Vec<SchemaProblem>,
}

/// A value that does not fit the schema.
#[derive(Debug, Serialize, ToSchema)]
struct SchemaProblem {
    /// Id of the position; null for a setting of the plan.
    #[schema(required = true, example = "0be30cc0d3f126")]
    position: Option<String>,
    /// Name of the field or setting, or `departmentBudgets.` and a department; null if the whole position is no map.
    #[schema(required = true, example = "budget")]
    field: Option<String>,
    /// What the schema expects.
    #[schema(example = "must be a number that is not negative")]
    reason: String,
    /// The value as JSON text; up to 200 characters, then `…`.
    #[schema(example = "\"twelve\"")]
    found: String,
}

/// Read the values that do not fit the schema.
///
/// Sync clients can write any value into a document. The server keeps such values and shows them as they are. Amounts, months and
/// statuses that do not fit count as not set. An edit of the field corrects it.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/problems",
    operation_id = "readProblems",
    tag = "documents",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The values", body = SchemaProblems,
            headers(("ETag" = String, description = "Identifies the document's heads")),
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
    let tag = conditional::etag_of_heads(view.heads());
    Ok(conditional::respond(&headers, &tag, || Json(SchemaProblems::of(&id, &view)).into_response()))
}

impl SchemaProblems {
    fn of(id: &DocumentId, view: &View) -> Self {
        Self {
            document_id: id.to_string(),
            heads: view.heads().iter().map(ToString::to_string).collect(),
            total: view.problem_count(),
            problems: view.problems().take(MAX_LISTED).map(SchemaProblem::from).collect(),
        }
    }
}

impl From<PlacedProblem> for SchemaProblem {
    fn from(PlacedProblem { position, problem }: PlacedProblem) -> Self {
        Self {
            position: position.map(|id| id.to_string()),
            field: problem.field.map(std::borrow::Cow::into_owned),
            reason: problem.reason.into_owned(),
            found: problem.found,
        }
    }
}
