//! A WebSocket at an unknown path.

use repo_protocol::Message;

use super::support::TestServer;
use crate::support::repo_peer::{join, receive};

#[tokio::test]
async fn socket_at_an_unknown_path_gets_the_right_path() {
    let server = TestServer::start().await;
    for path in ["/app/sync", "/sync2"] {
        let mut socket = server.connect(path).await;
        socket.send(join("me", Default::default()).encode()).await;
        let error = receive(&mut socket).await;
        let Some(Message::Error { message, .. }) = error else { panic!("an error message, not {error:?}") };
        assert!(message.contains("Connect to /sync, "), "{message}");
        assert!(socket.next().await.is_none());
        assert_eq!(socket.closed_with.map(|close| close.code.into()), Some(4404), "{path}");
        let mut legacy = server.connect(path).await;
        legacy.send("{}").await;
        assert!(legacy.json().await["error"].as_str().unwrap().contains("/ws/dashboard/"));
        let close = server.connect(path).await.closed().await.expect("a close frame");
        assert_eq!((u16::from(close.code), close.reason.contains("/sync/{documentId}")), (4404, true));
    }
    assert_eq!(server.metric("happierwork_refusals_total{reason=\"unknown_path\"}"), 6.0);
}

#[tokio::test]
async fn origin_is_checked_before_the_path() {
    let server = TestServer::start().await;
    let mut socket = server.connect_with("/app/sync", &[("origin", "https://evil.example")]).await;
    assert_eq!(socket.closed().await.map(|close| close.code.into()), Some(4403));
}
