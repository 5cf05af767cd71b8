//! Generates the next message for a peer's sync state.
//!
//! A reimplementation of `Automerge::generate_sync_message` (automerge 0.12) on the public fields of [`sync::State`]. The
//! library's function is still called when changes have to be guessed with a Bloom filter or were requested by hash. If the
//! peer has named only heads that this document has, [`receive`](super::receive) recorded exactly what the peer has. Then:
//!
//! - The changes to send are those after the changes that the peer has or that are in transit. For the latter `sent_hashes` holds
//!   the *heads* of what was sent instead of every hash: a connection delivers everything, in order. So a state stays small
//!   however much was sent. After a filter has withheld changes, it holds nothing of that message.
//! - A peer that lacks more than a third of the history gets the whole document, as in the library. But the document is saved
//!   once for all such peers ([`Saved`]), and a few later edits are appended to that copy instead of saving again.
//! - `have` names our heads: after this message the peer has everything up to them, and should send everything else. The
//!   library names what was shared before, and adds a Bloom filter of what came later; with a false-positive rate of one in a
//!   hundred, some changes of the peer are not sent and have to be requested.

use std::collections::VecDeque;

use automerge::sync::{self, BloomFilter, Capability, ChunkList, Have, Message, MessageFlags, MessageVersion, SyncDoc};
use automerge::{Automerge, ChangeHash, ReadDoc, SaveOptions};
use automerge_chunks::chunk::{ChunkKind, kind};
use bytes::Bytes;

use crate::receive::has;

/// Edits after the saved copy are appended to it while they are smaller than its size divided by this.
const TAIL_PART: usize = 4;

/// How many recent heads are kept with the length of the history. Most peers are at one of these, or ahead of it.
const WAYPOINTS: usize = 16;

/// The whole document, encoded once for all peers that need it, and the data to decide which do.
#[derive(Clone, Default)]
pub(crate) struct Saved {
    copy: Option<Whole>,
    /// The copy was used since the document last changed.
    used: bool,
    /// Recent heads, each with the number of changes at that time.
    waypoints: VecDeque<(Vec<ChangeHash>, u64)>,
}

#[derive(Clone)]
struct Whole {
    heads: Vec<ChangeHash>,
    bytes: Vec<u8>,
}

impl Saved {
    /// Records the new heads after a change of the document. Drops the copy if it was not used since the last change.
    pub(crate) fn document_changed(&mut self, doc: &Automerge) {
        if !std::mem::take(&mut self.used) {
            self.copy = None;
        }
        if self.waypoints.len() == WAYPOINTS {
            self.waypoints.pop_front();
        }
        self.waypoints.push_back((doc.get_heads(), doc.stats().num_changes));
    }

    /// Whether a peer that has these changes and their ancestors lacks more than a third of the history.
    ///
    /// Counts from the last waypoint that the peer has passed, so changes that it has beyond that count as lacking: finding
    /// them would cost more than it saves.
    fn is_for(&self, doc: &Automerge, has: &[ChangeHash]) -> bool {
        let all = doc.stats().num_changes;
        let passed = self.waypoints.iter().rev().find(|(heads, _)| heads.iter().all(|head| has.contains(head)));
        let lacking = match passed {
            _ if has.is_empty() => all,
            Some((_, then)) => all - then,
            None => doc.get_changes_meta(has).len() as u64,
        };
        lacking > all / 3
    }

    /// Size of the copy in bytes.
    pub(crate) fn len(&self) -> usize {
        self.copy.as_ref().map_or(0, |copy| copy.bytes.len())
    }

    /// Drops the copy.
    pub(crate) fn evict(&mut self) {
        *self = Self::default();
    }

    /// The whole document as a chain of chunks.
    fn chunks(&mut self, doc: &Automerge) -> Vec<u8> {
        self.used = true;
        let heads = doc.get_heads();
        if let Some(Whole { heads: then, bytes }) = &self.copy {
            let tail = if *then == heads { Vec::new() } else { doc.save_after(then) };
            if tail.len() < bytes.len() / TAIL_PART {
                return [bytes.as_slice(), tail.as_slice()].concat();
            }
        }
        let bytes = save(doc);
        self.copy = Some(Whole { heads, bytes: bytes.clone() });
        bytes
    }
}

/// The whole document as one chunk. Excludes orphaned changes, which are not on disk either.
pub(crate) fn save(doc: &Automerge) -> Vec<u8> {
    doc.save_with_options(SaveOptions { retain_orphans: false, ..SaveOptions::default() })
}

/// The next message of `doc` for a peer in this state, if there is one, and the state after it.
pub(crate) fn generate(doc: &Automerge, state: &sync::State, saved: &mut Saved) -> (Option<Bytes>, sync::State) {
    let mut next = state.clone();
    let message = if knows_exactly(doc, state) { exact(doc, &mut next, saved) } else { guess(doc, &mut next, saved) };
    (message.map(|message| Bytes::from(message.encode())), next)
}

/// Whether there is no message for a peer in this state: both sides have the same changes and have said so, and the peer
/// requests nothing. Most acknowledgements lead to such a state.
pub(crate) fn is_in_sync(doc: &Automerge, state: &sync::State) -> bool {
    let heads = doc.get_heads();
    state.have_responded
        && !state.needs_reset
        && state.last_sent_heads == heads
        && state.their_heads.as_ref() == Some(&heads)
        && state.their_need.as_ref().is_some_and(Vec::is_empty)
}

/// Whether it is known exactly which changes the peer has.
fn knows_exactly(doc: &Automerge, state: &sync::State) -> bool {
    let (Some(heads), Some(have), Some(need)) = (&state.their_heads, &state.their_have, &state.their_need) else {
        return false;
    };
    // The document may have received the peer's heads after `receive` made this state, so they are looked up again.
    need.is_empty()
        && !state.peer_read_only
        && !state.needs_reset
        && matches!(have.as_slice(), [one] if one.last_sync == *heads && one.bloom == BloomFilter::default())
        && heads.iter().all(|head| has(doc, head))
}

fn exact(doc: &Automerge, state: &mut sync::State, saved: &mut Saved) -> Option<Message> {
    let heads = doc.get_heads();
    let changes = lacking(doc, &heads, state, saved);
    if state.last_sent_heads == heads
        && state.have_responded
        && (state.in_flight || (changes.is_empty() && state.their_heads.as_ref() == Some(&heads)))
    {
        return None;
    }
    state.have_responded = true;
    state.in_flight = true;
    state.last_sent_heads.clone_from(&heads);
    state.sent_hashes = heads.iter().copied().collect();
    let mut flags = MessageFlags::new();
    flags.set(MessageFlags::SUPPORTS_SYNC_RESET);
    if state.read_only {
        flags.set(MessageFlags::READ_ONLY);
    }
    Some(Message {
        have: vec![Have { last_sync: heads.clone(), bloom: BloomFilter::default() }],
        heads,
        need: Vec::new(),
        version: if reads_documents(state) { MessageVersion::V2 } else { MessageVersion::V1 },
        changes: ChunkList::from(changes),
        flags: Some(flags),
    })
}

/// The chunks of a message with all changes that the peer lacks and was not sent.
fn lacking(doc: &Automerge, heads: &[ChangeHash], state: &sync::State, saved: &mut Saved) -> Vec<Vec<u8>> {
    let mut has: Vec<ChangeHash> = state.their_heads.clone().unwrap_or_default();
    has.extend(&state.sent_hashes);
    if heads.iter().all(|head| has.contains(head)) {
        return Vec::new();
    }
    if !reads_documents(state) {
        return doc.get_changes(&has).iter().map(|change| change.raw_bytes().to_vec()).collect();
    }
    // One entry: changes, or a document, or a document followed by changes.
    vec![if saved.is_for(doc, &has) { saved.chunks(doc) } else { doc.save_after(&has) }]
}

fn is_document(chunk: &[u8]) -> bool {
    kind(chunk) == Some(ChunkKind::Document)
}

fn reads_documents(state: &sync::State) -> bool {
    state.their_capabilities.as_ref().is_some_and(|known| known.contains(&Capability::MessageV2))
}

/// Lets the library generate the message, with Bloom filters and requests by hash.
fn guess(doc: &Automerge, state: &mut sync::State, saved: &mut Saved) -> Option<Message> {
    // Changes on their way to the peer count as changes that it has.
    let sent = std::mem::take(&mut state.sent_hashes);
    let said = state.their_have.clone();
    // What the peer has for certain, if the message brings the rest.
    let mut certain = None;
    if let Some(first) = state.their_have.as_mut().and_then(|have| have.first_mut()) {
        // If a change that was shared with the peer is lost here, the library requests everything and sends nothing.
        let shared = first.last_sync.iter().all(|hash| has(doc, hash));
        first.last_sync.extend(&sent);
        if shared && state.their_need.is_some() && !state.peer_read_only {
            let known = state.their_heads.iter().flatten().filter(|head| has(doc, head));
            certain = Some(first.last_sync.iter().chain(known).copied().collect::<Vec<_>>());
        }
    }
    let mut message = doc.generate_sync_message(state);
    if let Some(message) = &mut message
        && message.changes.iter().any(is_document)
    {
        // The library's document includes orphaned changes, and is encoded again for every peer.
        message.changes = ChunkList::from(vec![saved.chunks(doc)]);
    }
    state.their_have = said;
    // The filter may have withheld a change that the peer lacks: then the peer cannot use those that build on it.
    let brings_all = message.is_some()
        && certain.is_some_and(|certain| {
            doc.get_changes_meta(&certain).iter().all(|change| state.sent_hashes.contains(&change.hash))
        });
    state.sent_hashes = if brings_all { state.last_sent_heads.iter().copied().collect() } else { sent };
    message
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};

    use super::*;
    use crate::receive;

    #[test]
    fn reply_to_an_acknowledgement_matches_the_library() {
        let mut writer = AutoCommit::new();
        writer.put(ROOT, "name", "Growth 2027").unwrap();
        writer.commit();
        let known = writer.get_heads();
        let mut edit_once = |budget: i64| {
            writer.put(ROOT, "budget", budget).unwrap();
            writer.commit();
            Automerge::load(&writer.save()).unwrap()
        };
        let mut doc = (1_000..1_030).map(&mut edit_once).last().unwrap();
        let later = edit_once(2_000);
        let changes: Vec<_> = doc.get_changes(&known);
        // All of them were sent. The engine records only the heads of what was sent.
        let before = sync::State { in_flight: true, ..sync::State::new() };
        let to_ours = sync::State { sent_hashes: doc.get_heads().into_iter().collect(), ..before.clone() };
        let to_theirs = sync::State { sent_hashes: changes.iter().map(automerge::Change::hash).collect(), ..before };
        for flags in [None, Some(sync::MessageFlags::new())] {
            for at in [0, 7, 29] {
                let heads = vec![changes[at].hash()];
                let message = sync::Message {
                    heads: heads.clone(),
                    need: Vec::new(),
                    have: vec![sync::Have { last_sync: heads, bloom: sync::BloomFilter::default() }],
                    changes: sync::ChunkList::empty(),
                    flags,
                    version: sync::MessageVersion::V1,
                };
                let ours = receive::receive(&doc, &to_ours, message.clone());
                let mut theirs = to_theirs.clone();
                doc.receive_sync_message(&mut theirs, message).unwrap();
                assert_eq!((&ours.shared_heads, &ours.their_have), (&theirs.shared_heads, &theirs.their_have));
                assert_eq!(ours.their_capabilities, theirs.their_capabilities);

                for doc in [&doc, &later] {
                    let (message, next) = generate(doc, &ours, &mut Saved::default());
                    let message = sync::Message::decode(&message.unwrap()).unwrap();
                    // The library assumes that the peer knows that we have the heads it named; here a message says so.
                    theirs.last_sent_heads.clear();
                    theirs.in_flight = false;
                    let library = doc.generate_sync_message(&mut theirs.clone()).unwrap();
                    assert_eq!((&message.heads, &message.need), (&library.heads, &library.need));
                    let [ours, theirs] =
                        [&message, &library].map(|message| message.changes.iter().collect::<Vec<_>>().concat());
                    assert_eq!(ours, theirs, "acknowledged: change {at}");
                    assert_eq!((&message.version, &message.flags), (&library.version, &library.flags));
                    assert_eq!((next.last_sent_heads, next.in_flight), (doc.get_heads(), true));
                }
            }
        }
    }

    /// A peer that believes to have a change which it lacks cannot be brought up to date without starting over.
    #[test]
    fn change_that_a_filter_withheld_is_sent_later() {
        let put = |doc: &mut AutoCommit, key: &str| {
            doc.put(ROOT, key, 1).unwrap();
            doc.commit();
            doc.get_heads()[0]
        };
        let mut server = AutoCommit::new();
        let shared = put(&mut server, "shared");
        let mut peer = server.fork();
        let (withheld, later) = (put(&mut server, "withheld"), put(&mut server, "later"));
        let own = put(&mut peer, "own");
        let mut doc = Automerge::load(&server.save()).unwrap();
        let (copy, own_changes) = (peer.save(), peer.get_changes(&[shared]));
        // A false positive of the filter of the peer's own changes.
        let bloom = BloomFilter::from_hashes([own, withheld].iter());
        let message = Message {
            heads: vec![own],
            need: Vec::new(),
            have: vec![Have { last_sync: vec![shared], bloom }],
            changes: ChunkList::empty(),
            flags: Some(MessageFlags::new()),
            version: MessageVersion::V1,
        };
        let state = receive::receive(&doc, &sync::State::new(), message.clone());
        let (sent, state) = generate(&doc, &state, &mut Saved::default());
        let changes = |message: Option<Bytes>| {
            let mut with = Automerge::load(&copy).unwrap();
            let message = Message::decode(&message.unwrap()).unwrap();
            with.receive_sync_message(&mut sync::State::new(), message).unwrap();
            with.get_heads()
        };
        assert_eq!(changes(sent), [own], "the later change waits for the one that was withheld");

        // The peer's change arrives in another message, and the peer still has what it had.
        doc.apply_changes(own_changes).unwrap();
        let state = receive::receive(&doc, &state, Message { changes: ChunkList::empty(), ..message });
        let (sent, _) = generate(&doc, &state, &mut Saved::default());
        let mut both = [own, later];
        both.sort_unstable();
        let mut heads = changes(sent);
        heads.sort_unstable();
        assert_eq!(heads, both);
    }
}
