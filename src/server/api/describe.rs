//! `/api/openapi.json` and `/api/`: the description of the API, for programs and for people.
//!
//! The page is served from this program: it asks nothing of any other server.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_swagger_ui::Config;

use super::common::{CommonAnswers, secured};
use super::field_schemas::FieldSchemas;
use super::patterns::Patterns;
use super::{access, attribution, document, documents, export, history, login, position, positions, session};
use crate::server::static_files::StaticFile;
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
    ),
    // Relative to the description's own URL, so that it holds below a path prefix, too.
    servers((url = "..")),
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
        login::log_in,
        login::log_out,
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
    modifiers(&CommonAnswers, &FieldSchemas, &Patterns, &NoLicence),
)]
pub struct Description;

/// Leaves out the licence: utoipa takes the one of Cargo.toml, and there is none.
struct NoLicence;

impl utoipa::Modify for NoLicence {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        description.info.license = None;
    }
}

/// The description, made once.
pub static DESCRIPTION: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Description::openapi);

/// The description's paths, and the page's.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/api/openapi.json", get(description))
        .route("/api", get(async || Redirect::permanent("api/")))
        .route("/api/", get(async |headers: HeaderMap| page("index.html", &headers).await))
        .route("/api/{file}", get(async |Path(file): Path<String>, headers: HeaderMap| page(&file, &headers).await))
}

/// What is said of authentication depends on whether this server asks who its users are.
async fn description(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    fn file(text: String) -> StaticFile {
        StaticFile::new(HeaderValue::from_static("application/json"), text)
    }
    static OPEN: LazyLock<StaticFile> = LazyLock::new(|| file(DESCRIPTION.to_json().unwrap_or_default()));
    static SECURED: LazyLock<StaticFile> =
        LazyLock::new(|| file(secured(DESCRIPTION.clone()).to_json().unwrap_or_default()));
    let file = if app.authority.is_some() { &SECURED } else { &OPEN };
    file.response(&headers).await
}

/// A file of the page.
async fn page(name: &str, headers: &HeaderMap) -> Response {
    match find(name) {
        Some(file) => {
            let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
            (policy, file.response(headers).await).into_response()
        }
        None => {
            Problem::not_found(format!("there is nothing at /api/{name}; see /api/ for what there is")).into_response()
        }
    }
}

/// The same file each time: there are a dozen.
fn find(name: &str) -> Option<Arc<StaticFile>> {
    static FILES: LazyLock<Mutex<HashMap<String, Arc<StaticFile>>>> = LazyLock::new(Mutex::default);
    // Without a validator, which would be another server.
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from("openapi.json").validator_url("none").display_request_duration(true)));
    let known = || FILES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = known().get(name) {
        return Some(Arc::clone(file));
    }
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).ok().flatten()?;
    let kind = HeaderValue::try_from(file.content_type).ok()?;
    let file = Arc::new(StaticFile::new(kind, file.bytes.into_owned()));
    Some(Arc::clone(known().entry(name.to_owned()).or_insert(file)))
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
        let legacy = ["/accounts/api/login/", "/accounts/api/logout/"];
        let routed: BTreeSet<&str> = super::super::routes().iter().map(|(path, _)| *path).chain(legacy).collect();
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
    fn answers_of_every_layer_are_described() {
        let description = serde_json::to_value(secured(Description::openapi())).unwrap();
        let schemes = description["components"]["securitySchemes"].as_object().unwrap();
        let named: Vec<&String> = description["security"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|one| one.as_object().unwrap().keys())
            .collect();
        assert_eq!(named, schemes.keys().collect::<Vec<_>>());
        for (path, operations) in description["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let responses = &operation["responses"];
                for status in ["400", "401", "403", "421", "429", "503"] {
                    let is_there = responses[status].is_object();
                    assert!(is_there || !path.starts_with("/api/"), "{method} {path}: {status}");
                }
                for (status, header) in [("401", "WWW-Authenticate"), ("429", "Retry-After"), ("304", "ETag")] {
                    let response = &responses[status];
                    assert!(response.is_null() || response["headers"][header].is_object(), "{method} {path}: {header}");
                }
            }
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
                let without_body = matches!(&**method, "get" | "delete") || path.ends_with("/logout/");
                assert_eq!(operation["requestBody"].is_null(), without_body, "{at}");
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let content = response["content"].as_object();
                    assert_eq!(content.is_none(), matches!(&**status, "204" | "304"), "{at} {status}");
                    let problem = content.is_some_and(|content| content.contains_key("application/problem+json"));
                    // Logging in and out is the legacy protocol's, with errors of its own.
                    if path.starts_with("/api/") {
                        assert_eq!(problem, status.as_str() >= "400", "{at} {status}");
                    }
                }
            }
        }
    }
}
