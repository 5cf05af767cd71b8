//! Waits between tries of a call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// The random part of waits, from 0 to 1: it keeps nodes from trying again all at once.
#[derive(Clone)]
pub struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Default for Jitter {
    fn default() -> Self {
        Self::new(|| f64::from(rand::random::<u8>()) / 255.0)
    }
}

impl Jitter {
    /// Uses another source than random numbers, for tests that have to be repeatable.
    #[must_use]
    pub fn new(source: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

/// Waits between tries: 10 ms at first, then up to half a second, with jitter, until patience ends.
pub(super) struct Backoff {
    deadline: Instant,
    next: Duration,
    jitter: Jitter,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_millis(500);

    pub(super) fn new(patience: Duration, jitter: Jitter) -> Self {
        Self { deadline: Instant::now() + patience, next: Self::FIRST, jitter }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// `error`, if patience has ended.
    pub(super) async fn wait<T>(&mut self, error: T) -> Result<(), T> {
        let wait = self.next.mul_f64(0.5 + (self.jitter.0)());
        if Instant::now() + wait >= self.deadline {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        self.next = (self.next * 2).min(Self::LONGEST);
        Ok(())
    }
}
