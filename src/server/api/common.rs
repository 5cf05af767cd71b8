//! What the description says of every operation: how requests authenticate, and the answers of the layers around all
//! handlers (limits, origins, authentication, strict queries).

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

/// Answers to any request to the API.
const ANSWERS: [(&str, &str); 9] = [
    ("400", "The path or the query cannot be read, or a query parameter is unknown; `field` names the parameter."),
    ("401", "This server asks who you are, and the request has no token that counts."),
    ("403", "Your role does not allow this; or the request comes from a web page that is not allowed."),
    ("414", "The URL is longer than 8 KiB."),
    ("421", "The host name of the request is not one of this server's."),
    ("429", "Too many connections from your address, or too many new documents; try again later."),
    ("431", "The headers are larger than 16 KiB."),
    ("500", "Something failed in the server; the reason is in its log."),
    ("503", "The document or the server is not available at the moment."),
];

/// Adds [`ANSWERS`] and the security schemes.
pub struct CommonAnswers;

impl Modify for CommonAnswers {
    fn modify(&self, description: &mut OpenApi) {
        let components = description.components.get_or_insert_default();
        for (name, scheme) in schemes() {
            components.add_security_scheme(name, scheme);
        }
        for (path, item) in &mut description.paths.paths {
            for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete] {
                let Some(operation) = operation else { continue };
                if path.starts_with("/api/") {
                    add_answers(operation);
                }
                add_headers(operation);
            }
        }
    }
}

/// The description for a server that asks who its users are: any of the schemes will do.
#[must_use]
pub fn secured(mut description: OpenApi) -> OpenApi {
    let none: [&str; 0] = [];
    description.security = Some([BEARER, SESSION, QUERY].map(|scheme| SecurityRequirement::new(scheme, none)).into());
    description
}

fn schemes() -> [(&'static str, SecurityScheme); 3] {
    let bearer = "The token that a login returns, or one that the server's operator has made.";
    let cookie = "The cookie that a login sets, for web pages. Over HTTPS its name begins with `__Host-`.";
    let query = "The token as a parameter of the URL, for clients that cannot set headers. URLs end up in logs: prefer the header.";
    let mut http = Http::new(HttpAuthScheme::Bearer);
    http.bearer_format = Some("JWT".to_owned());
    http.description = Some(bearer.to_owned());
    [
        (BEARER, SecurityScheme::Http(http)),
        (SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(COOKIE, cookie)))),
        (QUERY, SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description(TOKEN, query)))),
    ]
}

/// Adds the answers that the operation does not describe itself.
fn add_answers(operation: &mut Operation) {
    for (status, text) in ANSWERS {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(text)));
    }
}

fn problem(text: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(text).content("application/problem+json", content).build()
}

/// Adds the headers that go with a status, whoever answers it.
fn add_headers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let (name, header) = match status.as_str() {
            "304" => ("ETag", header("What you have already", text())),
            "401" => ("WWW-Authenticate", header("`Bearer`", text())),
            "429" | "503" => {
                ("Retry-After", header("Seconds after which to try again, where that is known", seconds()))
            }
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
