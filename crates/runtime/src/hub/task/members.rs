//! Who syncs a document and who looks at it: who may come in, what they may do, and how they leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::StoreError;
use sync_engine::{carries_chunks, envelope_size};

use super::commit::Sender;
use super::suspended::Cause;
use super::{DocumentTask, Member};
use crate::clock::now_ms;
use crate::document::{Applied, Document, Item, Outcome, Prepared};
use crate::hub::access::{AccessRecord, Denied, Right};
use crate::hub::caller::Caller;
use crate::hub::command::SyncPeer;
use crate::hub::outbox::ConnectionKey;
use crate::memory_budget::OutOfMemory;
use crate::metrics::Refusal;

/// Bytes of lists in a message from which on they count.
const SIZEABLE_LISTS: usize = 4 << 10;

impl DocumentTask {
    /// Makes a connection a peer of this document. False: it may not read it.
    pub(super) fn admit(&mut self, document: &mut Document, peer: SyncPeer) -> bool {
        if self.subscribers.peers.contains_key(&peer.key) {
            return true;
        }
        let right = self.right_of(document, &peer.caller);
        if right < Right::Read {
            self.hub.turn_down(&self.id, &peer, true, None);
            return false;
        }
        let shared = peer.storage.as_deref().map(|storage| self.remembered.shared_heads(storage)).unwrap_or_default();
        document.engine.join(peer.key, shared);
        document.engine.introduce(peer.key, peer.caller.standing(right));
        let key = peer.key;
        let lists = self.hub.memory().share();
        self.subscribers
            .peers
            .insert(key, Member { peer, right, owes_unavailable: false, listens: false, lists, wait: None });
        self.subscribers.newcomers = true;
        // A peer that watches storages is told their known heads.
        if self.hub.inner.storages.any() {
            let watched = self.hub.inner.storages.watched_by(key);
            self.tell_of_storages(document, key, &watched);
        }
        true
    }

    /// Whether there is room for what a message lists: of heads, of what its sender needs and has. It stays with the sender's
    /// state until the next.
    pub(super) fn makes_room(&mut self, document: &mut Document, key: ConnectionKey, message: &[u8]) -> bool {
        let Some(member) = self.subscribers.peers.get_mut(&key) else { return false };
        if message.len() < SIZEABLE_LISTS && !member.lists.holds() {
            return true;
        }
        let listed = envelope_size(message);
        if member.lists.hold_all(if listed < SIZEABLE_LISTS { 0 } else { listed as u64 }).is_ok() {
            return true;
        }
        self.hub.inner.metrics.refuse(Refusal::Memory);
        self.refuse_for_now(document, key, Cause::passing(), &OutOfMemory.to_string());
        false
    }

    /// Whether a peer is not to know that there is such a document.
    pub(super) fn denies(&self, document: &Document, peer: &SyncPeer) -> bool {
        !self.subscribers.peers.contains_key(&peer.key) && self.right_of(document, &peer.caller) < Right::Read
    }

    /// What somebody may do with the document as it is.
    fn right_of(&self, document: &Document, caller: &Caller) -> Right {
        let access = &self.hub.inner.access;
        if document.engine.exists() { access.right(caller, &self.id) } else { access.right_before(caller, &self.id) }
    }

    /// Whether changes of a peer are taken now. `maker`: who makes the document, if it does not exist and somebody is about
    /// to; what comes to be is theirs alone.
    pub(super) fn takes_changes(
        &mut self,
        document: &mut Document,
        key: ConnectionKey,
        maker: &mut Option<Arc<str>>,
    ) -> bool {
        if self.is_peer_quarantined(key) {
            self.refuse_changes(document, key);
            return false;
        }
        let Some(Member { peer, right, .. }) = self.subscribers.peers.get(&key) else { return false };
        if *right < Right::Write {
            // What they say besides is heard: the document leaves out the changes.
            self.hub.inner.metrics.refuse(Refusal::Denied);
            return true;
        }
        let Some(user) = peer.caller.user().filter(|_| !document.engine.exists()) else { return true };
        if *maker.get_or_insert_with(|| Arc::clone(&user)) == user
            || self.hub.inner.access.right(&peer.caller, &self.id) >= Right::Write
        {
            return true;
        }
        self.send_away(document, key);
        false
    }

    /// The document is about to come to be: it belongs to the user who makes it, from before anybody can see it. Returns false if a
    /// user at another process is making it: then the log is to be read first.
    pub(super) async fn give_to_maker(
        &mut self,
        document: &mut Document,
        applied: &Applied,
        senders: &[Sender],
    ) -> Result<bool, StoreError> {
        // What somebody brought may have been refused.
        let taken = |outcome: &Outcome| matches!(outcome, Outcome::Synced | Outcome::Edited(Ok(_)));
        let brought = applied.contributed_changes.iter().zip(&applied.outcomes);
        let maker = senders.iter().zip(brought).find(|(_, (brought, outcome))| **brought && taken(outcome));
        let user = maker.and_then(|(sender, _)| match sender {
            Sender::Peer(key) => self.subscribers.peers.get(key)?.peer.caller.user(),
            Sender::Caller { caller, .. } => caller.user(),
        });
        let Some(user) = user else { return Ok(true) };
        // Also in the place of somebody who was about to make it and could not: that was noted before it failed.
        let give = |record: &mut AccessRecord| record.owner = Some(Arc::clone(&user));
        let given = self.hub.inner.access.try_to_change(&self.id, give).await?;
        // Others have waited for a document of this id. It is not theirs.
        self.recheck(document);
        Ok(given)
    }

    /// What waited for this document was allowed when it was sent, and may have waited long: for the disk, for its turn, or as
    /// the document is busy. Here is the last moment to see who may still bring it.
    pub(super) fn leave_out_forbidden(
        &mut self,
        document: &mut Document,
        items: &mut Vec<Item>,
        prepared: &mut Vec<Prepared>,
        senders: &mut Vec<Sender>,
    ) {
        // Of those that are left out: why, if anybody waits for that.
        let mut left_out: BTreeMap<usize, Option<Denied>> = BTreeMap::new();
        for (place, (item, sender)) in items.iter().zip(&*senders).enumerate() {
            match (item, sender) {
                (Item::Edit { edit, .. }, Sender::Caller { caller, .. }) => {
                    if let Err(denied) = self.hub.inner.access.check_edit(caller, &self.id, &edit.edit) {
                        left_out.insert(place, Some(denied));
                    }
                }
                (Item::Sync { peer, .. }, _) if self.is_leaving(*peer) => {
                    left_out.insert(place, None);
                }
                // The document itself leaves out what those bring who only read.
                (Item::Sync { peer, bytes }, _) if carries_chunks(bytes) => self.recheck_peer(document, *peer),
                _ => {}
            }
        }
        if left_out.is_empty() {
            return;
        }
        let mut places = 0..;
        items.retain(|_| places.next().is_some_and(|place| !left_out.contains_key(&place)));
        let mut places = 0..;
        prepared.retain(|_| places.next().is_some_and(|place| !left_out.contains_key(&place)));
        for (place, sender) in std::mem::take(senders).into_iter().enumerate() {
            match (left_out.remove(&place), sender) {
                (None, sender) => senders.push(sender),
                (Some(Some(denied)), Sender::Caller { reply, .. }) => {
                    let _ = reply.send(Err(denied.into()));
                }
                _ => {}
            }
        }
    }

    /// What anybody may do may have changed.
    pub(super) fn recheck(&mut self, document: &mut Document) {
        let keys: Vec<ConnectionKey> = self.subscribers.peers.keys().copied().collect();
        for key in keys {
            self.recheck_peer(document, key);
        }
        let access = &self.hub.inner.access;
        let denied = Denied::Missing(self.id.clone());
        self.subscribers.watchers.retain(|caller| access.right(caller, &self.id) >= Right::Read, &denied);
    }

    /// What a peer may do may have changed. If so they will be told; who may not even read any more has to go.
    fn recheck_peer(&mut self, document: &mut Document, key: ConnectionKey) {
        let Some(Member { peer, right: before, .. }) = self.subscribers.peers.get(&key) else { return };
        let right = self.right_of(document, &peer.caller);
        if right < Right::Read {
            self.send_away(document, key);
        } else if right != *before {
            if let Some(member) = self.subscribers.peers.get_mut(&key) {
                member.right = right;
            }
            if let Some(member) = self.subscribers.peers.get(&key) {
                document.engine.introduce(key, self.standing(member));
            }
            self.subscribers.moved.push(key);
        }
    }

    /// A peer may not even know any more that there is such a document.
    fn send_away(&mut self, document: &mut Document, key: ConnectionKey) {
        self.creation.arrivals.forget(key);
        if let Some(Member { peer, .. }) = self.subscribers.peers.remove(&key) {
            self.rescue.suspended.remove(&key);
            document.engine.leave(key);
            peer.tell_unavailable(&self.id, &Denied::Missing(self.id.clone()).into());
        }
    }

    /// Connections are gone.
    pub(super) fn part_all_gone(&mut self, document: &mut Document) {
        for key in std::mem::take(&mut self.subscribers.gone) {
            self.part(document, key);
        }
    }

    fn part(&mut self, document: &mut Document, key: ConnectionKey) {
        self.subscribers.watchers.remove(key);
        self.creation.arrivals.forget(key);
        self.rescue.suspended.remove(&key);
        self.subscribers.refused.remove(&key);
        let shared = document.engine.leave(key);
        if let (Some(member), Some(shared)) = (self.subscribers.peers.remove(&key), shared)
            && let Some(storage) = member.peer.storage
        {
            self.remembered.remember(storage, shared, now_ms() / 1_000);
        }
    }
}
