//! `/api/session`: the authenticated user, and whether the server requires authentication.

use std::sync::Arc;

use auth::{Documents, Principal};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::enum_schemas::{DocumentNames, RoleName};
use crate::server::App;
use crate::server::security::authentication::Authentication;

/// The session of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// Whether this server requires authentication. If not, every client can do everything.
    required: bool,
    /// Whether the server has accounts for login with a password.
    accounts: bool,
    /// The identity provider by which users can log in at `/api/login`; null without one.
    #[schema(required = true)]
    provider: Option<Provider>,
    /// The user of the request's token; null without a valid token.
    #[schema(required = true)]
    user: Option<User>,
}

/// An identity provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionProvider)]
struct Provider {
    /// Its name for people.
    #[schema(example = "login.example.com")]
    name: String,
}

/// An authenticated user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionUser)]
struct User {
    /// Name of the user, as recorded in changes.
    #[schema(example = "cfo")]
    name: String,
    /// Role of the user in the documents that the token names.
    #[schema(value_type = RoleName, example = "editor")]
    role: String,
    /// The documents that the token names: `*`, or a list of ids and `default`.
    #[schema(value_type = DocumentNames, example = "*")]
    documents: Documents,
    /// When the token expires, in seconds since 1970.
    #[schema(example = 1_800_000_000)]
    expires: i64,
}

/// Read the session.
///
/// Needs no token.
#[utoipa::path(
    get,
    path = "/api/session",
    operation_id = "readSession",
    tag = "session",
    security(()),
    responses((status = 200, description = "The session", body = Session)),
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
    let provider = app.identity_provider.as_ref().and_then(|provider| provider.login_name());
    let provider = provider.map(|name| Provider { name: name.to_owned() });
    let session = Session { provider, required: app.authority.is_some(), accounts, user };
    ([(header::CACHE_CONTROL, "no-store")], Json(session)).into_response()
}
