//! The span of an HTTP request for distributed traces, after the [semantic conventions] of OpenTelemetry. It contains no query, which may
//! hold a secret, and no user.
//!
//! [semantic conventions]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use runtime::traces::TARGET;
use tracing::{Span, field, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::App;
use super::transport::client_connection::ClientConnection;

/// Begins the span of a request. `route` is the pattern that its path matches.
///
/// The span continues the trace of a trusted proxy. Others could choose which requests are recorded, and add spans to traces of which they
/// know the id.
pub(super) fn begin(app: &App, request: &Request, route: Option<&str>) -> Span {
    let span = trace_span!(
        target: TARGET,
        "request",
        otel.name = field::Empty,
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = field::Empty,
    );
    if span.is_disabled() {
        return span;
    }
    span.record("otel.name", format!("{} {}", request.method(), route.unwrap_or("(no route)")));
    let client = request.extensions().get::<Arc<ClientConnection>>();
    if client.is_some_and(|client| app.connection_limiter.is_trusted_proxy(client.peer)) {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
        // An error means that nothing exports the span.
        let _ = span.set_parent(parent);
    }
    span
}

/// Adds the status of the response.
pub(super) fn record(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}
