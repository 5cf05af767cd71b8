//! `/api/openapi.json`: the OpenAPI description. `/api/`: Swagger UI, which shows it.
//!
//! The files of Swagger UI are embedded. The page makes no requests to other servers.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use parking_lot::Mutex;
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::common_responses::{CommonResponses, secured};
use super::field_schemas::FieldSchemas;
use super::login;
use super::patterns::Patterns;
use crate::server::static_files::StaticFile;
use crate::server::{App, InvalidRow, Problem};

/// Content security policy of Swagger UI: its own files, and requests to this server. Its scripts set styles, which needs
/// `unsafe-inline`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The parts of the description that belong to no route of the API. `super::routes` adds the others.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Happierwork API",
        description = "Positions and their budgets, in documents that many users edit concurrently.\n\n\
            A plan is an Automerge document. `default` names the document that legacy clients use. A write is on disk \
            before the response, and clients of all protocols see it immediately.\n\n\
            Responses have an `ETag`. Send it as `If-None-Match` to get 304 while nothing has changed, or as \
            `If-Match` to write only if nothing has changed (weak and strong tags are equivalent). Errors are problem \
            details (RFC 9457). If the server requires authentication, send a token (`Authorization: Bearer`). A \
            document that the token does not grant appears not to exist.",
    ),
    // Relative to the URL of the description, so that it is right below a path prefix, too.
    servers((url = "..")),
    tags(
        (name = "documents", description = "Plans."),
        (name = "positions", description = "Planned positions and their budgets."),
        (name = "scenarios", description = "Copies of a plan that are edited separately, compared and merged."),
        (name = "history", description = "Changes, their times and their authors."),
        (name = "exports", description = "Files. `.automerge` contains everything, with the history. `.json` and `.csv` contain the current state, and count the values that they omit."),
        (name = "access", description = "Roles of users in a document."),
        (name = "webhooks", description = "Messages to other programs about changes."),
        (name = "session", description = "Authentication."),
    ),
    paths(login::log_in, login::log_out),
    components(schemas(InvalidRow, Problem)),
)]
pub struct ApiDoc;

/// The description without security requirements.
static OPENAPI: LazyLock<OpenApi> = LazyLock::new(describe);

/// Collects the description of all routes, and completes it.
pub(super) fn describe() -> OpenApi {
    let mut description = super::routes().into_openapi();
    // utoipa takes the licence from Cargo.toml, which has none.
    description.info.license = None;
    for modifier in [&CommonResponses as &dyn Modify, &FieldSchemas, &Patterns] {
        modifier.modify(&mut description);
    }
    description
}

/// The routes of the description and of Swagger UI.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/api/openapi.json", get(description))
        .route("/api", get(async || Redirect::permanent("api/")))
        .route("/api/", get(async |headers: HeaderMap| page("index.html", &headers).await))
        .route("/api/{file}", get(async |Path(file): Path<String>, headers: HeaderMap| page(&file, &headers).await))
}

/// The description. It requires authentication if this server does.
async fn description(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    fn file(text: String) -> StaticFile {
        StaticFile::new(HeaderValue::from_static("application/json"), text)
    }
    static OPEN: LazyLock<StaticFile> = LazyLock::new(|| file(OPENAPI.to_json().unwrap_or_default()));
    static SECURED: LazyLock<StaticFile> =
        LazyLock::new(|| file(secured(OPENAPI.clone()).to_json().unwrap_or_default()));
    let file = if app.authority.is_some() { &SECURED } else { &OPEN };
    file.response(&headers).await
}

/// A file of Swagger UI.
async fn page(name: &str, headers: &HeaderMap) -> Response {
    match find(name) {
        Some(file) => {
            let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
            (policy, file.response(headers).await).into_response()
        }
        None => {
            Problem::not_found(format!("there is no resource /api/{name}; /api/ describes the API")).into_response()
        }
    }
}

/// Returns a file of Swagger UI, and keeps it: there are about twelve.
fn find(name: &str) -> Option<Arc<StaticFile>> {
    static FILES: LazyLock<Mutex<HashMap<String, Arc<StaticFile>>>> = LazyLock::new(Mutex::default);
    // The validator would be another server.
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from("openapi.json").validator_url("none").display_request_duration(true)));
    let files = || FILES.lock();
    if let Some(file) = files().get(name) {
        return Some(Arc::clone(file));
    }
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).ok().flatten()?;
    let content_type = HeaderValue::try_from(file.content_type).ok()?;
    let file = Arc::new(StaticFile::new(content_type, file.bytes.into_owned()));
    Some(Arc::clone(files().entry(name.to_owned()).or_insert(file)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn described() -> Value {
        serde_json::to_value(&*OPENAPI).unwrap()
    }

    #[test]
    fn routes_and_described_paths_are_equal() {
        let description = described();
        let described: BTreeSet<&str> = description["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let routes = super::super::routes().into_openapi();
        let legacy = ["/accounts/api/login/", "/accounts/api/logout/"];
        assert!(legacy.iter().all(|path| described.contains(path)));
        assert_eq!(described, routes.paths.paths.keys().map(String::as_str).collect());
        assert_eq!(described.len(), 29 + legacy.len());
    }

    #[test]
    fn references_resolve() {
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
    fn responses_of_middleware_are_described() {
        let description = serde_json::to_value(secured(OPENAPI.clone())).unwrap();
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
                    let is_described = responses[status].is_object();
                    assert!(is_described || !path.starts_with("/api/"), "{method} {path}: {status}");
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
                let without_body = matches!(&**method, "get" | "delete")
                    || path.ends_with("/logout/")
                    || path.ends_with("/test")
                    || path.ends_with("/successor");
                assert_eq!(operation["requestBody"].is_null(), without_body, "{at}");
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let content = response["content"].as_object();
                    assert_eq!(content.is_none(), matches!(&**status, "204" | "304"), "{at} {status}");
                    let problem = content.is_some_and(|content| content.contains_key("application/problem+json"));
                    // Login and logout belong to the legacy protocol, which has its own error format.
                    if path.starts_with("/api/") {
                        assert_eq!(problem, status.as_str() >= "400", "{at} {status}");
                    }
                }
            }
        }
    }
}
