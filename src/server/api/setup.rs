//! `/api/setup`: creates the first account of a server.

use std::sync::Arc;

use auth::{AuthError, SetupRefused};
use axum::extract::State;
use axum::http::StatusCode;
use utoipa::ToSchema;

use super::body_fields::{BodyFields, required};
use super::schemas::BodyProblem;
use crate::server::{App, Problem};

const CODE: &str = "code";
const NAME: &str = "name";
const PASSWORD: &str = "password";

/// The first account.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// From the link in the server's startup message.
    #[schema(min_length = 1, pattern = "\\S", example = "mJ9l0fY2bqkq0m6xk2J4fQ")]
    code: String,
    /// Name of the account, such as an e-mail address.
    #[schema(min_length = 1, max_length = 200, example = "ceo@example.com")]
    name: String,
    /// Its password; at most 1,024 bytes.
    #[schema(min_length = 8, format = Password)]
    password: String,
}

impl Setup {
    fn read(fields: BodyFields) -> Result<Self, Problem> {
        let mut fields = fields.only(&[CODE, NAME, PASSWORD])?;
        Ok(Self {
            code: required(fields.text(CODE)?, CODE)?,
            name: required(fields.text(NAME)?, NAME)?,
            password: required(fields.text(PASSWORD)?, PASSWORD)?,
        })
    }
}

/// Create the first account.
///
/// Needs no token, but the code of the link that a server without accounts prints when it starts. The account is an owner of all
/// documents. Afterwards, log in with it.
#[utoipa::path(
    post,
    path = "/api/setup",
    operation_id = "setUp",
    tag = "session",
    security(()),
    request_body = Setup,
    responses(
        (status = 204, description = "The account exists"),
        (
            status = 403, body = Problem, content_type = "application/problem+json",
            description = "The code is not valid, the server has accounts, or keeps them in a database",
        ),
        (
            status = 422, body = Problem, content_type = "application/problem+json",
            description = "The name or the password is invalid, or a field is missing, unknown or of another type",
        ),
        (
            status = 503, body = Problem, content_type = "application/problem+json",
            description = "The account could not be stored",
        ),
        BodyProblem,
    ),
)]
pub async fn create(State(app): State<Arc<App>>, fields: BodyFields) -> Result<StatusCode, Problem> {
    let Setup { code, name, password } = Setup::read(fields)?;
    let Some(authority) = &app.authority else { return Err(invalid_code(&SetupRefused::Code)) };
    match authority.set_up(&code, &name, &password).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(refused @ SetupRefused::Code) => Err(invalid_code(&refused)),
        Err(SetupRefused::Account(AuthError::Name(error))) => Err(Problem::invalid(NAME, format!("{NAME}: {error}"))),
        Err(SetupRefused::Account(AuthError::Password(error))) => {
            Err(Problem::invalid(PASSWORD, format!("{PASSWORD}: {error}")))
        }
        Err(SetupRefused::Account(error)) => {
            tracing::error!(%error, "the first account could not be stored");
            let detail = "the account could not be stored; see the log of the server";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable", detail))
        }
    }
}

fn invalid_code(refused: &SetupRefused) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "denied", "Permission denied", refused.to_string())
}
