//! Publishing a batch: sync messages, row changes, and the heads of other storages.

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

use super::{DocumentTask, LARGE_DOCUMENT, PeerSubscription};
use crate::clock::now_ms;
use crate::document::{Applied, Document};
use crate::hub::outbox::{CloseKind, ConnectionKey, OutboxPermit, Outgoing, RemoteHeads};
use crate::memory_budget;
use crate::metrics::RefusalReason;

/// Sent to peers whose messages were in the batch that failed.
const FAILED: &str = "the server failed while processing a message; acknowledged changes are stored, try again";

/// Maximum number of storages whose last heads are kept.
const MAX_STORAGES: usize = 1_000;
/// Maximum number of heads that are forwarded for a storage. More heads are a transient state.
const MAX_HEADS: usize = 100;
/// Maximum size of a forwarded head in bytes; in base58check it has about fifty.
const MAX_HEAD: usize = 64;

impl DocumentTask {
    /// Publishes a durable batch to peers and watchers.
    pub(super) async fn publish(&mut self, document: &mut Document, mut applied: Applied) {
        let started = Instant::now();
        let senders: Vec<ConnectionKey> = applied.senders().collect();
        let changes = applied.change_count as u64;
        let mut publishing = std::mem::take(&mut self.pipeline.publishing);
        let large = self.pipeline.large_batch || self.sends_whole_document();
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
            // The batch is durable, but peers may have missed messages that were generated for them. All sync states
            // start over, and the senders of the batch, which caused the panic, are closed.
            tracing::error!(document = %self.id, "the Automerge library panicked while publishing; reloading the document");
            for key in senders {
                if let Some(subscription) = self.subscribers.peers.get(&key) {
                    subscription.peer.outbox.close(CloseKind::TryAgainLater, FAILED);
                }
            }
            return Box::pin(self.reload_after_corruption(document)).await;
        };
        if document.existing_view().is_some() {
            self.subscribers.watchers.notify(&view);
        }
        self.notify_head_watchers(document, &senders);
        self.notify_followers(document);
        if document.history().is_some() {
            self.hub.inner.metrics.history_changes.increment(changes);
        }
        self.hub.inner.metrics.publish_seconds.record(started.elapsed());
    }

    /// Tells followers that the document has other heads, if it has. Everything in memory must be published.
    pub(super) fn notify_followers(&mut self, document: &Document) {
        let heads = document.engine.heads();
        if heads == self.told_heads {
            return;
        }
        let before = std::mem::replace(&mut self.told_heads, heads.clone());
        self.followers.notify();
        self.hub.inner.recent_changes.changed(&self.id, before, heads);
    }

    /// Whether a new peer may get a whole large document now.
    fn sends_whole_document(&mut self) -> bool {
        let Lengths { snapshot, log } = self.pipeline.log.lengths();
        std::mem::take(&mut self.subscribers.has_new_peers) && snapshot + log >= LARGE_DOCUMENT
    }

    /// Generates messages for peers with room in their outbox, and sends them.
    pub(super) fn deliver(&mut self, generate: impl FnOnce(&mut dyn FnMut(ConnectionKey) -> bool) -> Vec<Delivery>) {
        let permits: RefCell<Vec<OutboxPermit>> = RefCell::default();
        let (peers, drain_listener, portions) =
            (&self.subscribers.peers, &self.drain_listener, &self.pipeline.portions);
        let mut ready = |key: ConnectionKey| {
            // The peer's message is not complete. The answer follows its last portion.
            if portions.has_message_from(key) {
                return false;
            }
            let permit = peers.get(&key).and_then(|subscription| subscription.peer.outbox.try_reserve(drain_listener));
            permit.map(|permit| permits.borrow_mut().push(permit)).is_some()
        };
        let deliveries = generate(&mut ready);
        let mut budget = self.hub.memory_budget().outgoing();
        // `ready` is called exactly when there is a message, so the two lists correspond.
        for (delivery, permit) in deliveries.into_iter().zip(permits.into_inner()) {
            self.send_sync_message(permit, delivery, &mut budget);
            self.hub.inner.metrics.deliveries.increment(1);
        }
    }

    /// Sends a message, if the memory budget has room for it: a large one may stay queued for long, on many sockets.
    /// Otherwise the peer is closed, since it cannot sync without the message.
    fn send_sync_message(
        &self,
        permit: OutboxPermit,
        delivery: Delivery,
        budget: &mut memory_budget::OutgoingBudget<'_>,
    ) {
        let Some(subscription) = self.subscribers.peers.get(&delivery.peer) else { return };
        match budget.charge(delivery.message, subscription.peer.requester.payer()) {
            Ok(data) => permit.send(Outgoing::Sync { document: self.id.clone(), data }),
            Err(error) => {
                self.hub.inner.metrics.record_refusal(RefusalReason::Memory);
                subscription.peer.outbox.close(CloseKind::TryAgainLater, error.to_string());
            }
        }
    }

    /// Sends the first message to a peer, or the first with a new role.
    pub(super) fn send_first_message(&mut self, document: &mut Document, key: ConnectionKey) {
        let Some(permit) = self
            .subscribers
            .peers
            .get(&key)
            .and_then(|subscription| subscription.peer.outbox.try_reserve(&self.drain_listener))
        else {
            return document.engine.greet_later(key);
        };
        let large = self.sends_whole_document();
        if let Some(delivery) =
            if large { run_cpu_bound(|| document.engine.greet(key)) } else { document.engine.greet(key) }
        {
            self.send_sync_message(permit, delivery, &mut self.hub.memory_budget().outgoing());
        }
    }

    /// Sends the messages that a peer or watcher missed while its outbox was full.
    pub(super) fn handle_drained(&mut self, document: &mut Document, key: ConnectionKey) {
        if let Some(view) = document.existing_view() {
            self.subscribers.watchers.send_missed(key, &read_view(view));
        }
        if self.subscribers.peers.get(&key).is_some_and(|subscription| subscription.missing_unsent) {
            self.retry_missing(document, key);
        }
        self.send_pending_refusal(key);
        if document.engine.is_behind(key) {
            self.catch_up(document, key);
        }
    }

    fn catch_up(&mut self, document: &mut Document, key: ConnectionKey) {
        let Some(permit) = self
            .subscribers
            .peers
            .get(&key)
            .and_then(|subscription| subscription.peer.outbox.try_reserve(&self.drain_listener))
        else {
            return;
        };
        if let Some(delivery) = document.engine.drained(key) {
            self.send_sync_message(permit, delivery, &mut self.hub.memory_budget().outgoing());
            self.hub.inner.metrics.deliveries.increment(1);
        }
    }

    /// Sends the senders' new heads to the peers that watch their storages.
    fn notify_head_watchers(&mut self, document: &Document, senders: &[ConnectionKey]) {
        if !self.hub.inner.storages.is_used() {
            return;
        }
        let mut notified = HashSet::new();
        for key in senders {
            let Some(storage) =
                self.subscribers.peers.get(key).and_then(|subscription| subscription.peer.storage.clone())
            else {
                continue;
            };
            let watchers = self.hub.inner.storages.watchers(&storage);
            if watchers.is_empty() || !notified.insert(Arc::clone(&storage)) {
                continue;
            }
            let Some(heads) = self.heads_of(document, *key, &storage) else { continue };
            let before = self.store_heads(storage, &heads);
            if before.is_none_or(|before| before.heads != heads.heads) {
                self.send_heads(&watchers, *key, &heads);
            }
        }
    }

    /// Forwards a peer's report of a storage that is not connected here to the peers that watch it.
    pub(super) fn forward_remote_heads(&mut self, from: ConnectionKey, heads: Arc<RemoteHeads>) {
        let watchers = self.hub.inner.storages.watchers(&heads.storage);
        let Some(PeerSubscription { peer, .. }) = self.subscribers.peers.get(&from).filter(|_| !watchers.is_empty())
        else {
            return;
        };
        // An authenticated user may only report on their own storage. Others could claim any storage; at least, no
        // report is newer than the time of its arrival.
        if peer.requester.user().is_some() && peer.storage.as_ref() != Some(&heads.storage) {
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
        self.store_heads(Arc::clone(&heads.storage), &heads);
        self.send_heads(&watchers, from, &heads);
    }

    fn store_heads(&mut self, storage: Arc<str>, heads: &Arc<RemoteHeads>) -> Option<Arc<RemoteHeads>> {
        if self.presence.storages.len() >= MAX_STORAGES && !self.presence.storages.contains_key(&storage) {
            // Forgetting heads costs at most a repeated message.
            self.presence.storages.clear();
        }
        self.presence.storages.insert(storage, Arc::clone(heads))
    }

    /// Sends the known heads of these storages to a peer that watches them.
    pub(super) fn send_known_heads(&mut self, document: &Document, peer: ConnectionKey, storages: &[Arc<str>]) {
        if !self.subscribers.peers.contains_key(&peer) {
            return;
        }
        for storage in storages {
            let connected = self
                .subscribers
                .peers
                .iter()
                .find(|(key, subscription)| **key != peer && subscription.peer.storage.as_ref() == Some(storage))
                .map(|(key, _)| *key);
            let heads = connected.and_then(|key| self.heads_of(document, key, storage));
            if let Some(heads) = heads.or_else(|| self.presence.storages.get(storage).cloned()) {
                self.send_heads(&[peer], ConnectionKey(0), &heads);
            }
        }
    }

    fn heads_of(&self, document: &Document, key: ConnectionKey, storage: &Arc<str>) -> Option<Arc<RemoteHeads>> {
        let heads = document.engine.their_heads(key).filter(|heads| heads.len() <= MAX_HEADS)?;
        let heads = heads.iter().map(encode_head).collect();
        let (document, storage) = (self.id.clone(), Arc::clone(storage));
        Some(Arc::new(RemoteHeads { document, storage, heads, timestamp: now() }))
    }

    fn send_heads(&self, watchers: &[ConnectionKey], except: ConnectionKey, heads: &Arc<RemoteHeads>) {
        for key in watchers.iter().filter(|key| **key != except) {
            let Some(subscription) = self.subscribers.peers.get(key) else { continue };
            // A lost message is replaced by the next: only the latest heads count.
            if let Some(permit) = subscription.peer.outbox.try_reserve(&self.drain_listener) {
                permit.send(Outgoing::RemoteHeads(Arc::clone(heads)));
            }
        }
    }
}

/// The time in milliseconds, as automerge-repo writes it.
#[expect(clippy::cast_precision_loss, reason = "milliseconds fit for the next 200,000 years")]
fn now() -> f64 {
    now_ms() as f64
}

/// Encodes a head in base58check, as automerge-repo does.
fn encode_head(head: &ChangeHash) -> String {
    bs58::encode(head.0).with_check().into_string()
}
