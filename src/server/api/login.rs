//! The API description of login and logout, which the legacy REST paths handle.
//!
//! They are described here so that generated clients can log in. Their errors have the form of the legacy protocol,
//! `{"error": …}`, and they ignore unknown members of the body.

use utoipa::ToSchema;

use super::enum_schemas::RoleName;

/// Credentials.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what legacy_rest/login.rs reads")]
pub struct Login {
    /// Name of the account, such as an e-mail address.
    #[schema(min_length = 1, example = "cfo@example.com")]
    email: String,
    /// Password of the account. Ignored by a server without authentication.
    #[schema(min_length = 1, format = Password)]
    password: String,
}

/// A successful login. A server without authentication returns only `message`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what legacy_rest/login.rs answers")]
pub struct LoggedIn {
    /// `Login successful`.
    #[schema(example = "Login successful")]
    message: String,
    /// Token for further requests (`Authorization: Bearer`). Web pages also get it as a cookie.
    #[schema(value_type = String, required = false)]
    token: Option<String>,
    /// Name of the user, as recorded in changes.
    #[schema(value_type = String, required = false, example = "cfo@example.com")]
    user: Option<String>,
    /// Role of the user in the documents of the account.
    #[schema(value_type = RoleName, required = false)]
    role: Option<String>,
    /// When the token expires; seconds since 1970.
    #[schema(value_type = i64, required = false, example = 1_800_000_000)]
    expires: Option<i64>,
}

/// A success message of the legacy paths.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what legacy_rest/answer.rs answers")]
pub struct Message {
    /// The result.
    #[schema(example = "Logged out")]
    message: String,
}

/// An error of the legacy paths.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what legacy_rest/answer.rs answers")]
pub struct LegacyError {
    /// The cause, and what to do.
    #[schema(example = "Invalid credentials")]
    error: String,
}

/// Log in.
///
/// Requires an account of this server. Programs can instead use a token that the operator of the server has issued.
#[utoipa::path(
    post,
    path = "/accounts/api/login/",
    operation_id = "logIn",
    tag = "session",
    security(()),
    request_body = Login,
    responses(
        (status = 200, description = "The token", body = LoggedIn),
        (status = 400, description = "The body is not JSON, or has no e-mail address or password", body = LegacyError),
        (status = 401, description = "Unknown account, wrong password, or a server without accounts", body = LegacyError),
        (status = 403, description = "The origin of the web page is not allowed", body = crate::server::Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time", body = LegacyError),
        (status = 413, description = "The body exceeds 64 KiB", body = LegacyError),
        (status = 415, description = "The body is compressed, and not with gzip", body = LegacyError),
        (status = 429, description = "Too many attempts", body = LegacyError),
        (status = 503, description = "Login is temporarily unavailable", body = LegacyError),
    ),
)]
#[expect(dead_code, reason = "only describes the operation")]
pub fn log_in() {}

/// Log out.
///
/// Revokes the token of the request. The response is the same without a token.
#[utoipa::path(
    post,
    path = "/accounts/api/logout/",
    operation_id = "logOut",
    tag = "session",
    responses(
        (status = 200, description = "Logged out", body = Message),
        (status = 403, description = "The origin of the web page is not allowed, or is another one and the request has no bearer token", body = crate::server::Problem, content_type = "application/problem+json"),
        (status = 503, description = "The server could not store the revocation; retry", body = LegacyError),
    ),
)]
#[expect(dead_code, reason = "only describes the operation")]
pub fn log_out() {}
