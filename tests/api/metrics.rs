//! `/metrics`: the process and HTTP requests.

use serde_json::json;

use crate::support::TestServer;

#[tokio::test]
async fn requests_are_measured_by_route_and_status() {
    let server = TestServer::start().await;
    server.get("/api/documents/default").await.expect(200);
    server.get("/api/documents/default").await.expect(200);
    server.get("/api/documents/default/positions/missing").await.expect(404);
    server.send("POST", "/api/documents", &json!({})).await.expect(422);
    server.http("GET", "/no/such/path", &[]).await;
    let _socket = server.legacy().await;
    let count = |method: &str, route: &str, status: &str| {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
        server.metric(&format!("happierwork_http_request_seconds_count{labels}"))
    };
    assert_eq!(count("GET", "/api/documents/{documentId}", "2xx"), 2.0);
    assert_eq!(count("GET", "/api/documents/{documentId}/positions/{positionId}", "4xx"), 1.0);
    assert_eq!(count("POST", "/api/documents", "4xx"), 1.0);
    assert_eq!(count("GET", "other", "4xx"), 1.0);
    let (_, _, text) = server.http("GET", "/metrics", &[]).await;
    assert!(!text.contains("/ws/dashboard"), "sockets are not measured: {text}");
}

#[tokio::test]
async fn process_and_version_are_shown() {
    let server = TestServer::start().await;
    let (status, _, text) = server.http("GET", "/metrics", &[]).await;
    assert_eq!(status, 200);
    let version = format!("happierwork_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    for name in
        ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"]
    {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        assert!(value.is_some(), "{name} is not in {text}");
    }
}
