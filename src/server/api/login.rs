//! The description of logging in and out, which the legacy REST paths answer.
//!
//! Only described here, so that a generated client can do everything that a program needs. Errors are those of the legacy
//! protocol, `{"error": …}`, and unknown members of the body are ignored there.

use utoipa::ToSchema;

use super::names::RoleName;

/// Who logs in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what legacy_rest/login.rs reads")]
pub struct Login {
    /// The account's name, such as an e-mail address.
    #[schema(min_length = 1, example = "cfo@example.com")]
    email: String,
    /// The account's password. Not looked at where the server does not ask who its users are.
    #[schema(min_length = 1, format = Password)]
    password: String,
}

/// A login that succeeded. Where the server does not ask who its users are, only `message` is there.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what legacy_rest/login.rs answers")]
pub struct LoggedIn {
    /// `Login successful`.
    #[schema(example = "Login successful")]
    message: String,
    /// The token for further requests (`Authorization: Bearer`). A page gets it as a cookie, too.
    #[schema(value_type = String, required = false)]
    token: Option<String>,
    /// The name that changes carry.
    #[schema(value_type = String, required = false, example = "cfo@example.com")]
    user: Option<String>,
    /// What the user may do, with the documents that the account names.
    #[schema(value_type = RoleName, required = false)]
    role: Option<String>,
    /// When the token expires; seconds since 1970.
    #[schema(value_type = i64, required = false, example = 1_800_000_000)]
    expires: Option<i64>,
}

/// What the legacy paths answer when nothing but words is to be said.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what legacy_rest/answer.rs answers")]
pub struct Message {
    /// What was done.
    #[schema(example = "Logged out")]
    message: String,
}

/// Why a legacy path refuses a request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what legacy_rest/answer.rs answers")]
pub struct LegacyError {
    /// What happened, and what to do.
    #[schema(example = "Invalid credentials")]
    error: String,
}

/// Log in.
///
/// With an account of this server. Programs can use a token instead that the server's operator has made.
#[utoipa::path(
    post,
    path = "/accounts/api/login/",
    operation_id = "logIn",
    tag = "session",
    security(()),
    request_body = Login,
    responses(
        (status = 200, description = "The token", body = LoggedIn),
        (status = 400, description = "Not JSON, or no e-mail address or password in it", body = LegacyError),
        (status = 401, description = "No such account, another password, or a server without accounts", body = LegacyError),
        (status = 403, description = "A web page that may not ask", body = crate::server::Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time", body = LegacyError),
        (status = 413, description = "More than 64 KiB", body = LegacyError),
        (status = 415, description = "Compressed in another way than gzip", body = LegacyError),
        (status = 429, description = "Too many attempts", body = LegacyError),
        (status = 503, description = "Not possible at the moment", body = LegacyError),
    ),
)]
#[expect(dead_code, reason = "describes")]
pub fn log_in() {}

/// Log out.
///
/// The token of the request does not count any more. Answered alike without one.
#[utoipa::path(
    post,
    path = "/accounts/api/logout/",
    operation_id = "logOut",
    tag = "session",
    responses(
        (status = 200, description = "Logged out", body = Message),
        (status = 403, description = "A web page that may not ask, or one of another origin without a token of its own", body = crate::server::Problem, content_type = "application/problem+json"),
        (status = 503, description = "The server could not note it; try again", body = LegacyError),
    ),
)]
#[expect(dead_code, reason = "describes")]
pub fn log_out() {}
