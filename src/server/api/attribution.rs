//! `/api/documents/{documentId}/attribution`: the authenticated users who sent these changes.
//!
//! For clients that have the document with its history. The author in a change is only a claim of the client that made it.

use std::sync::Arc;

use automerge::ChangeHash;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use primitives::iso_ms;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::enum_schemas::SurfaceName;
use super::extract::{DocumentPath, TargetDocument};
use super::heads_query::parse_hashes;
use super::schemas::{AnyProblem, DocumentProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional};

/// Maximum number of hashes in a request. They fit well into the limit for request headers.
const MAX_CHANGES: usize = 100;

/// Query parameter: changes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// Up to 100 change hashes in hexadecimal, separated by commas.
    #[param(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    changes: String,
}

/// Extracts the change hashes of the query.
pub struct ChangeHashes(Vec<ChangeHash>);

impl FromRequestParts<Arc<App>> for ChangeHashes {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<ChangesQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(ChangesQuery { changes }) = query.map_err(Problem::bad_query)?;
        let changes = parse_hashes("changes", &changes)?;
        if changes.len() > MAX_CHANGES {
            let detail = format!("must be at most {MAX_CHANGES} hashes, not {}", changes.len());
            return Err(Problem::bad_parameter("changes", detail));
        }
        Ok(Self(changes))
    }
}

/// The origin of changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attribution {
    /// The changes whose origin is known, in the order of the request.
    changes: Vec<AttributedChange>,
}

/// The origin of a change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttributedChange {
    /// Hash of the change.
    #[schema(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    hash: String,
    /// The authenticated user of the connection that sent the change; null for a merged change of unknown origin.
    #[schema(required = true, example = "anita")]
    user: Option<String>,
    /// The protocol of that connection; null if `user` is null.
    #[schema(value_type = Option<SurfaceName>, required = true, example = "sync")]
    surface: Option<String>,
    /// When the server received the change; null if `user` is null.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:03.000Z")]
    received: Option<String>,
    /// The user who merged the change from a scenario or from the plan. Absent if the change was made in this document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "ravi")]
    merged_by: Option<String>,
    /// When it was merged; present with `mergedBy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    merged_at: Option<String>,
}

/// Read the origin of changes.
///
/// The author in a change is only a claim of the client that made it. This returns the authenticated user instead. Changes of
/// unknown origin are left out: the server does not have them, or received them without authentication.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/attribution",
    operation_id = "readAttribution",
    tag = "history",
    params(
        DocumentPath,
        ChangesQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The known origins", body = Attribution,
            headers(("ETag" = String, description = "Identifies the content of the response")),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    ChangeHashes(changes): ChangeHashes,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = app.hub.attribution(&requester, &id, changes).await?.ok_or_else(|| Problem::no_document(&id))?;
    let changes = known.into_iter().map(|(hash, provenance, merge)| AttributedChange {
        hash: hash.to_string(),
        user: provenance.as_ref().map(|provenance| provenance.user.to_string()),
        surface: provenance.as_ref().map(|provenance| provenance.surface.to_string()),
        received: provenance.and_then(|provenance| iso_ms(provenance.time_ms)),
        merged_by: merge.as_ref().map(|merge| merge.user.to_string()),
        merged_at: merge.and_then(|merge| iso_ms(merge.time_ms)),
    });
    let attribution = Attribution { changes: changes.collect() };
    Ok(conditional::json(&headers, &attribution))
}
