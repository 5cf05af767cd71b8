//! No user can exhaust shared limits: pending documents, new documents, connections.

use std::sync::Arc;

use automerge::ROOT;
use automerge::transaction::Transactable;
use happierwork::server::Options;
use repo_protocol::{Message, PeerMetadata};
use tempfile::TempDir;

use super::support::{TestServer, http_to};
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id};
use crate::support::users::Users;

async fn server(users: &Users, adjust: impl FnOnce(&mut Options)) -> TestServer {
    TestServer::start_in(Arc::new(TempDir::new().unwrap()), |options| {
        users.known()(options);
        adjust(options);
    })
    .await
}

async fn joined(server: &TestServer, token: &str, name: &str) -> RepoPeer {
    let socket = server.connect(&format!("/sync?token={token}")).await;
    RepoPeer::join_over(socket, name, PeerMetadata::default()).await
}

/// Creates a document over HTTP. Returns the status.
async fn make(server: &TestServer, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    http_to(server.address, "POST", "/api/documents", &headers, r#"{"name":"Growth"}"#.to_owned()).await.0
}

fn refusals(server: &TestServer, reason: &str) -> f64 {
    server.metric(&format!("happierwork_refusals_total{{reason=\"{reason}\"}}"))
}

/// A viewer's changes are ignored: they create no document and do not count.
#[tokio::test]
async fn viewer_does_not_consume_the_creation_limit() {
    let users = Users::new();
    // The default document counts, too.
    let server = server(&users, |options| {
        (options.limits.new_documents_per_minute, options.limits.new_documents_at_once) = (1, 3);
    })
    .await;
    let viewer = users.token("viewer", "viewer", "*");
    let mut peer = joined(&server, &viewer, "viewer").await;
    for _ in 0..5 {
        let mut replica = PeerDocument::empty(&new_id());
        replica.doc.put(ROOT, "name", "theirs").unwrap();
        replica.doc.commit();
        // As if the server had requested all changes.
        replica.state.their_heads = Some(Vec::new());
        replica.state.their_have = Some(vec![Default::default()]);
        replica.state.their_need = Some(Vec::new());
        peer.push(&mut replica).await;
        let answer = peer.next().await;
        assert!(matches!(answer, Some(Message::Sync { .. } | Message::DocUnavailable { .. } | Message::Error { .. })));
    }
    assert_eq!(refusals(&server, "too_many_new_documents"), 0.0);
    for user in ["ceo", "cfo"] {
        assert_eq!(make(&server, &users.token(user, "editor", "default")).await, 201, "{user}");
    }
}

#[tokio::test]
async fn one_editor_cannot_exhaust_the_creation_limit() {
    let users = Users::new();
    let server = server(&users, |options| {
        (options.limits.new_documents_per_minute, options.limits.new_documents_at_once) = (1, 9);
    })
    .await;
    let [editor, other] = ["editor", "other"].map(|user| users.token(user, "editor", "default"));
    for _ in 0..4 {
        assert_eq!(make(&server, &editor).await, 201);
    }
    for _ in 0..8 {
        assert_eq!(make(&server, &editor).await, 429);
    }
    assert_eq!(refusals(&server, "too_many_new_documents"), 8.0);
    for _ in 0..4 {
        assert_eq!(make(&server, &other).await, 201);
    }
}

#[tokio::test]
async fn one_user_cannot_exhaust_pending_documents() {
    let users = Users::new();
    let server = server(&users, |options| {
        (options.max_pending, options.limits.pending_per_connection) = (16, 2);
    })
    .await;
    let [intern, ceo] = ["intern", "ceo"].map(|user| users.token(user, "viewer", "*"));
    let mut peers = Vec::new();
    let mut waiting = 0;
    for number in 0..10 {
        let mut peer = joined(&server, &intern, &format!("intern {number}")).await;
        for _ in 0..2 {
            match ask_in_vain(&mut peer).await {
                None => waiting += 1,
                Some(reason) => {
                    assert!(reason.contains("your connections already wait for 4 such documents"), "{reason}")
                }
            }
        }
        peers.push(peer);
    }
    assert_eq!(waiting, 4, "a quarter");
    let mut peer = joined(&server, &ceo, "ceo").await;
    assert_eq!(ask_in_vain(&mut peer).await, None);
    assert_eq!(refusals(&server, "too_many_pending"), 16.0);
}

/// Requests a missing document. Returns the refusal, or `None` if the request is pending.
async fn ask_in_vain(peer: &mut RepoPeer) -> Option<String> {
    let mut replica = PeerDocument::empty(&new_id());
    let data = replica.generate().unwrap();
    let request = peer.request(&replica.id, data);
    peer.send(&request).await;
    match peer.next().await {
        Some(Message::DocUnavailable { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_user_cannot_exhaust_connections() {
    let users = Users::new();
    let server = server(&users, |options| {
        (options.limits.connections, options.limits.connections_per_address) = (64, 0);
    })
    .await;
    let [intern, ceo] = ["intern", "ceo"].map(|user| users.token(user, "viewer", "*"));
    let mut peers = Vec::new();
    for number in 0..16 {
        peers.push(joined(&server, &intern, &format!("intern {number}")).await);
    }
    for path in ["/sync", "/sync/default", "/ws/dashboard/"] {
        let mut socket = server.connect(&format!("{path}?token={intern}")).await;
        let close = loop {
            match socket.next().await {
                Some(_) => {}
                None => break socket.closed_with.take().expect("a close frame"),
            }
        };
        assert_eq!(u16::from(close.code), 1013, "{path}");
        assert!(close.reason.contains("you have too many open connections"), "{path}: {}", close.reason);
    }
    assert_eq!(refusals(&server, "too_many_from_user"), 3.0);
    let mut peer = joined(&server, &ceo, "ceo").await;
    peer.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    peers.pop().expect("a peer").socket.close().await;
    server.until_metric("happierwork_connections{kind=\"repo\"}", |open| open <= 16.0).await;
    let _again = joined(&server, &intern, "intern again").await;
}
