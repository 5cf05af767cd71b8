//! A peer that speaks automerge-repo's protocol message by message.

use automerge::sync::{self, SyncDoc};
use automerge::{ActorId, AutoCommit};
use bytes::Bytes;
use primitives::DocumentId;
use repo_protocol::{self, Message, PROTOCOL_VERSION, PeerId, PeerMetadata, StorageId};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::{Socket, TestServer};

pub fn new_id() -> DocumentId {
    DocumentId::from_random(rand::random())
}

pub fn peer_id(name: &str) -> PeerId {
    PeerId::new(name).expect("a name")
}

/// Metadata of a stock client with persistent storage.
pub fn with_storage(storage: &str) -> PeerMetadata {
    PeerMetadata { storage_id: Some(StorageId::new(storage).expect("a name")), is_ephemeral: false }
}

pub fn join(name: &str, metadata: PeerMetadata) -> Message {
    Message::Join { sender: peer_id(name), metadata, versions: vec![PROTOCOL_VERSION.to_owned()] }
}

/// A peer that has joined.
pub struct RepoPeer {
    pub id: PeerId,
    pub server: PeerId,
    pub socket: Socket,
}

/// Its copy of one document.
pub struct PeerDocument {
    pub id: DocumentId,
    pub doc: AutoCommit,
    pub state: sync::State,
}

impl PeerDocument {
    pub fn empty(id: &DocumentId) -> Self {
        let doc = AutoCommit::new().with_actor(ActorId::from(rand::random::<[u8; 16]>()));
        Self { id: id.clone(), doc, state: sync::State::new() }
    }

    /// The copy after the client was closed and opened again.
    pub fn reopened(mut self) -> Self {
        let state = sync::State::decode(&self.state.encode()).expect("its own state");
        Self { doc: AutoCommit::load(&self.doc.save()).expect("its own document"), state, ..self }
    }

    pub fn generate(&mut self) -> Option<Bytes> {
        self.doc.sync().generate_sync_message(&mut self.state).map(|message| message.encode().into())
    }

    pub fn receive(&mut self, data: &[u8]) -> sync::Message {
        let message = sync::Message::decode(data).expect("a sync message");
        self.doc.sync().receive_sync_message(&mut self.state, message.clone()).expect("applies");
        message
    }

    fn is_agreed(&mut self) -> bool {
        self.state.their_heads.as_ref() == Some(&self.doc.get_heads())
    }
}

impl RepoPeer {
    pub async fn join(server: &TestServer, name: &str) -> Self {
        Self::join_as(server, name, PeerMetadata::default()).await
    }

    pub async fn join_as(server: &TestServer, name: &str, metadata: PeerMetadata) -> Self {
        Self::join_over(server.connect("/sync").await, name, metadata).await
    }

    pub async fn join_over(mut socket: Socket, name: &str, metadata: PeerMetadata) -> Self {
        socket.send(Frame::binary(join(name, metadata).encode())).await;
        let Some(Message::Peer { sender, target, .. }) = receive(&mut socket).await else { panic!("no answer") };
        assert_eq!(target, peer_id(name));
        Self { id: target, server: sender, socket }
    }

    pub async fn send(&mut self, message: &Message) {
        self.socket.send(Frame::binary(message.encode())).await;
    }

    /// The next message; `None` after the close.
    pub async fn next(&mut self) -> Option<Message> {
        receive(&mut self.socket).await
    }

    pub fn sync(&self, document: &DocumentId, data: Bytes) -> Message {
        let (sender, target) = (self.id.clone(), self.server.clone());
        Message::Sync { sender, target, document: document.clone(), data }
    }

    pub fn request(&self, document: &DocumentId, data: Bytes) -> Message {
        let (sender, target) = (self.id.clone(), self.server.clone());
        Message::Request { sender, target, document: document.clone(), data }
    }

    /// Sends the next sync message for a document, if there is one.
    pub async fn push(&mut self, replica: &mut PeerDocument) {
        if let Some(data) = replica.generate() {
            let message = self.sync(&replica.id, data);
            self.send(&message).await;
        }
    }

    /// The next sync message, which must be for this document.
    pub async fn next_sync(&mut self, id: &DocumentId) -> Bytes {
        match self.next().await {
            Some(Message::Sync { document, data, target, .. }) => {
                assert_eq!((&document, &target), (id, &self.id));
                data
            }
            other => panic!("a sync message, not {other:?} ({:?})", self.socket.closed_with),
        }
    }

    /// Skips messages for documents until the server rejects this one. Returns its error message.
    pub async fn until_refused(&mut self, id: &DocumentId) -> String {
        loop {
            match self.next().await {
                Some(Message::Sync { .. } | Message::DocUnavailable { .. }) => {}
                Some(Message::Error { document, message, .. }) => {
                    assert_eq!(document.as_ref(), Some(id), "{message}");
                    return message;
                }
                other => panic!("an error about one document, not {other:?} ({:?})", self.socket.closed_with),
            }
        }
    }

    /// Receives one message for this document and answers it.
    pub async fn turn(&mut self, replica: &mut PeerDocument) {
        let data = self.next_sync(&replica.id).await;
        replica.receive(&data);
        self.push(replica).await;
    }

    /// Syncs until both sides have acknowledged the same changes.
    pub async fn until_agreed(&mut self, replica: &mut PeerDocument) {
        self.push(replica).await;
        while !replica.is_agreed() {
            self.turn(replica).await;
        }
    }
}

/// The next message on a socket; `None` after the close.
pub async fn receive(socket: &mut Socket) -> Option<Message> {
    match socket.next().await? {
        Frame::Binary(bytes) => Some(repo_protocol::decode(&bytes).expect("a message")),
        other => panic!("a binary frame, not {other:?}"),
    }
}
