//! `/api/documents/{documentId}/access`: who may do what with a document, beside what tokens say.

use std::collections::BTreeMap;
use std::sync::Arc;

use auth::Role;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::fields::{Fields, required};
use super::names::RoleName;
use super::shapes::{AnyProblem, BodyProblem, DocumentProblem, OwnershipProblem, WriteProblem};
use super::target::{DocumentPath, Target, checked};
use crate::server::security::authentication::ApiCaller;
use crate::server::{App, Problem};

/// Who may do what with a document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Access {
    /// Who made it, where users are known, and as long as an owner has not given them another role.
    #[schema(required = true, example = "ceo")]
    owner: Option<String>,
    /// Whom the owner has let in: user names, and `viewer`, `editor` or `owner`.
    #[schema(value_type = BTreeMap<String, RoleName>, example = json!({ "cfo": "editor" }))]
    users: BTreeMap<String, Role>,
}

/// The user of a path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// The user's name, percent-encoded where needed.
    #[param(min_length = 1, max_length = 200, example = "cfo")]
    user: String,
}

/// The user that a request is about.
pub struct TargetUser(Arc<str>);

impl FromRequestParts<Arc<App>> for TargetUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path: Result<Path<UserPath>, PathRejection> = Path::from_request_parts(parts, app).await;
        let Path(UserPath { user }) = path
            .map_err(|rejection| Problem::bad_request(format!("the path cannot be read: {}", rejection.body_text())))?;
        Ok(Self(checked("user", user.trim())?.into()))
    }
}

/// List who may do what with a document.
///
/// Whom the document's owner has let in, beside those whose token names it. For owners.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/access",
    operation_id = "readAccess",
    tag = "access",
    params(DocumentPath),
    responses((status = 200, description = "Who may do what", body = Access), AnyProblem, DocumentProblem),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
) -> Result<Response, Problem> {
    let record = app.hub.access_record(&caller, &id).await?;
    let users = record.users.iter().map(|(user, role)| (user.to_string(), *role)).collect();
    let access = Access { owner: record.owner.as_ref().map(ToString::to_string), users };
    Ok(([(header::CACHE_CONTROL, "private, no-cache")], Json(access)).into_response())
}

/// What somebody is to be allowed.
#[derive(Debug, ToSchema)]
#[schema(as = NewRole)]
#[serde(deny_unknown_fields)]
pub struct RoleBody {
    /// `viewer` reads, `editor` changes, `owner` also says who else may, and deletes.
    #[schema(value_type = RoleName, example = "editor")]
    #[expect(dead_code, reason = "describes the body, which is read by hand")]
    role: String,
}

/// Let somebody in, or give them another role.
///
/// It counts at once, also for connections that are open. For owners. Who made the document can be given another role, too, as
/// long as somebody is left who owns it. At most 1,000 users.
#[utoipa::path(
    put,
    path = "/api/documents/{documentId}/access/{user}",
    operation_id = "allow",
    tag = "access",
    params(DocumentPath, UserPath),
    request_body = RoleBody,
    responses(
        (status = 204, description = "It counts"),
        OwnershipProblem,
        AnyProblem,
        DocumentProblem,
        WriteProblem,
        BodyProblem,
    ),
)]
pub async fn allow(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    TargetUser(user): TargetUser,
    fields: Fields,
) -> Result<Response, Problem> {
    let role = required(fields.only(&["role"])?.text("role")?, "role")?;
    let role = match role.as_str() {
        "viewer" => Role::Viewer,
        "editor" => Role::Editor,
        "owner" => Role::Owner,
        _ => return Err(Problem::invalid("role", "role: must be viewer, editor or owner")),
    };
    app.hub.set_role(&caller, &id, &user, Some(role)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Take back what somebody was allowed.
///
/// What their token says stays. It counts at once, also for connections that are open. For owners. Who made the document can be
/// taken out, too, as long as somebody is left who owns it.
#[utoipa::path(
    delete,
    path = "/api/documents/{documentId}/access/{user}",
    operation_id = "disallow",
    tag = "access",
    params(DocumentPath, UserPath),
    responses(
        (status = 204, description = "It counts"),
        OwnershipProblem,
        AnyProblem,
        DocumentProblem,
        WriteProblem,
    ),
)]
pub async fn disallow(
    State(app): State<Arc<App>>,
    ApiCaller(caller): ApiCaller,
    Target(id): Target,
    TargetUser(user): TargetUser,
) -> Result<Response, Problem> {
    app.hub.set_role(&caller, &id, &user, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
