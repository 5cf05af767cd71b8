//! The disk, and what happens when it fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{DocumentTask, Sender};
use crate::document::{Applied, Document, Item, Outcome};
use crate::hub::command::EditFailure;
use crate::hub::outbox::FarewellKind;
use crate::metrics;
use crate::store::{Lengths, Refusal, StoreError};

/// A log below this is not worth compacting.
const MIN_LOG_TO_COMPACT: u64 = 64 << 10;

impl DocumentTask {
    /// Makes the chunks of a batch durable.
    pub(super) async fn append(&mut self, applied: &mut Applied) -> Result<(), StoreError> {
        let chunks = std::mem::take(&mut applied.chunks);
        let bytes = chunks.len() as u64;
        let started = Instant::now();
        let lengths = self.hub.inner.store.append(&self.id, chunks).await?;
        let metrics = &self.hub.inner.metrics;
        metrics.append_seconds.record(started.elapsed());
        metrics.changes.increment(applied.change_count as u64);
        metrics.bytes_stored.increment(bytes);
        self.hub.inner.write_failed.store(false, Ordering::Relaxed);
        self.lengths = lengths;
        Ok(())
    }

    /// The append failed: whatever brought changes is told that they were not stored; nothing in memory is trusted.
    pub(super) async fn append_failed(
        &mut self,
        document: &mut Document,
        applied: Applied,
        senders: Vec<Sender>,
        error: &StoreError,
    ) {
        tracing::error!(document = %self.id, %error, "changes could not be stored");
        self.hub.inner.write_failed.store(true, Ordering::Relaxed);
        self.hub.inner.metrics.refuse(metrics::Refusal::Storage);
        // The failed write may have been taken back, or not: the store knows.
        let health = self.hub.inner.store.health();
        self.broken = health.refused.iter().any(|(id, refusal)| *id == self.id && *refusal == Refusal::Unwritable);
        self.reload(document).await;
        let mut applied = applied;
        let outcomes = std::mem::take(&mut applied.outcomes);
        for ((sender, outcome), brought) in senders.into_iter().zip(outcomes).zip(&applied.brought_changes) {
            match (sender, outcome) {
                (Sender::Caller(reply), Outcome::Edited(Ok(_))) => {
                    let _ = reply.send(Err(EditFailure::from(error)));
                }
                (Sender::Peer(key), Outcome::Synced) if *brought => {
                    if let Some(member) = self.peers.get(&key) {
                        member.peer.outbox.close(FarewellKind::TryAgainLater, error.public_message());
                    }
                }
                (sender, outcome) => self.answer(sender, outcome),
            }
        }
        self.deliver(|ready| document.settle_acknowledgements(applied, ready));
    }

    /// Applying panicked: the document in memory is dropped, and what the batch held is tried one by one, so that only
    /// the sender of the culprit has to go.
    pub(super) async fn recover_from_panic(
        &mut self,
        document: &mut Document,
        mut items: Vec<Item>,
        mut senders: Vec<Sender>,
    ) {
        tracing::error!(document = %self.id, "the Automerge library failed while applying; the document is reloaded");
        self.reload(document).await;
        if items.len() > 1 {
            for (item, sender) in items.into_iter().zip(senders) {
                Box::pin(self.commit(document, vec![item], vec![sender])).await;
            }
            return;
        }
        items.clear();
        match senders.pop() {
            Some(Sender::Peer(key)) => self.dismiss(key, &crate::document::BadMessage::Panicked),
            Some(Sender::Caller(reply)) => {
                let _ = reply.send(Err(EditFailure::Panicked));
            }
            None => {}
        }
    }

    /// What is durable cannot be read at the moment, so nothing can be added to it.
    pub(super) fn refuse_batch(&mut self, senders: Vec<Sender>) {
        const MESSAGE: &str = "the server cannot read the document at the moment; nothing was stored, try again later";
        self.hub.inner.metrics.refuse(metrics::Refusal::Storage);
        for sender in senders {
            match sender {
                Sender::Caller(reply) => {
                    let _ = reply.send(Err(EditFailure::Storage { full: false, message: MESSAGE }));
                }
                Sender::Peer(key) => {
                    if let Some(member) = self.peers.get(&key) {
                        member.peer.outbox.close(FarewellKind::TryAgainLater, MESSAGE);
                    }
                }
            }
        }
    }

    /// Drops what is in memory and reads what is durable.
    pub(super) async fn reload(&mut self, document: &mut Document) {
        self.hub.inner.metrics.reloads.increment(1);
        self.lost = false;
        let loaded = self.hub.inner.store.load(&self.id).await;
        let log = match loaded {
            Ok(loaded) => loaded.map(|loaded| loaded.bytes).unwrap_or_default(),
            Err(error) => {
                tracing::error!(document = %self.id, %error, "the document could not be read again");
                self.lost = true;
                return;
            }
        };
        if let Err(error) = document.reload(&log, super::lifecycle::fresh_actor()) {
            tracing::error!(document = %self.id, %error, "the document could not be read again");
            self.lost = true;
        }
    }

    /// Ends a refusal by the store: a full copy of what is durable, written beside.
    pub(super) async fn try_to_mend(&mut self, document: &mut Document) {
        if !self.broken {
            return;
        }
        match self.hub.inner.store.recover(&self.id, document.save()).await {
            Ok(lengths) => {
                tracing::info!(document = %self.id, "the document can be written again");
                self.lengths = lengths;
                self.broken = false;
            }
            Err(error) => tracing::warn!(document = %self.id, %error, "the document still cannot be written"),
        }
    }

    /// Replaces the log by a snapshot once it has outgrown the last one. Appends go on meanwhile.
    pub(super) async fn compact_if_due(&mut self, document: &Document) {
        let Lengths { snapshot, log } = self.lengths;
        if log < snapshot.max(MIN_LOG_TO_COMPACT) || self.compaction.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (store, id, bytes) = (Arc::clone(&self.hub.inner.store), self.id.clone(), document.save());
        let metrics = Arc::clone(&self.hub.inner.metrics);
        let mut compaction: BoxFuture<'static, ()> = Box::pin(async move {
            match store.compact(&id, bytes).await {
                Ok(_) => metrics.compactions.increment(1),
                Err(error) => {
                    tracing::warn!(document = %id, %error, "the log could not be compacted; it goes on growing")
                }
            }
        });
        // Polled once here, so that it takes its place before any later append: what was saved is what is replaced.
        if (&mut compaction).now_or_never().is_none() {
            self.compaction = Some(tokio::spawn(compaction));
        }
        self.lengths.log = 0;
    }
}
