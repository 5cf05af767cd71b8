//! Documents that clients ask for and that only another server has.

use repo_protocol::Message;

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
