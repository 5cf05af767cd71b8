//! The disk, and what happens when it fails.

use std::ops::ControlFlow;
use std::time::Instant;

use super::{DocumentTask, Sender};
use crate::document::{Applied, BadMessage, Document, Item, Outcome, read_view};
use crate::hub::command::EditFailure;
use crate::hub::outbox::{ConnectionKey, FarewellKind};
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
        if !self.log.is_lost() {
            self.deliver(|ready| document.settle_acknowledgements(applied, ready));
        }
    }

    /// Applying ruined the document in memory: it is dropped, and what the batch held is tried one by one, so that only
    /// the sender of the culprit has to go.
    pub(super) async fn recover(
        &mut self,
        document: &mut Document,
        error: &BadMessage,
        items: Vec<Item>,
        mut senders: Vec<Sender>,
    ) {
        tracing::error!(document = %self.id, %error, "a batch would have ruined the document; it is reloaded");
        self.reload(document).await;
        if items.len() > 1 {
            for (item, sender) in items.into_iter().zip(senders) {
                // Who was found out is not asked again.
                if matches!(&sender, Sender::Peer(key) if self.is_leaving(*key)) {
                    continue;
                }
                let prepared = vec![document.prepare(item.clone())];
                Box::pin(self.commit(document, vec![item], prepared, vec![sender])).await;
            }
            return;
        }
        match senders.pop() {
            Some(Sender::Peer(key)) => self.dismiss(key, error),
            Some(Sender::Caller(reply)) => {
                let _ = reply.send(Err(EditFailure::Panicked));
            }
            None => {}
        }
    }

    fn is_leaving(&self, key: ConnectionKey) -> bool {
        self.peers.get(&key).is_none_or(|member| member.peer.outbox.is_closed())
    }

    /// Something panicked where nothing should. Callers who were waiting are told that nothing is known of their edits;
    /// what is durable is read again, and peers begin anew.
    pub(super) async fn recover_from_panic(&mut self, document: &mut Document) -> ControlFlow<()> {
        tracing::error!(document = %self.id, "something failed that should not; the document is reloaded");
        self.reload(document).await;
        ControlFlow::Continue(())
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
        self.tell_news(document);
    }

    /// Mends what an earlier failure broke, if anything. False: nothing may be added at the moment.
    pub(super) async fn mend(&mut self, document: &mut Document) -> bool {
        let sound = self.log.mend(document).await;
        self.tell_news(document);
        sound
    }

    /// Tells those who look at rows what reading the document again has brought to light.
    pub(super) fn tell_news(&mut self, document: &Document) {
        let news = self.log.take_news();
        if let Some(view) = document.shown() {
            self.watchers.tell(&news, &read_view(view));
        }
    }
}
