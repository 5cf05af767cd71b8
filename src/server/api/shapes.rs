//! The shapes of the API's answers.

use std::collections::BTreeMap;

use plan::{Budget, Extra, Plan, View};
use primitives::DocumentId;
use runtime::hub::{Caller, Right};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoResponses, ToSchema};

use crate::server::{App, Problem};

/// A document: what it says about itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The id that the API's paths take.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    pub id: String,
    /// The URL by which automerge-repo clients find it.
    #[schema(example = "automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    pub url: String,
    /// Whether this is the document that legacy clients see, and that `default` names.
    pub default: bool,
    /// The plan's name.
    #[schema(required = true, example = "Growth 2027")]
    pub name: Option<String>,
    /// ISO 4217 code.
    #[schema(required = true, example = "INR")]
    pub currency: Option<String>,
    /// Currency units in one unit of a budget; 100000: budgets count lakh.
    #[schema(value_type = f64, example = 100_000)]
    pub unit: Value,
    /// In units.
    #[schema(value_type = Option<f64>, required = true, example = 2000)]
    pub total_budget: Value,
    /// How many positions there are.
    #[schema(example = 60)]
    pub positions: usize,
    /// The heads of the document's history, in hexadecimal: two copies with the same heads are the same.
    #[schema(example = json!(["a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2"]))]
    pub heads: Vec<String>,
    /// Only where the root of the document holds more than the settings above: root keys that this server does not know, and
    /// settings that are not of their type (these are null above, or the default), as JSON.
    #[schema(value_type = BTreeMap<String, Value>, required = false, example = json!({ "scenario": "hiring freeze" }))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<BTreeMap<String, Value>>,
    /// Only where two people have set one root key at the same time: the values that lost, by key.
    #[schema(value_type = BTreeMap<String, Vec<Value>>, required = false, example = json!({ "totalBudget": [1900] }))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<BTreeMap<String, Vec<Value>>>,
    /// Only where values of the root are not shown: how many. See `omitted` of `Position`.
    #[schema(value_type = usize, required = false, example = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<usize>,
    /// What you may do with it. Not in an export, which is the same for everybody.
    #[schema(value_type = DocumentRight, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<DocumentRight>,
}

/// What somebody may do with a document: `read` it; `write`, which is also to change it; `own`, which is also to say who else
/// may, and to delete it. (The default document can be deleted by nobody.) Where nobody is asked who they are, everybody may
/// do everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentRight {
    /// Read.
    Read,
    /// Change.
    Write,
    /// Say who else may, and delete.
    Own,
}

impl DocumentRight {
    /// None: nothing, not even know that it exists.
    #[must_use]
    pub fn of(right: Right) -> Option<Self> {
        match right {
            Right::None => None,
            Right::Read => Some(Self::Read),
            Right::Write => Some(Self::Write),
            Right::Own => Some(Self::Own),
        }
    }

    /// As it is written.
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
    /// The document that this view shows, and what its reader may do.
    #[must_use]
    pub fn to(caller: &Caller, app: &App, id: &DocumentId, view: &View) -> Self {
        Self { access: DocumentRight::of(app.hub.right(caller, id)), ..Self::of(app, id, view) }
    }

    /// The document that this view shows, for everybody.
    #[must_use]
    pub fn of(app: &App, id: &DocumentId, view: &View) -> Self {
        let Plan { name, currency, unit, total_budget } = view.plan().clone();
        Self {
            id: id.to_string(),
            url: id.url(),
            default: *id == app.default_id,
            name,
            currency,
            unit: number(unit),
            total_budget: total_budget.map_or(Value::Null, number),
            positions: view.len(),
            heads: heads(view),
            extra: None,
            conflicts: None,
            omitted: None,
            access: None,
        }
    }

    /// With what the root of the document holds beyond the settings.
    #[must_use]
    pub fn with_extra(self, view: &View) -> Self {
        let Some(Extra { fields, conflicts, omitted, .. }) = view.extra() else { return self };
        Self {
            extra: Some(fields).filter(|fields| !fields.is_empty()).cloned(),
            conflicts: Some(conflicts).filter(|conflicts| !conflicts.is_empty()).cloned(),
            omitted: Some(*omitted).filter(|omitted| *omitted > 0),
            ..self
        }
    }
}

/// The heads in hexadecimal.
pub fn heads(view: &View) -> Vec<String> {
    view.heads().iter().map(ToString::to_string).collect()
}

/// Whole numbers without a point, as whoever wrote them means them.
fn number(number: f64) -> Value {
    match Budget::new_f64(number) {
        Ok(Budget::Int(whole)) => whole.into(),
        _ => number.into(),
    }
}

/// A document that is stored and cannot be opened.
#[derive(Debug, Serialize, ToSchema)]
pub struct BrokenDocument {
    /// Its id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    pub id: String,
    /// Its URL.
    #[schema(example = "automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    pub url: String,
    /// See `Document`.
    pub default: bool,
    /// Why.
    #[schema(example = "the server cannot open the document; its operator finds the reason in the log")]
    pub error: String,
}

/// One of a list of documents.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Listed {
    /// It can be opened.
    Document(Document),
    /// It cannot.
    Broken(BrokenDocument),
}

/// A position. A field that is not set is null. A field shows whatever the document holds, even if another program has
/// written a value of another type.
// `FieldSchemas` adds the fields of `plan::FIELDS`.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what server/renderings.rs writes; a test holds one against the other")]
pub struct Position {
    /// Opaque.
    #[schema(example = "0be30cc0d3f126")]
    id: String,
    /// When the position was made. Lists begin with the newest.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    created_at: Option<String>,
    /// When it was last changed.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    updated_at: Option<String>,
    /// Who last changed it, as the writer said.
    #[schema(required = true, example = "Anita Rao")]
    updated_by: Option<String>,
    /// Only where two people have set one field at the same time: the values that lost, by field. Writing the field
    /// again settles it.
    #[schema(required = false, example = json!({ "budget": [45] }))]
    conflicts: BTreeMap<String, Vec<Value>>,
    /// Only where another program has put something else than a map in the position's place: that value. Such a position can
    /// be deleted, and not changed.
    #[schema(required = false, example = 5)]
    value: Option<Value>,
    /// Only where the position has more fields than the above: fields that other programs have added, and a `createdAt`,
    /// `updatedAt` or `updatedBy` that is not of its type (null above). As JSON: a timestamp is a text as above, bytes are
    /// `{"$bytes": "<base64>"}`. Edits keep them.
    #[schema(required = false, example = json!({ "headcount": 3, "notes": "from March" }))]
    extra: BTreeMap<String, Value>,
    /// Only where values of the position are not shown: how many. These are NaN and infinite numbers (null), values that lost
    /// against a concurrent write inside of a nested value, and what exceeds 64 KiB of one position or 32 levels (a list or
    /// map that is cut short counts once). `export.automerge` holds them.
    #[schema(required = false, example = 1)]
    omitted: usize,
}

/// The positions of a document.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what is assembled from rendered rows; a test holds one against the other")]
pub struct PositionList {
    /// The document's id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: String,
    /// See `Document`.
    heads: Vec<String>,
    /// The newest first.
    positions: Vec<Position>,
}

/// A document with all of its positions.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is assembled from rendered rows; a test holds one against the other")]
pub struct Export {
    /// What the document says about itself.
    document: Document,
    /// The newest first.
    positions: Vec<Position>,
}

/// What can go wrong with every request.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes; problems are made where they arise")]
pub enum AnyProblem {
    /// A page of an origin that may not ask.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// Something failed in the server; the reason is in its log.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// The store fails, or the server is shutting down.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What can go wrong with requests about a document.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes; problems are made where they arise")]
pub enum DocumentProblem {
    /// The path or the query cannot be read; `field` names the parameter, if it is one.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// There is no such document, or no such position in it; or it never had these heads.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// What can go wrong with requests that write.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes; problems are made where they arise")]
pub enum WriteProblem {
    /// A field (or the author) is missing, unknown, or not acceptable; `field` names it. Nothing was stored.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(Problem),
    /// The disk is full. Nothing was stored.
    #[response(status = 507, content_type = "application/problem+json")]
    Full(Problem),
}

/// What can go wrong with requests that depend on what they have read.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes; problems are made where they arise")]
pub enum ConditionProblem {
    /// `If-Match` names another state than there is: somebody else has changed it.
    #[response(status = 412, content_type = "application/problem+json")]
    Changed(Problem),
}

/// What can go wrong with requests that change who may do what.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes; problems are made where they arise")]
pub enum OwnershipProblem {
    /// Nobody would own the document any more.
    #[response(status = 409, content_type = "application/problem+json")]
    NoOwner(Problem),
}

/// What can be wrong with a body. Nothing is stored then.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes; problems are made where they arise")]
pub enum BodyProblem {
    /// Not JSON (the detail says where), or the path or the query cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// The body did not arrive in time.
    #[response(status = 408, content_type = "application/problem+json")]
    Timeout(Problem),
    /// More than 64 KiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The content type is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    WrongType(Problem),
}
