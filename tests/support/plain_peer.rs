//! A plain Automerge peer: the library, and a socket at `/sync/{id}`.

use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use primitives::DocumentId;
use tokio_tungstenite::tungstenite::Message;

use super::{Socket, TestServer};

/// A plain Automerge peer: the library, and a socket at `/sync/{id}`.
pub struct PlainPeer {
    pub doc: AutoCommit,
    pub state: sync::State,
    pub socket: Socket,
}

impl PlainPeer {
    /// Connects and receives the whole document.
    pub async fn connect(server: &TestServer, id: &DocumentId) -> Self {
        let doc = AutoCommit::new().with_actor(ActorId::from(rand::random::<[u8; 16]>()));
        let mut peer = Self::connect_as(server, id, doc).await;
        while peer.state.their_heads.as_ref() != Some(&peer.doc.get_heads()) {
            peer.turn().await;
        }
        peer
    }

    /// Connects with an existing copy of the document.
    pub async fn connect_as(server: &TestServer, id: &DocumentId, doc: AutoCommit) -> Self {
        let socket = server.connect(&format!("/sync/{id}")).await;
        let mut peer = Self { doc, state: sync::State::new(), socket };
        peer.push().await;
        peer
    }

    /// Starts with an empty document on an unused socket.
    pub fn over(socket: Socket) -> Self {
        let doc = AutoCommit::new().with_actor(ActorId::from(rand::random::<[u8; 16]>()));
        Self { doc, state: sync::State::new(), socket }
    }

    pub fn receive(&mut self, message: &[u8]) {
        let message = sync::Message::decode(message).expect("a sync message");
        self.doc.sync().receive_sync_message(&mut self.state, message).expect("applies");
    }

    /// Sends the next sync message, if there is one.
    pub async fn push(&mut self) {
        if let Some(message) = self.doc.sync().generate_sync_message(&mut self.state) {
            self.socket.try_send(message.encode()).await;
        }
    }

    /// Receives one message and answers it. `false` if the socket is closed.
    pub async fn turn(&mut self) -> bool {
        let Some(Message::Binary(bytes)) = self.socket.next().await else { return false };
        self.receive(&bytes);
        self.push().await;
        true
    }

    /// Receives messages until the server has acknowledged all local changes.
    pub async fn until_acknowledged(&mut self) {
        self.push().await;
        while self.state.their_heads.as_ref() != Some(&self.doc.get_heads()) {
            assert!(self.turn().await, "closed before it was acknowledged: {:?}", self.socket.closed_with);
        }
    }
}

impl PlainPeer {
    /// The map of positions.
    pub fn positions(&self) -> ObjId {
        self.doc.get(ROOT, "positions").unwrap().expect("a plan").1
    }

    /// The row with this id.
    pub fn row(&self, id: &str) -> Option<ObjId> {
        self.doc.get(self.positions(), id).unwrap().map(|(_, row)| row)
    }

    /// The ids of all rows.
    pub fn ids(&self) -> Vec<String> {
        self.doc.keys(self.positions()).collect()
    }

    /// A text field of a row: a string or a Text object.
    pub fn text(&self, id: &str, field: &str) -> Option<String> {
        match self.doc.get(self.row(id)?, field).unwrap()? {
            (automerge::Value::Object(ObjType::Text), text) => self.doc.text(text).ok(),
            (value, _) => value.into_string().ok(),
        }
    }

    /// Adds a row like a JavaScript client, with Text objects. Sends nothing.
    pub fn add(&mut self, id: &str, designation: &str, department: &str, budget: i64) {
        let row = self.doc.put_object(self.positions(), id, ObjType::Map).unwrap();
        for (field, text) in [("designation", designation), ("department", department), ("location", "Pune")] {
            self.put_text(&row, field, text);
        }
        self.put_text(&row, "updatedBy", "ceo");
        self.doc.put(&row, "budget", budget).unwrap();
        for field in ["createdAt", "updatedAt"] {
            self.doc.put(&row, field, ScalarValue::Timestamp(1_750_000_000_000)).unwrap();
        }
    }

    /// Writes a text as a new Text object.
    pub fn put_text(&mut self, object: &ObjId, field: &str, text: &str) {
        let object = self.doc.put_object(object, field, ObjType::Text).unwrap();
        self.doc.splice_text(&object, 0, 0, text).unwrap();
    }

    /// Receives messages until the document has this row.
    pub async fn until_row(&mut self, id: &str) {
        while self.row(id).is_none() {
            assert!(self.turn().await, "closed before the row arrived: {:?}", self.socket.closed_with);
        }
    }
}
