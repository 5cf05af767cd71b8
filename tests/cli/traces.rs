//! Traces: what a collector receives from the real program.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;

use super::support::http_to;
use super::support::ports::free_port;
use super::support::process::{Running, folder, imported, run, serve};

const POSITIONS: &str = "/api/documents/default/positions";
const ROW: &str = r#"{"designation":"Analyst","department":"HR","budget":5,"location":"Pune"}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The requests of a collector's clients: their headers, and what they export.
type Exports = Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>;

/// Starts a collector.
async fn collector() -> (SocketAddr, Exports) {
    async fn receive(State(exports): State<Exports>, headers: HeaderMap, body: Bytes) {
        exports.lock().push((headers, ExportTraceServiceRequest::decode(body).expect("an export")));
    }
    let exports = Exports::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(&exports));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, exports)
}

/// The text of an attribute.
fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{key}: {other:?}"),
    })
}

/// A server that exports to `endpoint`, makes one edit for a caller with a trace, and ends.
async fn trace_one_edit(endpoint: &str, more: &[&str]) -> super::support::process::Ended {
    let folder = folder();
    let state = imported(folder.path());
    let mut command = serve(&state, more);
    command
        .args(["--otlp-endpoint", endpoint])
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret-token");
    command.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    let (server, address) = Running::server(command);
    let caller = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("Content-Type", "application/json"), ("traceparent", caller.as_str())];
    let (status, _, answer) = http_to(address, "POST", POSITIONS, &headers, ROW.to_owned()).await;
    assert_eq!(status, 201, "{answer}");
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collector_receives_the_spans_of_an_edit() {
    let (address, exports) = collector().await;
    let ended = trace_one_edit(&format!("http://{address}/"), &["--trusted-proxy", "127.0.0.1"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!ended.err.contains("secret-token"), "{}", ended.err);
    let exports = std::mem::take(&mut *exports.lock());
    assert!(exports.iter().all(|(headers, _)| headers["authorization"] == "Bearer secret-token"));
    let resources: Vec<_> = exports.into_iter().flat_map(|(_, export)| export.resource_spans).collect();
    for resource in &resources {
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        assert_eq!(attribute(attributes, "service.name").as_deref(), Some("happierwork"));
        assert_eq!(attribute(attributes, "service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(attribute(attributes, "deployment.environment.name").as_deref(), Some("test"));
    }
    let spans: Vec<Span> =
        resources.into_iter().flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();

    let [request] = named("POST /api/documents/{documentId}/positions")[..] else { panic!("{spans:?}") };
    assert_eq!(request.kind, SpanKind::Server as i32);
    assert_eq!(attribute(&request.attributes, "http.response.status_code").as_deref(), Some("201"));
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.to_owned(), CALLER.to_owned()));
    let linked = |span: &&&Span| span.links.iter().any(|link| link.span_id == request.span_id);
    let commits = named("commit");
    let commit = commits.iter().find(linked).unwrap_or_else(|| panic!("{spans:?}"));
    for name in ["apply", "append", "publish"] {
        let children = named(name);
        let child = children.iter().find(|span| span.parent_span_id == commit.span_id);
        assert!(child.is_some_and(|child| child.trace_id == commit.trace_id), "{name}: {spans:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_continue_traces() {
    let (address, exports) = collector().await;
    trace_one_edit(&format!("http://{address}"), &[]).await;
    let exports = std::mem::take(&mut *exports.lock());
    let spans = exports.iter().flat_map(|(_, export)| &export.resource_spans).flat_map(|spans| &spans.scope_spans);
    let traces: Vec<String> = spans.flat_map(|spans| &spans.spans).map(|span| hex(&span.trace_id)).collect();
    assert!(!traces.is_empty() && !traces.contains(&TRACE.to_owned()), "{traces:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_runs_without_its_collector() {
    let ended = trace_one_edit(&format!("http://127.0.0.1:{}", free_port()), &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("WARN") && !ended.err.contains("secret-token"), "{}", ended.err);
}

#[test]
fn invalid_endpoints_are_refused() {
    for (endpoint, reason) in [
        ("collector:4317", "http:// or https://"),
        ("4318", "not a URL"),
        ("http://user:secret-token@collector", "OTEL_EXPORTER_OTLP_HEADERS"),
    ] {
        let refused = run(&["serve", "--otlp-endpoint", endpoint]);
        assert_eq!(refused.code, Some(2), "{}", refused.err);
        assert!(refused.err.contains(reason), "{}", refused.err);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
