//! Who may ask, and what is no socket.

use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::peer::receive;
use super::support::TestServer;
use happierwork::wire::repo::Message;

const FOREIGN: (&str, &str) = ("origin", "https://evil.example");

fn code(close: &Option<CloseFrame>) -> u16 {
    close.as_ref().map_or(0, |close| close.code.into())
}

#[tokio::test]
async fn pages_of_other_origins_are_told_over_the_socket_that_they_may_not_use_it() {
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
async fn on_loopback_only_loopback_names_are_answered() {
    let server = TestServer::start().await;
    for path in ["/", "/metrics", "/healthz", "/sync"] {
        let (status, _, body) = server.http("GET", path, &[("host", "evil.example")]).await;
        assert_eq!(status, 403, "{path}");
        assert!(body.contains("evil.example"), "{path}: {body}");
        let (status, ..) = server.http("GET", path, &[FOREIGN]).await;
        assert_eq!(status, 403, "{path}");
    }
    let (status, ..) = server.http("GET", "/healthz", &[("host", "localhost:1")]).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_sync_path_without_a_websocket_says_that_it_needs_one() {
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
async fn a_malformed_document_id_is_refused_with_what_is_wrong_with_it() {
    let server = TestServer::start().await;
    for id in ["nonsense", "4NMNnkMhL8jXrdJ9jamS58PAVdXv", "0OIl", "%20"] {
        let close = server.connect(&format!("/sync/{id}")).await.closed().await.expect("a close frame");
        assert_eq!(u16::from(close.code), 4400, "{id}");
        assert!(close.reason.contains("document id") || close.reason.contains("documentId"), "{id}: {}", close.reason);
    }
}

#[tokio::test]
async fn asking_for_an_upgrade_is_no_way_around() {
    let server = TestServer::start().await;
    let upgrade = ("upgrade", "websocket");
    let whole = [
        upgrade,
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for stranger in [("origin", "https://evil.example"), ("host", "evil.example")] {
        for path in ["/data/", "/api/documents", "/sync", "/"] {
            assert_eq!(server.http("GET", path, &[stranger, upgrade]).await.0, 403, "{path}");
        }
        let headers: Vec<(&str, &str)> = [&[stranger][..], &whole].concat();
        assert_eq!(server.http("GET", "/data/", &headers).await.0, 403);
        assert_eq!(server.http("POST", "/data/add/", &headers).await.0, 403);
    }
}
