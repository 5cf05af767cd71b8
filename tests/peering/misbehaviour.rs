//! Servers that misbehave when they are dialled.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use happierwork::server::PeerOptions;
use primitives::DocumentId;
use repo_protocol::{self, Message, PROTOCOL_VERSION, PeerId, PeerMetadata};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::support::{PATIENCE, TestServer};
use super::{add, create, server, until_positions};
use crate::support::repo_peer::{PeerDocument, new_id, peer_id};

/// A server whose messages the test controls.
pub struct Stub {
    listener: TcpListener,
}

/// A connection that the stub has accepted.
pub struct Accepted {
    socket: WebSocketStream<TcpStream>,
    id: PeerId,
    client: PeerId,
}

impl Stub {
    pub async fn new() -> Self {
        Self { listener: TcpListener::bind(("127.0.0.1", 0)).await.unwrap() }
    }

    fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    pub fn options(&self) -> PeerOptions {
        PeerOptions::new(format!("ws://{}/sync", self.address()))
    }

    async fn dialled_by(&self) -> TestServer {
        server(|options| {
            options.peers = vec![self.options()];
            options.limits.documents_per_connection = 3;
        })
        .await
    }

    /// Accepts a connection, and reads the `join`.
    pub async fn accept(&self) -> Accepted {
        let (tcp, _) = timeout(PATIENCE, self.listener.accept()).await.expect("in time").unwrap();
        let mut accepted =
            Accepted { socket: accept_async(tcp).await.unwrap(), id: peer_id("stub"), client: peer_id("unknown") };
        match accepted.next().await {
            Some(Message::Join { sender, versions, .. }) => {
                assert_eq!(versions, [PROTOCOL_VERSION]);
                accepted.client = sender;
            }
            other => panic!("a join, not {other:?}"),
        }
        accepted
    }
}

impl Accepted {
    async fn next(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("in time")?.ok()? {
                Frame::Binary(bytes) => return Some(repo_protocol::decode(&bytes).unwrap()),
                Frame::Close(_) => return None,
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: &Message) {
        self.socket.send(Frame::binary(message.encode())).await.unwrap();
    }

    pub async fn answer_with(&mut self, version: &str) {
        let (sender, target, version) = (self.id.clone(), self.client.clone(), version.to_owned());
        self.send(&Message::Peer { sender, target, metadata: PeerMetadata::default(), version }).await;
    }

    pub async fn request(&mut self, document: &DocumentId, data: Bytes) {
        let (sender, target, document) = (self.id.clone(), self.client.clone(), document.clone());
        self.send(&Message::Request { sender, target, document, data }).await;
    }

    /// Reads until a message satisfies `wanted`.
    pub async fn until(&mut self, wanted: impl Fn(&Message) -> bool) {
        while !wanted(&self.next().await.expect("stays connected")) {}
    }

    /// Reads to the end. Returns the close frame, and the last error message.
    async fn closed(&mut self) -> (Option<CloseFrame>, Option<String>) {
        let mut error = None;
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("in time") {
                Some(Ok(Frame::Close(frame))) => return (frame, error),
                Some(Ok(Frame::Binary(bytes))) => {
                    if let Ok(Message::Error { message, .. }) = repo_protocol::decode(&bytes) {
                        error = Some(message);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return (None, error),
            }
        }
    }
}

#[tokio::test]
async fn peer_that_sends_garbage_is_disconnected_and_dialled_later() {
    let stub = Stub::new().await;
    let home = TempDir::new().unwrap();
    let token_file = home.path().join("token");
    std::fs::write(&token_file, "first").unwrap();
    let peer = PeerOptions { token_file: Some(token_file.clone()), ..stub.options() };
    let ours = server(|options| options.peers = vec![peer]).await;
    let mut accepted = stub.accept().await;
    accepted.answer_with(PROTOCOL_VERSION).await;
    ours.until_metric(&format!("happierwork_peering_connected{{peer=\"{}\"}}", stub.address()), |up| up == 1.0).await;
    let plan = create(&ours).await;
    accepted.socket.send(Frame::binary(vec![0xff; 100])).await.unwrap();
    let (frame, error) = accepted.closed().await;
    assert_eq!(frame.map(|frame| u16::from(frame.code)), Some(1008));
    assert!(error.is_some());
    ours.until_metric(&format!("happierwork_peering_connected{{peer=\"{}\"}}", stub.address()), |up| up == 0.0).await;
    add(&ours, &plan, "still here").await;
    until_positions(&ours, &plan, &["still here"]).await;
    // A new token ends the wait.
    std::fs::write(&token_file, "second").unwrap();
    let mut accepted = stub.accept().await;
    accepted.answer_with(PROTOCOL_VERSION).await;
    accepted.until(|message| matches!(message, Message::Sync { document, .. } if *document == plan)).await;
}

#[tokio::test]
async fn peer_of_another_protocol_version_is_refused() {
    let stub = Stub::new().await;
    let _ours = stub.dialled_by().await;
    let mut accepted = stub.accept().await;
    accepted.answer_with("2").await;
    let (_, error) = accepted.closed().await;
    assert!(error.unwrap().contains("unsupported protocol version"));
}

#[tokio::test]
async fn message_before_the_answer_to_the_join_is_refused() {
    let stub = Stub::new().await;
    let _ours = stub.dialled_by().await;
    let mut accepted = stub.accept().await;
    let (sender, target) = (accepted.id.clone(), accepted.client.clone());
    let message = Message::Sync { sender, target, document: new_id(), data: Bytes::from_static(b"early") };
    accepted.send(&message).await;
    let (_, error) = accepted.closed().await;
    assert_eq!(error.as_deref(), Some("the first message must be a peer, not sync"));
}

#[tokio::test]
async fn peer_that_names_too_many_documents_gets_an_error() {
    let stub = Stub::new().await;
    let _ours = stub.dialled_by().await;
    let mut accepted = stub.accept().await;
    accepted.answer_with(PROTOCOL_VERSION).await;
    let mut ids = Vec::new();
    for number in 0..5_u8 {
        let mut copy = PeerDocument::empty(&new_id());
        automerge::transaction::Transactable::put(&mut copy.doc, automerge::ROOT, "n", i64::from(number)).unwrap();
        copy.doc.commit();
        let (sender, target) = (accepted.id.clone(), accepted.client.clone());
        let message = Message::Sync { sender, target, document: copy.id.clone(), data: copy.generate().unwrap() };
        accepted.send(&message).await;
        ids.push(copy.id);
    }
    let mut refused = Vec::new();
    while refused.len() < 2 {
        match accepted.next().await.expect("stays connected") {
            Message::DocUnavailable { document, message, .. } => {
                assert!(message.unwrap().contains("at most 3 documents"));
                refused.push(document);
            }
            Message::Sync { .. } | Message::Request { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, ids[3..]);
}
