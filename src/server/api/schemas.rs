//! Schemas of the API's responses.

use std::collections::BTreeMap;
use std::sync::Arc;

use offload::run_cpu_bound;
use plan::{Budget, Extra, Month, Plan, View, cost};
use primitives::DocumentId;
use runtime::hub::{Requester, Right};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoResponses, ToSchema};

use super::scenarios::Scenario;
use crate::server::{App, Problem};

/// A document with its settings.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The id, as used in paths.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    pub id: String,
    /// The URL for automerge-repo clients.
    #[schema(example = "automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    pub url: String,
    /// Whether this is the document that legacy clients use and that `default` names.
    pub default: bool,
    /// The plan's name.
    #[schema(required = true, example = "Growth 2027")]
    pub name: Option<String>,
    /// ISO 4217 code.
    #[schema(required = true, example = "INR")]
    pub currency: Option<String>,
    /// Currency units in one unit of a budget; 100000 if budgets are in lakh.
    #[schema(value_type = f64, example = 100_000)]
    pub unit: Value,
    /// In units of the plan.
    #[schema(value_type = Option<f64>, required = true, example = 2000)]
    pub total_budget: Value,
    /// First month of the plan's year.
    #[schema(required = true, example = "2027-04")]
    pub year_start: Option<String>,
    /// Present only if the plan has a map of them: the budgets of departments, in units of the plan. An entry shows the value in the
    /// document, even if another program has written a value that is not an amount. Not in the list of documents.
    #[schema(value_type = BTreeMap<String, Value>, required = false, example = json!({ "Engineering": 400 }))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department_budgets: Option<Arc<BTreeMap<String, Value>>>,
    /// Present only if the plan has a map of them: the columns that people have added, by key. Positions have the values of a column
    /// under its key in `extra`. Not in the list of documents.
    #[schema(
        value_type = BTreeMap<String, Value>, required = false,
        example = json!({ "col3f9a81b2c4d5": { "title": "Grade", "type": "choice", "order": 8, "options": { "A": 1, "B": 2 } } })
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Arc<BTreeMap<String, Value>>>,
    /// Whether the plan is archived: its root key `archived` is true. Clients list archived plans apart. They can still be changed.
    pub archived: bool,
    /// Present only if the plan goes on in another document, without its history: the id of that document.
    #[schema(value_type = String, required = false, example = "2Ksk8g2Yb31NfTU9QrtosQugz5gG")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<String>,
    /// Present only if the document is the successor of another one: the id of that document, which has the earlier history.
    #[schema(value_type = String, required = false, example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<String>,
    /// What the positions cost. Not in the list of documents.
    #[schema(value_type = Sums, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sums: Option<Sums>,
    /// Number of positions.
    #[schema(example = 60)]
    pub positions: usize,
    /// The heads of the document's history, in hexadecimal. Two copies with the same heads are equal.
    #[schema(example = json!(["a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2"]))]
    pub heads: Vec<String>,
    /// Present only if the root of the document holds more than the settings above: root keys that this server does not know, and
    /// settings of the wrong type (which are null or the default above), as JSON.
    #[schema(value_type = BTreeMap<String, Value>, required = false, example = json!({ "scenario": "hiring freeze" }))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<BTreeMap<String, Value>>,
    /// Present only if two users have set the same root key concurrently: the values that lost, by key. Those of an entry of
    /// `departmentBudgets` are under `departmentBudgets.<department>`, those of an entry of `scenarios` under `scenarios.<id>`, and
    /// those of a column under `columns.<key>`.
    #[schema(value_type = BTreeMap<String, Vec<Value>>, required = false, example = json!({ "totalBudget": [1900] }))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<BTreeMap<String, Vec<Value>>>,
    /// Present only if values of the root are not shown: their number. See `omitted` of `Position`.
    #[schema(value_type = usize, required = false, example = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<usize>,
    /// Present only if the document has a map of scenarios: its root key `scenarios`, by id of the scenario, with what the list of
    /// scenarios leaves out: deleted ones, the heads at which they were created, and the positions that were merged. A scenario
    /// has the entries that its plan had when it was created. Not in the list of documents.
    #[schema(
        value_type = BTreeMap<String, Value>, required = false,
        example = json!({ "2Ksk8g2Yb31NfTU9QrtosQugz5gG": { "name": "Hiring freeze", "state": "open" } })
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario_entries: Option<BTreeMap<String, Value>>,
    /// Present only if the document is a scenario: the id of its plan.
    #[schema(value_type = String, required = false, example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario_of: Option<String>,
    /// Present only in the list of documents, for a plan that has scenarios.
    #[schema(value_type = Vec<Scenario>, required = false)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<Scenario>,
    /// Your right to the document. Absent in an export, which is the same for all users.
    #[schema(value_type = DocumentRight, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<DocumentRight>,
}

/// What the positions of a plan cost, in units of the plan. Each position costs a twelfth of its budget in every month from its `start`
/// to its `end`, both inclusive; without a valid `start` it is active from the beginning, without a valid `end` for ever. Unknown budgets
/// are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// The sum of all budgets.
    #[schema(value_type = f64, example = 1850)]
    pub budget: Value,
    /// The cost in the twelve months from `yearStart`. Null without `yearStart`.
    #[schema(value_type = Option<f64>, required = true, example = 1422.5)]
    pub this_year: Value,
    /// The yearly cost of the positions that are active in the last of these months. Null without `yearStart`.
    #[schema(value_type = Option<f64>, required = true, example = 1850)]
    pub run_rate: Value,
    /// The cost of each of these months. Null without `yearStart`.
    #[schema(required = true)]
    pub by_month: Option<Vec<MonthCost>>,
}

/// The cost of a month.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonthCost {
    /// The month.
    #[schema(example = "2027-04")]
    pub month: String,
    /// In units of the plan.
    #[schema(value_type = f64, example = 118.5)]
    pub cost: Value,
}

impl Sums {
    fn of(view: &View) -> Self {
        let positions = view.rows().map(|row| &row.position);
        let sums = run_cpu_bound(|| cost::sums(positions, view.plan().year_start));
        let year = sums.year.as_ref();
        let figure = |figure: Option<f64>| figure.map_or(Value::Null, number);
        let by_month = |(month, cost): &(Month, f64)| MonthCost { month: month.to_string(), cost: number(*cost) };
        Self {
            budget: number(sums.budget),
            this_year: figure(year.map(|year| year.this_year)),
            run_rate: figure(year.map(|year| year.run_rate)),
            by_month: year.map(|year| year.by_month.iter().map(by_month).collect()),
        }
    }
}

/// A right to a document: `read`; `write`, which includes `read`; `own`, which also allows granting access and deleting the
/// document (except the default document). Without authentication every client has `own`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentRight {
    /// Read.
    Read,
    /// Read and change.
    Write,
    /// Read, change, grant access and delete.
    Own,
}

impl DocumentRight {
    /// `None` without any right: the document then appears not to exist.
    #[must_use]
    pub fn of(right: Right) -> Option<Self> {
        match right {
            Right::None => None,
            Right::Read => Some(Self::Read),
            Right::Write => Some(Self::Write),
            Right::Own => Some(Self::Own),
        }
    }

    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Own => "own",
        }
    }
}

impl Document {
    /// The document of a view, with the right of the requester.
    #[must_use]
    pub fn for_requester(requester: &Requester, app: &App, id: &DocumentId, view: &View) -> Self {
        Self { access: DocumentRight::of(app.hub.right(requester, id)), ..Self::of(app, id, view) }
    }

    /// The document of a view, without a right.
    #[must_use]
    pub fn of(app: &App, id: &DocumentId, view: &View) -> Self {
        let Plan { name, currency, unit, total_budget, year_start, archived, successor, predecessor, .. } =
            view.plan().clone();
        Self {
            id: id.to_string(),
            url: id.url(),
            default: *id == app.default_id,
            name,
            currency,
            unit: number(unit),
            total_budget: total_budget.map_or(Value::Null, number),
            year_start: year_start.map(|month| month.to_string()),
            department_budgets: None,
            columns: None,
            archived,
            successor: successor.map(|id| id.to_string()),
            predecessor: predecessor.map(|id| id.to_string()),
            sums: None,
            positions: view.len(),
            heads: heads(view),
            extra: None,
            conflicts: None,
            omitted: None,
            scenario_of: app.hub.scenario_of(id).map(|plan| plan.to_string()),
            scenarios: Vec::new(),
            scenario_entries: None,
            access: None,
        }
    }

    /// Adds the sums of the positions.
    #[must_use]
    pub fn with_sums(self, view: &View) -> Self {
        Self { sums: Some(Sums::of(view)), ..self }
    }

    /// Adds the budgets of departments, the columns, the entries of scenarios, and the content of the root beyond the settings.
    #[must_use]
    pub fn with_extra(self, view: &View) -> Self {
        let Plan { department_budgets, scenarios, columns, .. } = view.plan();
        let scenario_entries = scenarios.as_ref().map(|scenarios| scenarios.stored.clone());
        let (department_budgets, columns) = (department_budgets.clone(), columns.clone());
        let document = Self { department_budgets, columns, scenario_entries, ..self };
        let Some(Extra { fields, conflicts, omitted, .. }) = view.extra() else { return document };
        Self {
            extra: Some(fields).filter(|fields| !fields.is_empty()).cloned(),
            conflicts: Some(conflicts).filter(|conflicts| !conflicts.is_empty()).cloned(),
            omitted: Some(*omitted).filter(|omitted| *omitted > 0),
            ..document
        }
    }
}

/// The heads in hexadecimal.
pub fn heads(view: &View) -> Vec<String> {
    view.heads().iter().map(ToString::to_string).collect()
}

/// A number; whole numbers are written without a decimal point.
fn number(number: f64) -> Value {
    match Budget::new_f64(number) {
        Ok(Budget::Int(whole)) => whole.into(),
        _ => number.into(),
    }
}

/// A stored document that cannot be opened.
#[derive(Debug, Serialize, ToSchema)]
pub struct BrokenDocument {
    /// The id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    pub id: String,
    /// The URL.
    #[schema(example = "automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    pub url: String,
    /// See `Document`.
    pub default: bool,
    /// The reason.
    #[schema(example = "the server cannot open the document; its operator finds the reason in the log")]
    pub error: String,
}

/// An item of the list of documents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Listed)]
#[serde(untagged)]
pub enum ListedDocument {
    /// A document that can be opened.
    Document(Box<Document>),
    /// A document that cannot be opened.
    Broken(BrokenDocument),
}

impl ListedDocument {
    /// The document; `None` if it cannot be opened.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Document(document) => Some(document),
            Self::Broken(_) => None,
        }
    }
}

/// A position. A field that is not set is null; `status`, `start` and `end` are absent while they are not set. A field shows the value in the document, even if another program has
/// written a value of another type.
// `FieldSchemas` adds the fields of `plan::FIELDS`.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what server/renderings.rs writes; a test compares both")]
pub struct Position {
    /// Opaque id.
    #[schema(example = "0be30cc0d3f126")]
    id: String,
    /// When the position was created. Lists begin with the newest.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    created_at: Option<String>,
    /// When it was last changed.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    updated_at: Option<String>,
    /// Name of the last editor, as that client wrote it.
    #[schema(required = true, example = "Anita Rao")]
    updated_by: Option<String>,
    /// Present only if two users have set the same field concurrently: the values that lost, by field. Writing the field again
    /// resolves the conflict.
    #[schema(required = false, example = json!({ "budget": [45] }))]
    conflicts: BTreeMap<String, Vec<Value>>,
    /// Present only if another program has put a value that is not a map in the place of the position: that value. Such a position
    /// can be deleted but not changed.
    #[schema(required = false, example = 5)]
    value: Option<Value>,
    /// Present only if the position has other fields: fields that other programs have added, and a `createdAt`, `updatedAt` or
    /// `updatedBy` of the wrong type (null above). As JSON: a timestamp is a text as above, bytes are
    /// `{"$bytes": "<base64>"}`. Edits keep them.
    #[schema(required = false, example = json!({ "headcount": 3, "notes": "from March" }))]
    extra: BTreeMap<String, Value>,
    /// Present only if values of the position are not shown: their number. These are NaN and infinite numbers (null), values
    /// inside of a nested value that lost against a concurrent write, and values beyond 64 KiB of one position or 32 levels (a
    /// list or map that is cut short counts once). `export.automerge` has them.
    #[schema(required = false, example = 1)]
    omitted: usize,
}

/// The positions of a document.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what is assembled from rendered rows; a test compares both")]
pub struct PositionList {
    /// The document's id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: String,
    /// See `Document`.
    heads: Vec<String>,
    /// The positions, the newest first.
    positions: Vec<Position>,
    /// Present only in a page (`limit` or `cursor`): the `cursor` of the next page; null on the last one.
    #[schema(value_type = Option<String>, required = false, example = "MTc5NTM1NzI2MDAwMC4wYmUzMGNjMGQzZjEyNg")]
    next: Option<String>,
}

/// A document with all of its positions.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is assembled from rendered rows; a test compares both")]
pub struct Export {
    /// The document with its settings.
    document: Document,
    /// The positions, the newest first.
    positions: Vec<Position>,
}

/// Errors of every request.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes responses; handlers make the problems")]
pub enum AnyProblem {
    /// The origin of the page is not allowed.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// The server failed. The reason is in its log.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// The store fails, or the server is shutting down.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// Errors of requests for a document.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes responses; handlers make the problems")]
pub enum DocumentProblem {
    /// The path or the query is malformed; `field` names the parameter.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// The document, the position or the heads do not exist.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// Errors of requests that write.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes responses; handlers make the problems")]
pub enum WriteProblem {
    /// A field (or the author) is missing, unknown or invalid; `field` names it. Nothing was stored.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
    /// The disk is full. Nothing was stored.
    #[response(status = 507, content_type = "application/problem+json")]
    Full(Problem),
}

/// Errors of requests with a precondition.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes responses; handlers make the problems")]
pub enum ConditionProblem {
    /// `If-Match` does not match, because the resource has changed.
    #[response(status = 412, content_type = "application/problem+json")]
    Changed(Problem),
}

/// Errors of requests that change access rights.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes responses; handlers make the problems")]
pub enum OwnershipProblem {
    /// The document would have no owner.
    #[response(status = 409, content_type = "application/problem+json")]
    NoOwner(Problem),
}

/// Errors of request bodies. Nothing was stored.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes responses; handlers make the problems")]
pub enum BodyProblem {
    /// The body is not JSON (the detail says where), or the path or the query is malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/problem+json")]
    Timeout(Problem),
    /// The body exceeds 64 KiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The content type is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    WrongType(Problem),
}
