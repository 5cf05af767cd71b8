//! A document that is refused, and the others on the same socket.

use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjType, ROOT};
use happierwork::server::Limits;
use repo_protocol::Message;
use tempfile::TempDir;

use super::support::TestServer;
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id};

fn refusals(server: &TestServer, reason: &str) -> f64 {
    server.metric(&format!("happierwork_refusals_total{{reason=\"{reason}\"}}"))
}

/// Two tabs that write under one actor: two copies of a document, each with another change of the same sequence number.
async fn two_tabs(peer: &mut RepoPeer) -> (PeerDocument, PeerDocument) {
    let mut one = PeerDocument::empty(&new_id());
    one.doc.put(ROOT, "name", "shared").unwrap();
    peer.until_agreed(&mut one).await;
    let actor = ActorId::from([7; 16]);
    let copy = AutoCommit::load(&one.doc.save()).unwrap().with_actor(actor.clone());
    let mut other = PeerDocument { doc: copy, ..PeerDocument::empty(&one.id) };
    one.doc.set_actor(actor);
    one.doc.put(ROOT, "tab", 1).unwrap();
    peer.until_agreed(&mut one).await;
    other.doc.put(ROOT, "tab", 2).unwrap();
    other.doc.commit();
    (one, other)
}

#[tokio::test]
async fn refused_document_does_not_affect_others() {
    let server = TestServer::start().await;
    let mut first = RepoPeer::join(&server, "first tab").await;
    let (_, mut forked) = two_tabs(&mut first).await;
    let mut peer = RepoPeer::join(&server, "second tab").await;
    let mut good = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut good).await;

    let change = forked.doc.get_last_local_change().unwrap().raw_bytes().to_vec();
    let heads = forked.doc.get_heads();
    let message = automerge::sync::Message {
        heads,
        need: Vec::new(),
        have: Vec::new(),
        changes: vec![change].into(),
        flags: None,
        version: automerge::sync::MessageVersion::V1,
    };
    let message = peer.sync(&forked.id, message.encode().into());
    peer.send(&message).await;
    let why = peer.until_refused(&forked.id).await;
    assert!(why.contains(&format!("automerge:{}", forked.id)) && why.contains("does not apply"), "{why}");
    let gone = peer.next().await;
    assert!(matches!(&gone, Some(Message::DocUnavailable { document, .. }) if *document == forked.id), "{gone:?}");

    for edit in 0..5 {
        // Further messages about the refused document are dropped, and the other one continues.
        peer.send(&message).await;
        good.doc.put(ROOT, "edit", edit).unwrap();
        peer.until_agreed(&mut good).await;
    }
    assert_eq!(refusals(&server, "refused_document"), 5.0);
    assert_eq!(refusals(&server, "bad_sync_message"), 1.0, "counted and logged once");
}

#[tokio::test]
async fn message_may_be_as_large_as_a_document() {
    const LETTERS: usize = 1_200_000;
    let server = TestServer::start().await;
    let mut peer = RepoPeer::join(&server, "author").await;
    let mut replica = PeerDocument::empty(&new_id());
    let text = replica.doc.put_object(ROOT, "text", ObjType::Text).unwrap();
    replica.doc.splice_text(&text, 0, 0, &"word ".repeat(LETTERS / 5)).unwrap();
    peer.until_agreed(&mut replica).await;
    assert_eq!(server.app.hub.memory_budget().used(), 0);
}

#[tokio::test]
async fn oversized_message_is_refused_once() {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let limits = Limits { document_operations: 1_000, ..Limits::default() };
    let server = TestServer::start_in(folder, |options| options.limits = limits).await;
    let mut peer = RepoPeer::join(&server, "author").await;
    let mut replica = PeerDocument::empty(&new_id());
    let text = replica.doc.put_object(ROOT, "text", ObjType::Text).unwrap();
    replica.doc.splice_text(&text, 0, 0, &"word ".repeat(1_000)).unwrap();
    peer.push(&mut replica).await;
    let data = peer.next_sync(&replica.id).await;
    replica.receive(&data);
    peer.push(&mut replica).await;
    let why = peer.until_refused(&replica.id).await;
    assert!(why.contains("as many operations as it may have (1000)"), "{why}");
    let mut good = PeerDocument::empty(&server.document);
    peer.send(&peer.request(&server.document, good.generate().unwrap())).await;
    loop {
        match peer.next().await {
            Some(Message::Sync { document, data, .. }) if document == server.document => {
                break drop(good.receive(&data));
            }
            Some(Message::Sync { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}
