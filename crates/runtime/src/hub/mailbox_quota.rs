//! Limits how much of one connection may wait in mailboxes.
//!
//! Mailboxes are first come, first served. Without this limit, a connection that sends without pause could fill a
//! mailbox, and delay the next edit of every other client.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fair_permits::Permit;
use crate::memory_budget::Reservation;

/// Number of small messages of one connection that may wait.
const MESSAGES: u32 = 32;
/// A message costs one more unit for every 8 KiB.
const BYTES: usize = 8 << 10;

/// The quota of one connection, over all documents. Clones share it.
#[derive(Debug, Clone)]
pub struct MailboxQuota(Arc<Semaphore>);

/// Room for one message, released on drop after the document has processed the message.
#[derive(Debug)]
#[expect(dead_code, reason = "released on drop")]
pub struct MailboxPermit(OwnedSemaphorePermit, Reservation, Option<Permit>);

impl Default for MailboxQuota {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MESSAGES as usize)))
    }
}

impl MailboxQuota {
    /// Waits until there is room for a message of this size. A message larger than the whole quota waits until no
    /// other one does. The permit also holds the message's memory `reservation` and its `whole_document` permit.
    /// `None` cannot occur: the semaphore is never closed.
    pub(super) async fn acquire(
        &self,
        bytes: usize,
        reservation: Reservation,
        whole_document: Option<Permit>,
    ) -> Option<MailboxPermit> {
        let cost = u32::try_from(1 + bytes / BYTES).unwrap_or(MESSAGES).min(MESSAGES);
        Arc::clone(&self.0)
            .acquire_many_owned(cost)
            .await
            .ok()
            .map(|permit| MailboxPermit(permit, reservation, whole_document))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::memory_budget::MemoryBudget;

    #[tokio::test]
    async fn exhausted_quota_waits_until_a_message_is_processed() {
        let (quota, memory) = (MailboxQuota::default(), MemoryBudget::new(0));
        let mut taken = Vec::new();
        for _ in 0..MESSAGES {
            taken.push(quota.acquire(200, memory.reservation(), None).await);
        }
        assert!(quota.acquire(200, memory.reservation(), None).now_or_never().is_none());
        taken.pop();
        assert!(quota.acquire(200, memory.reservation(), None).now_or_never().is_some());
        drop(taken);
        let mut reservation = memory.reservation();
        reservation.resize(16 << 20).expect("there is no limit");
        let large = quota.acquire(16 << 20, reservation, None).await;
        assert_eq!(memory.used(), 16 << 20, "a waiting message holds its memory");
        assert!(
            quota.acquire(1, memory.reservation(), None).now_or_never().is_none(),
            "a large message takes the whole quota"
        );
        drop(large);
    }
}
