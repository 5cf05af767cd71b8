//! How much of one connection may wait for documents at once.
//!
//! A mailbox is first come, first served. Without a bound per connection, one that sends as fast as it can would fill the
//! mailbox, and everybody else's next edit would wait for all of that.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Small messages of one connection that may wait.
const MESSAGES: u32 = 32;
/// So many bytes count as another message.
const BYTES: usize = 8 << 10;

/// One connection's share. Clones are the same share.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Semaphore>);

/// A part of it in use; given back when the message was dealt with.
#[derive(Debug)]
pub struct Allowed(#[expect(dead_code, reason = "given back by being dropped")] OwnedSemaphorePermit);

impl Default for Allowance {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MESSAGES as usize)))
    }
}

impl Allowance {
    /// Waits until a message of so many bytes may wait for a document. One that is larger than the whole share waits
    /// until nothing else does. None never happens: a share is not closed.
    pub(super) async fn take(&self, bytes: usize) -> Option<Allowed> {
        let cost = u32::try_from(1 + bytes / BYTES).unwrap_or(MESSAGES).min(MESSAGES);
        Arc::clone(&self.0).acquire_many_owned(cost).await.ok().map(Allowed)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_has_used_up_its_share_waits_until_a_message_was_dealt_with() {
        let allowance = Allowance::default();
        let mut taken = Vec::new();
        for _ in 0..MESSAGES {
            taken.push(allowance.take(200).await);
        }
        assert!(allowance.take(200).now_or_never().is_none());
        taken.pop();
        assert!(allowance.take(200).now_or_never().is_some());
        drop(taken);
        let large = allowance.take(16 << 20).await;
        assert!(allowance.take(1).now_or_never().is_none(), "a large message takes the whole share");
        drop(large);
    }
}
