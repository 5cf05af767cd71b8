//! `/api/session`: who somebody is here, and whether one has to be somebody.

use std::sync::Arc;

use auth::{Documents, Principal};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::names::{DocumentNames, RoleName};
use crate::server::App;
use crate::server::security::authentication::Authentication;

/// Who somebody is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// Whether this server asks who somebody is. If not, everybody may do everything.
    required: bool,
    /// Whether one can log in with a password.
    accounts: bool,
    /// Who the token of this request says that you are; null: nobody.
    #[schema(required = true)]
    user: Option<User>,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionUser)]
struct User {
    /// The name that changes carry.
    #[schema(example = "cfo")]
    name: String,
    /// `viewer`, `editor` or `owner`, of the documents that the token names.
    #[schema(value_type = RoleName, example = "editor")]
    role: String,
    /// These documents: `*`, or a list of ids and `default`.
    #[schema(value_type = DocumentNames, example = "*")]
    documents: Documents,
    /// Until when the token counts; seconds since 1970.
    #[schema(example = 1_800_000_000)]
    expires: i64,
}

/// Read who you are.
///
/// Answered also without a token.
#[utoipa::path(
    get,
    path = "/api/session",
    operation_id = "readSession",
    tag = "session",
    security(()),
    responses((status = 200, description = "Who you are here", body = Session)),
)]
pub async fn read(State(app): State<Arc<App>>, authentication: Option<Extension<Authentication>>) -> Response {
    let user = match authentication {
        Some(Extension(Ok(Principal::User(grant)))) => Some(User {
            name: grant.user.to_string(),
            role: grant.role.to_string(),
            documents: grant.documents.clone(),
            expires: grant.expires,
        }),
        _ => None,
    };
    let accounts = app.authority.as_ref().is_some_and(|authority| authority.has_accounts());
    let session = Session { required: app.authority.is_some(), accounts, user };
    ([(header::CACHE_CONTROL, "no-store")], Json(session)).into_response()
}
