//! The parts of the API description that all operations share: security schemes, and the responses of the middleware (limits,
//! origins, authentication, strict queries).

use axum::http::Method;
use utoipa::Modify;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

use super::idempotency::{MAX_KEY, takes_key};
use super::rate_limit_headers::is_limited;
use crate::server::security::authentication::PARAMETER as TOKEN;
use crate::server::security::cookies;

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
            if let Some(operation) = item.post.as_mut().filter(|_| takes_key(&Method::POST, path)) {
                add_key(operation);
            }
            for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete] {
                let Some(operation) = operation else { continue };
                if path.starts_with("/api/") {
                    add_responses(operation);
                }
                add_headers(operation);
            }
            if let Some(operation) = item.post.as_mut().filter(|_| is_limited(&Method::POST, path)) {
                add_rate_limit(operation);
            }
        }
    }
}

/// The description for a server with authentication: each operation accepts any of the schemes.
#[must_use]
pub fn secured(mut description: OpenApi) -> OpenApi {
    let scopes: [&str; 0] = [];
    description.security = Some([BEARER, SESSION, QUERY].map(|scheme| SecurityRequirement::new(scheme, scopes)).into());
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
        (
            SESSION,
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(cookies::SESSION.plain, cookie))),
        ),
        (QUERY, SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description(TOKEN, query)))),
    ]
}

/// Adds the responses that the operation does not describe itself.
fn add_responses(operation: &mut Operation) {
    for (status, text) in RESPONSES {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(text)));
    }
}

/// Adds the parameter `Idempotency-Key`, and the responses to its misuse.
fn add_key(operation: &mut Operation) {
    let text = "Makes it safe to send the request again: the first request with this key takes effect, and the same request with the \
        same key gets the same answer, with `Idempotent-Replayed: true`. Kept in the memory of the server for a day.";
    let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_KEY));
    let key = key.pattern(Some("^[!#-\\[\\]-~]+$")).examples(["8e03978e-40d5-43dd-bc93-6894a57f9324"]).build();
    let parameter = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
    let parameter = parameter.description(Some(text)).required(Required::False).schema(Some(key)).build();
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
    for (status, text) in [
        ("409", "A request with this `Idempotency-Key` is running, or its answer was too large to be kept."),
        ("413", "The body is too large."),
        ("422", "The `Idempotency-Key` was sent with another request."),
    ] {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(text)));
    }
    let success = operation.responses.responses.iter_mut().filter(|(status, _)| status.starts_with('2'));
    for (_, response) in success {
        if let RefOr::T(response) = response {
            let replayed =
                header("`true` if this is the answer of an earlier request with this `Idempotency-Key`", text_schema());
            response.headers.insert("Idempotent-Replayed".to_owned(), RefOr::T(replayed));
        }
    }
}

/// Adds the headers of the limit of new documents.
fn add_rate_limit(operation: &mut Operation) {
    let headers = [
        ("RateLimit-Policy", "The limit of new documents: `\"new-documents\";q=<documents>;w=<seconds>`"),
        (
            "RateLimit",
            "What is left of it: `\"new-documents\";r=<documents>;t=<seconds until all may be created again>`",
        ),
    ];
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with('2') || status == "429" {
            let headers = headers.map(|(name, said)| (name.to_owned(), RefOr::T(header(said, text_schema()))));
            response.headers.extend(headers);
        }
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
            "304" => ("ETag", header("The tag of your copy", text_schema())),
            "401" => ("WWW-Authenticate", header("`Bearer`", text_schema())),
            "429" | "503" => ("Retry-After", header("Seconds to wait before a retry", seconds())),
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

fn text_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

fn seconds() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(0)).build()
}
