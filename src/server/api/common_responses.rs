//! The parts of the API description that all operations share: security schemes, and the responses of the middleware (limits,
//! origins, authentication, strict queries).

use utoipa::Modify;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use crate::server::security::authentication::{COOKIE, PARAMETER as TOKEN};

/// Names of the security schemes.
const BEARER: &str = "bearer";
const SESSION: &str = "cookie";
const QUERY: &str = "token";

/// Responses that the middleware may give to any request of the API: status and description.
const RESPONSES: [(&str, &str); 9] = [
    ("400", "The path or the query is malformed, or a query parameter is unknown; `field` names the parameter."),
    ("401", "This server requires authentication, and the request has no valid token."),
    ("403", "Your role does not allow this, or the origin of the web page is not allowed."),
    ("414", "The URL is longer than 8 KiB."),
    ("421", "The request is for another host name."),
    ("429", "Too many connections from your address, or too many new documents."),
    ("431", "The headers are larger than 16 KiB."),
    ("500", "The server failed. Its log has the reason."),
    ("503", "The document or the server is temporarily unavailable."),
];

/// Adds [`RESPONSES`] and the security schemes.
pub struct CommonResponses;

impl Modify for CommonResponses {
    fn modify(&self, description: &mut OpenApi) {
        let components = description.components.get_or_insert_default();
        for (name, scheme) in schemes() {
            components.add_security_scheme(name, scheme);
        }
        for (path, item) in &mut description.paths.paths {
            for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete] {
                let Some(operation) = operation else { continue };
                if path.starts_with("/api/") {
                    add_responses(operation);
                }
                add_headers(operation);
            }
        }
    }
}

/// The description for a server with authentication: each operation accepts any of the schemes.
#[must_use]
pub fn secured(mut description: OpenApi) -> OpenApi {
    let none: [&str; 0] = [];
    description.security = Some([BEARER, SESSION, QUERY].map(|scheme| SecurityRequirement::new(scheme, none)).into());
    description
}

fn schemes() -> [(&'static str, SecurityScheme); 3] {
    let bearer = "The token that a login returns, or that the operator of the server has issued.";
    let cookie = "The cookie that a login sets, for web pages. Over HTTPS its name begins with `__Host-`.";
    let query = "The token as a query parameter, for clients that cannot set headers. Prefer the header, because URLs end up in logs.";
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.bearer_format = Some("JWT".to_owned());
    http.description = Some(bearer.to_owned());
    [
        (BEARER, SecurityScheme::Http(http)),
        (SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(COOKIE, cookie)))),
        (QUERY, SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description(TOKEN, query)))),
    ]
}

/// Adds the responses that the operation does not describe itself.
fn add_responses(operation: &mut Operation) {
    for (status, text) in RESPONSES {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(text)));
    }
}

fn problem(text: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(text).content("application/problem+json", content).build()
}

/// Adds the headers of each status. They are the same for handlers and middleware.
fn add_headers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let (name, header) = match status.as_str() {
            "304" => ("ETag", header("The tag of your copy", text())),
            "401" => ("WWW-Authenticate", header("`Bearer`", text())),
            "429" | "503" => ("Retry-After", header("Seconds to wait before a retry, if known", seconds())),
            _ => continue,
        };
        response.headers.entry(name.to_owned()).or_insert(RefOr::T(header));
    }
}

fn header(description: &str, schema: Object) -> Header {
    let mut header = Header::new(schema);
    header.description = Some(description.to_owned());
    header
}

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

fn seconds() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(0)).build()
}
