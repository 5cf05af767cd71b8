//! The query of the list of positions: earlier heads, filters and pages.

use std::sync::Arc;

use automerge::ChangeHash;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use plan::fields::{DEPARTMENT, LOCATION, STATUS};
use plan::{ListCursor, Position, RowFilter};
use primitives::DocumentId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::heads_query::parse_hashes;
use super::paging::{PageRequest, next_link};
use crate::server::{App, Problem};

/// Query parameters of the list of positions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PositionsQuery {
    /// Read the positions at these heads of the document: hashes in hexadecimal, separated by commas, as in `heads` and in the
    /// history. Absent: the current heads.
    #[param(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    at: Option<String>,
    /// Only positions of this department. Spellings that differ only in case, width, spacing or invisible characters are equal. An
    /// empty text selects positions without a department.
    #[param(example = "Engineering")]
    department: Option<String>,
    /// Only positions at this location, compared like `department`.
    #[param(example = "Ahmedabad")]
    location: Option<String>,
    /// Only positions with this status, compared like `department`. An empty text selects positions without a status.
    #[param(example = "approved")]
    status: Option<String>,
    /// Return a page with at most this many positions. Absent: all.
    #[param(value_type = usize, required = false, minimum = 1, maximum = 1000, example = 100)]
    limit: Option<String>,
    /// Where the page begins: the `next` of the page before. Positions that are created or deleted meanwhile neither repeat nor skip
    /// others.
    #[param(example = "MTc5NTM1NzI2MDAwMC4wYmUzMGNjMGQzZjEyNg")]
    cursor: Option<String>,
}

/// Extracts the query of the list of positions.
pub struct PositionsRequest {
    /// The heads; `None` for the current ones.
    pub at: Option<Vec<ChangeHash>>,
    filter: RowFilter,
    page: PageRequest<ListCursor>,
    uri: Uri,
}

impl FromRequestParts<Arc<App>> for PositionsRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<PositionsQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(query) = query.map_err(Problem::bad_query)?;
        let at = query.at.as_deref().map(|at| parse_hashes("at", at)).transpose()?;
        let wanted = [(DEPARTMENT, query.department), (LOCATION, query.location), (STATUS, query.status)];
        let filter = wanted.into_iter().fold(RowFilter::default(), |filter, (field, text)| match text {
            Some(text) => filter.with(field, &text),
            None => filter,
        });
        let page = PageRequest::read(query.limit.as_deref(), query.cursor.as_deref())?;
        Ok(Self { at, filter, page, uri: parts.uri.clone() })
    }
}

/// A list of positions, or a page of it.
pub struct PositionsPage {
    /// The body of the response.
    pub json: Vec<u8>,
    /// The `Link` header to the next page.
    pub link: Option<String>,
}

impl PositionsRequest {
    /// The place after which the page begins.
    #[must_use]
    pub fn cursor(&self) -> Option<&ListCursor> {
        self.page.cursor.as_ref()
    }

    /// Whether the response has all positions in one page.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.filter.is_empty() && !self.page.is_partial()
    }

    /// Writes the page. `rows` are the positions after the cursor, in order.
    pub fn write<T>(
        mut self,
        id: &DocumentId,
        heads: &[String],
        rows: impl Iterator<Item = T>,
        position: impl Fn(&T) -> &Position,
        render: impl Fn(&T, &mut Vec<u8>),
    ) -> PositionsPage {
        let mut json = list_start(id, heads);
        let (mut count, mut has_more) = (0_usize, false);
        // The place after a page that is full.
        let mut end = None;
        for row in rows.filter(|row| self.filter.selects(position(row))) {
            if end.is_some() {
                has_more = true;
                break;
            }
            if count > 0 {
                json.push(b',');
            }
            render(&row, &mut json);
            count += 1;
            if self.page.limit.is_some_and(|limit| count >= limit) {
                // `None` if the id is too long for a cursor: the page goes on to another position.
                end = ListCursor::after(position(&row));
            }
        }
        let next = end.filter(|_| has_more).map(|cursor| cursor.to_string());
        json.push(b']');
        if self.page.is_partial() {
            // A cursor is letters, digits, `-` and `_`.
            let next = next.as_ref().map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
            json.extend_from_slice(format!(",\"next\":{next}").as_bytes());
        }
        json.push(b'}');
        PositionsPage { json, link: next.map(|next| next_link(&self.uri, &next)) }
    }
}

/// The start of a list, up to its first position.
pub fn list_start(id: &DocumentId, heads: &[String]) -> Vec<u8> {
    // Ids and hashes are letters and digits.
    let heads = heads.join("\",\"");
    format!("{{\"documentId\":\"{id}\",\"heads\":[\"{heads}\"],\"positions\":[").into_bytes()
}
