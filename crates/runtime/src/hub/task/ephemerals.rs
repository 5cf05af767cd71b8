//! Ephemeral messages (presence, cursors) on their way from one peer to the document's others.
//!
//! A message names its sender and the sender's session, and receivers ignore a message whose count is not higher than the
//! last one of that source. These names are claims: peer ids are chosen by clients, and sessions are seen by all receivers. So
//! within a document a sender name belongs to the first user who speaks under it. What another user sends under it is passed
//! on under a name of its own: nobody speaks for another user, and nobody makes receivers ignore what another user sends.

use std::collections::HashMap;
use std::sync::Arc;

use super::DocumentTask;
use crate::hub::outbox::{ConnectionKey, Ephemeral, Outgoing};

/// Sessions of senders that a document remembers. Forgetting one can let a message through twice.
const MAX_SESSIONS: usize = 4_096;
/// Characters of a claimed sender name that are kept in the name that its messages get instead.
const MAX_CLAIMED: usize = 100;

/// Who has spoken under which name, and how far each session has counted.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_sender: HashMap<Arc<str>, Source>,
    /// Sessions of all senders.
    sessions: usize,
}

#[derive(Debug)]
struct Source {
    /// `None` where users are not known: then all are one.
    user: Option<Arc<str>>,
    /// The count of the last message of each session.
    counts: HashMap<Arc<str>, u64>,
}

impl Sources {
    /// The message as it is passed on; `None` if it was passed on before. `user` has sent it over the connection `from`.
    fn pass(
        &mut self,
        user: Option<&Arc<str>>,
        from: ConnectionKey,
        message: &Arc<Ephemeral>,
    ) -> Option<Arc<Ephemeral>> {
        let sender = self.name_for(user, from, &message.sender);
        let last = self.by_sender.get(&sender).and_then(|source| source.counts.get(&message.session)).copied();
        if last.is_some_and(|last| last >= message.count) {
            return None;
        }
        if last.is_none() {
            self.make_room(user);
            self.sessions += 1;
        }
        let source = Source { user: user.cloned(), counts: HashMap::new() };
        let source = self.by_sender.entry(Arc::clone(&sender)).or_insert(source);
        source.counts.insert(Arc::clone(&message.session), message.count);
        if sender == message.sender {
            return Some(Arc::clone(message));
        }
        if last.is_none() {
            tracing::info!(connection = from.0, claimed = ?message.sender, "two users speak under one peer id; told apart");
        }
        Some(Arc::new(Ephemeral { sender, ..Ephemeral::clone(message) }))
    }

    /// The name under which a user's messages are passed on: the claimed one, unless another user spoke under it first.
    fn name_for(&self, user: Option<&Arc<str>>, from: ConnectionKey, claimed: &Arc<str>) -> Arc<str> {
        let is_free = |name: &str| self.by_sender.get(name).is_none_or(|source| source.user.as_ref() == user);
        if is_free(claimed) {
            return Arc::clone(claimed);
        }
        let base: String = claimed.chars().take(MAX_CLAIMED).collect();
        let mut name = format!("{base}~{}", from.0);
        // Another user may have taken this one as well.
        for number in 2.. {
            if is_free(&name) {
                break;
            }
            name = format!("{base}~{}~{number}", from.0);
        }
        name.into()
    }

    /// Where there is no room for another session, the user who needs it gives up their own: nobody makes the document forget
    /// whose another user's name is.
    fn make_room(&mut self, user: Option<&Arc<str>>) {
        if self.sessions < MAX_SESSIONS {
            return;
        }
        self.by_sender.retain(|_, source| source.user.as_ref() != user);
        self.sessions = self.by_sender.values().map(|source| source.counts.len()).sum();
        if self.sessions >= MAX_SESSIONS {
            *self = Self::default();
        }
    }
}

impl DocumentTask {
    /// Tells the document's other peers, once.
    pub(super) fn relay(&mut self, from: ConnectionKey, message: &Arc<Ephemeral>) {
        let Some(member) = self.subscribers.peers.get(&from) else { return };
        let user = member.peer.caller.user();
        let Some(message) = self.presence.sources.pass(user.as_ref(), from, message) else { return };
        for (key, member) in &self.subscribers.peers {
            if *key == from {
                continue;
            }
            // Ephemeral means that it may be lost: a socket that is behind does not get it.
            if let Some(place) = member.peer.outbox.place_for_ephemeral(message.data.len()) {
                place.fill(Outgoing::Ephemeral(Arc::clone(&message)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use primitives::DocumentId;

    use super::*;

    const ONE: ConnectionKey = ConnectionKey(1);
    const OTHER: ConnectionKey = ConnectionKey(2);

    fn message(sender: &str, session: &str, count: u64) -> Arc<Ephemeral> {
        let document = DocumentId::from_random([7; 16]);
        Arc::new(Ephemeral { document, sender: sender.into(), session: session.into(), count, data: Bytes::new() })
    }

    fn user(name: &str) -> Option<Arc<str>> {
        Some(name.into())
    }

    #[test]
    fn message_is_passed_on_once() {
        let mut sources = Sources::default();
        for (key, count, passes) in [(ONE, 1, true), (ONE, 1, false), (OTHER, 1, false), (OTHER, 2, true)] {
            assert_eq!(sources.pass(None, key, &message("a", "s", count)).is_some(), passes, "{count}");
        }
        assert!(sources.pass(None, ONE, &message("a", "other", 1)).is_some());
        assert!(sources.pass(None, ONE, &message("b", "s", 1)).is_some());
    }

    #[test]
    fn user_cannot_speak_for_another_or_use_up_their_counts() {
        let (ceo, intern, mut sources) = (user("ceo"), user("intern"), Sources::default());
        let passed = sources.pass(ceo.as_ref(), ONE, &message("laptop", "s", 1)).expect("passed on");
        assert_eq!(&*passed.sender, "laptop");
        let passed = sources.pass(intern.as_ref(), OTHER, &message("laptop", "s", u64::MAX)).expect("passed on");
        assert_eq!(&*passed.sender, "laptop~2");
        let passed = sources.pass(ceo.as_ref(), ONE, &message("laptop", "s", 2)).expect("passed on");
        assert_eq!(&*passed.sender, "laptop");
        // Also under the name that the other would get.
        assert!(sources.pass(intern.as_ref(), OTHER, &message("laptop~3", "s", 1)).is_some());
        let cfo = user("cfo");
        let passed = sources.pass(cfo.as_ref(), ConnectionKey(3), &message("laptop", "s", 1)).expect("passed on");
        assert_eq!(&*passed.sender, "laptop~3~2");
    }

    #[test]
    fn user_who_fills_the_table_forgets_their_own_sessions() {
        let (ceo, intern, mut sources) = (user("ceo"), user("intern"), Sources::default());
        sources.pass(ceo.as_ref(), ONE, &message("laptop", "s", 5));
        for number in 0..3 * MAX_SESSIONS {
            sources.pass(intern.as_ref(), OTHER, &message(&format!("peer {number}"), "s", 1));
            assert!(sources.sessions <= MAX_SESSIONS);
        }
        assert!(sources.pass(ceo.as_ref(), ONE, &message("laptop", "s", 5)).is_none(), "it is remembered");
        let passed = sources.pass(intern.as_ref(), OTHER, &message("laptop", "s", 6)).expect("passed on");
        assert_ne!(&*passed.sender, "laptop");
    }
}
