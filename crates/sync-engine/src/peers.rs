//! The sync states of a document's peers, shared between peers in the same state.
//!
//! The message that Automerge sends to a peer depends only on the document and on the peer's [`sync::State`]. A thousand
//! viewers that are up to date have equal states. [`Peers`] therefore interns states as *classes*, and does the CRDT work once
//! for each class:
//!
//! - Publishing generates one message per class. All members get the same bytes and move to the same next class.
//! - The effect of an acknowledgement (a message without changes) is computed once per class and message bytes, and cached.
//! - A class outlives its last member until the document changes, so a thousand peers that join one after the other cost one
//!   `save()`.
//!
//! Both caches are valid for one version of the document (its heads), and are cleared when the document changes.

mod stall;

use std::collections::HashMap;
use std::sync::Arc;

use automerge::sync::Capability;
use automerge::{Automerge, ChangeHash, sync};
use bytes::Bytes;
use stall::Stall;

use crate::generate::{Saved, generate, is_in_sync};
use crate::receive::receive;

/// Identifies one peer of one document. The caller assigns keys and never reuses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u64);

/// Number of a class. Numbers are never reused, so a cached number cannot refer to a later class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ClassId(u64);

/// A sync state, with the peers that have it.
struct Class {
    state: Arc<sync::State>,
    /// How many peers have this state.
    members: usize,
    /// The next message for this state (if there is one) and the class after it, cached for the document's current heads.
    generated: Option<(Option<Bytes>, ClassId)>,
}

struct Peer {
    class: ClassId,
    /// The state or the document has changed since the last message was generated for this peer.
    due: bool,
    /// The peer was not ready when a message was due. [`Peers::generate`] skips it until [`Peers::generate_one`].
    behind: bool,
    /// The peer asked for a document that does not exist, and gets no message until it does.
    waiting: bool,
    stall: Stall,
}

/// Bytes of acknowledgements and generated messages above which the caches are cleared.
const MAX_CACHE_BYTES: usize = 16 << 20;
/// Caches of at most this many bytes are kept although they are unused.
const SMALL_CACHE_BYTES: usize = 2 << 10;
/// Classes without members above which the caches are cleared.
const SPARE_CLASSES: usize = 4_096;

/// The sync states of all peers of one document.
#[derive(Default)]
pub struct Peers {
    peers: HashMap<PeerKey, Peer>,
    /// The peers that are due and not behind, and some that have left. With this list a batch need not check every peer.
    due: Vec<PeerKey>,
    classes: HashMap<ClassId, Class>,
    by_state: HashMap<Arc<sync::State>, ClassId>,
    /// Cached effects of acknowledgements: the class of a sender and the bytes of its message give its next class.
    acknowledged: HashMap<(ClassId, Bytes), ClassId>,
    saved: Saved,
    /// About how many bytes the caches hold.
    cache_bytes: usize,
    /// A cached message was used or made since [`Peers::evict_unused_cache`] was last called.
    cache_used: bool,
    next_class: u64,
    generations: u64,
}

/// A sync message to be sent to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The receiver.
    pub peer: PeerKey,
    /// The encoded sync message. Receivers of the same message share its bytes.
    pub message: Bytes,
}

impl Peers {
    /// Adds a peer. `shared_heads` are the heads that both sides were known to have when it was last connected; empty for a
    /// new peer.
    pub fn join(&mut self, peer: PeerKey, shared_heads: Vec<ChangeHash>) {
        let state = if shared_heads.is_empty() {
            sync::State::new()
        } else {
            // The same as `State::decode` makes of a stored state.
            sync::State { shared_heads, their_have: Some(Vec::new()), ..sync::State::new() }
        };
        self.leave(peer);
        let class = self.intern(state);
        self.enter(class);
        self.peers.insert(peer, Peer { class, due: false, behind: false, waiting: false, stall: Stall::default() });
    }

    /// Removes a peer. Returns the heads that both sides were known to have.
    pub fn leave(&mut self, peer: PeerKey) -> Option<Vec<ChangeHash>> {
        let peer = self.peers.remove(&peer)?;
        let shared = self.classes.get(&peer.class).map(|class| class.state.shared_heads.clone());
        self.exit(peer.class);
        shared
    }

    /// Whether a peer may only read. True for a peer that has left: a message of it may still be queued.
    #[must_use]
    pub fn is_read_only(&self, peer: PeerKey) -> bool {
        self.state_of(peer).is_none_or(|state| state.read_only)
    }

    /// Makes a peer read-only, or lets it write again. The next message to the peer says so, and is due; changes that it sent
    /// while it was read-only are requested again.
    pub fn set_read_only(&mut self, peer: PeerKey, read_only: bool) {
        let Some(mut state) = self.state_of(peer).filter(|state| state.read_only != read_only).cloned() else { return };
        // A peer that has sent nothing yet is told with the answer to its first message.
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

    /// Whether the peer is one of these.
    #[must_use]
    pub fn contains(&self, peer: PeerKey) -> bool {
        self.peers.contains_key(&peer)
    }

    /// The number of peers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is no peer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// How many messages were generated so far, not counting those that were found in the cache.
    #[must_use]
    pub fn generations(&self) -> u64 {
        self.generations
    }

    /// The number of distinct states of the peers.
    #[must_use]
    pub fn distinct_states(&self) -> usize {
        self.classes.values().filter(|class| class.members > 0).count()
    }

    /// The heads in a peer's last message.
    #[must_use]
    pub fn their_heads(&self, peer: PeerKey) -> Option<&[ChangeHash]> {
        self.state_of(peer)?.their_heads.as_deref()
    }

    /// Whether the peer's last message said that it accepts no changes.
    #[must_use]
    pub fn refuses_changes(&self, peer: PeerKey) -> bool {
        self.state_of(peer).is_some_and(|state| state.peer_read_only)
    }

    /// Whether the peer is not answered any more, because it repeats the same message.
    #[must_use]
    pub fn is_given_up(&self, peer: PeerKey) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.stall.is_given_up())
    }

    /// Marks a peer that asked for a document that does not exist. It gets no message until the document exists.
    pub fn wait_for_document(&mut self, peer: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.waiting = true;
        }
    }

    /// Unmarks a peer that asked for the document, because it has received the document meanwhile.
    pub fn stop_waiting(&mut self, peer: PeerKey) {
        if let Some(entry) = self.peers.get_mut(&peer)
            && std::mem::take(&mut entry.waiting)
            && entry.due
        {
            self.due.push(peer);
        }
    }

    /// Clears the caches and makes all peers due, after the document has changed.
    pub fn document_changed(&mut self, doc: &Automerge) {
        self.clear_caches();
        self.saved.document_changed(doc);
        self.mark_all_due();
    }

    /// Clears the caches, after the document's list of missing dependencies has changed but not its heads.
    pub fn needs_changed(&mut self) {
        self.clear_caches();
    }

    /// Whether the caches and the saved document take more than a little memory.
    #[must_use]
    pub fn holds_cache(&self) -> bool {
        self.cache_bytes + self.saved.len() > SMALL_CACHE_BYTES
    }

    /// Drops the caches and the saved document, unless a message was taken from them since the last call.
    pub fn evict_unused_cache(&mut self) {
        if !std::mem::take(&mut self.cache_used) {
            self.evict_cache();
        }
    }

    fn evict_cache(&mut self) {
        self.clear_caches();
        self.saved.evict();
    }

    fn mark_all_due(&mut self) {
        for peer in self.peers.values_mut() {
            peer.due = true;
            peer.stall.document_changed();
        }
        self.due.clear();
        self.due.extend(self.peers.iter().filter(|(_, peer)| !peer.behind).map(|(key, _)| *key));
    }

    /// Resets the state of every peer, after the document was read again from the log. Orphaned changes in memory are lost,
    /// and their senders believe that they were received, so every exchange starts again.
    pub fn reset(&mut self) {
        let peers: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in peers {
            self.reset_one(key);
        }
        // It is not known any more which peers were not ready.
        self.peers.values_mut().for_each(|peer| peer.behind = false);
        self.mark_all_due();
        self.evict_cache();
    }

    /// Forgets the changes that the peer has. The next message asks the peer to do the same.
    fn reset_one(&mut self, key: PeerKey) {
        let Some(old) = self.state_of(key) else { return };
        let was_heard = old.their_heads.is_some();
        // A peer from before the flag that asks for a reset is asked by a message without heads. If it has nothing, it takes that for
        // agreement, and never answers. So a peer that was not heard counts as one that knows the flag; `receive` corrects that.
        let their_capabilities =
            if was_heard { old.their_capabilities.clone() } else { Some(vec![Capability::SyncReset]) };
        let knows_flag = their_capabilities.as_ref().is_some_and(|known| known.contains(&Capability::SyncReset));
        let has_nothing = old.their_heads.as_ref().is_none_or(Vec::is_empty);
        let state = sync::State {
            their_capabilities,
            read_only: old.read_only,
            needs_reset: knows_flag || !has_nothing,
            ..sync::State::new()
        };
        self.move_to(key, state);
    }

    /// Makes the given-up peers due once more. Call this rarely. Returns whether there are any.
    pub fn retry_stalled(&mut self) -> bool {
        let stalled = self.peers.iter_mut().filter(|(_, peer)| peer.stall.is_given_up());
        let mut any = false;
        for (key, peer) in stalled {
            any = true;
            peer.stall.retry();
            if !std::mem::replace(&mut peer.due, true) {
                self.due.push(*key);
            }
        }
        any
    }

    /// Whether the effect of this message from this peer is cached.
    #[must_use]
    pub fn knows_acknowledgement(&self, key: PeerKey, bytes: &Bytes) -> bool {
        self.peers.get(&key).is_some_and(|peer| self.acknowledged.contains_key(&(peer.class, bytes.clone())))
    }

    /// Applies the cached effect of an acknowledgement to this peer. Returns false if it is not cached.
    pub fn acknowledge(&mut self, key: PeerKey, bytes: &Bytes) -> bool {
        let Some(peer) = self.peers.get(&key) else { return true };
        let from = peer.class;
        let Some(&to) = self.acknowledged.get(&(from, bytes.clone())) else { return false };
        self.received(key, from, to);
        true
    }

    /// Applies a message to this peer's state. Its changes must have been applied to `doc` before.
    ///
    /// `bytes` is the encoded message if it carried no changes; the effect is then cached for other senders of the same bytes.
    pub fn receive(&mut self, doc: &Automerge, key: PeerKey, message: sync::Message, bytes: Option<&Bytes>) {
        let Some(peer) = self.peers.get(&key) else { return };
        let from = peer.class;
        let Some(class) = self.classes.get(&from) else { return };
        let next = receive(doc, &class.state, message);
        let to = self.intern(next);
        if let Some(bytes) = bytes {
            self.cache_bytes += bytes.len() + 64;
            self.acknowledged.insert((from, bytes.clone()), to);
        }
        self.received(key, from, to);
        self.bound_caches();
    }

    /// Generates the messages that are due to peers for which `ready` returns true. The others stay due, and are skipped until
    /// [`Peers::generate_one`].
    ///
    /// The caller must deliver every message that is returned: the states of the receivers have moved on.
    pub fn generate(&mut self, doc: &Automerge, mut ready: impl FnMut(PeerKey) -> bool) -> Vec<Delivery> {
        let exists = !doc.get_heads().is_empty();
        let mut due = std::mem::take(&mut self.due);
        due.retain(|key| self.peers.get(key).is_some_and(|peer| peer.due && (exists || !peer.waiting)));
        // Each peer once, in an order that does not depend on the hash map.
        due.sort_unstable();
        due.dedup();
        due.into_iter().filter_map(|key| self.generate_for(doc, key, &mut ready)).collect()
    }

    /// Generates the message for one peer, for example when its socket has drained. The peer need not be due.
    pub fn generate_one(&mut self, doc: &Automerge, key: PeerKey) -> Option<Delivery> {
        let waiting = self.peers.get(&key)?.waiting;
        if waiting && doc.get_heads().is_empty() {
            return None;
        }
        self.generate_for(doc, key, &mut |_| true)
    }

    /// Makes a peer due that is not ready now. [`Peers::generate_one`] generates its message.
    pub fn mark_behind(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.due = true;
            peer.behind = true;
        }
    }

    /// Whether a message may be due to this peer.
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
        let peer = self.peers.get_mut(&key)?;
        if message.is_some() && peer.stall.needs_reset() {
            if !peer.stall.try_reset() {
                peer.due = false;
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

    /// The next message for a class and the class after it, from the cache if possible.
    fn generated(&mut self, doc: &Automerge, id: ClassId) -> Option<(Option<Bytes>, ClassId)> {
        let class = self.classes.get(&id)?;
        if let Some(known) = &class.generated {
            self.cache_used |= known.0.is_some();
            return Some(known.clone());
        }
        if is_in_sync(doc, &class.state) {
            return Some((None, id));
        }
        self.cache_used = true;
        self.generations += 1;
        let (message, state) = generate(doc, &class.state, &mut self.saved);
        let next = self.intern(state);
        self.cache_bytes += message.as_ref().map_or(0, Bytes::len);
        let class = self.classes.get_mut(&id)?;
        class.generated = Some((message.clone(), next));
        Some((message, next))
    }

    /// Moves a peer to the class that its message led to, and makes it due: an answer may be needed.
    fn received(&mut self, key: PeerKey, from: ClassId, to: ClassId) {
        if let (Some(before), Some(after)) = (self.classes.get(&from), self.classes.get(&to))
            && let Some(peer) = self.peers.get_mut(&key)
        {
            peer.stall.record(&before.state, &after.state);
        }
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

    /// Clears the caches when they hold too much. That costs time, never correctness.
    fn bound_caches(&mut self) {
        if self.cache_bytes <= MAX_CACHE_BYTES && self.classes.len() <= self.peers.len() + SPARE_CLASSES {
            return;
        }
        self.clear_caches();
    }

    fn clear_caches(&mut self) {
        self.acknowledged.clear();
        self.cache_bytes = 0;
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
