//! A client without documents that requests some: measures how long they take to arrive.

use std::time::{Duration, Instant};

use automerge::sync::Message;
use automerge::{Automerge, ChangeHash};
use primitives::DocumentId;
use repo_protocol::PeerId;

use super::answers::{from_nothing, up_to_date};
use super::crowd::source;
use super::envelope::{Envelope, request};
use super::socket::Socket;
use crate::Fallible;
use crate::kind::Address;

/// A connection without documents.
pub struct Newcomer {
    socket: Socket,
    name: String,
    server: PeerId,
    begun: Instant,
}

/// A received document.
pub struct Came {
    /// Time since connecting.
    pub took: Duration,
    /// Chunks of the document, in the order of arrival.
    pub chunks: Vec<u8>,
}

impl Newcomer {
    /// Connects and joins.
    pub async fn connect(server: &Address, number: usize) -> Fallible<Self> {
        let begun = Instant::now();
        let mut socket = Socket::connect(source(number), server.socket, server.path).await?;
        let name = format!("newcomer-{number:05}");
        // The document of the envelope is irrelevant for joining.
        let (_, server) = Envelope::join(&mut socket, &name, &DocumentId::from_random([0; 16])).await?;
        Ok(Self { socket, name, server, begun })
    }

    /// Requests a document in its current state.
    pub async fn fetch_any(&mut self, document: &DocumentId) -> Fallible<Automerge> {
        let came = self.fetch_until(document, |heads| !heads.is_empty()).await?;
        Ok(Automerge::load(&came.chunks)?)
    }

    /// Requests a document, and answers messages until it has these heads.
    pub async fn fetch(&mut self, document: &DocumentId, heads: &[ChangeHash]) -> Fallible<Came> {
        self.fetch_until(document, |found| found == heads).await
    }

    async fn fetch_until(&mut self, document: &DocumentId, done: impl Fn(&[ChangeHash]) -> bool) -> Fallible<Came> {
        let mut envelope = Envelope::new(&self.name, &self.server, document)?;
        self.socket.outbox.binary(&[&request(&self.name, &self.server, document, &from_nothing()?)?]);
        let mut chunks = Vec::new();
        loop {
            self.socket.turn().await?;
            while let Some(frame) = self.socket.inbox.next(&mut self.socket.outbox)? {
                let Some(data) = envelope.open(frame)? else { continue };
                let message = Message::decode(data)?;
                message.changes.iter().for_each(|chunk| chunks.extend_from_slice(chunk));
                if done(&message.heads) && !chunks.is_empty() {
                    let took = self.begun.elapsed();
                    envelope.sync(&mut self.socket.outbox, &up_to_date(&message.heads, message.flags.is_some()));
                    self.socket.write_now()?;
                    return Ok(Came { took, chunks });
                }
                if !message.heads.is_empty() && chunks.is_empty() {
                    return Err("the server named heads without sending the document".into());
                }
            }
        }
    }
}
