//! Strict queries: an unknown query parameter is an error, like an unknown field of a body.
//!
//! If a misspelled parameter such as `?departement=HR` were ignored, the client would silently get a list without the filter. A
//! layer on each route accepts exactly the parameters in the API description, so handlers and description cannot diverge.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, ParameterIn, Paths};
use utoipa::openapi::{PathItem, RefOr};

use crate::server::Problem;
use crate::server::security::authentication::PARAMETER as TOKEN;

/// The query parameters of the operations of a route, by method.
#[derive(Debug, Clone)]
pub struct QueryParameters(Arc<Vec<(Method, Vec<String>)>>);

impl QueryParameters {
    /// The parameters in the description of a route.
    #[must_use]
    pub fn of(route: &Paths) -> Self {
        let operations = route.paths.values().flat_map(operations);
        let named = operations.map(|(method, operation)| (method, query_parameters(operation)));
        Self(Arc::new(named.collect()))
    }

    fn check(&self, method: &Method, query: &str) -> Result<(), Problem> {
        // HEAD requests are handled as GET.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let known = self.0.iter().find(|(known, _)| known == method).map_or(&[][..], |(_, names)| names);
        let mut seen = Vec::new();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            if name != TOKEN && !known.iter().any(|known| *known == name) {
                let detail = match known {
                    [] => "unknown parameter; this request has no parameters".to_owned(),
                    known => format!("unknown parameter; the parameters are: {}", known.join(", ")),
                };
                return Err(Problem::bad_parameter(&name, detail));
            }
            if seen.contains(&name) {
                return Err(Problem::bad_parameter(&name, "duplicate parameter"));
            }
            seen.push(name);
        }
        Ok(())
    }
}

/// Rejects requests with an unknown or duplicate query parameter.
pub async fn reject_unknown(State(parameters): State<QueryParameters>, request: Request, next: Next) -> Response {
    match parameters.check(request.method(), request.uri().query().unwrap_or_default()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The operations of a path by method.
fn operations(item: &PathItem) -> Vec<(Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?))).collect()
}

fn query_parameters(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let query = parameters.filter(|parameter| parameter.parameter_in == ParameterIn::Query);
    query.map(|parameter| parameter.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_duplicate_parameters_are_named() {
        let known = vec![(Method::GET, vec!["limit".to_owned(), "field".to_owned()]), (Method::DELETE, Vec::new())];
        let parameters = QueryParameters(Arc::new(known));
        for (method, query) in [
            (Method::GET, ""),
            (Method::GET, "&"),
            (Method::GET, "limit=5&field=budget"),
            (Method::HEAD, "limit=5&token=x"),
            (Method::DELETE, "token=x"),
        ] {
            assert!(parameters.check(&method, query).is_ok(), "{method} {query}");
        }
        for (method, query, name, reason) in [
            (Method::GET, "limit=5&Field=budget", "Field", "the parameters are: limit, field"),
            (Method::GET, "limit=5&limit=5", "limit", "duplicate parameter"),
            (Method::GET, "l%69mits", "limits", "unknown parameter"),
            (Method::HEAD, "_=1", "_", "unknown parameter"),
            (Method::DELETE, "limit=5", "limit", "this request has no parameters"),
        ] {
            let problem = parameters.check(&method, query).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some(name)), "{method} {query}");
            assert!(problem.detail.contains(reason), "{}", problem.detail);
        }
    }
}
