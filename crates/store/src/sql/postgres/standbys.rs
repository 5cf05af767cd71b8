//! Synchronous standbys, and commits on the primary that they lack.
//!
//! A commit waits for the standbys before it is acknowledged and visible. When the primary crashes meanwhile, or the waiting
//! session is terminated, the commit is visible without them, and a failover loses it. So a new connection must not use
//! anything that it reads before a later commit has reached the standbys, which then have all earlier commits, too.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Client;

use crate::sql::engine::{EngineError, Failure};

/// A commit that changes nothing.
pub(super) const COMMIT: &str = "SELECT pg_logical_emit_message(true, 'happierwork', '')";
/// Writes to the write-ahead log without a commit, and so without waiting.
const NUDGE: &str = "SELECT pg_logical_emit_message(false, 'happierwork', '')";
/// Interval between nudges. A standby that has reconnected reports again when it receives something, or after ten seconds.
const NUDGE_INTERVAL: Duration = Duration::from_secs(1);

type Wait = Shared<BoxFuture<'static, Result<(), String>>>;

/// Waits until the standbys have everything that is visible on the primary.
#[derive(Clone, Default)]
pub(super) struct Standbys {
    /// The last commit that was made to wait for the standbys, and when it began. There is only one at a time: PostgreSQL
    /// does not end the session of a waiting commit when its client disconnects, so each further one would occupy a session
    /// until a standby returns.
    last: Arc<Mutex<Option<(Instant, Wait)>>>,
}

impl Standbys {
    /// Waits until the standbys have everything that is visible on this connection. `commit` makes a [`COMMIT`] on another
    /// one.
    pub(super) async fn catch_up<C>(
        &self,
        client: &Client,
        limit: Duration,
        commit: impl Fn() -> C,
    ) -> Result<(), EngineError>
    where
        C: Future<Output = Result<(), String>> + Send + 'static,
    {
        let called = Instant::now();
        let mut nudge_at = called + NUDGE_INTERVAL;
        loop {
            let (begun, wait) = {
                let mut last = self.last.lock();
                match last.clone().filter(|(_, wait)| wait.peek().is_none()) {
                    Some(waiting) => waiting,
                    None => last.insert((Instant::now(), begin(commit()))).clone(),
                }
            };
            let error = match timeout_at(nudge_at.min(called + limit), wait).await {
                // A commit from before this call does not cover later ones.
                Ok(_) if begun < called => continue,
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) if nudge_at < called + limit => {
                    nudge_at += NUDGE_INTERVAL;
                    // If it fails, the statement after this one fails, too.
                    let _ = timeout_at(called + limit, client.simple_query(NUDGE)).await;
                    continue;
                }
                Err(_) => "the database waits for its synchronous standby".to_owned(),
            };
            return Err(EngineError::new(Failure::NotSent, error));
        }
    }
}

/// Runs in a separate task, which continues when its callers give up.
fn begin(commit: impl Future<Output = Result<(), String>> + Send + 'static) -> Wait {
    let task = tokio::spawn(commit);
    async move { task.await.unwrap_or_else(|error| Err(error.to_string())) }.boxed().shared()
}
