//! The disk, and what happens when it fails.

use std::time::Instant;

use super::{DocumentTask, Sender};
use crate::document::{Applied, Document, Item, Outcome};
use crate::hub::command::{EditFailure, Unavailable};
use crate::hub::outbox::FarewellKind;
use crate::metrics::Refusal;
use crate::store::StoreError;

impl DocumentTask {
    /// Makes the chunks of a batch durable.
    pub(super) async fn append(&mut self, applied: &mut Applied) -> Result<(), StoreError> {
        let chunks = std::mem::take(&mut applied.chunks);
        let bytes = chunks.len() as u64;
        let started = Instant::now();
        self.log.append(chunks).await?;
        let metrics = &self.hub.inner.metrics;
        metrics.append_seconds.record(started.elapsed());
        metrics.changes.increment(applied.change_count as u64);
        metrics.bytes_stored.increment(bytes);
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
        self.hub.inner.metrics.refuse(Refusal::Storage);
        self.reload(document).await;
        self.take_back(document, applied, senders, &|| EditFailure::from(error));
    }

    /// More documents come to be than may: this one does not.
    pub(super) async fn refuse_to_make(&mut self, document: &mut Document, applied: Applied, senders: Vec<Sender>) {
        tracing::warn!(document = %self.id, "not made: more documents come to be than may in a minute");
        self.hub.inner.metrics.refuse(Refusal::TooManyNewDocuments);
        self.log.reload(document).await;
        self.take_back(document, applied, senders, &|| EditFailure::from(Unavailable::TooManyNew));
    }

    /// What a batch brought is not in the document any more: who brought something is told why.
    fn take_back(
        &mut self,
        document: &mut Document,
        applied: Applied,
        senders: Vec<Sender>,
        why: &dyn Fn() -> EditFailure,
    ) {
        let mut applied = applied;
        let outcomes = std::mem::take(&mut applied.outcomes);
        for ((sender, outcome), brought) in senders.into_iter().zip(outcomes).zip(&applied.brought_changes) {
            match (sender, outcome) {
                (Sender::Caller(reply), Outcome::Edited(Ok(_))) => {
                    let _ = reply.send(Err(why()));
                }
                (Sender::Peer(key), Outcome::Synced) if *brought => {
                    if let Some(member) = self.peers.get(&key) {
                        member.peer.outbox.close(FarewellKind::TryAgainLater, why().to_string());
                    }
                }
                (sender, outcome) => self.answer(sender, outcome),
            }
        }
        if !self.log.is_lost() {
            self.deliver(|ready| document.settle_acknowledgements(applied, ready));
        }
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
                let prepared = vec![document.prepare(item.clone())];
                Box::pin(self.commit(document, vec![item], prepared, vec![sender])).await;
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
        self.hub.inner.metrics.refuse(Refusal::Storage);
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
        Box::pin(self.log.reload(document)).await;
    }
}
