//! Logins on legacy sockets, as sent to automerge-repo peers: messages of automerge-repo's `Presence`.

use bytes::Bytes;
use primitives::DocumentId;
use repo_protocol::{self, Message, presence};
use tokio::time::{Duration, timeout};

use super::support::{PlainPeer, Socket, TestServer, wrapped};
use crate::support::repo_peer::{PeerDocument, RepoPeer};

async fn log_in(socket: &mut Socket, name: &str) {
    socket.send(wrapped(&serde_json::json!(["login", name]))).await;
}

/// A peer that has the document.
async fn with_document(server: &TestServer, name: &str) -> RepoPeer {
    let mut peer = RepoPeer::join(server, name).await;
    peer.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    peer
}

/// The next ephemeral message, which must be the server's own.
async fn told(peer: &mut RepoPeer) -> repo_protocol::Ephemeral {
    loop {
        match timeout(Duration::from_secs(20), peer.next()).await.expect("in time") {
            Some(Message::Ephemeral(message)) => {
                assert_eq!((&message.sender, &message.target), (&peer.server, &peer.id));
                return message;
            }
            Some(Message::Sync { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn people(names: &[&str]) -> Bytes {
    presence::snapshot(names.iter().copied()).into()
}

fn hello(peer: &RepoPeer, document: &DocumentId, count: u64) -> Message {
    Message::Ephemeral(repo_protocol::Ephemeral {
        sender: peer.id.clone(),
        target: peer.server.clone(),
        count,
        session: "session".to_owned(),
        document: document.clone(),
        data: Bytes::from_static(b"\xa0"),
    })
}

#[tokio::test]
async fn presence_messages_to_peers_are_numbered() {
    let server = TestServer::start().await;
    let mut peer = with_document(&server, "peer").await;
    let (mut cfo, mut other) = (server.legacy().await, server.legacy().await);
    log_in(&mut cfo, "CFO").await;
    let first = told(&mut peer).await;
    assert_eq!((&first.document, &first.data), (&server.document, &people(&["CFO"])));
    // Two sockets of one person count once, and a socket without a name does not count.
    log_in(&mut other, "CFO").await;
    log_in(&mut other, " ").await;
    log_in(&mut other, "Assistant").await;
    let second = told(&mut peer).await;
    assert_eq!(second.data, people(&["Assistant", "CFO"]));
    assert!(second.count > first.count && second.session == first.session, "{first:?} {second:?}");
    drop(cfo);
    assert_eq!(told(&mut peer).await.data, people(&["Assistant"]));
    other.send(wrapped(&serde_json::json!({ "action": "logout" }))).await;
    assert_eq!(told(&mut peer).await.data, presence::goodbye());
}

#[tokio::test]
async fn new_peer_gets_presence_after_its_first_message() {
    let server = TestServer::start().await;
    let mut cfo = server.legacy().await;
    log_in(&mut cfo, "CFO").await;
    let mut peer = with_document(&server, "peer").await;
    let mut witness = with_document(&server, "witness").await;
    let message = hello(&peer, &server.document, 1);
    peer.send(&message).await;
    assert_eq!(told(&mut peer).await.data, people(&["CFO"]));
    // Only the first time, and only to that peer: the next message for both is the end of presence.
    let message = hello(&peer, &server.document, 2);
    peer.send(&message).await;
    for _ in 0..2 {
        let Some(Message::Ephemeral(heard)) = witness.next().await else { panic!("not the other peer's message") };
        assert_eq!(heard.sender, peer.id);
    }
    drop(cfo);
    for peer in [&mut peer, &mut witness] {
        assert_eq!(told(peer).await.data, presence::goodbye());
    }
}

#[tokio::test]
async fn presence_reaches_only_repo_peers() {
    let server = TestServer::start().await;
    let mut joined = RepoPeer::join(&server, "without the document").await;
    let mut plain = PlainPeer::connect(&server, &server.document).await;
    plain.until_acknowledged().await;
    let mut peer = with_document(&server, "peer").await;
    let mut cfo = server.legacy().await;
    log_in(&mut cfo, "CFO").await;
    told(&mut peer).await;
    // Their next message is a sync message; any other one would fail to parse.
    plain.add("after", "After", "Sales", 1);
    plain.until_acknowledged().await;
    joined.until_agreed(&mut PeerDocument::empty(&server.document)).await;
}

#[tokio::test]
async fn presence_is_repeated_before_it_expires() {
    let server = TestServer::start().await;
    let mut peer = with_document(&server, "peer").await;
    let mut cfo = server.legacy().await;
    log_in(&mut cfo, "CFO").await;
    let first = told(&mut peer).await;
    // Peers forget after 45 s.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(15)).await;
    tokio::time::resume();
    let again = told(&mut peer).await;
    assert!(again.data == first.data && again.count > first.count, "{again:?}");
}
