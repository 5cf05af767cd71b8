//! Messages with very many changes are applied in portions, interleaved with edits of others.

use automerge::ROOT;
use automerge::transaction::Transactable;

use super::support::TestServer;
use crate::support::repo_peer::{PeerDocument, RepoPeer};

const CHANGES: i64 = 12_000;

/// A peer with the server's document and very many changes of its own.
async fn with_many_changes(server: &TestServer) -> (RepoPeer, PeerDocument) {
    let mut peer = RepoPeer::join(server, "large").await;
    let mut replica = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut replica).await;
    for number in 0..CHANGES {
        replica.doc.put(ROOT, "number", number).unwrap();
        replica.doc.commit();
    }
    (peer, replica)
}

fn changes(server: &TestServer) -> f64 {
    server.metric("happierwork_changes_total")
}

#[tokio::test(flavor = "multi_thread")]
async fn other_edits_are_applied_between_portions() {
    let server = TestServer::start().await;
    let (mut large, mut many) = with_many_changes(&server).await;
    let mut small = RepoPeer::join(&server, "small").await;
    let mut replica = PeerDocument::empty(&server.document);
    small.until_agreed(&mut replica).await;
    let before = changes(&server);

    large.push(&mut many).await;
    server.until_metric("happierwork_changes_total", |now| now > before).await;
    replica.doc.put(ROOT, "name", "a small change").unwrap();
    let wanted = replica.doc.get_heads();
    small.push(&mut replica).await;
    let theirs = loop {
        let data = small.next_sync(&server.document).await;
        let message = replica.receive(&data);
        if message.heads.iter().any(|head| wanted.contains(head)) || replica.state.shared_heads == wanted {
            break changes(&server) - before;
        }
    };
    assert!(theirs < CHANGES as f64, "{theirs} changes were stored before the small one was acknowledged");

    // Made while the first message is applied, so it is accepted afterwards.
    many.doc.put(ROOT, "number", -1).unwrap();
    large.push(&mut many).await;
    large.until_agreed(&mut many).await;
    while many.doc.get_heads() != replica.doc.get_heads() {
        small.turn(&mut replica).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_message_completes_after_reconnect() {
    let server = TestServer::start().await;
    let (mut large, mut many) = with_many_changes(&server).await;
    let before = changes(&server);
    large.push(&mut many).await;
    server.until_metric("happierwork_changes_total", |now| now > before).await;
    large.socket.abort();
    let mut again = RepoPeer::join(&server, "large").await;
    many.state = automerge::sync::State::new();
    again.until_agreed(&mut many).await;
    assert_eq!(changes(&server) - before, CHANGES as f64, "each change once");
}
