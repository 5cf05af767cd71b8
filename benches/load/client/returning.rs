//! A client that reconnects with offline edits, without a document: Automerge would take more time in ten clients
//! than in one server, and that time would be attributed to the server.
//!
//! All edits of such a client are one chain on the document. So its state after a message is known without applying
//! it: the message's heads, and the end of its own chain until the server has it. The library makes the first message
//! and the changes; the second message is compared with the library's.

use std::sync::Arc;
use std::time::Instant;

use automerge::sync::{BloomFilter, ChunkList, Have, Message, MessageFlags, MessageVersion, State, SyncDoc};
use automerge::{Automerge, ChangeHash};

use super::answers::count_changes;
use super::crowd::source;
use super::envelope::Envelope;
use super::ledger::Ledger;
use super::socket::Socket;
use crate::Fallible;
use crate::kind::Address;
use crate::plan::{Plan, rows, set_budget};

/// A client's offline edits, ready to be sent.
pub struct Offline {
    number: usize,
    /// Heads of the document before the edits.
    base: Vec<ChangeHash>,
    /// The edits, in order.
    edits: Vec<ChangeHash>,
    hello: Vec<u8>,
    /// The edits as the library sends them.
    changes: Vec<Vec<u8>>,
    ledger: Arc<Ledger>,
}

impl Offline {
    /// Edits the document as writer `number` of all writers. Records the edits in the ledger.
    pub fn edit(plan: &Plan, ledger: &Arc<Ledger>, number: usize, edits: u32) -> Fallible<Self> {
        let (mut doc, mut server) = (plan.open(), plan.open());
        let hashes = edit_offline(&mut doc, ledger, number, edits)?;
        let (mut ours, mut theirs) = (returning_state(&plan.heads), State::new());
        let hello = doc.generate_sync_message(&mut ours).ok_or("nothing to say")?;
        server.receive_sync_message(&mut theirs, hello.clone())?;
        let answer = server.generate_sync_message(&mut theirs).ok_or("no answer")?;
        doc.receive_sync_message(&mut ours, answer)?;
        let second = doc.generate_sync_message(&mut ours).ok_or("nothing to send")?;
        let offline = Self {
            number,
            base: plan.heads.clone(),
            edits: hashes,
            hello: hello.encode(),
            changes: second.changes.iter().map(<[u8]>::to_vec).collect(),
            ledger: Arc::clone(ledger),
        };
        if offline.answer(&plan.heads, true).1.encode() != second.encode() {
            return Err("what is sent here is not what the library sends".into());
        }
        Ok(offline)
    }

    /// The client's heads and answer after a message with these heads.
    fn answer(&self, server: &[ChangeHash], send: bool) -> (Vec<ChangeHash>, Message) {
        let saved = self.ledger.covered(server)[self.number] as usize == self.edits.len();
        let mut heads = server.to_vec();
        let mut more: &[ChangeHash] = &[];
        if !saved {
            heads.retain(|head| !self.base.contains(head));
            heads.extend(self.edits.last());
            heads.sort_unstable();
            more = &self.edits;
        }
        let mut flags = MessageFlags::new();
        flags.set(MessageFlags::SUPPORTS_SYNC_RESET);
        let message = Message {
            heads: heads.clone(),
            need: Vec::new(),
            have: vec![Have { last_sync: server.to_vec(), bloom: BloomFilter::from_hashes(more.iter()) }],
            changes: if send { self.changes.clone().into() } else { ChunkList::empty() },
            flags: Some(flags),
            version: MessageVersion::V2,
        };
        (heads, message)
    }

    /// Reconnects, and syncs until server and client have all edits in the ledger. Returns the open socket.
    pub async fn come_back(self, server: &Address, plan: &Plan) -> Fallible<Socket> {
        let mut socket = Socket::connect(source(self.number), server.socket, server.path).await?;
        let name = format!("returning-{:05}", self.number);
        let (mut envelope, _) = Envelope::join(&mut socket, &name, &plan.id).await?;
        envelope.sync(&mut socket.outbox, &self.hello);
        let totals = self.ledger.totals();
        let others = totals.iter().sum::<u32>() - totals[self.number];
        let (mut sent, mut brought) = (false, 0_u32);
        let mut said = vec![*self.edits.last().ok_or("no edits")?];
        loop {
            socket.turn().await?;
            while let Some(frame) = socket.inbox.next(&mut socket.outbox)? {
                let Some(data) = envelope.open(frame)? else { continue };
                let message = Message::decode(data)?;
                brought = brought.saturating_add(count_changes(&message)?.unwrap_or(u32::MAX));
                let covered = self.ledger.covered(&message.heads);
                let saved = covered[self.number] as usize == self.edits.len();
                let (heads, answer) = self.answer(&message.heads, !sent && !saved);
                // A peer is silent only if both sides have said that they have the same changes.
                if heads != said || heads != message.heads || !answer.changes.is_empty() {
                    sent |= !answer.changes.is_empty();
                    said = heads;
                    envelope.sync(&mut socket.outbox, &answer.encode());
                }
                if covered == totals {
                    if brought < others {
                        return Err("the server named heads without sending the changes".into());
                    }
                    socket.write_now()?;
                    return Ok(socket);
                }
            }
        }
    }
}

/// The sync state of a server that was in sync with the client at these heads.
pub fn returning_state(shared: &[ChangeHash]) -> State {
    State { shared_heads: shared.to_vec(), ..State::new() }
}

/// Makes this number of edits, and records them in the ledger.
pub fn edit_offline(doc: &mut Automerge, ledger: &Ledger, number: usize, edits: u32) -> Fallible<Vec<ChangeHash>> {
    let rows = rows(doc)?;
    let now = jiff::Timestamp::now().as_second();
    let mut covered = ledger.covered(&[]);
    let mut hashes = Vec::new();
    for edit in 0..edits {
        let row = &rows[(number * 31 + edit as usize) % rows.len()];
        let budget = 1_000 + i64::from(edit) * 64 + i64::try_from(number)?;
        let hash = set_budget(doc, row, budget, now)?;
        covered[number] += 1;
        ledger.add(number, hash, covered.clone(), Instant::now());
        hashes.push(hash);
    }
    Ok(hashes)
}
