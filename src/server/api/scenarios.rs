//! `/api/documents/{documentId}/scenarios`: the scenarios of a plan.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plan::{Author, Edit, ScenarioEdit, ScenarioEntry, ScenarioMap, ScenarioState, View, read_view};
use primitives::{DocumentId, iso_ms};
use runtime::clock::now_ms;
use runtime::hub::{EditFailure, Requester};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body_fields::{BodyFields, required};
use super::extract::{AuthorQuery, DocumentPath, EditAuthor, TargetDocument};
use super::schemas::{AnyProblem, BodyProblem, DocumentProblem, WriteProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional, document_view};

const NAME: &str = "name";

/// A scenario: a copy of a plan that is edited separately, and can be merged into the plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// The scenario's document id, as used in paths.
    #[schema(example = "2Ksk8g2Yb31NfTU9QrtosQugz5gG")]
    id: String,
    /// The URL for automerge-repo clients.
    #[schema(example = "automerge:2Ksk8g2Yb31NfTU9QrtosQugz5gG")]
    url: String,
    /// The scenario's name; null if a client made it without one.
    #[schema(required = true, example = "Hiring freeze")]
    name: Option<String>,
    /// When it was created; null if unknown.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    created_at: Option<String>,
    /// Who created it; null if unknown.
    #[schema(required = true, example = "anita")]
    created_by: Option<String>,
    /// `open`, or `merged` if it was merged as a whole. A merged scenario can be edited and merged again.
    #[schema(example = "open")]
    state: String,
}

impl Scenario {
    /// `listed`: the scenarios that the plan lists. A client may have made one that it does not list.
    fn of(app: &App, id: &DocumentId, listed: Option<&ScenarioMap>) -> Self {
        let entry = listed.and_then(|listed| listed.entries.get(id.as_str())).cloned();
        let ScenarioEntry { name, created_at, created_by, state } = entry.unwrap_or_default();
        Self {
            id: id.to_string(),
            url: id.url(),
            name,
            created_at: created_at.and_then(iso_ms),
            // The maker is authenticated.
            created_by: app.hub.maker(id).map(|maker| maker.to_string()).or(created_by),
            state: state.unwrap_or_else(|| ScenarioState::Open.name().to_owned()),
        }
    }
}

/// Scenarios of a plan, with what the view of the plan knows of them.
pub fn of_plan(app: &App, plan: &View, scenarios: &[DocumentId]) -> Vec<Scenario> {
    let listed = plan.plan().scenarios.as_deref();
    scenarios.iter().map(|id| Scenario::of(app, id, listed)).collect()
}

/// The scenarios of a plan that the requester may read. Empty for a document that is a scenario itself.
///
/// # Errors
/// When the plan does not exist or cannot be opened.
async fn read_all(app: &App, requester: &Requester, plan: &DocumentId) -> Result<Vec<Scenario>, Problem> {
    let scenarios = app.hub.scenarios(requester, plan).await?;
    let view = document_view::open(app, requester, plan).await?;
    Ok(of_plan(app, &read_view(&view), &scenarios))
}

async fn find(app: &App, requester: &Requester, plan: &DocumentId, id: &DocumentId) -> Result<Scenario, Problem> {
    let scenarios = read_all(app, requester, plan).await?;
    scenarios.into_iter().find(|scenario| scenario.id == id.as_str()).ok_or_else(|| Problem::no_document(id))
}

/// Like [`find`], for a scenario that has just been changed. Another error would tell the client that nothing was stored.
async fn find_changed(
    app: &App,
    requester: &Requester,
    plan: &DocumentId,
    id: &DocumentId,
) -> Result<Scenario, Problem> {
    find(app, requester, plan, id).await.map_err(|_| EditFailure::Unknown.into())
}

/// Path parameter: a scenario.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub struct ScenarioPath {
    /// The scenario's document id.
    #[param(example = "2Ksk8g2Yb31NfTU9QrtosQugz5gG")]
    scenario_id: String,
}

/// Extracts the scenario of the path.
pub struct TargetScenario(DocumentId);

impl FromRequestParts<Arc<App>> for TargetScenario {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<ScenarioPath>::from_request_parts(parts, app).await;
        let Path(ScenarioPath { scenario_id }) = path.map_err(Problem::bad_path)?;
        let id = scenario_id.parse();
        id.map(Self).map_err(|error| Problem { field: Some("scenarioId".to_owned()), ..Problem::from(error) })
    }
}

/// List the scenarios of a plan.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/scenarios",
    operation_id = "listScenarios",
    tag = "scenarios",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The scenarios", body = Vec<Scenario>,
            headers(("ETag" = String, description = "Identifies the content of the list")),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(conditional::json(&headers, &read_all(&app, &requester, &id).await?))
}

/// The name of a scenario.
#[derive(Debug, ToSchema)]
#[schema(as = ScenarioName)]
#[serde(deny_unknown_fields)]
pub struct NameBody {
    /// Up to 1,000 characters, not only white space.
    #[schema(min_length = 1, max_length = 1000, example = "Hiring freeze")]
    #[expect(dead_code, reason = "describes the body; the handler reads `BodyFields`")]
    name: String,
}

/// Create a scenario.
///
/// Copies the plan with its history, and lists the copy in the plan. Users have the same rights to the scenario as to the plan.
/// Called on a scenario, copies the scenario; both belong to the same plan. Needs the right to change the plan.
#[utoipa::path(
    post,
    path = "/api/documents/{documentId}/scenarios",
    operation_id = "createScenario",
    tag = "scenarios",
    params(DocumentPath, AuthorQuery),
    request_body = NameBody,
    responses(
        (
            status = 201, description = "The scenario is stored", body = Scenario,
            headers(("Location" = String, description = "The path of the scenario's document")),
        ),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem,
    ),
)]
pub async fn create(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(source): TargetDocument,
    EditAuthor(author): EditAuthor,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let name = required(fields.only(&[NAME])?.text(NAME)?, NAME)?;
    plan::scenarios::check_name(&name).map_err(Problem::from)?;
    let plan = app.hub.scenario_of(&source).unwrap_or_else(|| source.clone());
    let id = DocumentId::from_random(rand::random());
    let base = app.hub.create_scenario(&requester, &source, &id, author.clone()).await?;
    // The entry comes last: it never names a document that does not exist.
    let added = edit_entry(&app, &requester, &plan, &id, ScenarioEdit::Add { name, base }, author).await;
    if let Err(problem) = added {
        let _ = app.hub.delete(&requester, &id, now_ms()).await;
        return Err(problem);
    }
    let scenario = find_changed(&app, &requester, &plan, &id).await?;
    let location = format!("/api/documents/{id}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(scenario)).into_response())
}

/// Rename a scenario.
///
/// The name is kept in the plan.
#[utoipa::path(
    patch,
    path = "/api/documents/{documentId}/scenarios/{scenarioId}",
    operation_id = "renameScenario",
    tag = "scenarios",
    params(DocumentPath, ScenarioPath, AuthorQuery),
    request_body = NameBody,
    responses(
        (status = 200, description = "The renamed scenario", body = Scenario),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem,
    ),
)]
pub async fn rename(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(plan): TargetDocument,
    TargetScenario(id): TargetScenario,
    EditAuthor(author): EditAuthor,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let name = required(fields.only(&[NAME])?.text(NAME)?, NAME)?;
    find(&app, &requester, &plan, &id).await?;
    edit_entry(&app, &requester, &plan, &id, ScenarioEdit::Rename(name), author).await?;
    Ok(Json(find_changed(&app, &requester, &plan, &id).await?).into_response())
}

/// Delete a scenario.
///
/// For owners of the plan, and for the user who made the scenario. What was merged stays in the plan. Deleting a plan deletes
/// its scenarios.
#[utoipa::path(
    delete,
    path = "/api/documents/{documentId}/scenarios/{scenarioId}",
    operation_id = "deleteScenario",
    tag = "scenarios",
    params(DocumentPath, ScenarioPath, AuthorQuery),
    responses((status = 204, description = "Deleted"), AnyProblem, DocumentProblem, WriteProblem),
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(plan): TargetDocument,
    TargetScenario(id): TargetScenario,
    EditAuthor(author): EditAuthor,
) -> Result<Response, Problem> {
    find(&app, &requester, &plan, &id).await?;
    drop_scenario(&app, &requester, &plan, &id, author).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deletes a scenario, and notes that in its plan.
///
/// # Errors
/// When the requester may not delete it, or the deletion could not be stored.
pub async fn drop_scenario(
    app: &App,
    requester: &Requester,
    plan: &DocumentId,
    id: &DocumentId,
    author: Author,
) -> Result<(), Problem> {
    app.hub.delete(requester, id, now_ms()).await?;
    let dropped = ScenarioEdit::SetState(ScenarioState::Dropped);
    if let Err(problem) = edit_entry(app, &Requester::server(), plan, id, dropped, author).await {
        // The list shows only scenarios that exist.
        tracing::warn!(document = %plan, scenario = %id, problem.detail, "the deletion of a scenario is not noted in its plan");
    }
    Ok(())
}

async fn edit_entry(
    app: &App,
    requester: &Requester,
    plan: &DocumentId,
    id: &DocumentId,
    edit: ScenarioEdit,
    author: Author,
) -> Result<(), Problem> {
    let edit = Edit::Scenario { id: id.clone(), edit: Box::new(edit) };
    app.hub.edit(requester, plan, edit, author).await?;
    Ok(())
}
