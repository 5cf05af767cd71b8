//! How connections end: silence, stalling, replacement, shutdown.

use std::sync::Arc;
use std::time::Duration;

use automerge::ROOT;
use automerge::transaction::Transactable;
use happierwork::server::SocketTimeouts;
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Budget, Edit, NewPosition, PositionPatch};
use repo_protocol::Message;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{PATIENCE, PlainPeer, TestServer, add};
use crate::support::repo_peer::{PeerDocument, RepoPeer};

const STALLED: &str = "happierwork_refusals_total{reason=\"stalled\"}";

async fn server(timeouts: SocketTimeouts) -> TestServer {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    TestServer::start_in(folder, |options| options.timeouts = timeouts).await
}

fn quick_pings() -> SocketTimeouts {
    let close = Duration::from_millis(200);
    SocketTimeouts { ping: Duration::from_millis(50), stall: PATIENCE * 10, close, ..SocketTimeouts::default() }
}

#[tokio::test]
async fn peer_is_closed_after_two_missed_pings() {
    let server = server(quick_pings()).await;
    let mut alive = RepoPeer::join(&server, "alive").await;
    // It reads nothing, and so answers no ping.
    let mut silent = RepoPeer::join(&server, "silent").await;
    let mut pings = 0;
    let closed = async {
        while server.metric(STALLED) == 0.0 {
            pings += usize::from(matches!(alive.socket.next_raw().await, Some(Frame::Ping(_))));
        }
    };
    timeout(PATIENCE, closed).await.expect("the silent peer is closed");
    assert!(pings >= 2);
    server.until_metric("happierwork_connections{kind=\"repo\"}", |open| open == 1.0).await;
    alive.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    assert!(silent.next().await.is_none());
    assert!(silent.socket.closed_with.is_none(), "the connection ends without a close frame");
}

#[tokio::test]
async fn socket_that_never_reads_is_closed() {
    let timeouts = SocketTimeouts { stall: Duration::from_millis(200), ..quick_pings() };
    let server = server(timeouts).await;
    let text = "x".repeat(1_000);
    let row = NewPosition::new("wide", text.clone())
        .with(DEPARTMENT, text.clone())
        .with(BUDGET, Budget::Int(0))
        .with(LOCATION, text);
    server.edit(Edit::Add(row)).await;
    let mut stalled = server.legacy_with_small_buffers().await;
    let stalls = async {
        for budget in 1.. {
            let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
            server.edit(Edit::Patch { id: "wide".to_owned(), patch }).await;
            stalled.try_send(Frame::Pong(Vec::new().into())).await;
            if server.metric(STALLED) > 0.0 {
                return;
            }
        }
    };
    timeout(PATIENCE * 2, stalls).await.expect("the socket is closed");
    server.until_metric("happierwork_connections{kind=\"legacy\"}", |open| open == 0.0).await;
}

#[tokio::test]
async fn rejoining_peer_replaces_its_old_connection() {
    let server = TestServer::start().await;
    let mut old = RepoPeer::join(&server, "me").await;
    let mut replica = PeerDocument::empty(&server.document);
    old.until_agreed(&mut replica).await;

    let mut new = RepoPeer::join(&server, "me").await;
    let error = old.next().await;
    assert!(matches!(&error, Some(Message::Error { message, .. }) if message.contains("joined again")), "{error:?}");
    assert!(old.next().await.is_none());
    assert_eq!(old.socket.closed_with.map(|close| close.code.into()), Some(4409));

    // The server does not rely on state of the old connection.
    let mut fresh = PeerDocument::empty(&server.document);
    new.until_agreed(&mut fresh).await;
    assert_eq!(fresh.doc.get_heads(), replica.doc.get_heads());
    fresh.doc.put(ROOT, "name", "mine").unwrap();
    new.until_agreed(&mut fresh).await;
    assert_eq!(server.metric("happierwork_connections{kind=\"repo\"}"), 1.0);
}

#[tokio::test]
async fn leaving_peer_is_closed_normally() {
    let server = TestServer::start().await;
    let mut peer = RepoPeer::join(&server, "me").await;
    let leave = Message::Leave { sender: peer.id.clone() };
    peer.send(&leave).await;
    assert!(peer.next().await.is_none(), "no error message");
    assert_eq!(peer.socket.closed_with.map(|close| close.code.into()), Some(1000));
}

#[tokio::test]
async fn shutdown_is_announced_and_keeps_acknowledged_changes() {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let server = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
    let mut repo = RepoPeer::join(&server, "me").await;
    let mut replica = PeerDocument::empty(&server.document);
    repo.until_agreed(&mut replica).await;
    let mut plain = PlainPeer::connect(&server, &server.document).await;
    let mut legacy = server.legacy().await;
    let mut idle = server.connect("/sync").await;

    replica.doc.put(ROOT, "by the repo peer", 1).unwrap();
    repo.until_agreed(&mut replica).await;
    plain.doc.put(ROOT, "by the plain peer", 1).unwrap();
    plain.until_acknowledged().await;
    legacy.send(add("by the legacy client")).await;
    assert_eq!(legacy.json().await["status"], "Data processed");

    let document = server.document.clone();
    let stopped = tokio::spawn(server.stop());
    for (socket, has_words) in
        [(&mut repo.socket, true), (&mut plain.socket, false), (&mut legacy, true), (&mut idle, true)]
    {
        let mut words = 0;
        while socket.next().await.is_some() {
            words += 1;
        }
        assert!(words > 0 || !has_words, "the reason in the client's own protocol");
        let close = socket.closed_with.clone().expect("a close frame");
        assert_eq!(u16::from(close.code), 1001);
        assert!(close.reason.contains("shutting down"), "{}", close.reason);
    }
    drop((repo, plain.socket, legacy, idle));
    assert!(stopped.await.unwrap(), "in time");

    let server = TestServer::start_in(folder, |_| {}).await;
    assert_eq!(server.document, document);
    let reopened = PlainPeer::connect(&server, &document).await;
    let keys: Vec<String> = automerge::ReadDoc::keys(&reopened.doc, ROOT).collect();
    for key in ["by the repo peer", "by the plain peer"] {
        assert!(keys.iter().any(|found| found == key), "{key} is not among {keys:?}");
    }
    assert_eq!(reopened.ids().len(), 1);
}

#[tokio::test]
async fn client_that_never_reads_does_not_block_shutdown() {
    let server = TestServer::start().await;
    let silent = RepoPeer::join(&server, "silent").await;
    assert!(server.stop().await, "in time");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_keeps_sending_does_not_block_shutdown() {
    let server = TestServer::start().await;
    let mut floods = server.legacy().await;
    let flood = tokio::spawn(async move {
        let mut shown = 0;
        loop {
            // Far ahead of the answers, which are read as they arrive.
            for number in 0..100 {
                floods.try_send(add(&format!("row {shown}-{number}"))).await;
            }
            for _ in 0..10 {
                if floods.next().await.is_none() {
                    return floods.closed_with;
                }
                shown += 1;
            }
        }
    });
    server.until_metric("happierwork_changes_total", |changes| changes > 20.0).await;
    assert!(server.stop().await, "in time");
    let close = timeout(PATIENCE, flood).await.expect("in time").expect("ended").expect("a close frame");
    assert_eq!(u16::from(close.code), 1001);
}

/// The server closes the connection, as the client waits for that.
#[tokio::test]
async fn connection_ends_after_both_close_frames() {
    let server = server(SocketTimeouts { close: PATIENCE * 10, ..SocketTimeouts::default() }).await;
    for path in ["/ws/dashboard/", "/sync", "/sync/default"] {
        let leaves = server.connect(path).await;
        timeout(PATIENCE, leaves.close()).await.unwrap_or_else(|_| panic!("{path}: closed, but still open"));
    }
    let mut dismissed = [server.legacy().await, server.connect("/sync").await, server.connect("/sync/default").await];
    let stops = tokio::spawn(server.stop());
    for socket in &mut dismissed {
        assert_eq!(socket.closed().await.map(|close| close.code.into()), Some(1001));
        while socket.next_raw().await.is_some() {}
    }
    assert!(stops.await.expect("ended"));
}

#[tokio::test]
async fn root_socket_is_repo_on_binary_and_legacy_on_silence() {
    let server = TestServer::start().await;
    let socket = server.connect("/").await;
    let mut peer = RepoPeer::join_over(socket, "me", Default::default()).await;
    peer.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    let mut silent = server.connect("/").await;
    assert_eq!(silent.json().await["type"], "login_update");
}
