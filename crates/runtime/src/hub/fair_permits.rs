//! Permits that are granted fairly among clients: to decode large messages, and to create documents.
//!
//! Waiting clients take turns, not their messages: a user whose 40 connections all wait delays another user by one
//! message, not by 40.

use std::collections::VecDeque;
use std::sync::Arc;

use limits::Payer;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::outbox::ConnectionKey;

/// The party that a permit is granted to. Waiting parties take turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PermitKey {
    /// A user or a network, over all its connections.
    Payer(Payer),
    /// One connection, where neither is known: clients over loopback are indistinguishable.
    Connection(ConnectionKey),
}

/// A fixed number of permits. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct FairPermits(Arc<Mutex<Queues>>);

#[derive(Debug)]
struct Queues {
    /// Number of permits that are not in use.
    available: usize,
    /// Waiting requests by key. The first key is served next; no queue is empty.
    waiting: VecDeque<(PermitKey, VecDeque<oneshot::Sender<Permit>>)>,
}

/// A permit, granted to the next waiting key when it is dropped. `None` after it was released.
#[derive(Debug)]
pub(super) struct Permit(Option<FairPermits>);

impl FairPermits {
    /// Allows `permits` permits to be in use at a time.
    pub(super) fn new(permits: usize) -> Self {
        Self(Arc::new(Mutex::new(Queues { available: permits, waiting: VecDeque::new() })))
    }

    /// Waits for a permit. Cancel safe.
    pub(super) async fn acquire(&self, key: PermitKey) -> Permit {
        let receiver = {
            let mut queues = self.lock();
            if queues.available > 0 {
                queues.available -= 1;
                return Permit(Some(self.clone()));
            }
            let (sender, receiver) = oneshot::channel();
            match queues.waiting.iter_mut().find(|(waiting, _)| *waiting == key) {
                Some((_, queue)) => queue.push_back(sender),
                None => queues.waiting.push_back((key, VecDeque::from([sender]))),
            }
            receiver
        };
        // Cannot fail: `release` sends a permit before it drops a sender.
        receiver.await.unwrap_or(Permit(None))
    }

    fn release(self) {
        let mut queues = self.lock();
        while let Some((key, mut queue)) = queues.waiting.pop_front() {
            let next = queue.pop_front();
            if !queue.is_empty() {
                queues.waiting.push_back((key, queue));
            }
            let Some(next) = next else { continue };
            match next.send(Permit(Some(self.clone()))) {
                Ok(()) => return,
                // The receiver was dropped. This permit must not be released while the queues are locked.
                Err(mut permit) => permit.0 = None,
            }
        }
        queues.available += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(permits) = self.0.take() {
            permits.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn user(name: &str) -> PermitKey {
        PermitKey::Payer(Payer::User(name.into()))
    }

    #[tokio::test]
    async fn user_waits_for_one_message_of_another_user() {
        let permits = FairPermits::new(1);
        let permit = permits.acquire(user("hostile")).await;
        let mut hostile: Vec<_> = (0..40).map(|_| Box::pin(permits.acquire(user("hostile")))).collect();
        hostile.iter_mut().for_each(|take| assert!(take.now_or_never().is_none()));
        let mut honest = Box::pin(permits.acquire(user("honest")));
        assert!((&mut honest).now_or_never().is_none());
        drop(permit);
        let second = (&mut hostile[0]).now_or_never().expect("it waited first");
        drop(second);
        assert!((&mut honest).now_or_never().is_some(), "the others of the hostile user come later");
    }

    #[tokio::test]
    async fn cancelled_waits_do_not_lose_permits() {
        let permits = FairPermits::new(1);
        let permit = permits.acquire(user("one")).await;
        let mut waits: Vec<_> = (0..3).map(|_| Box::pin(permits.acquire(user("one")))).collect();
        waits.iter_mut().for_each(|take| assert!(take.now_or_never().is_none()));
        // One waiter gives up before it has a permit, the other after.
        drop(waits.remove(0));
        drop(permit);
        drop(waits.remove(0));
        let last = waits.remove(0).now_or_never().expect("the permit was passed on");
        drop(last);
        assert_eq!(permits.lock().available, 1);
    }
}
