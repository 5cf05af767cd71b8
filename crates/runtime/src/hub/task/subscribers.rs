//! The subscribers of a document: admission, rights, and removal.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::EditError;
use sync_engine::{carries_chunks, envelope_size};

use super::commit::ItemSource;
use super::family::NotCreated;
use super::suspension::SuspensionCause;
use super::{DocumentTask, PeerSubscription};
use crate::clock::now_ms;
use crate::document::{Applied, Document, Item, Outcome, Prepared};
use crate::hub::access::{AccessRecord, Denied, Right};
use crate::hub::command::{EditFailure, SyncPeer};
use crate::hub::outbox::ConnectionKey;
use crate::hub::requester::Requester;
use crate::memory_budget::OutOfMemory;
use crate::metrics::RefusalReason;

/// Size of the lists in a message, in bytes, up to which they do not count.
const FREE_LIST_BYTES: usize = 4 << 10;

impl DocumentTask {
    /// Adds a connection as a peer. Returns false if it may not read the document.
    pub(super) fn admit(&mut self, document: &mut Document, peer: SyncPeer) -> bool {
        if self.subscribers.peers.contains_key(&peer.key) {
            return true;
        }
        let right = self.right_of(document, &peer.requester);
        if right < Right::Read {
            self.hub.deny(&self.id, &peer, true, None);
            return false;
        }
        let shared = peer.storage.as_deref().map(|storage| self.peer_records.shared_heads(storage)).unwrap_or_default();
        document.engine.join(peer.key, shared);
        document.engine.introduce(peer.key, peer.requester.peer_role(right));
        let key = peer.key;
        let list_reservation = self.hub.memory_budget().reservation();
        self.subscribers.peers.insert(
            key,
            PeerSubscription {
                peer,
                right,
                missing_unsent: false,
                reads_ephemerals: false,
                list_reservation,
                pending_permit: None,
            },
        );
        self.subscribers.has_new_peers = true;
        // A peer that watches storages gets their known heads.
        if self.hub.inner.storages.is_used() {
            let watched = self.hub.inner.storages.watched_by(key);
            self.send_known_heads(document, key, &watched);
        }
        true
    }

    /// Reserves memory for the lists in a message: heads, needs, and what its sender has. The peer's sync state keeps
    /// them until its next message. Returns false if the memory budget is used up.
    pub(super) fn reserve_lists(&mut self, document: &mut Document, key: ConnectionKey, message: &[u8]) -> bool {
        let Some(subscription) = self.subscribers.peers.get_mut(&key) else { return false };
        if message.len() < FREE_LIST_BYTES && !subscription.list_reservation.is_used() {
            return true;
        }
        let listed = envelope_size(message);
        if subscription.list_reservation.resize_exact(if listed < FREE_LIST_BYTES { 0 } else { listed as u64 }).is_ok()
        {
            return true;
        }
        self.hub.inner.metrics.record_refusal(RefusalReason::Memory);
        self.refuse_temporarily(document, key, SuspensionCause::temporary(), &OutOfMemory.to_string());
        false
    }

    /// Whether the document has to be hidden from a peer.
    pub(super) fn is_denied(&self, document: &Document, peer: &SyncPeer) -> bool {
        !self.subscribers.peers.contains_key(&peer.key) && self.right_of(document, &peer.requester) < Right::Read
    }

    /// The right of a requester, whether the document exists or not.
    fn right_of(&self, document: &Document, requester: &Requester) -> Right {
        let access = &self.hub.inner.access;
        if document.engine.exists() {
            access.right(requester, &self.id)
        } else {
            access.right_before(requester, &self.id)
        }
    }

    /// Whether the changes of a peer are accepted now. `creator` is the user who creates the document with this
    /// batch; only their changes are accepted then.
    pub(super) fn accepts_changes(
        &mut self,
        document: &mut Document,
        key: ConnectionKey,
        creator: &mut Option<Arc<str>>,
    ) -> bool {
        if self.is_peer_quarantined(key) {
            self.refuse_changes(document, key);
            return false;
        }
        let Some(PeerSubscription { peer, right, .. }) = self.subscribers.peers.get(&key) else { return false };
        if *right < Right::Write {
            // The document ignores the changes, and processes the rest of the message.
            self.hub.inner.metrics.record_refusal(RefusalReason::Denied);
            return true;
        }
        let Some(user) = peer.requester.user().filter(|_| !document.engine.exists()) else { return true };
        if *creator.get_or_insert_with(|| Arc::clone(&user)) == user
            || self.hub.inner.access.right(&peer.requester, &self.id) >= Right::Write
        {
            return true;
        }
        self.evict_peer(document, key);
        false
    }

    /// Records the owner of a document that is about to be created, before it is visible to anyone. Returns false if another
    /// process is creating it for a user: then the log must be read first.
    pub(super) async fn record_owner(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
        senders: &[ItemSource],
    ) -> Result<bool, NotCreated> {
        // Items may have been rejected.
        let accepted = |outcome: &Outcome| matches!(outcome, Outcome::Synced | Outcome::Edited(Ok(_)));
        let contributed = applied.contributed_changes.iter().zip(&applied.outcomes);
        let creator =
            senders.iter().zip(contributed).find(|(_, (contributed, outcome))| **contributed && accepted(outcome));
        let creator = creator.and_then(|(sender, _)| self.requester_of(sender)).cloned();
        let plan = self.recognize_scenario(document, applied, creator.as_ref()).await?;
        let user = creator.and_then(|creator| creator.user());
        let has_no_record = || self.hub.inner.access.record(&self.id).is_none_or(|record| record.scenario_of.is_none());
        if user.is_none() && plan.is_none() && has_no_record() {
            return Ok(true);
        }
        // Replaces the owner and the plan of an earlier attempt whose append has failed.
        let set_owner = |record: &mut AccessRecord| {
            record.owner = user.clone().or(record.owner.take());
            record.scenario_of.clone_from(&plan);
        };
        let recorded = self.hub.inner.access.try_change(&self.id, set_owner).await?;
        // Other users may have waited for this id. They have no right on the document.
        self.recheck(document);
        Ok(recorded)
    }

    /// Drops the items whose senders have lost their right since they were queued: they may have waited long for the
    /// disk or a permit. This is the last check.
    pub(super) fn drop_forbidden_items(
        &mut self,
        document: &mut Document,
        items: &mut Vec<Item>,
        prepared: &mut Vec<Prepared>,
        senders: &mut Vec<ItemSource>,
    ) {
        // The dropped items, with the reason if a caller waits for it.
        let mut dropped: BTreeMap<usize, Option<EditFailure>> = BTreeMap::new();
        for (index, (item, sender)) in items.iter().zip(&*senders).enumerate() {
            match (item, sender) {
                (Item::Edit { edit, .. }, ItemSource::Edit { requester, .. }) => {
                    if let Err(denied) = self.hub.inner.access.check_edit(requester, &self.id, &edit.edit) {
                        dropped.insert(index, Some(denied.into()));
                    }
                }
                (Item::Sync { peer, .. }, _) if self.is_leaving(*peer) => {
                    dropped.insert(index, None);
                }
                (Item::Merge { .. }, ItemSource::Edit { requester, heads, .. }) => {
                    if let Err(denied) = self.check_merge(document, requester) {
                        dropped.insert(index, Some(denied.into()));
                    } else if heads.as_ref().is_some_and(|heads| *heads != document.engine.heads()) {
                        dropped.insert(index, Some(EditError::Changed.into()));
                    }
                }
                // The document itself ignores the changes of read-only peers.
                (Item::Sync { peer, bytes }, _) if carries_chunks(bytes) => self.recheck_peer(document, *peer),
                _ => {}
            }
        }
        if dropped.is_empty() {
            return;
        }
        let mut indices = 0..;
        items.retain(|_| indices.next().is_some_and(|index| !dropped.contains_key(&index)));
        let mut indices = 0..;
        prepared.retain(|_| indices.next().is_some_and(|index| !dropped.contains_key(&index)));
        for (index, sender) in std::mem::take(senders).into_iter().enumerate() {
            match (dropped.remove(&index), sender) {
                (None, sender) => senders.push(sender),
                (Some(Some(failure)), ItemSource::Edit { reply, .. }) => {
                    let _ = reply.send(Err(failure));
                }
                _ => {}
            }
        }
    }

    /// Checks whether a requester may merge into the document, or create it by merging.
    fn check_merge(&self, document: &Document, requester: &Requester) -> Result<(), Denied> {
        let access = &self.hub.inner.access;
        match self.right_of(document, requester) {
            Right::Write | Right::Own => Ok(()),
            _ if !document.engine.exists() && !access.is_deleted(&self.id) => Err(Denied::Create),
            Right::Read => Err(Denied::ReadOnly),
            Right::None => Err(Denied::Missing(self.id.clone())),
        }
    }

    /// Checks the rights of all subscribers again.
    pub(super) fn recheck(&mut self, document: &mut Document) {
        let keys: Vec<ConnectionKey> = self.subscribers.peers.keys().copied().collect();
        for key in keys {
            self.recheck_peer(document, key);
        }
        let access = &self.hub.inner.access;
        let denied = Denied::Missing(self.id.clone());
        self.subscribers.watchers.retain(|requester| access.right(requester, &self.id) >= Right::Read, &denied);
        // They check their own rights.
        self.followers.notify();
    }

    /// Checks the right of a peer again, and schedules a message with its new role. A peer that may no longer read is
    /// removed.
    fn recheck_peer(&mut self, document: &mut Document, key: ConnectionKey) {
        let Some(PeerSubscription { peer, right: before, .. }) = self.subscribers.peers.get(&key) else { return };
        let right = self.right_of(document, &peer.requester);
        if right < Right::Read {
            self.evict_peer(document, key);
        } else if right != *before {
            if let Some(subscription) = self.subscribers.peers.get_mut(&key) {
                subscription.right = right;
            }
            if let Some(subscription) = self.subscribers.peers.get(&key) {
                document.engine.introduce(key, self.peer_role(subscription));
            }
            self.subscribers.role_changed.push(key);
        }
    }

    /// Removes a peer from which the document must now be hidden.
    fn evict_peer(&mut self, document: &mut Document, key: ConnectionKey) {
        self.creation.pending_requests.remove_peer(key);
        if let Some(PeerSubscription { peer, .. }) = self.subscribers.peers.remove(&key) {
            self.recovery.suspended.remove(&key);
            document.engine.leave(key);
            self.hub.inner.denied_requests.add(&self.id, &peer);
            peer.send_unavailable(&self.id, &Denied::Missing(self.id.clone()).into());
        }
    }

    /// Removes the connections that have closed.
    pub(super) fn remove_disconnected(&mut self, document: &mut Document) {
        for key in std::mem::take(&mut self.subscribers.disconnected) {
            self.remove_connection(document, key);
        }
    }

    pub(super) fn remove_connection(&mut self, document: &mut Document, key: ConnectionKey) {
        self.subscribers.watchers.remove(key);
        self.creation.pending_requests.remove_peer(key);
        self.recovery.suspended.remove(&key);
        self.subscribers.unsent_refusals.remove(&key);
        let shared = document.engine.leave(key);
        if let (Some(subscription), Some(shared)) = (self.subscribers.peers.remove(&key), shared)
            && let Some(storage) = subscription.peer.storage
        {
            self.peer_records.insert(storage, shared, now_ms() / 1_000);
        }
    }
}
