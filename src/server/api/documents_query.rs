//! The query of the list of documents: filters and pages.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use primitives::{DocumentId, fold_text};
use serde::Deserialize;
use utoipa::IntoParams;

use super::paging::PageRequest;
use super::schemas::Document;
use crate::server::{App, Problem};

/// Query parameters of the list of documents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DocumentsQuery {
    /// Only documents whose name contains this text. Case, width, spacing and invisible characters do not matter.
    #[param(example = "growth")]
    name: Option<String>,
    /// Only archived documents, or only others.
    #[param(value_type = bool, required = false, example = false)]
    archived: Option<String>,
    /// Return a page with at most this many documents. Absent: all.
    #[param(value_type = usize, required = false, minimum = 1, maximum = 1000, example = 100)]
    limit: Option<String>,
    /// Where the page begins: from the link to the next page.
    #[param(example = "NE5NTm5rTWhMOGpYcmRKOWphbVM1OFBBVmRYdQ")]
    cursor: Option<String>,
}

/// The place after a document in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentCursor(pub DocumentId);

impl fmt::Display for DocumentCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0.as_str()))
    }
}

impl FromStr for DocumentCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|id| id.parse().ok());
        id.map(Self).ok_or("must be from the link to the next page of this list")
    }
}

/// Extracts the query of the list of documents.
pub struct DocumentsRequest {
    name: Option<String>,
    archived: Option<bool>,
    /// The page.
    pub page: PageRequest<DocumentCursor>,
    /// The URL of the request.
    pub uri: Uri,
}

impl FromRequestParts<Arc<App>> for DocumentsRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<DocumentsQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(DocumentsQuery { name, archived, limit, cursor }) = query.map_err(Problem::bad_query)?;
        let archived = archived
            .map(|flag| flag.parse::<bool>().map_err(|_| Problem::bad_parameter("archived", "must be true or false")));
        Ok(Self {
            name: name.map(|name| fold_text(&name)),
            archived: archived.transpose()?,
            page: PageRequest::read(limit.as_deref(), cursor.as_deref())?,
            uri: parts.uri.clone(),
        })
    }
}

impl DocumentsRequest {
    /// Whether a document is listed. `None` stands for one that cannot be opened: nothing is known of it.
    #[must_use]
    pub fn selects(&self, document: Option<&Document>) -> bool {
        let Some(document) = document else { return self.name.is_none() && self.archived.is_none() };
        let name = document.name.as_deref().unwrap_or_default();
        self.name.as_ref().is_none_or(|wanted| fold_text(name).contains(wanted.as_str()))
            && self.archived.is_none_or(|archived| document.archived == archived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_parses_from_its_text() {
        let cursor = DocumentCursor(DocumentId::from_random([7; 16]));
        assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
        for text in ["", "!", cursor.0.as_str(), &BASE64_URL_SAFE_NO_PAD.encode("default")] {
            assert!(text.parse::<DocumentCursor>().is_err(), "{text}");
        }
    }
}
