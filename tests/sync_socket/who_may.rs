//! Accepted origins and hosts, and requests that are not WebSockets.

use std::sync::Arc;

use repo_protocol::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::support::TestServer;
use crate::support::repo_peer::receive;

const FOREIGN: (&str, &str) = ("origin", "https://evil.example");

fn code(close: &Option<CloseFrame>) -> u16 {
    close.as_ref().map_or(0, |close| close.code.into())
}

#[tokio::test]
async fn foreign_origins_are_rejected_over_the_socket() {
    let server = TestServer::start().await;
    for path in ["/sync", "/sync/default", "/ws/dashboard/", "/ws/dashboard", "/x/ws/dashboard/y", "/"] {
        let mut socket = server.connect_with(path, &[FOREIGN]).await;
        if path == "/sync" {
            let error = receive(&mut socket).await;
            assert!(
                matches!(&error, Some(Message::Error { message, .. }) if message.contains("evil.example")),
                "{error:?}"
            );
        }
        let close = socket.closed().await;
        assert_eq!(code(&close), 4403, "{path}");
        assert!(close.unwrap().reason.contains("https://evil.example"), "{path}");
    }
    for origin in ["http://localhost:4200", "http://127.0.0.1:9", "http://[::1]:4200"] {
        let mut socket = server.connect_with("/ws/dashboard/", &[("origin", origin)]).await;
        assert_eq!(socket.json().await["type"], "login_update", "{origin}");
    }
}

#[tokio::test]
async fn loopback_listener_accepts_only_loopback_hosts() {
    let server = TestServer::start().await;
    for path in ["/", "/metrics", "/healthz", "/sync"] {
        let (status, _, body) = server.http("GET", path, &[("host", "evil.example")]).await;
        assert_eq!(status, 421, "{path}");
        assert!(body.contains("evil.example"), "{path}: {body}");
        let (status, ..) = server.http("GET", path, &[FOREIGN]).await;
        assert_eq!(status, 403, "{path}");
    }
    let (status, ..) = server.http("GET", "/healthz", &[("host", "localhost:1")]).await;
    assert_eq!(status, 200);
}

/// If `evil.example` resolves to this server, the browser considers its pages to be of the server's own origin.
#[tokio::test]
async fn open_server_rejects_unknown_hosts() {
    let server = TestServer::start_in(Arc::new(tempfile::TempDir::new().expect("a folder")), |options| {
        options.listen = vec![([0, 0, 0, 0], 0).into()];
        options.hosts = vec!["plan.example.com".to_owned()];
    })
    .await;
    let rebound = [("host", "evil.example:8000"), ("origin", "http://evil.example:8000")];
    for headers in [&rebound[..1], &rebound] {
        for path in ["/", "/api/documents", "/data/", "/healthz"] {
            let (status, _, body) = server.http("GET", path, headers).await;
            assert_eq!(status, 421, "{path}: {body}");
            assert!(body.contains("evil.example") && body.contains("--host"), "{path}: {body}");
        }
        assert_eq!(server.http("POST", "/data/add/", headers).await.0, 421);
        for path in ["/sync", "/sync/default", "/ws/dashboard/", "/"] {
            let mut socket = server.connect_as("evil.example:8000", path, &headers[1..]).await;
            if path == "/sync" {
                let error = receive(&mut socket).await;
                assert!(
                    matches!(&error, Some(Message::Error { message, .. }) if message.contains("--host")),
                    "{error:?}"
                );
            }
            assert_eq!(code(&socket.closed().await), 4403, "{path}");
        }
    }
    assert!(server.metric("happierwork_refusals_total{reason=\"origin\"}") >= 18.0);
    for host in ["10.1.2.3:8000", "[2001:db8::1]", "localhost", "plan.example.com:8000"] {
        assert_eq!(server.http("GET", "/api/documents", &[("host", host)]).await.0, 200, "{host}");
    }
}

#[tokio::test]
async fn cors_headers_allow_only_this_origin() {
    let server = TestServer::start_in(Arc::new(tempfile::TempDir::new().expect("a folder")), |options| {
        options.allowed_origins = vec!["https://plan.example.com".to_owned()];
    })
    .await;
    for (path, status) in
        [("/", 200), ("/data/", 200), ("/api/documents/default", 200), ("/nothing", 404), ("/sync", 426)]
    {
        let (found, headers, _) = server.http("GET", path, &[]).await;
        assert_eq!(found, status, "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{path}");
        let (_, headers, _) = server.http("GET", path, &[("origin", "https://plan.example.com")]).await;
        assert_eq!(headers.get("cross-origin-resource-policy"), None, "{path}");
        assert_eq!(headers["access-control-allow-origin"], "https://plan.example.com", "{path}");
    }
    for stranger in [FOREIGN, ("host", "evil.example")] {
        let (_, headers, _) = server.http("GET", "/data/", &[stranger]).await;
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
    }
}

#[tokio::test]
async fn sync_path_without_upgrade_answers_426() {
    let server = TestServer::start().await;
    for path in ["/sync", "/sync/", "/sync/default"] {
        let (status, headers, body) = server.http("GET", path, &[]).await;
        assert_eq!(status, 426, "{path}: {body}");
        assert_eq!(headers["upgrade"], "websocket", "{path}");
        assert!(body.contains("WebSocket"), "{path}: {body}");
    }
    let (status, ..) = server.http("GET", "/ws/dashboard/", &[]).await;
    assert_eq!(status, 404, "as recorded");
}

#[tokio::test]
async fn malformed_document_id_is_rejected_with_a_reason() {
    let server = TestServer::start().await;
    for id in ["nonsense", "4NMNnkMhL8jXrdJ9jamS58PAVdXv", "0OIl", "%20"] {
        let close = server.connect(&format!("/sync/{id}")).await.closed().await.expect("a close frame");
        assert_eq!(u16::from(close.code), 4400, "{id}");
        assert!(close.reason.contains("document id") || close.reason.contains("documentId"), "{id}: {}", close.reason);
    }
}

#[tokio::test]
async fn upgrade_requests_do_not_bypass_checks() {
    let server = TestServer::start().await;
    let upgrade = ("upgrade", "websocket");
    let whole = [
        upgrade,
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (stranger, refused) in [(("origin", "https://evil.example"), 403), (("host", "evil.example"), 421)] {
        for path in ["/data/", "/api/documents", "/sync", "/"] {
            assert_eq!(server.http("GET", path, &[stranger, upgrade]).await.0, refused, "{path}");
        }
        let headers: Vec<(&str, &str)> = [&[stranger][..], &whole].concat();
        assert_eq!(server.http("GET", "/data/", &headers).await.0, refused);
        assert_eq!(server.http("POST", "/data/add/", &headers).await.0, refused);
    }
}
