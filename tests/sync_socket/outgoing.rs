//! Messages to clients that do not read them.

use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{ROOT, ScalarValue};
use happierwork::server::Limits;
use repo_protocol::{Message, PeerMetadata};
use tempfile::TempDir;

use super::support::TestServer;
use crate::support::repo_peer::{PeerDocument, RepoPeer, receive};

const DOCUMENT: usize = 8 << 20;

#[tokio::test]
async fn unread_sockets_hold_bounded_memory() {
    let limits = Limits { message_memory: 3 * DOCUMENT as u64, ..Limits::default() };
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let server = TestServer::start_in(folder, |options| options.limits = limits).await;
    let mut writer = RepoPeer::join(&server, "writer").await;
    let mut replica = PeerDocument::empty(&server.document);
    writer.until_agreed(&mut replica).await;
    let noise: Vec<u8> = (0..DOCUMENT).map(|_| rand::random()).collect();
    replica.doc.put(ROOT, "noise", ScalarValue::Bytes(noise)).unwrap();
    writer.until_agreed(&mut replica).await;
    server.until_held(0).await;

    let mut silent = Vec::new();
    for name in ["one", "other"] {
        silent.push(ask_for_all(&server, name).await);
        server.until_held((silent.len() * DOCUMENT) as u64).await;
    }
    let mut third = ask_for_all(&server, "third").await;
    server.until_metric("happierwork_refusals_total{reason=\"memory\"}", |refused| refused == 1.0).await;
    let said = loop {
        match receive(&mut third.socket).await {
            Some(Message::Error { message, .. }) => break message,
            Some(_) => {}
            None => panic!("closed without a word"),
        }
    };
    assert!(said.contains("no memory for a message of this size"), "{said}");
    assert!(receive(&mut third.socket).await.is_none());
    assert_eq!(third.socket.closed_with.as_ref().map(|close| close.code.into()), Some(1013_u16));

    replica.doc.put(ROOT, "name", "a small change").unwrap();
    writer.until_agreed(&mut replica).await;
    drop(silent);
    server.until_held(0).await;
    let mut again = RepoPeer::join(&server, "again").await;
    let mut empty = PeerDocument::empty(&server.document);
    again.until_agreed(&mut empty).await;
    assert_eq!(empty.doc.get_heads(), replica.doc.get_heads());
}

/// A peer that requests the document, and then stops reading.
async fn ask_for_all(server: &TestServer, name: &str) -> RepoPeer {
    let socket = server.connect_with_small_buffers("/sync").await;
    let mut peer = RepoPeer::join_over(socket, name, PeerMetadata::default()).await;
    peer.push(&mut PeerDocument::empty(&server.document)).await;
    peer
}
