//! `/api/documents/{documentId}/history`: what has changed, when, by whom.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use plan::history::{self, Entry, MAX_ENTRIES, Page};
use plan::position::{CREATED_AT, UPDATED_AT, as_milliseconds};
use primitives::{DocumentId, iso_ms};
use runtime::document::AttributedPage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync_engine::Provenance;
use utoipa::{IntoParams, ToSchema};

use super::names::SurfaceName;
use super::shapes::{AnyProblem, DocumentProblem};
use super::target::{DocumentPath, Target};
use crate::server::security::authentication::ApiCaller;
use crate::server::{App, Problem, conditional};

/// Entries of a page when nobody says how many.
const DEFAULT_LIMIT: usize = 50;

/// Which part of the history.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only what was done to the position of this id.
    #[param(example = "0be30cc0d3f126")]
    position: Option<String>,
    /// Only what this field was set to: one of a position, or a root key of the document, such as a setting.
    #[param(example = "budget")]
    field: Option<String>,
    /// Only what comes before: the `next` of another page. It holds however much the document changes meanwhile.
    before: Option<String>,
    /// Entries that the page may have.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50, example = 50)]
    limit: Option<String>,
}

/// The part of the history that a request asks for.
pub struct Asked(history::Query);

impl FromRequestParts<Arc<App>> for Asked {
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

/// A part of a document's history.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The document's id.
    #[schema(example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: String,
    /// See `Document`.
    heads: Vec<String>,
    /// The newest first: none stands above one that builds upon it, and apart from that they are in the order of their
    /// times.
    changes: Vec<Change>,
    /// Where to go on (`before`); null: this is the end. A page may be shorter than asked for and not be the last.
    #[schema(
        required = true,
        example = "1795357260.42.a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2"
    )]
    next: Option<String>,
}

/// A change, with what it did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Change {
    /// Its hash.
    #[schema(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    hash: String,
    /// The heads of the document with this change and all below it: `positions?at=` shows what the plan was then. Null
    /// where there were more than 100.
    #[schema(required = true, example = json!(["a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2"]))]
    heads: Option<Vec<String>>,
    /// When it was made, as it says itself; null if it does not.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    time: Option<String>,
    /// Who brought it to this server, as whom the connection was authenticated; null if that is not known.
    #[schema(required = true, example = "anita")]
    user: Option<String>,
    /// By which door: `api`, `legacy`, `sync` (automerge-repo) or `plain` (plain Automerge sync); null with `user`.
    #[schema(value_type = Option<SurfaceName>, required = true, example = "sync")]
    surface: Option<String>,
    /// When it came to this server; null with `user`.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:03.000Z")]
    received: Option<String>,
    /// The Automerge actor that it says it was made under.
    #[schema(example = "1f0e7a52c3d94b6f8e2d5a6b7c8d9e0f")]
    actor: String,
    /// What it says about itself, up to 1,000 characters.
    #[schema(required = true, example = "Anita Rao: UI developer: budget 12")]
    message: Option<String>,
    /// Positions that it made.
    added: Vec<ChangedPosition>,
    /// Positions that it brought back under an id that was deleted before, as undoing a deletion does.
    restored: Vec<ChangedPosition>,
    /// Positions that it deleted.
    deleted: Vec<ChangedPosition>,
    /// Fields that it set. `updatedBy` is what its maker wrote; who that was says `user`.
    fields: Vec<ChangedField>,
    /// How much more it did: of a change no more than 1,000 items are told, and less if they are large. Ask for one
    /// `position` to see all that was done to that.
    #[schema(example = 0)]
    omitted: usize,
}

/// A position that came or went.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChangedPosition {
    /// Its id.
    #[schema(example = "0be30cc0d3f126")]
    position: String,
    /// What it was called then.
    #[schema(required = true, example = "UI developer")]
    designation: Option<String>,
}

/// A field that was set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ChangedField {
    /// The id of the position; null: a setting, or another root key of the document.
    #[schema(required = true, example = "0be30cc0d3f126")]
    position: Option<String>,
    /// What the position was called after the change.
    #[schema(required = true, example = "UI developer")]
    designation: Option<String>,
    /// Which field. One inside of a map or a list is told as the field that these stand in.
    #[schema(example = "budget")]
    field: String,
    /// What stood there for whoever set it; null: nothing.
    #[schema(required = true, example = 11.5)]
    old: Value,
    /// What stands there since; null: nothing.
    #[schema(required = true, example = 12)]
    new: Value,
    /// Only there if several values stood there at once for whoever set it, and this settled it: all of these values, the one
    /// that was shown (`old`) first. With `new` among them it was kept over the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, example = json!([22, 21]))]
    settled: Vec<Value>,
    /// Only there if one of them is not shown whole: a text of more than 1,000 characters, or a map or list of more than about
    /// 4 KiB.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false, example = false)]
    cut: bool,
}

/// Read the history.
///
/// Every change, with what it set and what stood there before, for whoever made it: of two who set a field at once, both
/// are told with what they saw. Page by page: go on with `next` as `before`. The first request after a while takes longer.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/history",
    operation_id = "readHistory",
    tag = "history",
    params(
        DocumentPath,
        HistoryQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what you have; 304 if it still holds"),
    ),
    responses(
        (
            status = 200, description = "A page, the newest changes first", body = History,
            headers(("ETag" = String, description = "Stands for the document's heads")),
        ),
        (status = 304, description = "You have it already"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    Asked(query): Asked,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let AttributedPage { page, brought } =
        app.hub.history(&caller, &id, query).await?.ok_or_else(|| Problem::no_document(&id))?;
    let tag = conditional::tag_of_heads(&page.heads);
    let heads: Vec<String> = page.heads.iter().map(ToString::to_string).collect();
    Ok(conditional::answer(&headers, &tag, || Json(shown(&id, heads, page, brought)).into_response()))
}

fn shown(id: &DocumentId, heads: Vec<String>, page: Page, brought: Vec<Option<Provenance>>) -> History {
    History {
        document_id: id.to_string(),
        heads,
        changes: page.entries.into_iter().zip(brought).map(Change::of).collect(),
        next: page.next.map(|cursor| cursor.to_string()),
    }
}

impl Change {
    fn of((entry, brought): (Entry, Option<Provenance>)) -> Self {
        let Entry { hash, heads, time, actor, message, added, restored, deleted, fields, omitted } = entry;
        let positions = |rows: Vec<history::Row>| rows.into_iter().map(ChangedPosition::of).collect();
        Self {
            hash: hash.to_string(),
            heads: heads.map(|heads| heads.iter().map(ToString::to_string).collect()),
            time: time.and_then(|seconds| iso_ms(seconds.checked_mul(1_000)?)),
            user: brought.as_ref().map(|brought| brought.user.to_string()),
            surface: brought.as_ref().map(|brought| brought.surface.to_string()),
            received: brought.and_then(|brought| iso_ms(brought.time_ms)),
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
    fn of(set: history::FieldChange) -> Self {
        let history::FieldChange { row, field, old, new, settled, cut } = set;
        let row = row.map(ChangedPosition::of);
        let (position, designation) = row.map_or((None, None), |row| (Some(row.position), row.designation));
        let is_time = position.is_some() && [CREATED_AT, UPDATED_AT].contains(&&*field);
        let shown = |value| if is_time { time(value) } else { value };
        let settled = settled.into_iter().map(shown).collect();
        Self { position, designation, field: field.to_string(), old: shown(old), new: shown(new), settled, cut }
    }
}

/// A number in the place of a timestamp is shown as in the positions; whatever else stands there as it is.
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
    fn what_cannot_be_asked_for_is_named() {
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
