//! `/api/documents/{documentId}/access`: the roles of users in a document, in addition to those in their tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use auth::Role;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body_fields::{BodyFields, required};
use super::enum_schemas::RoleName;
use super::extract::{DocumentPath, TargetDocument, check_name};
use super::schemas::{AnyProblem, BodyProblem, DocumentProblem, OwnershipProblem, WriteProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional};

/// The roles of users in a document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Access {
    /// The user who created the document. Null without authentication, or if an owner has changed this user's role.
    #[schema(required = true, example = "ceo")]
    owner: Option<String>,
    /// The users to whom owners have granted access, with their roles.
    #[schema(value_type = BTreeMap<String, RoleName>, example = json!({ "cfo": "editor" }))]
    users: BTreeMap<String, Role>,
}

/// Path parameter: a user.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// The user's name, percent-encoded where needed.
    #[param(min_length = 1, max_length = 200, example = "cfo")]
    user: String,
}

/// Extracts the user of the path.
pub struct TargetUser(Arc<str>);

impl FromRequestParts<Arc<App>> for TargetUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<UserPath>::from_request_parts(parts, app).await;
        let Path(UserPath { user }) = path.map_err(Problem::bad_path)?;
        Ok(Self(check_name("user", user.trim())?.into()))
    }
}

/// List the users of a document.
///
/// Lists the users to whom owners have granted access, but not users whose token grants it. For owners.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/access",
    operation_id = "readAccess",
    tag = "access",
    params(
        DocumentPath,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The users and their roles", body = Access,
            headers(("ETag" = String, description = "Identifies the content of the list")),
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
    let record = app.hub.access_record(&requester, &id).await?;
    let users = record.users.iter().map(|(user, role)| (user.to_string(), *role)).collect();
    let access = Access { owner: record.owner.as_ref().map(ToString::to_string), users };
    Ok(conditional::json(&headers, &access))
}

/// The role to grant.
#[derive(Debug, ToSchema)]
#[schema(as = NewRole)]
#[serde(deny_unknown_fields)]
pub struct RoleBody {
    /// `viewer` can read, `editor` can also change, `owner` can also grant access and delete.
    #[schema(value_type = RoleName, example = "editor")]
    #[expect(dead_code, reason = "describes the body; the handler reads `BodyFields`")]
    role: String,
}

/// Grant a user access, or change the role of a user.
///
/// Takes effect immediately, also on open connections. For owners. The role of the user who created the document can be changed
/// as well, if the document keeps an owner. At most 1,000 users.
#[utoipa::path(
    put,
    path = "/api/documents/{documentId}/access/{user}",
    operation_id = "allow",
    tag = "access",
    params(DocumentPath, UserPath),
    request_body = RoleBody,
    responses(
        (status = 204, description = "The role is in effect"),
        OwnershipProblem,
        AnyProblem,
        DocumentProblem,
        WriteProblem,
        BodyProblem,
    ),
)]
pub async fn grant(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    TargetUser(user): TargetUser,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let role = required(fields.only(&["role"])?.text("role")?, "role")?;
    let role = match role.as_str() {
        "viewer" => Role::Viewer,
        "editor" => Role::Editor,
        "owner" => Role::Owner,
        _ => return Err(Problem::invalid("role", "role: must be viewer, editor or owner")),
    };
    app.hub.set_role(&requester, &id, &user, Some(role)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Revoke the access of a user.
///
/// Rights that the user's token grants remain. Takes effect immediately, also on open connections. For owners. The user who
/// created the document can be removed as well, if the document keeps an owner.
#[utoipa::path(
    delete,
    path = "/api/documents/{documentId}/access/{user}",
    operation_id = "disallow",
    tag = "access",
    params(DocumentPath, UserPath),
    responses(
        (status = 204, description = "The role is in effect"),
        OwnershipProblem,
        AnyProblem,
        DocumentProblem,
        WriteProblem,
    ),
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    TargetUser(user): TargetUser,
) -> Result<Response, Problem> {
    app.hub.set_role(&requester, &id, &user, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
