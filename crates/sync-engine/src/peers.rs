//! Peers in the same state are one peer.
//!
//! What Automerge sends to a peer depends on the document and on the peer's [`sync::State`], and on nothing else. A
//! thousand viewers who are up to date are all in the *same* state. So states are interned as *classes*, and the CRDT
//! work is done once per class:
//!
//! - publishing generates one message per class; all its members get the same bytes and move to the same next class;
//! - an acknowledgement (a message without changes) is computed once per (class, bytes), and looked up for the others;
//! - a class outlives its last member until the document moves on, so that a thousand newcomers who arrive one after
//!   the other still cost one `save()`.
//!
//! Both lookups hold for one version of the document (its heads) and are dropped when it moves on.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::{Automerge, ChangeHash, sync};
use bytes::Bytes;

use crate::generate::{Saved, generate, is_settled};
use crate::receive::receive;

/// Names one peer of one document. Made by the caller; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u64);

/// Classes are numbered and the numbers never used again, so a lookup cannot meet a later class by the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ClassId(u64);

struct Class {
    state: Arc<sync::State>,
    members: usize,
    /// What the document as it is now has for this class: the message (if any), and the state after it.
    generated: Option<(Option<Bytes>, ClassId)>,
}

struct Peer {
    class: ClassId,
    /// Something happened since the last message was generated for this peer.
    due: bool,
    /// It was not ready when a message was due: nothing is tried for it until somebody says that it is.
    behind: bool,
    /// Asked for a document that does not exist yet: told so, and served when it appears.
    waiting: bool,
    stall: Stall,
}

/// How long the exchange with a peer has made no progress.
///
/// A lost message leaves both sides wrong about what the other has: each goes on answering the other for ever, as fast as
/// the network allows. The sync protocol itself has no remedy, since it presumes that nothing is lost.
#[derive(Debug, Clone, Copy, Default)]
struct Stall {
    /// Messages in a row that said the same as the one before, and left something to be said.
    repeats: u8,
    /// How often the peer's state was reset since it last said something else.
    resets: u8,
}

/// Repeated messages after which a peer's state is reset. An exchange that goes well has some, where several messages were
/// sent before the first was answered: then each answer says the same.
const MAX_REPEATS: u8 = 16;
/// Resets after which a peer that still says the same is not answered any more: until it says something else, the
/// document changes, or [`Peers::retry_stalled`] is called.
const MAX_RESETS: u8 = 2;

/// Memory that lookups may hold before unused ones are dropped: acknowledgement bytes and generated messages.
const LOOKUP_BUDGET: usize = 16 << 20;
/// Memory that lookups may hold for as long as they are right.
const SMALL_COPIES: usize = 2 << 10;
/// Classes without members that are kept for the next peer to come into that state.
const SPARE_CLASSES: usize = 4_096;

/// The sync states of all peers of one document.
#[derive(Default)]
pub struct Peers {
    peers: HashMap<PeerKey, Peer>,
    /// Who is due and not behind. (Some may have gone meanwhile.) A batch costs what it moves, not a look at everybody.
    due: Vec<PeerKey>,
    classes: HashMap<ClassId, Class>,
    by_state: HashMap<Arc<sync::State>, ClassId>,
    acknowledged: HashMap<(ClassId, Bytes), ClassId>,
    saved: Saved,
    lookup_bytes: usize,
    /// A generated message was found, or made, since copies were last looked at.
    copies_used: bool,
    next_class: u64,
    generations: u64,
}

/// What a peer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who gets it.
    pub peer: PeerKey,
    /// The encoded sync message; shared by all who get the same.
    pub message: Bytes,
}

impl Peers {
    /// A peer begins to sync. `shared_heads`: what it was known to have when it was last here (empty for a newcomer).
    pub fn join(&mut self, peer: PeerKey, shared_heads: Vec<ChangeHash>) {
        let state = if shared_heads.is_empty() {
            sync::State::new()
        } else {
            // What `State::decode` makes of a stored state.
            sync::State { shared_heads, their_have: Some(Vec::new()), ..sync::State::new() }
        };
        self.leave(peer);
        let class = self.intern(state);
        self.enter(class);
        self.peers.insert(peer, Peer { class, due: false, behind: false, waiting: false, stall: Stall::default() });
    }

    /// A peer is gone. Returns the heads that both sides were known to have.
    pub fn leave(&mut self, peer: PeerKey) -> Option<Vec<ChangeHash>> {
        let peer = self.peers.remove(&peer)?;
        let shared = self.classes.get(&peer.class).map(|class| class.state.shared_heads.clone());
        self.exit(peer.class);
        shared
    }

    /// Whether a peer may only read. One who is gone may do nothing else, either: what they sent may still wait.
    #[must_use]
    pub fn is_read_only(&self, peer: PeerKey) -> bool {
        self.state_of(peer).is_none_or(|state| state.read_only)
    }

    /// A peer may only read from now on, or may write again. It is told so, and what it sent in vain is asked for again.
    pub fn set_read_only(&mut self, peer: PeerKey, read_only: bool) {
        let Some(mut state) = self.state_of(peer).filter(|state| state.read_only != read_only).cloned() else { return };
        // Whoever has not said anything yet is told with the answer to what it says.
        let has_spoken = state.their_heads.is_some();
        state.set_read_only(read_only);
        self.move_to(peer, state);
        if has_spoken
            && let Some(entry) = self.peers.get_mut(&peer)
            && !std::mem::replace(&mut entry.due, true)
        {
            self.due.push(peer);
        }
    }

    fn state_of(&self, peer: PeerKey) -> Option<&sync::State> {
        Some(&*self.classes.get(&self.peers.get(&peer)?.class)?.state)
    }

    /// Whether this peer syncs this document.
    #[must_use]
    pub fn contains(&self, peer: PeerKey) -> bool {
        self.peers.contains_key(&peer)
    }

    /// How many peers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is no peer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// How many messages were worked out so far: the cost that sharing saves.
    #[must_use]
    pub fn generations(&self) -> u64 {
        self.generations
    }

    /// In how many distinct states the peers are.
    #[must_use]
    pub fn distinct_states(&self) -> usize {
        self.classes.values().filter(|class| class.members > 0).count()
    }

    /// The heads that a peer last said it has.
    #[must_use]
    pub fn their_heads(&self, peer: PeerKey) -> Option<&[ChangeHash]> {
        self.state_of(peer)?.their_heads.as_deref()
    }

    /// Whether a peer has said that it accepts no changes.
    #[must_use]
    pub fn refuses_changes(&self, peer: PeerKey) -> bool {
        self.state_of(peer).is_some_and(|state| state.peer_read_only)
    }

    /// Whether a peer is not answered any more, as it goes on saying the same.
    #[must_use]
    pub fn is_given_up(&self, peer: PeerKey) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.stall.resets > MAX_RESETS)
    }

    /// Marks a peer as one who asked for a document that does not exist (yet).
    pub fn wait_for_document(&mut self, peer: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.waiting = true;
        }
    }

    /// A peer who asked for the document has got it meanwhile: it is asked for it, and so is answered again.
    pub fn stop_waiting(&mut self, peer: PeerKey) {
        if let Some(entry) = self.peers.get_mut(&peer)
            && std::mem::take(&mut entry.waiting)
            && entry.due
        {
            self.due.push(peer);
        }
    }

    /// The document has changed: what was generated and looked up for its last version is void, and all peers are due.
    pub fn document_changed(&mut self, doc: &Automerge) {
        self.drop_lookups();
        self.saved.move_on(doc);
        self.all_are_due();
    }

    /// The document's heads are the same, but it asks for other changes now: those that others of them wait for.
    pub fn needs_changed(&mut self) {
        self.drop_lookups();
    }

    /// Whether much is kept only to be found by the next peer in the same state.
    #[must_use]
    pub fn keeps_copies(&self) -> bool {
        self.lookup_bytes + self.saved.len() > SMALL_COPIES
    }

    /// Lets go of that, unless somebody has come for it since this was last called.
    pub fn forget_unused_copies(&mut self) {
        if !std::mem::take(&mut self.copies_used) {
            self.forget_copies();
        }
    }

    fn forget_copies(&mut self) {
        self.drop_lookups();
        self.saved.forget();
    }

    fn all_are_due(&mut self) {
        for peer in self.peers.values_mut() {
            peer.due = true;
            peer.stall.resets = 0;
        }
        self.due.clear();
        self.due.extend(self.peers.iter().filter(|(_, peer)| !peer.behind).map(|(key, _)| *key));
    }

    /// The document in memory was lost and read again from the disk. Changes that waited in memory for others are gone,
    /// and the peers who sent them think that we have them; so every peer is asked for what it has, from the start.
    pub fn reset(&mut self) {
        let peers: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in peers {
            self.reset_one(key);
        }
        // Nor is it known any more who could not take what was due to them.
        self.peers.values_mut().for_each(|peer| peer.behind = false);
        self.all_are_due();
        self.forget_copies();
    }

    /// Forgets what a peer is thought to have. Its next message says so, and asks it to do the same.
    fn reset_one(&mut self, key: PeerKey) {
        let Some(old) = self.state_of(key) else { return };
        let state = sync::State {
            their_capabilities: old.their_capabilities.clone(),
            read_only: old.read_only,
            needs_reset: true,
            ..sync::State::new()
        };
        self.move_to(key, state);
    }

    /// Peers that are not answered any more, as they went on saying the same, are answered once more. To be called at
    /// times far apart. Returns whether there are any.
    pub fn retry_stalled(&mut self) -> bool {
        let stalled = self.peers.iter_mut().filter(|(_, peer)| peer.stall.resets > MAX_RESETS);
        let mut any = false;
        for (key, peer) in stalled {
            any = true;
            // One more reset, and the messages that follow it.
            peer.stall = Stall { repeats: MAX_REPEATS, resets: MAX_RESETS - 1 };
            if !std::mem::replace(&mut peer.due, true) {
                self.due.push(*key);
            }
        }
        any
    }

    /// Whether the effect of these bytes from this peer was computed already.
    #[must_use]
    pub fn knows_acknowledgement(&self, key: PeerKey, bytes: &Bytes) -> bool {
        self.peers.get(&key).is_some_and(|peer| self.acknowledged.contains_key(&(peer.class, bytes.clone())))
    }

    /// Looks up what an acknowledgement with these `bytes` does to this peer, and does it. False: not computed yet.
    pub fn acknowledge(&mut self, key: PeerKey, bytes: &Bytes) -> bool {
        let Some(peer) = self.peers.get(&key) else { return true };
        let from = peer.class;
        let Some(&to) = self.acknowledged.get(&(from, bytes.clone())) else { return false };
        self.relocate(key, from, to);
        true
    }

    /// A message of this peer, its changes applied to `doc` already.
    ///
    /// `bytes` as they came, when the message carried no changes: its effect is then kept for whoever sends the same.
    pub fn receive(&mut self, doc: &Automerge, key: PeerKey, message: sync::Message, bytes: Option<&Bytes>) {
        let Some(peer) = self.peers.get(&key) else { return };
        let from = peer.class;
        let Some(class) = self.classes.get(&from) else { return };
        let next = receive(doc, &class.state, message);
        let to = self.intern(next);
        if let Some(bytes) = bytes {
            self.lookup_bytes += bytes.len() + 64;
            self.acknowledged.insert((from, bytes.clone()), to);
        }
        self.relocate(key, from, to);
        self.bound_lookups();
    }

    /// Generates what is due to those peers who are `ready` to take it. Whoever is not stays due, and costs nothing.
    ///
    /// A message that was generated must be delivered: the states of its receivers have moved on.
    pub fn generate(&mut self, doc: &Automerge, mut ready: impl FnMut(PeerKey) -> bool) -> Vec<Delivery> {
        let exists = !doc.get_heads().is_empty();
        let mut due = std::mem::take(&mut self.due);
        due.retain(|key| self.peers.get(key).is_some_and(|peer| peer.due && (exists || !peer.waiting)));
        // The same order in every run, whatever the hash map's; and everybody once.
        due.sort_unstable();
        due.dedup();
        due.into_iter().filter_map(|key| self.generate_for(doc, key, &mut ready)).collect()
    }

    /// The same for one peer, for example one whose socket has drained. It need not be due.
    pub fn generate_one(&mut self, doc: &Automerge, key: PeerKey) -> Option<Delivery> {
        let waiting = self.peers.get(&key)?.waiting;
        if waiting && doc.get_heads().is_empty() {
            return None;
        }
        self.generate_for(doc, key, &mut |_| true)
    }

    /// A message is due to this peer, who has no room for it now: it is to be generated once there is.
    pub fn owe(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.due = true;
            peer.behind = true;
        }
    }

    /// Whether something may be due to this peer that it was not ready for.
    #[must_use]
    pub fn is_due(&self, key: PeerKey) -> bool {
        self.peers.get(&key).is_some_and(|peer| peer.due)
    }

    fn generate_for(
        &mut self,
        doc: &Automerge,
        key: PeerKey,
        ready: &mut impl FnMut(PeerKey) -> bool,
    ) -> Option<Delivery> {
        let mut from = self.peers.get(&key)?.class;
        let (mut message, mut to) = self.generated(doc, from)?;
        if message.is_some() && self.is_stalled(key) {
            if !self.may_reset(key) {
                self.peers.get_mut(&key)?.due = false;
                return None;
            }
            self.reset_one(key);
            from = self.peers.get(&key)?.class;
            (message, to) = self.generated(doc, from)?;
        }
        if message.is_some() && !ready(key) {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.behind = true;
            }
            return None;
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.due = false;
            peer.behind = false;
            peer.waiting = false;
            if from != to {
                peer.class = to;
                self.enter(to);
                self.exit(from);
            }
        }
        Some(Delivery { peer: key, message: message? })
    }

    fn is_stalled(&self, key: PeerKey) -> bool {
        self.peers.get(&key).is_some_and(|peer| peer.stall.repeats >= MAX_REPEATS)
    }

    /// Counts one more reset. False: there were too many in vain.
    fn may_reset(&mut self, key: PeerKey) -> bool {
        let Some(peer) = self.peers.get_mut(&key) else { return false };
        peer.stall.resets = peer.stall.resets.saturating_add(1);
        if peer.stall.resets > MAX_RESETS {
            return false;
        }
        peer.stall.repeats = 0;
        true
    }

    /// Counts a message that moved a peer from one state to another.
    fn note_progress(&mut self, key: PeerKey, from: ClassId, to: ClassId) {
        let (Some(before), Some(after)) = (self.classes.get(&from), self.classes.get(&to)) else { return };
        let (before, after) = (&before.state, &after.state);
        let same = before.their_heads == after.their_heads && before.their_need == after.their_need;
        let settled = after.their_heads.as_ref() == Some(&after.last_sent_heads)
            && after.their_need.as_ref().is_some_and(Vec::is_empty);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !same && before.their_heads.is_some() {
            peer.stall = Stall::default();
        } else if same && !settled {
            peer.stall.repeats = peer.stall.repeats.saturating_add(1);
        } else {
            peer.stall.repeats = 0;
        }
    }

    /// What the document has for the peers of a class: worked out by the first who asks.
    fn generated(&mut self, doc: &Automerge, id: ClassId) -> Option<(Option<Bytes>, ClassId)> {
        let class = self.classes.get(&id)?;
        if let Some(known) = &class.generated {
            self.copies_used |= known.0.is_some();
            return Some(known.clone());
        }
        if is_settled(doc, &class.state) {
            return Some((None, id));
        }
        self.copies_used = true;
        self.generations += 1;
        let (message, state) = generate(doc, &class.state, &mut self.saved);
        let next = self.intern(state);
        self.lookup_bytes += message.as_ref().map_or(0, Bytes::len);
        let class = self.classes.get_mut(&id)?;
        class.generated = Some((message.clone(), next));
        Some((message, next))
    }

    /// Received something: moves, and is owed an answer (which may turn out to be none).
    fn relocate(&mut self, key: PeerKey, from: ClassId, to: ClassId) {
        self.note_progress(key, from, to);
        self.enter(to);
        self.exit(from);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.class = to;
            if !std::mem::replace(&mut peer.due, true) {
                self.due.push(key);
            }
        }
    }

    fn move_to(&mut self, key: PeerKey, state: sync::State) {
        let to = self.intern(state);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let from = std::mem::replace(&mut peer.class, to);
        self.enter(to);
        self.exit(from);
    }

    fn intern(&mut self, state: sync::State) -> ClassId {
        if let Some(&id) = self.by_state.get(&state) {
            return id;
        }
        let id = ClassId(self.next_class);
        self.next_class += 1;
        let state = Arc::new(state);
        self.by_state.insert(Arc::clone(&state), id);
        self.classes.insert(id, Class { state, members: 0, generated: None });
        id
    }

    fn enter(&mut self, id: ClassId) {
        if let Some(class) = self.classes.get_mut(&id) {
            class.members += 1;
        }
    }

    fn exit(&mut self, id: ClassId) {
        if let Some(class) = self.classes.get_mut(&id) {
            class.members -= 1;
        }
    }

    /// Drops lookups when they hold too much; they cost time to make again, never correctness.
    fn bound_lookups(&mut self) {
        if self.lookup_bytes <= LOOKUP_BUDGET && self.classes.len() <= self.peers.len() + SPARE_CLASSES {
            return;
        }
        self.drop_lookups();
    }

    fn drop_lookups(&mut self) {
        self.acknowledged.clear();
        self.lookup_bytes = 0;
        let by_state = &mut self.by_state;
        self.classes.retain(|_, class| {
            class.generated = None;
            if class.members == 0 {
                by_state.remove(&class.state);
            }
            class.members > 0
        });
    }
}

#[cfg(test)]
mod tests;
