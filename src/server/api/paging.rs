//! Pages of lists: the parameters `limit` and `cursor`, and the link to the next page.
//!
//! A cursor holds the sort key of the last item of its page, so pages neither repeat nor skip items that others create or delete
//! meanwhile.

use std::fmt::Display;
use std::str::FromStr;

use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use form_urlencoded::Serializer;

use crate::server::Problem;
use crate::server::security::authentication::PARAMETER as TOKEN;

/// Most items of a page.
pub const MAX_LIMIT: usize = 1_000;

const CURSOR: &str = "cursor";

/// The page that a request asks for.
#[derive(Debug)]
pub struct PageRequest<C> {
    /// Most items; `None` for all.
    pub limit: Option<usize>,
    /// The place where the page begins; `None` for the first page.
    pub cursor: Option<C>,
}

impl<C: FromStr<Err: Display>> PageRequest<C> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When a parameter is invalid. The problem names it.
    pub fn read(limit: Option<&str>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.map(|limit| {
            let number = limit.parse::<usize>().ok().filter(|number| (1..=MAX_LIMIT).contains(number));
            number.ok_or_else(|| Problem::bad_parameter("limit", format!("must be a number from 1 to {MAX_LIMIT}")))
        });
        let cursor = cursor.map(|cursor| cursor.parse::<C>().map_err(|error| Problem::bad_parameter(CURSOR, error)));
        Ok(Self { limit: limit.transpose()?, cursor: cursor.transpose()? })
    }
}

impl<C> PageRequest<C> {
    /// Whether the request asks for a part of the list.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.limit.is_some() || self.cursor.is_some()
    }
}

/// The value of a `Link` header (RFC 8288) to the next page. The reference has only a query, which is relative to the URL of the
/// request and so also right below a path prefix. It has the parameters of the request, without a token.
#[must_use]
pub fn next_link(request: &Uri, cursor: &str) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(request.query().unwrap_or_default().as_bytes()) {
        if name != CURSOR && name != TOKEN {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair(CURSOR, cursor);
    format!("<?{}>; rel=\"next\"", query.finish())
}

/// Adds a `Link` header.
#[must_use]
pub fn with_link(link: Option<&str>, mut response: Response) -> Response {
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(limit: &str, cursor: &str) -> Result<PageRequest<u64>, Problem> {
        PageRequest::read(Some(limit), Some(cursor))
    }

    #[test]
    fn invalid_parameters_are_named() {
        let page = read("1000", "7").unwrap();
        assert_eq!((page.limit, page.cursor), (Some(MAX_LIMIT), Some(7)));
        assert!(!PageRequest::<u64>::read(None, None).unwrap().is_partial());
        for (limit, cursor, name) in [
            ("0", "7", "limit"),
            ("1001", "7", "limit"),
            ("-1", "7", "limit"),
            ("", "7", "limit"),
            ("ten", "7", "limit"),
            ("1", "x", "cursor"),
        ] {
            let problem = read(limit, cursor).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some(name)), "{limit} {cursor}");
        }
    }

    #[test]
    fn link_keeps_parameters_without_the_token() {
        let uri: Uri = "/api/x?department=R%26D+lab&cursor=old&token=secret&limit=2".parse().unwrap();
        assert_eq!(next_link(&uri, "new"), "<?department=R%26D+lab&limit=2&cursor=new>; rel=\"next\"");
    }
}
