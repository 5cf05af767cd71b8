//! The answers of an up-to-date peer to sync messages, computed once per message and shared.
//!
//! Such a peer applies the message and then has exactly its heads. So its answer lists these as its heads and as the
//! shared ones, needs nothing and sends nothing. [`check`] compares the answers with the library's, byte for byte.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use automerge::sync::{BloomFilter, ChunkList, Have, Message, MessageFlags, MessageVersion, State, SyncDoc};
use automerge::{Automerge, ChangeHash};
use automerge_chunks::chunk::{Chunk, ChunkKind};

use super::ledger::{Covered, Ledger};
use crate::Fallible;
use crate::plan::{Plan, rows, set_budget};

/// Number of cached answers. When exceeded, all are dropped: they belong to old documents.
const KEPT: usize = 10_000;
/// Largest inflated size of a compressed change.
const MAX_INFLATED: u64 = 64 << 20;

/// How a viewer interprets a sync message.
pub struct Answer {
    /// The answer.
    pub bytes: Vec<u8>,
    /// The heads of the message, and of the viewer after it.
    pub heads: Vec<ChangeHash>,
    /// The edits that these heads include.
    pub covered: Covered,
    /// Number of changes in the message; `None` for a whole document.
    pub changes: Option<u32>,
}

/// Answers by message.
pub struct Answers {
    ledger: Arc<Ledger>,
    known: HashMap<Vec<u8>, Rc<Answer>>,
    /// The last answer: most messages are the same as those of the viewer before.
    last: (Vec<u8>, Option<Rc<Answer>>),
}

impl Answers {
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, known: HashMap::new(), last: (Vec::new(), None) }
    }

    /// The answer to a sync message.
    pub fn to(&mut self, message: &[u8]) -> Fallible<Rc<Answer>> {
        match &self.last {
            (bytes, Some(answer)) if bytes == message => return Ok(Rc::clone(answer)),
            _ => {}
        }
        let answer = self.known_or_new(message)?;
        self.last = (message.to_vec(), Some(Rc::clone(&answer)));
        Ok(answer)
    }

    fn known_or_new(&mut self, message: &[u8]) -> Fallible<Rc<Answer>> {
        if let Some(known) = self.known.get(message) {
            return Ok(Rc::clone(known));
        }
        let decoded = Message::decode(message)?;
        if !decoded.need.is_empty() {
            return Err("the server asks a viewer for changes, who has made none".into());
        }
        let changes = count_changes(&decoded)?;
        let covered = self.ledger.covered(&decoded.heads);
        let bytes = up_to_date(&decoded.heads, decoded.flags.is_some());
        let answer = Rc::new(Answer { bytes, heads: decoded.heads, covered, changes });
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        self.known.insert(message.to_vec(), Rc::clone(&answer));
        Ok(answer)
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// Number of changes in a message; `None` for a whole document.
pub fn count_changes(message: &Message) -> Fallible<Option<u32>> {
    let mut changes = 0;
    for mut chunks in message.changes.iter() {
        while !chunks.is_empty() {
            let (chunk, rest) = Chunk::parse(chunks, MAX_INFLATED)?;
            if chunk.kind == ChunkKind::Document {
                return Ok(None);
            }
            changes += 1;
            chunks = rest;
        }
    }
    Ok(Some(changes))
}

/// The answer of a peer that has just received these heads. A peer that sends flags reads messages of version 2.
pub fn up_to_date(heads: &[ChangeHash], reads_v2: bool) -> Vec<u8> {
    let mut flags = MessageFlags::new();
    flags.set(MessageFlags::SUPPORTS_SYNC_RESET);
    let message = Message {
        heads: heads.to_vec(),
        need: Vec::new(),
        have: vec![Have { last_sync: heads.to_vec(), bloom: BloomFilter::default() }],
        changes: ChunkList::empty(),
        flags: Some(flags),
        version: if reads_v2 { MessageVersion::V2 } else { MessageVersion::V1 },
    };
    message.encode()
}

/// The first message of a peer without a document.
pub fn from_nothing() -> Fallible<Vec<u8>> {
    let message = Automerge::new().generate_sync_message(&mut State::new());
    Ok(message.ok_or("an empty peer has nothing to say")?.encode())
}

/// Compares the computed answers with those of the library, before any measurement.
pub fn check() -> Fallible<()> {
    let plan = Plan::new(10)?.with_history(5)?;
    let mut server = plan.open();
    let (mut viewer, mut theirs, mut ours) = (Automerge::new(), State::new(), State::new());
    let rows = rows(&server)?;
    let mut answers = Answers::new(Arc::new(Ledger::new(0)));
    let first = viewer.generate_sync_message(&mut theirs).ok_or("an empty peer has nothing to say")?;
    if first.clone().encode() != from_nothing()? {
        return Err("first messages differ".into());
    }
    server.receive_sync_message(&mut ours, first)?;
    let mut compared = 0;
    for edit in 0..20 {
        // Sometimes two edits in one message, as under load.
        for half in 0..=edit % 2 {
            set_budget(&mut server, &rows[0], 1_000 + 2 * edit + half, 0)?;
        }
        while let Some(message) = server.generate_sync_message(&mut ours) {
            let bytes = message.clone().encode();
            viewer.receive_sync_message(&mut theirs, message)?;
            let Some(answer) = viewer.generate_sync_message(&mut theirs) else { continue };
            if answer.clone().encode() != answers.to(&bytes)?.bytes {
                return Err("an answer of a viewer differs from the library's".into());
            }
            compared += 1;
            server.receive_sync_message(&mut ours, answer)?;
        }
    }
    if compared < 20 || viewer.get_heads() != server.get_heads() {
        return Err(format!("{compared} answers of viewers were compared").into());
    }
    Ok(())
}
