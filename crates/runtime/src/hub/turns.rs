//! Turns to take apart large messages: a few at a time, and fairly among those who send them.
//!
//! Turns go round robin over principals, not over messages: a user whose 40 connections all have a message waiting delays
//! another user by one message, not by 40.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use limits::Payer;
use tokio::sync::oneshot;

use super::outbox::ConnectionKey;

/// On whose behalf a message is taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Principal {
    /// A user or a network, with all its connections.
    Payer(Payer),
    /// Neither is known: connections over loopback cannot be told apart.
    Connection(ConnectionKey),
}

/// The turns of one server. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Mutex<Queues>>);

#[derive(Debug)]
struct Queues {
    /// Turns that nobody has.
    free: usize,
    /// Those who wait, by principal. The first principal is the next; no queue is empty.
    waiting: VecDeque<(Principal, VecDeque<oneshot::Sender<Turn>>)>,
}

/// A turn. It passes to the next when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Turns>);

impl Turns {
    /// So many at a time.
    pub(super) fn new(turns: usize) -> Self {
        Self(Arc::new(Mutex::new(Queues { free: turns, waiting: VecDeque::new() })))
    }

    /// Waits for a turn. May be given up at any point.
    pub(super) async fn take(&self, principal: Principal) -> Turn {
        let waits = {
            let mut queues = self.lock();
            if queues.free > 0 {
                queues.free -= 1;
                return Turn(Some(self.clone()));
            }
            let (sender, waits) = oneshot::channel();
            match queues.waiting.iter_mut().find(|(waiting, _)| *waiting == principal) {
                Some((_, queue)) => queue.push_back(sender),
                None => queues.waiting.push_back((principal, VecDeque::from([sender]))),
            }
            waits
        };
        // An error never happens: a sender is only dropped with a turn sent.
        waits.await.unwrap_or(Turn(None))
    }

    fn pass_on(self) {
        let mut queues = self.lock();
        while let Some((principal, mut queue)) = queues.waiting.pop_front() {
            let next = queue.pop_front();
            if !queue.is_empty() {
                queues.waiting.push_back((principal, queue));
            }
            let Some(next) = next else { continue };
            match next.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // It does not wait any more. Its turn must not be passed on while the queues are locked.
                Err(mut turn) => turn.0 = None,
            }
        }
        queues.free += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn user(name: &str) -> Principal {
        Principal::Payer(Payer::User(name.into()))
    }

    #[tokio::test]
    async fn honest_user_waits_for_one_message_of_another() {
        let turns = Turns::new(1);
        let turn = turns.take(user("hostile")).await;
        let mut hostile: Vec<_> = (0..40).map(|_| Box::pin(turns.take(user("hostile")))).collect();
        hostile.iter_mut().for_each(|take| assert!(take.now_or_never().is_none()));
        let mut honest = Box::pin(turns.take(user("honest")));
        assert!((&mut honest).now_or_never().is_none());
        drop(turn);
        let second = (&mut hostile[0]).now_or_never().expect("was first to wait");
        drop(second);
        assert!((&mut honest).now_or_never().is_some(), "the others of the hostile user come later");
    }

    #[tokio::test]
    async fn abandoned_waits_do_not_lose_turns() {
        let turns = Turns::new(1);
        let turn = turns.take(user("one")).await;
        let mut waits: Vec<_> = (0..3).map(|_| Box::pin(turns.take(user("one")))).collect();
        waits.iter_mut().for_each(|take| assert!(take.now_or_never().is_none()));
        // One gives up before it has a turn, one after.
        drop(waits.remove(0));
        drop(turn);
        drop(waits.remove(0));
        let last = waits.remove(0).now_or_never().expect("the turn was passed on");
        drop(last);
        assert_eq!(turns.lock().free, 1);
    }
}
