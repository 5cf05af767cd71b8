//! Whether a change would be stored now: tried out, and told to all who ask.
//!
//! Anybody may ask, as often as they like, and to try it out takes a thread and several turns of the disk. So it is tried by
//! one at a time, and for whoever asks within a second the answer is the same.

use std::sync::Arc;
use std::time::Duration;

use store::{Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Readiness(Arc<Mutex<Option<Answer>>>);

struct Answer {
    at: Instant,
    error: Option<Arc<StoreError>>,
}

impl Readiness {
    /// Tries it out, unless somebody just has.
    pub(super) async fn of(&self, store: &Arc<dyn Store>) -> Result<(), Arc<StoreError>> {
        let mut last = Arc::clone(&self.0).lock_owned().await;
        if let Some(Answer { at, error }) = &*last
            && at.elapsed() < FRESH
        {
            return error.clone().map_or(Ok(()), Err);
        }
        let store = Arc::clone(store);
        // In a task of its own: the caller may go away while the disk is still busy. There is one probe at a time.
        let probe = tokio::spawn(async move {
            let error = store.probe().await.err().map(Arc::new);
            let was_well = last.as_ref().is_none_or(|answer| answer.error.is_none());
            match &error {
                Some(error) if was_well => tracing::error!(%error, "a change would not be stored now"),
                None if !was_well => tracing::info!("a change would be stored again"),
                _ => {}
            }
            *last = Some(Answer { at: Instant::now(), error: error.clone() });
            error.map_or(Ok(()), Err)
        });
        match probe.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }
}
