//! `/api/documents/{documentId}/successor`: continues a plan in a new document without its history.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use plan::{EditError, read_view};
use primitives::DocumentId;
use runtime::hub::EditFailure;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{AuthorQuery, DocumentPath, EditAuthor, TargetDocument};
use super::schemas::{AnyProblem, Document, DocumentProblem, WriteProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, document_view};

/// A document that continues another one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Successor {
    /// The new document.
    document: Document,
    /// What stays in the old document only.
    left_out: LeftOut,
}

/// Numbers of values that a successor lacks.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeftOut {
    /// Scenarios.
    scenarios: usize,
    /// Named versions.
    versions: usize,
    /// Values nested deeper than 100 levels; losing values and formatted texts inside of losing values.
    values: usize,
}

/// Continue a plan in a new document without its history.
///
/// For plans that have grown too large. The new document has all current content: positions with their dates, editors, comments and
/// unknown fields, settings, columns, views, and the values that lost against concurrent writes. It gets an id of its own and the roles of
/// the users. Scenarios and named versions stay in the old document, which keeps the history, is archived, and names the new one. For
/// owners.
#[utoipa::path(
    post,
    path = "/api/documents/{documentId}/successor",
    operation_id = "createSuccessor",
    tag = "documents",
    params(DocumentPath, AuthorQuery),
    responses(
        (
            status = 201, description = "The new document is stored", body = Successor,
            headers(("Location" = String, description = "The path of the new document")),
        ),
        (
            status = 409, description = "The document has a successor, is a scenario, or was changed meanwhile", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem,
    ),
)]
pub async fn create(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(source): TargetDocument,
    EditAuthor(author): EditAuthor,
) -> Result<Response, Problem> {
    let conflict = |kind, title, detail| Problem::new(StatusCode::CONFLICT, kind, title, detail);
    let view = document_view::open(&app, &requester, &source).await?;
    if let Some(successor) = read_view(&view).plan().successor.clone() {
        let detail = format!("the document goes on in {successor}");
        return Err(conflict("has-successor", "Has a successor", detail));
    }
    drop(view);
    if let Some(plan) = app.hub.scenario_of(&source) {
        let detail =
            format!("the document is a scenario of {plan}; merge it there, and create a successor of the plan");
        return Err(conflict("scenario", "Scenario", detail));
    }
    let id = DocumentId::from_random(rand::random());
    let left_out = match app.hub.create_successor(&requester, &source, &id, author).await {
        Err(EditFailure::Edit(EditError::Changed)) => {
            let detail = "the document was changed meanwhile, and has no successor; try again".to_owned();
            return Err(conflict("changed", "Changed meanwhile", detail));
        }
        created => created?,
    };
    let view = document_view::after_edit(&app, &requester, &id).await?;
    let document = Document::for_requester(&requester, &app, &id, &read_view(&view));
    let plan::LeftOut { scenarios, versions, values } = left_out;
    let created = Successor { document, left_out: LeftOut { scenarios, versions, values } };
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/api/documents/{id}"))], Json(created)).into_response())
}
