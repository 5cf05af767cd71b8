//! A writer with prepared edits. Automerge takes as much time in a writer as in a server, and that time would be
//! attributed to the server. So the messages are made in advance, by a real writer that syncs with a local document.

use std::time::{Duration, Instant};

use automerge::ChangeHash;
use automerge::sync::{Message, State, SyncDoc};

use super::envelope::Envelope;
use super::socket::Socket;
use crate::Fallible;
use crate::kind::Address;
use crate::plan::{Plan, rows, set_budget};

/// A writer's messages, in order.
pub struct Script {
    /// Messages until both sides have the same document.
    hello: Vec<Vec<u8>>,
    /// A message with one edit, and the heads after it.
    edits: Vec<(Vec<u8>, Vec<ChangeHash>)>,
}

impl Script {
    /// Prepares this number of edits of a document, each made after the last was acknowledged.
    pub fn write(plan: &Plan, edits: u32) -> Fallible<Self> {
        let (mut writer, mut server) = (plan.open(), plan.open());
        let (mut ours, mut theirs) = (State::new(), State::new());
        let mut hello = Vec::new();
        loop {
            let said = writer.generate_sync_message(&mut ours);
            if let Some(message) = &said {
                hello.push(message.clone().encode());
                server.receive_sync_message(&mut theirs, message.clone())?;
            }
            let answer = server.generate_sync_message(&mut theirs);
            if let Some(message) = &answer {
                writer.receive_sync_message(&mut ours, message.clone())?;
            }
            if said.is_none() && answer.is_none() {
                break;
            }
        }
        let rows = rows(&writer)?;
        let now = jiff::Timestamp::now().as_second();
        let mut script = Vec::new();
        for edit in 0..edits {
            set_budget(&mut writer, &rows[edit as usize % rows.len()], 1_000 + i64::from(edit), now)?;
            let message = writer.generate_sync_message(&mut ours).ok_or("an edit is nothing to say")?;
            script.push((message.clone().encode(), writer.get_heads()));
            server.receive_sync_message(&mut theirs, message)?;
            let answer = server.generate_sync_message(&mut theirs).ok_or("an edit is not acknowledged")?;
            writer.receive_sync_message(&mut ours, answer)?;
            if writer.generate_sync_message(&mut ours).is_some() {
                return Err("a writer answers an acknowledgement".into());
            }
        }
        Ok(Self { hello, edits: script })
    }
}

/// Sends the messages to a server.
pub struct Player {
    socket: Socket,
    envelope: Envelope,
    script: Script,
    said: usize,
}

impl Player {
    /// Connects, and syncs until the server has acknowledged the writer's document.
    pub async fn start(server: &Address, plan: &Plan, script: Script) -> Fallible<Self> {
        let mut socket = Socket::connect([127, 0, 0, 1].into(), server.socket, server.path).await?;
        let (envelope, _) = Envelope::join(&mut socket, "writer", &plan.id).await?;
        let mut player = Self { socket, envelope, script, said: 0 };
        for message in std::mem::take(&mut player.script.hello) {
            player.envelope.sync(&mut player.socket.outbox, &message);
        }
        player.until(&plan.heads).await?;
        Ok(player)
    }

    /// Sends this number of edits, each after the last is acknowledged. Returns the duration.
    pub async fn play(&mut self, edits: u32) -> Fallible<Duration> {
        let begun = Instant::now();
        for _ in 0..edits {
            let (message, heads) = self.script.edits.get(self.said).ok_or("the script is too short")?;
            let heads = heads.clone();
            self.envelope.sync(&mut self.socket.outbox, message);
            self.said += 1;
            self.socket.write_now()?;
            self.until(&heads).await?;
        }
        Ok(begun.elapsed())
    }

    /// Waits until the server has sent these heads as its own.
    async fn until(&mut self, heads: &[ChangeHash]) -> Fallible<()> {
        loop {
            while let Some(frame) = self.socket.inbox.next(&mut self.socket.outbox)? {
                let Some(message) = self.envelope.open(frame)? else { continue };
                if Message::decode(message)?.heads == heads {
                    return Ok(());
                }
            }
            self.socket.turn().await?;
        }
    }
}
