//! The parameter `at`: heads of a document.

use std::sync::Arc;

use automerge::ChangeHash;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::server::{App, Problem};

/// Query parameter: heads of the document.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AtQuery {
    /// Read the document at these heads of the document: hashes in hexadecimal, separated by commas, as in `heads` and in the
    /// history. Absent: the current heads.
    #[param(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    at: Option<String>,
}

/// Extracts the heads of the query; `None` stands for the current heads.
pub struct AtHeads(pub Option<Vec<ChangeHash>>);

impl FromRequestParts<Arc<App>> for AtHeads {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<AtQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(AtQuery { at }) = query.map_err(Problem::bad_query)?;
        at.as_deref().map(|at| parse_hashes("at", at)).transpose().map(Self)
    }
}

/// Parses the change hashes of a parameter, separated by commas or dots.
pub fn parse_hashes(parameter: &'static str, text: &str) -> Result<Vec<ChangeHash>, Problem> {
    let hashes: Result<Vec<ChangeHash>, _> = text.split([',', '.']).map(|hash| hash.trim().parse()).collect();
    hashes.map_err(|_| {
        let detail = "must be hashes of 64 hexadecimal digits, separated by commas, as in the history";
        Problem::bad_parameter(parameter, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_separated_by_commas_or_dots() {
        let (one, two) = ("a3".repeat(32), "0b".repeat(32));
        for text in [format!("{one},{two}"), format!("{one}.{two}"), format!("{one}, {two}")] {
            let heads: Vec<String> = parse_hashes("at", &text).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(heads, [one.as_str(), &two], "{text}");
        }
        for text in ["", ",", "now", &one[1..], &format!("{one},"), &format!("\"{one}\""), &format!("{one}{two}")] {
            let problem = parse_hashes("at", text).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some("at")), "{text}");
        }
    }
}
