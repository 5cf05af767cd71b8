//! Strict queries: a parameter that an operation does not take is an error, like an unknown field of a body.
//!
//! `?departement=HR` that is ignored lists everybody, and nobody notices. The description of the API says which parameters
//! an operation takes; this layer enforces the same list, so that the two cannot differ, and no handler can forget it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, PathItem, RefOr};

use crate::server::Problem;
use crate::server::security::authentication::PARAMETER as TOKEN;

/// The query parameters that the operations of one path take.
#[derive(Debug, Clone)]
pub struct Parameters(Arc<Vec<(Method, Vec<String>)>>);

impl Parameters {
    /// What the description says of a path.
    #[must_use]
    pub fn of(description: &OpenApi, path: &str) -> Self {
        let operations = description.paths.paths.get(path).map(operations).unwrap_or_default();
        let named = operations.into_iter().map(|(method, operation)| (method, query_parameters(operation)));
        Self(Arc::new(named.collect()))
    }

    fn check(&self, method: &Method, query: &str) -> Result<(), Problem> {
        // Answers to HEAD are those to GET, without a body.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let known = self.0.iter().find(|(known, _)| known == method).map_or(&[][..], |(_, names)| names);
        let mut seen = Vec::new();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            if name != TOKEN && !known.iter().any(|known| *known == name) {
                let detail = match known {
                    [] => "there is no such parameter; this request takes none".to_owned(),
                    known => format!("there is no such parameter; those that there are: {}", known.join(", ")),
                };
                return Err(Problem::bad_parameter(&name, detail));
            }
            if seen.contains(&name) {
                return Err(Problem::bad_parameter(&name, "was sent twice"));
            }
            seen.push(name);
        }
        Ok(())
    }
}

/// Refuses a request whose query holds a parameter that is unknown, or sent twice.
pub async fn refuse_unknown(State(parameters): State<Parameters>, request: Request, next: Next) -> Response {
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
    fn unknown_and_repeated_parameters_are_named() {
        let known = vec![(Method::GET, vec!["limit".to_owned(), "field".to_owned()]), (Method::DELETE, Vec::new())];
        let parameters = Parameters(Arc::new(known));
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
            (Method::GET, "limit=5&Field=budget", "Field", "those that there are: limit, field"),
            (Method::GET, "limit=5&limit=5", "limit", "was sent twice"),
            (Method::GET, "l%69mits", "limits", "no such parameter"),
            (Method::HEAD, "_=1", "_", "no such parameter"),
            (Method::DELETE, "limit=5", "limit", "this request takes none"),
        ] {
            let problem = parameters.check(&method, query).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (400, Some(name)), "{method} {query}");
            assert!(problem.detail.contains(reason), "{}", problem.detail);
        }
    }
}
