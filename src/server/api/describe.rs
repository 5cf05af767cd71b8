//! `/api/openapi.json` and `/api/`: the description of the API, for programs and for people.
//!
//! The page is served from this program: it asks nothing of any other server.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_swagger_ui::Config;

use super::{access, attribution, document, documents, export, history, position, positions, session};
use crate::server::{App, Problem};

/// The page's own scripts and style sheets, the pictures inside of these, and requests to this server to try things
/// out. (The page's scripts set styles, which is what needs `unsafe-inline`.)
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Happierwork API",
        description = "Positions and their budgets, in documents that many people edit at once.\n\n\
            What is written here is on disk before it is answered, and seen at once by everybody else, whichever \
            protocol they speak. A plan is an Automerge document: `default` names the one that legacy clients see.\n\n\
            Answers carry an `ETag`. Send it back as `If-None-Match` to get 304 while nothing has changed, or as \
            `If-Match` to write only what you have read (weak and strong tags are the same here). Errors are problem \
            details (RFC 9457). Where the server asks who you are, send a token \
            (`Authorization: Bearer`); what it does not let you see is answered as if it did not exist.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "documents", description = "Plans."),
        (name = "positions", description = "Who is planned, and at what cost."),
        (name = "history", description = "What has changed, when, by whom."),
        (name = "exports", description = "To take away: `.automerge` holds everything, with its history; `.json` and `.csv` hold the document as it is, and count what they do not hold."),
        (name = "access", description = "Who may do what with a document."),
        (name = "session", description = "Who you are."),
    ),
    paths(
        documents::list,
        documents::create,
        document::read,
        document::change,
        document::delete,
        access::read,
        access::allow,
        access::disallow,
        session::read,
        positions::list,
        positions::create,
        position::read,
        position::change,
        position::delete,
        history::read,
        attribution::read,
        export::json,
        export::csv,
        export::automerge,
    ),
    components(schemas(Problem)),
)]
struct Description;

/// The description's paths, and the page's.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/api/openapi.json", get(description))
        .route("/api", get(async || Redirect::permanent("/api/")))
        .route("/api/", get(async || page("index.html")))
        .route("/api/{file}", get(async |Path(file): Path<String>| page(&file)))
}

async fn description() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| Description::openapi().to_json().unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// A file of the page.
fn page(file: &str) -> Response {
    // Without a validator, which would be another server.
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        Arc::new(Config::from("/api/openapi.json").validator_url("none").display_request_duration(true))
    });
    match utoipa_swagger_ui::serve(file, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => {
            let headers =
                [(header::CONTENT_TYPE, file.content_type.as_str()), (header::CONTENT_SECURITY_POLICY, POLICY)];
            (headers, file.bytes.into_owned()).into_response()
        }
        _ => {
            Problem::not_found(format!("there is nothing at /api/{file}; see /api/ for what there is")).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn described() -> Value {
        serde_json::to_value(Description::openapi()).unwrap()
    }

    #[test]
    fn what_is_routed_is_described_and_nothing_else() {
        let description = described();
        let described: BTreeSet<&str> = description["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let routed: BTreeSet<&str> = super::super::routes().iter().map(|(path, _)| *path).collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn everything_that_is_referred_to_is_there() {
        let description = described();
        let mut references = Vec::new();
        collect(&description, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                references.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| collect(value, references));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }

    #[test]
    fn operations_are_complete() {
        let description = described();
        for (path, operations) in description["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let at = format!("{method} {path}");
                for key in ["operationId", "summary", "tags", "responses"] {
                    assert!(!operation[key].is_null(), "{at}: {key}");
                }
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                for name in path.split(['{', '}']).skip(1).step_by(2) {
                    assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{at}: {name}");
                }
                assert_eq!(operation["requestBody"].is_null(), matches!(&**method, "get" | "delete"), "{at}");
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let content = response["content"].as_object();
                    assert_eq!(content.is_none(), matches!(&**status, "204" | "304"), "{at} {status}");
                    let problem = content.is_some_and(|content| content.contains_key("application/problem+json"));
                    assert_eq!(problem, status.as_str() >= "400", "{at} {status}");
                }
            }
        }
    }
}
