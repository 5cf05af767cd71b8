//! What a request is about, and who makes it: read from the path and the query.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use plan::Author;
use primitives::{DocumentId, check_author_name};
use runtime::clock::now_ms;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::server::security::authentication::ApiCaller;
use crate::server::{App, Problem};

/// Who writes when nobody says so.
const ANYBODY: &str = "api";

/// The document of a path.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub struct DocumentPath {
    /// The document's id (base58check, as in its `automerge:` URL), or `default`.
    #[param(example = "default")]
    document_id: String,
}

/// The position of a path.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub struct PositionPath {
    /// The position's id, percent-encoded where needed.
    #[param(example = "0be30cc0d3f126")]
    position_id: String,
}

/// Who writes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuthorQuery {
    /// The name that the change carries, and that is shown as `updatedBy`. `api` when absent. Where users log in it is
    /// theirs, whatever is given here.
    #[param(max_length = 200, min_length = 1, example = "Anita Rao")]
    author: Option<String>,
}

/// The document that a request is about.
pub struct Target(pub DocumentId);

impl FromRequestParts<Arc<App>> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<DocumentPath>::from_request_parts(parts, app).await;
        let Path(DocumentPath { document_id }) = path.map_err(bad_path)?;
        Ok(Self(if document_id == "default" { app.default_id.clone() } else { document_id.parse()? }))
    }
}

/// The position that a request is about.
pub struct TargetPosition(pub String);

impl FromRequestParts<Arc<App>> for TargetPosition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<PositionPath>::from_request_parts(parts, app).await;
        Ok(Self(path.map_err(bad_path)?.0.position_id))
    }
}

fn bad_path(rejection: PathRejection) -> Problem {
    Problem::bad_request(format!("the path cannot be read: {}", rejection.body_text()))
}

/// Who makes a change, and when.
pub struct Writer(pub Author);

impl FromRequestParts<Arc<App>> for Writer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let ApiCaller(caller) = ApiCaller::from_request_parts(parts, app).await?;
        let query: Result<Query<AuthorQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(AuthorQuery { author }) = query.map_err(|rejection| {
            Problem::bad_request(format!("the query cannot be read: {}", rejection.body_text()))
        })?;
        let author = author.map(|name| checked("author", &name)).transpose()?;
        // Nobody writes in the name of somebody else.
        let user = caller.user().map(|user| user.to_string());
        let name = user.or(author).unwrap_or_else(|| ANYBODY.to_owned());
        Ok(Self(Author { name, now: now_ms() }))
    }
}

/// A name that can be shown.
///
/// # Errors
/// When it cannot; `field` says what it was given as.
pub fn checked(field: &str, name: &str) -> Result<String, Problem> {
    match check_author_name(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(reason) => Err(Problem::invalid(field, format!("{field}: {reason}"))),
    }
}

/// A text as a segment of a path, or as the value of a header's extended parameter (RFC 8187).
pub fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_shown_are_taken() {
        assert_eq!(checked("author", "Anita Rao").unwrap(), "Anita Rao");
        assert_eq!(checked("author", &"é".repeat(200)).unwrap().chars().count(), 200);
        for name in ["", "\u{200b}", "a\nb", &"x".repeat(201)] {
            assert_eq!(checked("author", name).unwrap_err().field.as_deref(), Some("author"), "{name:?}");
        }
    }

    #[test]
    fn whatever_is_not_plain_is_encoded() {
        assert_eq!(percent_encoded("a/b c%é?"), "a%2Fb%20c%25%C3%A9%3F");
        assert_eq!(percent_encoded("0be30cc0-d3f1_26.~"), "0be30cc0-d3f1_26.~");
    }
}
