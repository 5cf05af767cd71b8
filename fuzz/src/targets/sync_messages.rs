//! Sync messages, and their effect on a document.

use std::collections::HashSet;

use automerge::{ActorId, Automerge, Change, ReadDoc, sync};
use automerge_chunks::chunk::Chunk;
use bytes::Bytes;
use happierwork::legacy::RENDERINGS;
use primitives::DocumentId;
use runtime::document::{Document, Item, Outcome};
use sync_engine::{MessageLimits, PeerKey};

use super::mutations::mutated;
use super::plan::{FILES, MESSAGES};

/// A sync message.
pub fn sync_message(bytes: &[u8]) {
    receive(bytes);
}

/// A valid sync message with some changed bytes.
pub fn sync_mutations(bytes: &[u8]) {
    let [which, mutations @ ..] = bytes else { return };
    let valid = &MESSAGES[usize::from(*which) % MESSAGES.len()];
    let mut message = sync::Message::decode(valid).expect("valid");
    let entries: Vec<Vec<u8>> = message.changes.iter().map(|entry| mutated(entry, mutations)).collect();
    message.changes = entries.into();
    receive(&message.encode());
}

/// A document applies or refuses the message. Applied changes are durable: the resulting log and its snapshot can be loaded.
pub fn receive(bytes: &[u8]) {
    receive_all(&[bytes]);
}

/// The same for consecutive messages, each in one batch with one of an honest peer.
pub fn receive_all(messages: &[impl AsRef<[u8]>]) {
    let mut document = load(&FILES[0]);
    document.engine.join(PeerKey(1), Vec::new());
    document.engine.join(PeerKey(2), Vec::new());
    let mut log = FILES[0].clone();
    for message in messages {
        let honest = item(2, &MESSAGES[0]);
        let mut applied = document.engine.apply(vec![item(1, message.as_ref()), honest.clone()]);
        if applied.poisoned().is_some() {
            // The document is reloaded, and the messages of its batch are tried one by one.
            assert!(applied.chunks.is_empty(), "no harmful change is stored");
            document.reload(&log, actor()).expect("the log can be read");
            applied = document.engine.apply(vec![honest]);
            assert!(applied.poisoned().is_none());
        }
        assert!(
            matches!(applied.outcomes.last(), Some(Outcome::Synced)),
            "an honest peer is accepted after any bytes of another"
        );
        assert_causal(&log, &applied.chunks);
        log.extend_from_slice(&applied.chunks);
        let _ = document.publish(&mut applied, |_| true);
    }
    drop(document.view());
    let reloaded = Automerge::load(&log).expect("the appended log can be read");
    assert_eq!(reloaded.get_heads(), document.engine.heads());
    let saved = Automerge::load(&document.engine.save()).expect("the snapshot can be read");
    assert_eq!(saved.get_heads(), document.engine.heads());
}

/// Every prefix of a log is a whole document: each change comes after all of its dependencies.
fn assert_causal(log: &[u8], appended: &[u8]) {
    if appended.is_empty() {
        return;
    }
    let before = Automerge::load(log).expect("the log can be read");
    let mut seen = HashSet::new();
    let mut rest = appended;
    while !rest.is_empty() {
        let (chunk, after) = Chunk::parse(rest, u64::MAX).expect("whole chunks are appended");
        let change = Change::try_from(chunk.bytes).expect("changes are appended");
        for dep in change.deps() {
            assert!(seen.contains(dep) || before.get_change_by_hash(dep).is_some(), "a change is logged too early");
        }
        seen.insert(change.hash());
        rest = after;
    }
}

fn item(peer: u64, bytes: &[u8]) -> Item {
    Item::Sync { peer: PeerKey(peer), bytes: Bytes::copy_from_slice(bytes) }
}

fn load(log: &[u8]) -> Document {
    let id = DocumentId::from_random([7; 16]);
    Document::load(id, log, actor(), RENDERINGS, MessageLimits::default()).expect("a valid document")
}

fn actor() -> ActorId {
    ActorId::from([1_u8; 16])
}
