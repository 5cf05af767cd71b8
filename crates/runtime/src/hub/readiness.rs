//! Readiness: whether the store would accept a write now.
//!
//! A probe takes a thread and several disk operations, and any client may ask for the result. Therefore one probe
//! runs at a time, and its result is reused for a second.

use std::sync::Arc;
use std::time::Duration;

use store::{Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Maximum age of a reused result.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The last result. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Readiness(Arc<Mutex<Option<Answer>>>);

struct Answer {
    at: Instant,
    error: Option<Arc<StoreError>>,
}

impl Readiness {
    /// Returns the last result, or probes the store if it is too old.
    pub(super) async fn check(&self, store: &Arc<dyn Store>) -> Result<(), Arc<StoreError>> {
        let mut last = Arc::clone(&self.0).lock_owned().await;
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
