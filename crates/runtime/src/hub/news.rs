//! Follows what other processes tell about the store that they share with this one.

use std::collections::HashMap;

use futures_util::StreamExt;
use primitives::DocumentId;
use store::{Control, ControlKind, News, Position, StoreError};

use super::Hub;

impl Hub {
    /// Follows the news of the store in a task of its own, until the shutdown begins. Does nothing for a store with a single
    /// writer. Call it once, after [`Hub::load_access`].
    pub fn follow_news(&self) {
        let Some(mut news) = self.inner.store.news() else { return };
        let hub = self.clone();
        self.inner.tasks.spawn(async move {
            let draining = hub.inner.draining.clone();
            while let Some(Some(news)) = draining.run_until_cancelled(news.next()).await {
                hub.take_news(news).await;
            }
        });
    }

    async fn take_news(&self, news: News) {
        match news {
            News::Moved { id, at, batch } => {
                let handle = self.registry().get(&id).cloned();
                if let Some(handle) = handle {
                    handle.hints.push(at, batch);
                }
            }
            News::Control(_) => self.take_control().await,
            // Servers of this version send none.
            News::Ephemeral(_) => {}
            News::LookAtAll => {
                self.compare_positions().await;
                self.take_control().await;
            }
        }
    }

    /// Tells every open document where its log ends in the store.
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
    async fn take_control(&self) {
        let mut revision = self.inner.control_revision.lock().await;
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
