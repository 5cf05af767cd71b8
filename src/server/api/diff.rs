//! `/api/documents/{documentId}/diff` and `/merge`: compares documents of a family, and merges them.

use std::collections::BTreeSet;
use std::sync::Arc;

use automerge::{Automerge, ChangeHash};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use offload::run_cpu_bound;
use plan::diff::{self, DepartmentSum, FieldDiff, RowDiff};
use plan::scenarios::is_picked;
use plan::{Edit, ScenarioEdit, ScenarioState, read_view};
use primitives::DocumentId;
use runtime::hub::{Copies, Requester};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::body_fields::{BodyFields, required};
use super::document::{etag, expected_heads, if_unchanged};
use super::extract::{AuthorQuery, DocumentPath, EditAuthor, TargetDocument};
use super::schemas::{AnyProblem, BodyProblem, ConditionProblem, Document, DocumentProblem, WriteProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional, document_view, reserved_body};

/// Query parameter: a scenario.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WithQuery {
    /// The id of a scenario of this document.
    #[param(example = "2Ksk8g2Yb31NfTU9QrtosQugz5gG")]
    with: String,
}

/// Extracts the scenario of the query.
pub struct WithScenario(DocumentId);

impl FromRequestParts<Arc<App>> for WithScenario {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<WithQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(WithQuery { with }) = query.map_err(Problem::bad_query)?;
        with.parse().map(Self).map_err(|error| Problem::bad_parameter("with", error))
    }
}

/// A comparison of a document with a scenario.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The document's id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: String,
    /// The scenario's id.
    #[schema(example = "2Ksk8g2Yb31NfTU9QrtosQugz5gG")]
    scenario_id: String,
    /// The heads of the changes that both have. Both are compared with this state.
    base: Vec<String>,
    /// The heads of the document.
    heads: Vec<String>,
    /// The heads of the scenario.
    scenario_heads: Vec<String>,
    /// The settings that either has changed.
    settings: Vec<ComparedField>,
    /// The positions that either has changed, sorted by id. A position that was merged before is compared with its state at that
    /// time.
    positions: Vec<ComparedPosition>,
    /// Budgets by department.
    sums: Vec<ComparedSum>,
}

/// A position that the document or the scenario has changed.
#[derive(Debug, Serialize, ToSchema)]
struct ComparedPosition {
    /// Id of the position.
    #[schema(example = "0be30cc0d3f126")]
    id: String,
    /// Its designation.
    #[schema(required = true, example = "UI developer")]
    designation: Option<String>,
    /// What the document has done to it; null if nothing.
    #[schema(required = true)]
    plan: Option<RowChange>,
    /// What the scenario has done to it; null if nothing.
    #[schema(required = true)]
    scenario: Option<RowChange>,
    /// Whether both have changed a field to different values. Merging keeps both values, as a conflict.
    conflict: bool,
    /// Whether one has deleted the position and the other has changed it. After merging it is deleted, and the changes are lost.
    loss: bool,
    /// The changed fields.
    fields: Vec<ComparedField>,
}

/// What a document has done to a position.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RowChange {
    /// Created it.
    Added,
    /// Deleted it.
    Deleted,
    /// Changed it.
    Changed,
}

/// A changed field or setting. Missing values are null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ComparedField {
    /// Name of the field.
    #[schema(example = "budget")]
    field: String,
    /// The value that both had.
    #[schema(required = true, example = 11.5)]
    base: Value,
    /// The value in the document.
    #[schema(required = true, example = 11.5)]
    plan: Value,
    /// The value in the scenario.
    #[schema(required = true, example = 12)]
    scenario: Value,
    /// Whether the document has changed it.
    changed_by_plan: bool,
    /// Whether the scenario has changed it.
    changed_by_scenario: bool,
    /// Whether both have changed it to different values.
    conflict: bool,
}

/// The sum of the budgets of a department, in units of the plan.
#[derive(Debug, Serialize, ToSchema)]
struct ComparedSum {
    /// The most frequent spelling of the department's name; empty for positions without one. Spellings that differ only in case,
    /// width, spacing or invisible characters are one department.
    #[schema(example = "Engineering")]
    department: String,
    /// The sum that both had.
    #[schema(example = 400)]
    base: f64,
    /// The sum in the document.
    #[schema(example = 400)]
    plan: f64,
    /// The sum in the scenario.
    #[schema(example = 380)]
    scenario: f64,
    /// What the scenario changes: `scenario` minus `base`.
    #[schema(example = -20)]
    difference: f64,
}

impl From<FieldDiff> for ComparedField {
    fn from(field: FieldDiff) -> Self {
        let conflict = field.is_conflict();
        let FieldDiff { field, base, plan, scenario, by_plan, by_scenario } = field;
        Self { field, base, plan, scenario, changed_by_plan: by_plan, changed_by_scenario: by_scenario, conflict }
    }
}

impl From<RowDiff> for ComparedPosition {
    fn from(row: RowDiff) -> Self {
        let conflict = row.is_conflict();
        let RowDiff { id, designation, plan, scenario, fields, is_loss: loss } = row;
        let change = |change: diff::RowChange| match change {
            diff::RowChange::Added => RowChange::Added,
            diff::RowChange::Deleted => RowChange::Deleted,
            diff::RowChange::Changed => RowChange::Changed,
        };
        let (plan, scenario) = (plan.map(change), scenario.map(change));
        Self { id, designation, plan, scenario, conflict, loss, fields: fields.into_iter().map(Into::into).collect() }
    }
}

impl From<DepartmentSum> for ComparedSum {
    fn from(DepartmentSum { department, base, plan, scenario }: DepartmentSum) -> Self {
        Self { department, base, plan, scenario, difference: plan::without_noise(scenario - base) }
    }
}

fn names(heads: &[ChangeHash]) -> Vec<String> {
    heads.iter().map(ToString::to_string).collect()
}

/// Copies of a document and of another one of its family.
async fn relatives(app: &App, requester: &Requester, ids: [&DocumentId; 2]) -> Result<Copies, Problem> {
    let missing = || {
        let is_missing = |id: &&&DocumentId| app.hub.right(requester, id) < runtime::hub::Right::Read;
        Problem::no_document(ids.iter().find(is_missing).unwrap_or(&ids[1]))
    };
    if ids[0] == ids[1] || !app.hub.are_relatives(ids[0], ids[1]) {
        return Err(missing());
    }
    app.hub.copies(requester, ids).await?.ok_or_else(missing)
}

/// Compare a plan with a scenario.
///
/// Both are compared with the state that they had in common, so that later changes of the plan are not shown as changes of the
/// scenario.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/diff",
    operation_id = "compareWithScenario",
    tag = "scenarios",
    params(
        DocumentPath,
        WithQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The differences", body = Comparison,
            headers(("ETag" = String, description = "Identifies the content of the comparison")),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    WithScenario(scenario): WithScenario,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let copies = relatives(&app, &requester, [&id, &scenario]).await?;
    let body = run_cpu_bound(|| {
        let [plan_doc, scenario_doc] = &copies.documents;
        let plan::Diff { base, settings, rows, sums } = plan::diff(plan_doc, scenario_doc, &scenario);
        let comparison = Comparison {
            document_id: id.to_string(),
            scenario_id: scenario.to_string(),
            base: names(&base),
            heads: names(&plan_doc.get_heads()),
            scenario_heads: names(&scenario_doc.get_heads()),
            settings: settings.into_iter().map(Into::into).collect(),
            positions: rows.into_iter().map(Into::into).collect(),
            sums: sums.into_iter().map(Into::into).collect(),
        };
        // Writing texts and numbers to a vector cannot fail.
        serde_json::to_vec(&comparison).unwrap_or_default()
    });
    let tag = conditional::etag_of_content(&body);
    Ok(conditional::respond(&headers, &tag, || reserved_body::response(&app, "application/json", body)))
}

/// What to merge.
#[derive(Debug, ToSchema)]
#[schema(as = Merge)]
#[serde(deny_unknown_fields)]
pub struct MergeBody {
    /// The id of the scenario. To bring a scenario up to date, merge its plan into it: then this is the id of the plan.
    #[schema(example = "2Ksk8g2Yb31NfTU9QrtosQugz5gG")]
    #[expect(dead_code, reason = "describes the body; the handler reads `BodyFields`")]
    scenario: String,
    /// Only these positions, by id. Absent: everything, and the scenario's state becomes `merged`.
    #[schema(value_type = Vec<String>, required = false, example = json!(["0be30cc0d3f126"]))]
    #[expect(dead_code, reason = "describes the body; the handler reads `BodyFields`")]
    rows: Vec<String>,
}

/// The result of a merge.
#[derive(Debug, Serialize, ToSchema)]
pub struct Merged {
    /// The document after the merge.
    document: Document,
    /// Positions of which both documents had changed a field to different values. Both values are kept, as a conflict.
    conflicts: Vec<String>,
    /// Positions that one document had deleted and the other had changed. They are deleted.
    losses: Vec<String>,
}

/// Merge a scenario into its plan.
///
/// Without `rows` all changes of the scenario are merged, and keep their authors. With `rows`, the changes of these positions are
/// made by you. What is left can be merged later; it is then taken over by you as well. The name of the plan does not change.
#[utoipa::path(
    post,
    path = "/api/documents/{documentId}/merge",
    operation_id = "mergeScenario",
    tag = "scenarios",
    params(
        DocumentPath,
        AuthorQuery,
        (
            "If-Match" = Option<String>, Header,
            description = "The ETag of your copy of the document: 412 if it has changed since",
        ),
    ),
    request_body = MergeBody,
    responses(
        (
            status = 200, description = "Merged", body = Merged,
            headers(("ETag" = String, description = "Identifies the document's heads and your right to it")),
        ),
        (
            status = 409, description = "The changes contradict the document's, or `rows` are of a document that is no scenario of it", body = Problem,
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
    headers: HeaderMap,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let mut fields = fields.only(&["scenario", "rows"])?;
    let source: DocumentId = required(fields.text("scenario")?, "scenario")?
        .parse()
        .map_err(|error| Problem::invalid("scenario", format!("scenario: {error}")))?;
    let rows: Option<BTreeSet<String>> = fields.texts("rows")?.map(BTreeSet::from_iter);
    let is_scenario = app.hub.scenario_of(&source).as_ref() == Some(&id);
    if rows.is_some() && !is_scenario {
        let detail = "rows: only scenarios of this plan can be merged by position";
        return Err(Problem::new(StatusCode::CONFLICT, "not-mergeable", "The documents cannot be merged", detail));
    }
    let view = document_view::open(&app, &requester, &id).await?;
    let copies = relatives(&app, &requester, [&id, &source]).await?;
    let (conflicts, losses) = {
        let [plan_doc, scenario_doc] = &copies.documents;
        let changed = run_cpu_bound(|| plan::diff(plan_doc, scenario_doc, &source).rows);
        let is_wanted = |row: &&RowDiff| rows.as_ref().is_none_or(|rows| rows.contains(&row.id));
        let ids = |condition: fn(&RowDiff) -> bool| -> Vec<String> {
            changed.iter().filter(is_wanted).filter(|row| condition(row)).map(|row| row.id.clone()).collect()
        };
        (ids(RowDiff::is_conflict), ids(|row| row.is_loss))
    };
    let merged = is_scenario.then(|| edit(&source, ScenarioEdit::SetState(ScenarioState::Merged)));
    if is_scenario && (rows.is_some() || is_picked(&copies.documents[0], &source)) {
        let edit = by_position(&copies.documents, &source, rows.as_ref())?.or(merged);
        drop(copies);
        if let Some(edit) = edit {
            let edit = if_unchanged(&headers, &read_view(&view), edit)?;
            app.hub.edit(&requester, &id, edit, author).await?;
        }
    } else {
        let changes = run_cpu_bound(|| copies.documents[0].get_changes_added(&copies.documents[1]));
        drop(copies);
        let heads = expected_heads(&headers, &read_view(&view))?;
        app.hub.merge(&requester, &id, changes, merged, heads, author).await?;
    }
    let view = document_view::after_edit(&app, &requester, &id).await?;
    let view = read_view(&view);
    let document = Document::for_requester(&requester, &app, &id, &view);
    let tag = etag(&requester, &document, &view);
    Ok(conditional::with_etag(&tag, Json(Merged { document, conflicts, losses }).into_response()))
}

fn edit(id: &DocumentId, edit: ScenarioEdit) -> Edit {
    Edit::Scenario { id: id.clone(), edit: Box::new(edit) }
}

/// The edit that merges these positions, or all that is left. `None` if there is nothing.
fn by_position(
    [plan_doc, scenario_doc]: &[Arc<Automerge>; 2],
    id: &DocumentId,
    rows: Option<&BTreeSet<String>>,
) -> Result<Option<Edit>, Problem> {
    let pick = run_cpu_bound(|| diff::pick(plan_doc, scenario_doc, id, rows));
    let picked: BTreeSet<&String> = pick.rows.iter().map(|row| &row.id).collect();
    if let Some(row) = rows.into_iter().flatten().find(|row| !picked.contains(row)) {
        let detail = format!("rows: the scenario has not changed the position {row:?} since it was merged or cloned");
        return Err(Problem::invalid("rows", detail));
    }
    Ok((!pick.rows.is_empty()).then(|| edit(id, ScenarioEdit::Pick(pick))))
}
