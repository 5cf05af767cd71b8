//! Documents that clients request and only another server has.

use automerge::ROOT;
use automerge::transaction::Transactable;
use repo_protocol::{Message, PROTOCOL_VERSION};

use super::misbehaviour::Stub;
use super::{add, connected, create, dialler, server, until_positions};
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id};

#[tokio::test]
async fn document_of_a_peer_is_fetched_when_a_client_asks() {
    let other = server(|_| {}).await;
    let plan = create(&other).await;
    add(&other, &plan, "theirs").await;
    let ours = dialler(&[&other]).await;
    connected(&ours, &other).await;
    let mut client = RepoPeer::join(&ours, "client").await;
    let mut copy = PeerDocument::empty(&plan);
    let data = copy.generate().unwrap();
    let request = client.request(&plan, data);
    client.send(&request).await;
    client.until_agreed(&mut copy).await;
    until_positions(&ours, &plan, &["theirs"]).await;
    add(&other, &plan, "more").await;
    until_positions(&ours, &plan, &["more", "theirs"]).await;
}

#[tokio::test]
async fn document_that_a_peer_asks_for_is_sent_once_it_exists() {
    let stub = Stub::new().await;
    let ours = server(|options| options.peers = vec![stub.options()]).await;
    let mut accepted = stub.accept().await;
    accepted.answer_with(PROTOCOL_VERSION).await;
    let mut copy = PeerDocument::empty(&new_id());
    let data = copy.generate().unwrap();
    accepted.request(&copy.id, data).await;
    accepted.until(|message| matches!(message, Message::DocUnavailable { document, .. } if *document == copy.id)).await;
    // It does not stay in memory for the peer.
    ours.until_metric("happierwork_documents_open", |open| open <= 1.0).await;
    let mut author = RepoPeer::join(&ours, "author").await;
    copy.doc.put(ROOT, "name", "made later").unwrap();
    copy.state = Default::default();
    author.until_agreed(&mut copy).await;
    accepted.until(|message| matches!(message, Message::Sync { document, .. } if *document == copy.id)).await;
}

#[tokio::test]
async fn document_that_no_server_has_is_reported_missing() {
    let other = server(|_| {}).await;
    let ours = dialler(&[&other]).await;
    connected(&ours, &other).await;
    let mut client = RepoPeer::join(&ours, "client").await;
    let mut copy = PeerDocument::empty(&new_id());
    let data = copy.generate().unwrap();
    let request = client.request(&copy.id, data);
    client.send(&request).await;
    let answer = client.next().await;
    assert!(matches!(&answer, Some(Message::DocUnavailable { document, .. }) if *document == copy.id), "{answer:?}");
    // The peering does not keep it in memory.
    client.socket.close().await;
    ours.until_metric("happierwork_documents_open", |open| open <= 1.0).await;
}
