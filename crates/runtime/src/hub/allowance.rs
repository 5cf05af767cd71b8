//! How much of one connection may wait for documents at once.
//!
//! A mailbox is first come, first served. Without a bound per connection, one that sends as fast as it can would fill the
//! mailbox, and everybody else's next edit would wait for all of that.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::turns::Turn;
use crate::memory_budget::Share;

/// Small messages of one connection that may wait.
const MESSAGES: u32 = 32;
/// So many bytes count as another message.
const BYTES: usize = 8 << 10;

/// One connection's share. Clones are the same share.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Semaphore>);

/// A part of it in use; given back when the message was dealt with.
#[derive(Debug)]
#[expect(dead_code, reason = "given back by being dropped")]
pub struct Allowed(OwnedSemaphorePermit, Share, Option<Turn>);

impl Default for Allowance {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MESSAGES as usize)))
    }
}

impl Allowance {
    /// Waits until a message of so many bytes may wait for a document. One that is larger than the whole share waits
    /// until nothing else does. `share`: what it takes of the memory; `turn`: its turn to take more than that. None never
    /// happens: an allowance is not closed.
    pub(super) async fn take(&self, bytes: usize, share: Share, turn: Option<Turn>) -> Option<Allowed> {
        let cost = u32::try_from(1 + bytes / BYTES).unwrap_or(MESSAGES).min(MESSAGES);
        Arc::clone(&self.0).acquire_many_owned(cost).await.ok().map(|permit| Allowed(permit, share, turn))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::memory_budget::Memory;

    #[tokio::test]
    async fn exhausted_share_waits_until_a_message_is_processed() {
        let (allowance, memory) = (Allowance::default(), Memory::new(0));
        let mut taken = Vec::new();
        for _ in 0..MESSAGES {
            taken.push(allowance.take(200, memory.share(), None).await);
        }
        assert!(allowance.take(200, memory.share(), None).now_or_never().is_none());
        taken.pop();
        assert!(allowance.take(200, memory.share(), None).now_or_never().is_some());
        drop(taken);
        let mut share = memory.share();
        share.hold(16 << 20).expect("there is no limit");
        let large = allowance.take(16 << 20, share, None).await;
        assert_eq!(memory.held(), 16 << 20, "it takes memory as long as it waits");
        assert!(
            allowance.take(1, memory.share(), None).now_or_never().is_none(),
            "a large message takes the whole share"
        );
        drop(large);
    }
}
