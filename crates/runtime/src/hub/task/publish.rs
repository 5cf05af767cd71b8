//! What others are told: sync messages, row changes, heads of other storages.

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use automerge::ChangeHash;
use offload::run_cpu_bound;
use plan::{ViewChange, read_view};
use store::Lengths;
use sync_engine::Delivery;

use super::{DocumentTask, LARGE_DOCUMENT, Member};
use crate::clock::now_ms;
use crate::document::{Applied, Document};
use crate::hub::outbox::{ConnectionKey, FarewellKind, Outgoing, Place, RemoteHeads};
use crate::memory_budget;
use crate::metrics::Refusal;

/// Said to those whose messages were taken when something failed.
const FAILED: &str = "the server failed while taking a message; what it has acknowledged is stored, try again";

/// Storages of which the last heads are kept.
const MAX_STORAGES: usize = 1_000;
/// Heads of a storage that are passed on. Who has more is at no state that anybody waits for.
const MAX_HEADS: usize = 100;
/// Bytes of a head that is passed on; in base58check it has some fifty.
const MAX_HEAD: usize = 64;

impl DocumentTask {
    /// The batch is durable: everybody may see it.
    pub(super) async fn publish(&mut self, document: &mut Document, mut applied: Applied) {
        let started = Instant::now();
        let senders: Vec<ConnectionKey> = applied.senders().collect();
        let changes = applied.change_count as u64;
        let mut publishing = std::mem::take(&mut self.pipeline.publishing);
        let large = self.pipeline.large_batch || self.makes_first_message();
        let published = publishing.run(large, || {
            catch_unwind(AssertUnwindSafe(|| {
                let mut view = ViewChange::default();
                self.deliver(|ready| {
                    let published = document.publish(&mut applied, ready);
                    view = published.view;
                    published.deliveries
                });
                view
            }))
        });
        self.pipeline.publishing = publishing;
        let Ok(view) = published else {
            // The batch is durable. Peers may have missed messages that were made for them: all start anew, except those
            // who said what led to this.
            tracing::error!(document = %self.id, "the Automerge library failed while publishing; the document is reloaded");
            for key in senders {
                if let Some(member) = self.subscribers.peers.get(&key) {
                    member.peer.outbox.close(FarewellKind::TryAgainLater, FAILED);
                }
            }
            return Box::pin(self.reload_after_ruin(document)).await;
        };
        if document.shown().is_some() {
            self.subscribers.watchers.tell(&view);
        }
        self.tell_of_senders(document, &senders);
        if document.history().is_some() {
            self.hub.inner.metrics.history_changes.increment(changes);
        }
        self.hub.inner.metrics.publish_seconds.record(started.elapsed());
    }

    /// Whether somebody may get the whole of a large document now.
    fn makes_first_message(&mut self) -> bool {
        let Lengths { snapshot, log } = self.pipeline.log.lengths();
        std::mem::take(&mut self.subscribers.newcomers) && snapshot + log >= LARGE_DOCUMENT
    }

    /// Generates only for those who have a place in their outbox, and fills these places.
    pub(super) fn deliver(&mut self, generate: impl FnOnce(&mut dyn FnMut(ConnectionKey) -> bool) -> Vec<Delivery>) {
        let places: RefCell<Vec<Place>> = RefCell::default();
        let (peers, waiter, portions) = (&self.subscribers.peers, &self.waiter, &self.pipeline.portions);
        let mut ready = |key: ConnectionKey| {
            // What it has said is not known yet. It is answered when its message is complete.
            if portions.are_from(key) {
                return false;
            }
            let place = peers.get(&key).and_then(|member| member.peer.outbox.place(waiter));
            place.map(|place| places.borrow_mut().push(place)).is_some()
        };
        let deliveries = generate(&mut ready);
        let mut counted = self.hub.memory().outgoing();
        // A place is asked for exactly when there is a message to fill it with, so the two lists are one.
        for (delivery, place) in deliveries.into_iter().zip(places.into_inner()) {
            self.fill(place, delivery, &mut counted);
            self.hub.inner.metrics.deliveries.increment(1);
        }
    }

    /// Fills a place with a message, if there is memory for it: one that is large may wait for long at a slow socket, and there
    /// are many sockets. A peer whose message is lost has to begin again.
    fn fill(&self, place: Place, delivery: Delivery, counted: &mut memory_budget::Outgoing<'_>) {
        let Some(member) = self.subscribers.peers.get(&delivery.peer) else { return };
        match counted.count(delivery.message, member.peer.caller.payer()) {
            Ok(data) => place.fill(Outgoing::Sync { document: self.id.clone(), data }),
            Err(error) => {
                self.hub.inner.metrics.refuse(Refusal::Memory);
                member.peer.outbox.close(FarewellKind::TryAgainLater, error.to_string());
            }
        }
    }

    /// The first message to a peer who has said nothing yet.
    pub(super) fn greet(&mut self, document: &mut Document, key: ConnectionKey) {
        let Some(place) = self.subscribers.peers.get(&key).and_then(|member| member.peer.outbox.place(&self.waiter))
        else {
            return document.engine.greet_later(key);
        };
        let large = self.makes_first_message();
        if let Some(delivery) =
            if large { run_cpu_bound(|| document.engine.greet(key)) } else { document.engine.greet(key) }
        {
            self.fill(place, delivery, &mut self.hub.memory().outgoing());
        }
    }

    /// A socket takes messages again: one that covers everything since.
    pub(super) fn drained(&mut self, document: &mut Document, key: ConnectionKey) {
        if let Some(view) = document.shown() {
            self.subscribers.watchers.drained(key, &read_view(view));
        }
        if self.subscribers.peers.get(&key).is_some_and(|member| member.owes_unavailable) {
            self.tell_missing_again(document, key);
        }
        self.tell_refused(key);
        if document.engine.is_behind(key) {
            self.catch_up(document, key);
        }
    }

    fn catch_up(&mut self, document: &mut Document, key: ConnectionKey) {
        let Some(place) = self.subscribers.peers.get(&key).and_then(|member| member.peer.outbox.place(&self.waiter))
        else {
            return;
        };
        if let Some(delivery) = document.engine.drained(key) {
            self.fill(place, delivery, &mut self.hub.memory().outgoing());
            self.hub.inner.metrics.deliveries.increment(1);
        }
    }

    /// Senders may have new heads: peers that watch their storages are told.
    fn tell_of_senders(&mut self, document: &Document, senders: &[ConnectionKey]) {
        if !self.hub.inner.storages.any() {
            return;
        }
        let mut told = HashSet::new();
        for key in senders {
            let Some(storage) = self.subscribers.peers.get(key).and_then(|member| member.peer.storage.clone()) else {
                continue;
            };
            let watchers = self.hub.inner.storages.watchers(&storage);
            if watchers.is_empty() || !told.insert(Arc::clone(&storage)) {
                continue;
            }
            let Some(heads) = self.heads_of(document, *key, &storage) else { continue };
            let before = self.keep_heads(storage, &heads);
            if before.is_none_or(|before| before.heads != heads.heads) {
                self.tell_heads(&watchers, *key, &heads);
            }
        }
    }

    /// Forwards what a peer knows of a storage that is not connected here to the peers that watch it.
    pub(super) fn hear_of_storage(&mut self, from: ConnectionKey, heads: Arc<RemoteHeads>) {
        let watchers = self.hub.inner.storages.watchers(&heads.storage);
        let Some(Member { peer, .. }) = self.subscribers.peers.get(&from).filter(|_| !watchers.is_empty()) else {
            return;
        };
        // Who is known speaks for themselves. Of the others nobody can tell who they speak for; but what they say now is
        // not newer than what is said later.
        if peer.caller.user().is_some() && peer.storage.as_ref() != Some(&heads.storage) {
            return;
        }
        if heads.heads.len() > MAX_HEADS || heads.heads.iter().any(|head| head.len() > MAX_HEAD) {
            return;
        }
        let now = now();
        let heads = if heads.timestamp <= now {
            heads
        } else {
            Arc::new(RemoteHeads { timestamp: now, ..RemoteHeads::clone(&heads) })
        };
        if self.presence.storages.get(&heads.storage).is_some_and(|known| known.timestamp >= heads.timestamp) {
            return;
        }
        self.keep_heads(Arc::clone(&heads.storage), &heads);
        self.tell_heads(&watchers, from, &heads);
    }

    fn keep_heads(&mut self, storage: Arc<str>, heads: &Arc<RemoteHeads>) -> Option<Arc<RemoteHeads>> {
        if self.presence.storages.len() >= MAX_STORAGES && !self.presence.storages.contains_key(&storage) {
            // Forgetting costs a repeated message at worst.
            self.presence.storages.clear();
        }
        self.presence.storages.insert(storage, Arc::clone(heads))
    }

    /// A peer watches these storages from now on (or syncs this document from now on): it is told what is known.
    pub(super) fn tell_of_storages(&mut self, document: &Document, peer: ConnectionKey, storages: &[Arc<str>]) {
        if !self.subscribers.peers.contains_key(&peer) {
            return;
        }
        for storage in storages {
            let connected = self
                .subscribers
                .peers
                .iter()
                .find(|(key, member)| **key != peer && member.peer.storage.as_ref() == Some(storage))
                .map(|(key, _)| *key);
            let heads = connected.and_then(|key| self.heads_of(document, key, storage));
            if let Some(heads) = heads.or_else(|| self.presence.storages.get(storage).cloned()) {
                self.tell_heads(&[peer], ConnectionKey(0), &heads);
            }
        }
    }

    fn heads_of(&self, document: &Document, key: ConnectionKey, storage: &Arc<str>) -> Option<Arc<RemoteHeads>> {
        let heads = document.engine.their_heads(key).filter(|heads| heads.len() <= MAX_HEADS)?;
        let heads = heads.iter().map(encode_head).collect();
        let (document, storage) = (self.id.clone(), Arc::clone(storage));
        Some(Arc::new(RemoteHeads { document, storage, heads, timestamp: now() }))
    }

    fn tell_heads(&self, watchers: &[ConnectionKey], except: ConnectionKey, heads: &Arc<RemoteHeads>) {
        for key in watchers.iter().filter(|key| **key != except) {
            let Some(member) = self.subscribers.peers.get(key) else { continue };
            // A lost one is made up for by the next: only the latest heads count.
            if let Some(place) = member.peer.outbox.place(&self.waiter) {
                place.fill(Outgoing::RemoteHeads(Arc::clone(heads)));
            }
        }
    }
}

/// In milliseconds, as automerge-repo writes it.
#[expect(clippy::cast_precision_loss, reason = "milliseconds fit for the next 200,000 years")]
fn now() -> f64 {
    now_ms() as f64
}

/// A head as automerge-repo writes it: base58check.
fn encode_head(head: &ChangeHash) -> String {
    bs58::encode(head.0).with_check().into_string()
}
