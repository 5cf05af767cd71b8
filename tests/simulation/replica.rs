//! A user's device: the Automerge library, a document, and its sync state of the server.

use std::sync::Arc;

use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjId, ObjType, ROOT, ReadDoc, Value};
use bytes::Bytes;

use super::link::{Link, Up};

/// The protocol that it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// Like automerge-repo: it speaks first, requests documents that it lacks, and has a storage id that the server
    /// remembers.
    Repo,
    /// One document per socket: the server speaks first.
    Plain,
}

pub struct Replica {
    pub name: String,
    pub flavor: Flavor,
    pub link: Option<Link>,
    /// The server's end of a broken connection. The server has not noticed yet.
    pub half_open: Option<Link>,
    doc: AutoCommit,
    state: sync::State,
}

impl Replica {
    pub fn new(name: String, flavor: Flavor, seed: u64) -> Self {
        let actor = [&seed.to_be_bytes()[..], name.as_bytes()].concat();
        let doc = AutoCommit::new().with_actor(ActorId::from(actor));
        Self { name, flavor, link: None, half_open: None, doc, state: sync::State::new() }
    }

    /// The storage id by which the server remembers it.
    pub fn storage(&self) -> Option<Arc<str>> {
        (self.flavor == Flavor::Repo).then(|| Arc::from(self.name.as_str()))
    }

    pub fn heads(&mut self) -> Vec<automerge::ChangeHash> {
        self.doc.get_heads()
    }

    /// Whether it has a change.
    pub fn has(&mut self, change: &automerge::ChangeHash) -> bool {
        self.doc.get_change_by_hash(change).is_some()
    }

    /// Whether it has a position.
    pub fn has_position(&self, id: &str) -> bool {
        self.map().is_some_and(|positions| matches!(self.doc.get(positions, id), Ok(Some(_))))
    }

    /// Connects, and sends the first messages. Its knowledge of the server is that of its stored sync state.
    pub fn connected(&mut self, link: Link) {
        self.link = Some(link);
        self.state = sync::State::decode(&self.state.encode()).expect("an encoded state decodes");
        let request = self.flavor == Flavor::Repo && self.doc.get_heads().is_empty();
        self.speak(request);
    }

    /// Sends a message if there is one.
    fn speak(&mut self, request: bool) {
        let Some(link) = &mut self.link else { return };
        if let Some(message) = self.doc.sync().generate_sync_message(&mut self.state) {
            link.up.push_back(Up { bytes: Bytes::from(message.encode()), request });
        }
    }

    /// Receives a sync message.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        let message = sync::Message::decode(bytes).map_err(|error| error.to_string())?;
        self.doc.sync().receive_sync_message(&mut self.state, message).map_err(|error| error.to_string())?;
        self.speak(false);
        Ok(())
    }

    fn map(&self) -> Option<ObjId> {
        match self.doc.get(ROOT, "positions") {
            Ok(Some((Value::Object(ObjType::Map), positions))) => Some(positions),
            _ => None,
        }
    }

    /// Adds a position. Returns `false` if the device lacks the document.
    pub fn add(&mut self, id: &str, budget: i64) -> bool {
        let Some(positions) = self.map() else { return false };
        let row = self.doc.put_object(positions, id, ObjType::Map).expect("a map");
        self.doc.put(&row, "designation", format!("by {}", self.name)).expect("a map");
        self.doc.put(&row, "budget", budget).expect("a map");
        self.doc.commit();
        self.speak(false);
        true
    }

    /// Sets a budget.
    pub fn change(&mut self, id: &str, budget: i64) {
        let Some(positions) = self.map() else { return };
        if let Ok(Some((Value::Object(ObjType::Map), row))) = self.doc.get(positions, id) {
            self.doc.put(&row, "budget", budget).expect("a map");
            self.doc.commit();
            self.speak(false);
        }
    }

    /// Deletes a position.
    pub fn delete(&mut self, id: &str) {
        let Some(positions) = self.map() else { return };
        if self.doc.delete(positions, id).is_ok() {
            self.doc.commit();
            self.speak(false);
        }
    }
}
