//! A small pool of connections.
//!
//! A connection is returned only after a call that has ended. When a call fails or its future is dropped, the
//! connection is closed, since an answer or an open transaction may be left on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::engine::{EngineError, Failure};

/// Idle connections that were not used for this long are closed when the next one is taken.
const MAX_IDLE: Duration = Duration::from_secs(300);

/// Connections of a kind.
pub(super) struct Pool<C> {
    /// The connection that was returned last is taken first.
    idle: Mutex<Vec<Idle<C>>>,
    permits: Semaphore,
    /// Increases when all connections become unusable.
    generation: AtomicU64,
}

struct Idle<C> {
    connection: C,
    generation: u64,
    since: Instant,
}

/// A connection that one call uses.
pub(super) struct Lease<'a, C> {
    pool: &'a Pool<C>,
    /// The connection.
    pub(super) connection: C,
    generation: u64,
    _permit: SemaphorePermit<'a>,
}

impl<C> Pool<C> {
    /// A pool of at most this many connections.
    pub(super) fn new(connections: usize) -> Self {
        Self { idle: Mutex::default(), permits: Semaphore::new(connections), generation: AtomicU64::new(0) }
    }

    /// An idle connection that `is_usable`, or a new one.
    pub(super) async fn take(
        &self,
        patience: Duration,
        is_usable: impl Fn(&C) -> bool,
        connect: impl Future<Output = Result<C, EngineError>>,
    ) -> Result<Lease<'_, C>, EngineError> {
        let permit = timeout(patience, self.permits.acquire()).await;
        let permit =
            permit.map_err(|_| EngineError::new(Failure::NotSent, "all connections to the database are busy"))?;
        let permit = permit.map_err(|_| EngineError::new(Failure::NotSent, "the store was shut down"))?;
        let generation = self.generation.load(Ordering::Acquire);
        let connection = match self.pop(generation, is_usable) {
            Some(connection) => connection,
            None => connect.await?,
        };
        Ok(Lease { pool: self, connection, generation, _permit: permit })
    }

    fn pop(&self, generation: u64, is_usable: impl Fn(&C) -> bool) -> Option<C> {
        let mut idle = self.idle.lock();
        idle.retain(|idle| idle.generation == generation && idle.since.elapsed() < MAX_IDLE);
        while let Some(Idle { connection, .. }) = idle.pop() {
            if is_usable(&connection) {
                return Some(connection);
            }
        }
        None
    }

    /// Adds an existing connection.
    pub(super) fn add(&self, connection: C) {
        let generation = self.generation.load(Ordering::Acquire);
        self.idle.lock().push(Idle { connection, generation, since: Instant::now() });
    }

    /// Closes all idle connections, and those in use when their calls end.
    pub(super) fn clear(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.idle.lock().clear();
    }

    /// Refuses further calls and closes all idle connections.
    pub(super) fn close(&self) {
        self.permits.close();
        self.clear();
    }
}

impl<C> Lease<'_, C> {
    /// Returns the connection to the pool. Call this only if no answer is pending on it.
    pub(super) fn give_back(self) {
        if self.pool.generation.load(Ordering::Acquire) == self.generation && !self.pool.permits.is_closed() {
            let idle = Idle { connection: self.connection, generation: self.generation, since: Instant::now() };
            self.pool.idle.lock().push(idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    struct Counter(AtomicUsize);

    impl Counter {
        async fn connect(&self) -> Result<usize, EngineError> {
            Ok(self.0.fetch_add(1, Ordering::SeqCst))
        }
    }

    #[tokio::test]
    async fn connections_are_used_again_unless_a_call_failed() {
        let (pool, counter) = (Pool::new(2), Counter(AtomicUsize::new(0)));
        let lease = pool.take(PATIENCE, |_| true, counter.connect()).await.expect("taken");
        lease.give_back();
        let lease = pool.take(PATIENCE, |_| true, counter.connect()).await.expect("taken");
        assert_eq!(lease.connection, 0);
        drop(lease);
        let lease = pool.take(PATIENCE, |_| true, counter.connect()).await.expect("taken");
        assert_eq!(lease.connection, 1, "the dropped connection is closed");
        lease.give_back();
        let lease = pool.take(PATIENCE, |connection| *connection > 1, counter.connect()).await.expect("taken");
        assert_eq!(lease.connection, 2, "an unusable connection is closed");
        pool.clear();
        lease.give_back();
        let lease = pool.take(PATIENCE, |_| true, counter.connect()).await.expect("taken");
        assert_eq!(lease.connection, 3, "an older connection is closed by the clearing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_pool_makes_callers_wait_and_then_fail() {
        let (pool, counter) = (Pool::new(1), Counter(AtomicUsize::new(0)));
        let lease = pool.take(PATIENCE, |_| true, counter.connect()).await.expect("taken");
        let refused = pool.take(PATIENCE, |_| true, counter.connect()).await.err().expect("full");
        assert_eq!(refused.failure, Failure::NotSent);
        lease.give_back();
        pool.take(PATIENCE, |_| true, counter.connect()).await.expect("taken").give_back();
        pool.close();
        assert!(pool.take(PATIENCE, |_| true, counter.connect()).await.is_err());
    }
}
