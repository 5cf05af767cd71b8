//! Returning peers: the server remembers the shared state, so that only the difference is exchanged.

use std::sync::Arc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{ChangeHash, ROOT};
use repo_protocol::PeerMetadata;
use tempfile::TempDir;

use super::support::TestServer;
use crate::support::repo_peer::{PeerDocument, RepoPeer, with_storage};

/// A peer that syncs the whole document, and disconnects.
async fn visit(server: &TestServer, metadata: PeerMetadata) -> PeerDocument {
    let mut peer = RepoPeer::join_as(server, "visitor", metadata).await;
    let mut replica = PeerDocument::empty(&server.document);
    for number in 0..20 {
        peer.until_agreed(&mut replica).await;
        replica.doc.put(ROOT, format!("key {number}"), rand::random::<u64>()).unwrap();
    }
    peer.until_agreed(&mut replica).await;
    // An answer to another request shows that the server has received the last message.
    let request =
        peer.request(&crate::support::repo_peer::new_id(), PeerDocument::empty(&server.document).generate().unwrap());
    peer.send(&request).await;
    peer.next().await;
    peer.socket.close().await;
    server.until_metric("happierwork_connections{kind=\"repo\"}", |open| open == 0.0).await;
    replica
}

/// Returns with an edit made offline. Yields the shared heads in the server's first message.
async fn come_back(server: &TestServer, metadata: PeerMetadata, replica: PeerDocument) -> Vec<ChangeHash> {
    let mut replica = replica.reopened();
    replica.doc.put(ROOT, "offline", rand::random::<u64>()).unwrap();
    let mut peer = RepoPeer::join_as(server, "visitor again", metadata).await;
    peer.push(&mut replica).await;
    let data = peer.next_sync(&server.document).await;
    let message = replica.receive(&data);
    let shared = message.have.first().map(|have| have.last_sync.clone()).unwrap_or_default();
    peer.until_agreed(&mut replica).await;
    shared
}

#[tokio::test]
async fn peers_with_storage_are_remembered() {
    let server = TestServer::start().await;
    let mut replica = visit(&server, with_storage("laptop")).await;
    let heads = replica.doc.get_heads();
    assert_eq!(come_back(&server, with_storage("laptop"), replica).await, heads, "only the difference is exchanged");

    let ephemeral = PeerMetadata { is_ephemeral: true, ..with_storage("tab") };
    for metadata in [PeerMetadata::default(), ephemeral] {
        let replica = visit(&server, metadata.clone()).await;
        assert_eq!(come_back(&server, metadata.clone(), replica).await, [], "{metadata:?}");
    }
}

#[tokio::test]
async fn peer_records_survive_a_restart_and_are_optional() {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let server = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
    let records = folder.path().join(format!("documents/{}.peers", server.document));

    let mut replica = visit(&server, with_storage("laptop")).await;
    let heads = replica.doc.get_heads();
    assert!(server.stop().await);
    assert!(records.exists());
    let server = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
    assert_eq!(come_back(&server, with_storage("laptop"), replica).await, heads);
    assert!(server.stop().await);

    for damage in [&b""[..], b"nonsense"] {
        std::fs::write(&records, damage).unwrap();
        let server = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
        let replica = visit(&server, PeerMetadata::default()).await;
        assert_eq!(come_back(&server, with_storage("laptop"), replica).await, []);
        assert!(server.stop().await);
    }
}

#[tokio::test]
async fn ephemeral_peers_are_not_recorded() {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let server = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
    let records = folder.path().join(format!("documents/{}.peers", server.document));
    visit(&server, PeerMetadata { is_ephemeral: true, ..with_storage("tab") }).await;
    visit(&server, PeerMetadata::default()).await;
    assert!(server.stop().await);
    assert!(!records.exists());
}

#[tokio::test]
async fn peer_records_survive_unloading() {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let server = TestServer::start_in(folder, |options| options.idle_after = Duration::from_millis(50)).await;
    let mut replica = visit(&server, with_storage("laptop")).await;
    let heads = replica.doc.get_heads();
    server.until_metric("happierwork_documents_open", |open| open == 0.0).await;
    assert_eq!(come_back(&server, with_storage("laptop"), replica).await, heads);
}
