//! Readiness: whether the store would accept a write now.
//!
//! A probe takes a thread and several disk operations, and any client may ask for the result. Therefore one probe
//! runs at a time, and its result is reused for a second.
//!
//! A document that cannot be opened makes the server not ready, and a load balancer then sends it no requests that would open the
//! document again. So the check itself tries that.

use std::sync::Arc;
use std::time::Duration;

use store::{Health, Store, StoreError, UnavailableReason};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Hub;

/// Maximum age of a reused result.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Pause between two looks at the documents that cannot be opened.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The last result. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Readiness {
    last: Arc<Mutex<Option<Answer>>>,
    retrying: Arc<parking_lot::Mutex<Option<JoinHandle<()>>>>,
}

struct Answer {
    at: Instant,
    error: Option<Arc<StoreError>>,
}

impl Readiness {
    /// Returns the last result, or probes the store if it is too old.
    pub(super) async fn check(&self, store: &Arc<dyn Store>) -> Result<(), Arc<StoreError>> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(Answer { at, error }) = &*last
            && at.elapsed() < MAX_AGE
        {
            return error.clone().map_or(Ok(()), Err);
        }
        let store = Arc::clone(store);
        // In a separate task, since the caller may be dropped while the disk is busy. The lock prevents concurrent
        // probes.
        let probe = tokio::spawn(async move {
            let error = store.probe().await.err().map(Arc::new);
            let was_well = last.as_ref().is_none_or(|answer| answer.error.is_none());
            match &error {
                Some(error) if was_well => tracing::error!(%error, "changes cannot be stored"),
                None if !was_well => tracing::info!("changes can be stored again"),
                _ => {}
            }
            *last = Some(Answer { at: Instant::now(), error: error.clone() });
            error.map_or(Ok(()), Err)
        });
        offload::join(probe).await
    }
}

impl Hub {
    /// Looks again at the documents because of which this server is not ready.
    pub(super) fn retry_unavailable(&self, health: &Health) {
        let is_damaged = |(_, reason): &&(_, UnavailableReason)| *reason == UnavailableReason::Quarantined;
        let damaged: Vec<_> = health.unavailable.iter().filter(is_damaged).map(|(id, _)| id.clone()).collect();
        let unreadable = self.inner.open_failures.unreadable();
        let mut retrying = self.inner.readiness.retrying.lock();
        let is_retrying = retrying.as_ref().is_some_and(|task| !task.is_finished());
        if is_retrying || (damaged.is_empty() && unreadable.is_empty()) {
            return;
        }
        let hub = self.clone();
        *retrying = Some(tokio::spawn(async move {
            for id in damaged.iter().filter(|_| hub.is_shared()) {
                if hub.inner.store.load(id).await.is_ok() {
                    tracing::info!(document = %id, "the document is in order again");
                }
            }
            for id in &unreadable {
                // The document itself delays repeated attempts.
                let _ = hub.open_view(id).await;
            }
            drop(hub);
            tokio::time::sleep(RETRY_PAUSE).await;
        }));
    }
}
