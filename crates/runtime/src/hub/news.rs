//! Follows the news of other processes about the shared store.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use primitives::DocumentId;
use store::{Control, ControlKind, News, Position, StoreError};
use tokio::time::{Instant, MissedTickBehavior};

use super::Hub;

/// Interval of the queries for changes of access. Notifications may be lost, and a revocation must act within a second.
const CONTROL_INTERVAL: Duration = Duration::from_millis(250);

impl Hub {
    /// Follows the news of the store in a separate task, until the shutdown begins. Does nothing for a store with a single
    /// writer. Call it once, after [`Hub::load_access`].
    pub fn follow_news(&self) {
        let Some(mut news) = self.inner.store.news() else { return };
        let hub = self.clone();
        self.inner.tasks.spawn(async move {
            let draining = hub.inner.draining.clone();
            let mut ticks = tokio::time::interval(CONTROL_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = draining.cancelled() => return,
                    news = news.next() => match news {
                        Some(news) => hub.take_news(news).await,
                        None => return,
                    },
                    _ = ticks.tick() => {
                        hub.take_control().await;
                        hub.compare_closed_documents().await;
                    }
                }
            }
        });
    }

    async fn take_news(&self, news: News) {
        match news {
            News::Moved { id, at, batch } => {
                let handle = self.registry().get(&id).cloned();
                match handle {
                    Some(handle) => handle.hints.push(at, batch),
                    None => self.inner.recent_changes.moved(&id),
                }
            }
            News::Control(_) => self.take_control().await,
            News::Ephemeral(message) => self.take_message(message),
            News::LookAtAll => {
                self.inner.recent_changes.may_lack_some();
                self.compare_positions().await;
            }
        }
    }

    /// Updates the metrics of a shared store. Call this periodically.
    pub fn record_store_state(&self) {
        if !self.is_shared() {
            return;
        }
        let metrics = &self.inner.metrics;
        metrics.store_polling.set(if self.inner.store.is_polling() { 1.0 } else { 0.0 });
        let answered = *self.inner.store_answered.lock();
        if let Some(answered) = answered {
            metrics.store_silence.set(answered.elapsed().as_secs_f64());
        }
    }

    /// Whether the store cannot notify this process of changes at the moment.
    #[must_use]
    pub fn is_polling(&self) -> bool {
        self.is_shared() && self.inner.store.is_polling()
    }

    /// Sends every open document the end of its log in the store.
    async fn compare_positions(&self) {
        let open = self.registry().clone();
        let ids = open.keys().cloned().collect();
        match self.inner.store.positions(ids).await {
            Ok(positions) => {
                let positions: HashMap<DocumentId, Position> = positions.into_iter().collect();
                for (id, handle) in open {
                    handle.hints.push_end(positions.get(&id).copied().unwrap_or_default());
                }
            }
            Err(error) => tracing::warn!(%error, "positions of documents could not be compared; they will be again"),
        }
    }

    /// Takes over the changes outside of documents since the last call.
    pub(super) async fn take_control(&self) {
        let mut revision = self.inner.control_revision.lock().await;
        let asked_at = Instant::now();
        match self.inner.store.control_since(*revision).await {
            Ok((latest, changes)) => {
                let mut failed = false;
                for Control { kind, key } in changes {
                    if kind == ControlKind::Access
                        && let Ok(id) = key.parse::<DocumentId>()
                    {
                        failed |= self.refresh_access(&id).await.is_err();
                    }
                }
                if !failed {
                    *revision = latest;
                }
                *self.inner.store_answered.lock() = Some(asked_at);
            }
            Err(error) => tracing::warn!(%error, "changes of access could not be read; they will be again"),
        }
    }

    async fn refresh_access(&self, id: &DocumentId) -> Result<(), StoreError> {
        match self.inner.access.refresh(id).await {
            Ok(true) => {
                self.recheck_document(id);
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error) => {
                tracing::error!(document = %id, %error, "the access record could not be read");
                Err(error)
            }
        }
    }
}
