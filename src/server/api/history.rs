//! `/api/documents/{documentId}/history`: the changes, with their times, authors and effects.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use plan::history::{self, Entry, MAX_ENTRIES, Page};
use plan::position::{CREATED_AT, UPDATED_AT, as_milliseconds};
use plan::problems::{field_problem, setting_problem};
use primitives::{DocumentId, iso_ms};
use runtime::document::AttributedPage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync_engine::{Merge, Provenance};
use utoipa::{IntoParams, ToSchema};

use super::enum_schemas::SurfaceName;
use super::extract::{DocumentPath, TargetDocument};
use super::schemas::{AnyProblem, DocumentProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional};

/// Number of entries on a page if the request has no `limit`.
const DEFAULT_LIMIT: usize = 50;

/// Query parameters: a page of the history.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only changes to the position with this id.
    #[param(example = "0be30cc0d3f126")]
    position: Option<String>,
    /// Only changes to this field: a field of a position, or a root key of the document such as a setting.
    #[param(example = "budget")]
    field: Option<String>,
    /// Only earlier changes: the `next` of another page. Stays valid while the document changes.
    before: Option<String>,
    /// Maximum number of changes on the page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50, example = 50)]
    limit: Option<String>,
}

/// Extracts the query for a page.
pub struct PageQuery(history::Query);

impl FromRequestParts<Arc<App>> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<HistoryQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(query) = query.map_err(Problem::bad_query)?;
        query.check().map(Self)
    }
}

impl HistoryQuery {
    fn check(self) -> Result<history::Query, Problem> {
        let Self { position, field, before, limit } = self;
        let before = before.map(|cursor| {
            cursor.parse().map_err(|error: history::InvalidCursor| Problem::bad_parameter("before", error.to_string()))
        });
        let limit = limit.map(|limit| {
            let number = limit.parse().ok().filter(|limit| (1..=MAX_ENTRIES).contains(limit));
            number.ok_or_else(|| Problem::bad_parameter("limit", format!("must be a number from 1 to {MAX_ENTRIES}")))
        });
        Ok(history::Query {
            position,
            field,
            before: before.transpose()?,
            limit: limit.transpose()?.unwrap_or(DEFAULT_LIMIT),
        })
    }
}

/// A page of the history of a document.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The document's id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: String,
    /// See `Document`.
    heads: Vec<String>,
    /// The changes, newest first. A change comes after all changes that depend on it; concurrent changes are ordered by time.
    changes: Vec<Change>,
    /// The `before` of the next page; null on the last page. A page may be shorter than `limit` without being the last.
    #[schema(
        required = true,
        example = "1795357260.42.a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2"
    )]
    next: Option<String>,
}

/// A change and its effects.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Hash of the change.
    #[schema(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    hash: String,
    /// The heads of the document after this change and all changes after it in this list: `positions?at=` reads the plan at
    /// these heads. Null if there are more than 100.
    #[schema(required = true, example = json!(["a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2"]))]
    heads: Option<Vec<String>>,
    /// When the change was made, according to the client that made it; null if it recorded no time.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    time: Option<String>,
    /// The authenticated user of the connection that sent the change; null if unknown.
    #[schema(required = true, example = "anita")]
    user: Option<String>,
    /// The protocol of that connection; null if `user` is null.
    #[schema(value_type = Option<SurfaceName>, required = true, example = "sync")]
    surface: Option<String>,
    /// When the server received the change; null if `user` is null.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:03.000Z")]
    received: Option<String>,
    /// The user who merged the change from a scenario or from the plan. Absent if the change was made in this document, or the
    /// user is unknown. `user` is who made the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "ravi")]
    merged_by: Option<String>,
    /// When it was merged; present with `mergedBy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    merged_at: Option<String>,
    /// Automerge actor of the change.
    #[schema(example = "1f0e7a52c3d94b6f8e2d5a6b7c8d9e0f")]
    actor: String,
    /// Commit message, up to 1,000 characters.
    #[schema(required = true, example = "Anita Rao: UI developer: budget 12")]
    message: Option<String>,
    /// Positions that the change created.
    added: Vec<ChangedPosition>,
    /// Positions that the change created under an id that was deleted before, for example to undo the deletion.
    restored: Vec<ChangedPosition>,
    /// Positions that the change deleted.
    deleted: Vec<ChangedPosition>,
    /// Fields that the change set. `updatedBy` is a claim of the client; `user` is the authenticated user.
    fields: Vec<ChangedField>,
    /// Number of effects that are not listed. A change lists up to 1,000, and fewer if they are large. Query a `position` to see
    /// all effects on it.
    #[schema(example = 0)]
    omitted: usize,
}

/// A position that a change created or deleted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChangedPosition {
    /// Id of the position.
    #[schema(example = "0be30cc0d3f126")]
    position: String,
    /// Designation of the position at that time.
    #[schema(required = true, example = "UI developer")]
    designation: Option<String>,
}

/// A field that a change set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChangedField {
    /// Id of the position; null for a setting or another root key of the document.
    #[schema(required = true, example = "0be30cc0d3f126")]
    position: Option<String>,
    /// Designation of the position after the change.
    #[schema(required = true, example = "UI developer")]
    designation: Option<String>,
    /// Name of the field. For a value inside of a map or list, the field that contains it.
    #[schema(example = "budget")]
    field: String,
    /// Previous value that the author of the change saw; null if there was none.
    #[schema(required = true, example = 11.5)]
    old: Value,
    /// Value after the change; null if the field was deleted.
    #[schema(required = true, example = 12)]
    new: Value,
    /// Present only if the change resolved a conflict: all conflicting values, the visible one (`old`) first. If `new` is among
    /// them, the author chose it over the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!([22, 21]))]
    settled: Vec<Value>,
    /// Present only if a value is truncated: a text of more than 1,000 characters, or a map or list of more than about 4 KiB.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false, example = false)]
    cut: bool,
    /// Present only if `new` does not fit the schema: what the schema expects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "must be a number that is not negative")]
    problem: Option<String>,
}

/// Read the history.
///
/// Lists the changes with the new and the previous values of fields. The previous value is the one that the author saw, also if
/// another user set the field concurrently. Send `next` as `before` to read the next page. The first request after a pause takes
/// longer.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/history",
    operation_id = "readHistory",
    tag = "history",
    params(
        DocumentPath,
        HistoryQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "A page, the newest changes first", body = History,
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
    PageQuery(query): PageQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let AttributedPage { page, provenance, merges } =
        app.hub.history(&requester, &id, query).await?.ok_or_else(|| Problem::no_document(&id))?;
    let tag = conditional::etag_of_heads(&page.heads);
    let heads: Vec<String> = page.heads.iter().map(ToString::to_string).collect();
    Ok(conditional::respond(&headers, &tag, || {
        Json(History::from_page(&id, heads, page, provenance.into_iter().zip(merges))).into_response()
    }))
}

impl History {
    fn from_page(
        id: &DocumentId,
        heads: Vec<String>,
        page: Page,
        provenance: impl Iterator<Item = (Option<Provenance>, Option<Merge>)>,
    ) -> Self {
        let changes = page.entries.into_iter().zip(provenance);
        Self {
            document_id: id.to_string(),
            heads,
            changes: changes.map(|(entry, (provenance, merge))| Change::of(entry, provenance, merge)).collect(),
            next: page.next.map(|cursor| cursor.to_string()),
        }
    }
}

impl Change {
    /// A change of the history, with its origin.
    pub fn of(entry: Entry, provenance: Option<Provenance>, merge: Option<Merge>) -> Self {
        let Entry { hash, heads, time, actor, message, added, restored, deleted, fields, omitted } = entry;
        let positions = |rows: Vec<history::Row>| rows.into_iter().map(ChangedPosition::of).collect();
        Self {
            hash: hash.to_string(),
            heads: heads.map(|heads| heads.iter().map(ToString::to_string).collect()),
            time: time.and_then(|seconds| iso_ms(seconds.checked_mul(1_000)?)),
            user: provenance.as_ref().map(|provenance| provenance.user.to_string()),
            surface: provenance.as_ref().map(|provenance| provenance.surface.to_string()),
            received: provenance.and_then(|provenance| iso_ms(provenance.time_ms)),
            merged_by: merge.as_ref().map(|merge| merge.user.to_string()),
            merged_at: merge.and_then(|merge| iso_ms(merge.time_ms)),
            actor: actor.to_hex_string(),
            message,
            added: positions(added),
            restored: positions(restored),
            deleted: positions(deleted),
            fields: fields.into_iter().map(ChangedField::of).collect(),
            omitted,
        }
    }
}

impl ChangedPosition {
    fn of(row: history::Row) -> Self {
        let history::Row { position, designation } = row;
        Self { position: position.to_string(), designation: designation.map(|name| name.to_string()) }
    }
}

impl ChangedField {
    fn of(change: history::FieldChange) -> Self {
        let history::FieldChange { row, field, old, new, settled, cut } = change;
        let row = row.map(ChangedPosition::of);
        let problem = match &row {
            Some(_) => field_problem(&field, &new),
            None => setting_problem(&field, &new),
        };
        let (position, designation) = row.map_or((None, None), |row| (Some(row.position), row.designation));
        let is_time = position.is_some() && [CREATED_AT, UPDATED_AT].contains(&&*field);
        let display = |value| if is_time { time(value) } else { value };
        let settled = settled.into_iter().map(display).collect();
        Self {
            position,
            designation,
            field: field.to_string(),
            old: display(old),
            new: display(new),
            settled,
            cut,
            problem: problem.map(std::borrow::Cow::into_owned),
        }
    }
}

/// Converts a timestamp to ISO 8601, as positions show it. Returns values that are no timestamp unchanged.
fn time(value: Value) -> Value {
    as_milliseconds(&value).and_then(iso_ms).map_or(value, Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(position: Option<&str>, field: Option<&str>, before: Option<&str>, limit: Option<&str>) -> HistoryQuery {
        let own = |text: Option<&str>| text.map(str::to_owned);
        HistoryQuery { position: own(position), field: own(field), before: own(before), limit: own(limit) }
    }

    #[test]
    fn invalid_parameters_are_named() {
        for (before, limit, named) in [
            (Some(""), None, "before"),
            (Some("1.2.3"), None, "before"),
            (None, Some("0"), "limit"),
            (None, Some("501"), "limit"),
            (None, Some("-1"), "limit"),
            (None, Some("many"), "limit"),
            (None, Some(""), "limit"),
        ] {
            let problem = query(None, None, before, limit).check().unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some(named)), "{}", problem.detail);
        }
        let asked = query(Some("x"), Some("totalBudget"), None, Some("500")).check().unwrap();
        assert_eq!((asked.limit, asked.field.as_deref()), (500, Some("totalBudget")));
        assert_eq!(query(None, None, None, None).check().unwrap().limit, DEFAULT_LIMIT);
    }

    #[test]
    fn timestamps_are_shown_as_in_the_positions() {
        assert_eq!(time(json!(1_795_357_260_000_i64)), json!("2026-11-22T14:21:00.000Z"));
        assert_eq!(time(json!("yesterday")), json!("yesterday"));
        assert_eq!(time(json!(i64::MAX)), json!(i64::MAX));
    }
}
