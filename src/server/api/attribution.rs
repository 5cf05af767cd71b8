//! `/api/documents/{documentId}/attribution`: who brought these changes in.
//!
//! For those who have the document, and its history with it: a change says of its author whatever its maker wrote.

use std::sync::Arc;

use automerge::ChangeHash;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use primitives::iso_ms;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::names::SurfaceName;
use super::past::hashes;
use super::shapes::{AnyProblem, DocumentProblem};
use super::target::{DocumentPath, Target};
use crate::server::security::authentication::ApiCaller;
use crate::server::{App, Problem};

/// Changes of one request. A line of so many hashes is well below what a head of a request may take.
const MAX_CHANGES: usize = 100;

/// Which changes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// Their hashes in hexadecimal, with commas in between; up to 100.
    #[param(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    changes: String,
}

/// The changes that a request asks about.
pub struct Changes(Vec<ChangeHash>);

impl FromRequestParts<Arc<App>> for Changes {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<ChangesQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(ChangesQuery { changes }) = query.map_err(Problem::bad_query)?;
        let changes = hashes("changes", &changes)?;
        if changes.len() > MAX_CHANGES {
            let detail = format!("{} hashes are too many: up to {MAX_CHANGES} are told of at a time", changes.len());
            return Err(Problem::bad_parameter("changes", detail));
        }
        Ok(Self(changes))
    }
}

/// Who brought changes in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attribution {
    /// Those of which the server knows it, in the order in which they were asked for.
    changes: Vec<AttributedChange>,
}

/// A change, and what is known of how it came in.
#[derive(Debug, Serialize, ToSchema)]
struct AttributedChange {
    /// Its hash.
    #[schema(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    hash: String,
    /// As whom the connection was authenticated.
    #[schema(example = "anita")]
    user: String,
    /// By which door: `api`, `legacy`, `sync` (automerge-repo) or `plain` (plain Automerge sync).
    #[schema(value_type = SurfaceName, example = "sync")]
    surface: String,
    /// When it came to this server.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:03.000Z")]
    received: Option<String>,
}

/// Ask who brought changes in.
///
/// For those who have the document: what a change says of its author is what its maker wrote. Changes of which the server does
/// not know it are left out: those that it has not got, and those that came while nobody was asked who they are.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/attribution",
    operation_id = "readAttribution",
    tag = "history",
    params(DocumentPath, ChangesQuery),
    responses((status = 200, description = "What is known", body = Attribution), AnyProblem, DocumentProblem),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    Changes(changes): Changes,
) -> Result<Response, Problem> {
    let known = app.hub.attribution(&caller, &id, changes).await?.ok_or_else(|| Problem::no_document(&id))?;
    let changes = known.into_iter().map(|(hash, brought)| AttributedChange {
        hash: hash.to_string(),
        user: brought.user.to_string(),
        surface: brought.surface.to_string(),
        received: iso_ms(brought.time_ms),
    });
    let attribution = Attribution { changes: changes.collect() };
    Ok(([(header::CACHE_CONTROL, "private, no-cache")], Json(attribution)).into_response())
}
