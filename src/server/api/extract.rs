//! Extractors: the document, the position and the author of a request.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use plan::Author;
use primitives::{DocumentId, check_author_name};
use runtime::clock::now_ms;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem};

/// Author of a change if the request names none.
const DEFAULT_AUTHOR: &str = "api";

/// Path parameter: a document.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub struct DocumentPath {
    /// The document's id (base58check, as in its `automerge:` URL), or `default`.
    #[param(example = "default")]
    document_id: String,
}

/// Path parameter: a position.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub struct PositionPath {
    /// The position's id, percent-encoded where needed.
    #[param(example = "0be30cc0d3f126")]
    position_id: String,
}

/// Query parameter: the author of a change.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuthorQuery {
    /// The author of the change, shown as `updatedBy`; `api` if absent. Ignored if the request is authenticated: then the
    /// author is the user.
    #[param(max_length = 200, min_length = 1, example = "Anita Rao")]
    author: Option<String>,
}

/// Extracts the document id of the path; `default` stands for the default document.
pub struct TargetDocument(pub DocumentId);

impl FromRequestParts<Arc<App>> for TargetDocument {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<DocumentPath>::from_request_parts(parts, app).await;
        let Path(DocumentPath { document_id }) = path.map_err(Problem::bad_path)?;
        Ok(Self(if document_id == "default" { app.default_id.clone() } else { document_id.parse()? }))
    }
}

/// Extracts the position id of the path.
pub struct TargetPosition(pub String);

impl FromRequestParts<Arc<App>> for TargetPosition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<PositionPath>::from_request_parts(parts, app).await;
        Ok(Self(path.map_err(Problem::bad_path)?.0.position_id))
    }
}

/// Extracts the author of an edit. Authenticated users cannot choose another name.
pub struct EditAuthor(pub Author);

impl FromRequestParts<Arc<App>> for EditAuthor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let ApiRequester(requester) = ApiRequester::from_request_parts(parts, app).await?;
        let query: Result<Query<AuthorQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(AuthorQuery { author }) = query.map_err(Problem::bad_query)?;
        let author = author.map(|name| check_name("author", &name)).transpose()?;
        let user = requester.user().map(|user| user.to_string());
        let name = user.or(author).unwrap_or_else(|| DEFAULT_AUTHOR.to_owned());
        Ok(Self(Author { name, now: now_ms() }))
    }
}

/// Checks a name that other users will see.
///
/// # Errors
/// When the name is invalid. The problem names `field`.
pub fn check_name(field: &str, name: &str) -> Result<String, Problem> {
    match check_author_name(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(reason) => Err(Problem::invalid(field, format!("{field}: {reason}"))),
    }
}

/// Encodes a text as a path segment, or as the value of an extended header parameter (RFC 8187).
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
    fn invalid_names_are_rejected() {
        assert_eq!(check_name("author", "Anita Rao").unwrap(), "Anita Rao");
        assert_eq!(check_name("author", &"é".repeat(200)).unwrap().chars().count(), 200);
        for name in ["", "\u{200b}", "a\nb", &"x".repeat(201)] {
            assert_eq!(check_name("author", name).unwrap_err().field.as_deref(), Some("author"), "{name:?}");
        }
    }

    #[test]
    fn reserved_characters_are_percent_encoded() {
        assert_eq!(percent_encoded("a/b c%é?"), "a%2Fb%20c%25%C3%A9%3F");
        assert_eq!(percent_encoded("0be30cc0-d3f1_26.~"), "0be30cc0-d3f1_26.~");
    }
}
