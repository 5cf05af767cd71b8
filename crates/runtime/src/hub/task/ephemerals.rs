//! Ephemeral messages (presence, cursors), forwarded from one peer to the document's other peers.
//!
//! A message names its sender and session, and receivers ignore a message whose count is not higher than the last one
//! of that session. Both names are claims: clients choose their peer id, and all receivers see the session. Therefore
//! a sender name belongs, within a document, to the first user who uses it. Messages of other users under that name
//! are forwarded under another one. So no user can send in the name of another, or make receivers ignore another
//! user's messages.
//!
//! A server relays the messages of its own peers, under their names. Such a message is dropped if its sender's name belongs to
//! another user: it was returned, or arrived a second time over another server.

use std::collections::HashMap;
use std::sync::Arc;

use super::DocumentTask;
use crate::hub::outbox::{ConnectionKey, Ephemeral, Outgoing};

/// Maximum number of sessions that a document remembers. After an eviction, a message may be forwarded twice.
const MAX_SESSIONS: usize = 4_096;
/// Stands for the connections of other processes. Connections of this one are numbered from 1.
const ELSEWHERE: ConnectionKey = ConnectionKey(0);
/// Characters of a claimed sender name that are kept in its replacement.
const MAX_CLAIMED_CHARS: usize = 100;

/// The owners of sender names, and the last count of each session.
#[derive(Debug, Default)]
pub(super) struct EphemeralSources {
    by_sender: HashMap<Arc<str>, Source>,
    /// Number of sessions over all senders.
    sessions: usize,
}

#[derive(Debug)]
struct Source {
    /// `None` where users are unknown: all clients count as one user.
    user: Option<Arc<str>>,
    /// The count of the last message, by session.
    counts: HashMap<Arc<str>, u64>,
}

impl EphemeralSources {
    /// Returns the message to forward, or `None` if it was forwarded before. `user` sent it over the connection
    /// `from`; `relays`: the connection is that of a server.
    fn accept(
        &mut self,
        user: Option<&Arc<str>>,
        from: ConnectionKey,
        relays: bool,
        message: &Arc<Ephemeral>,
    ) -> Option<Arc<Ephemeral>> {
        let sender = self.sender_name(user, from, &message.sender);
        if relays && sender != message.sender {
            return None;
        }
        let last = self.by_sender.get(&sender).and_then(|source| source.counts.get(&message.session)).copied();
        if last.is_some_and(|last| last >= message.count) {
            return None;
        }
        if last.is_none() {
            self.evict_sessions(user);
            self.sessions += 1;
        }
        let source = Source { user: user.cloned(), counts: HashMap::new() };
        let source = self.by_sender.entry(Arc::clone(&sender)).or_insert(source);
        source.counts.insert(Arc::clone(&message.session), message.count);
        if sender == message.sender {
            return Some(Arc::clone(message));
        }
        if last.is_none() {
            tracing::info!(connection = from.0, claimed = ?message.sender, "two users send ephemeral messages under one peer id; renamed the second");
        }
        Some(Arc::new(Ephemeral { sender, ..Ephemeral::clone(message) }))
    }

    /// The sender name to forward a user's messages under: the claimed one, unless it belongs to another user.
    fn sender_name(&self, user: Option<&Arc<str>>, from: ConnectionKey, claimed: &Arc<str>) -> Arc<str> {
        let is_free = |name: &str| self.by_sender.get(name).is_none_or(|source| source.user.as_ref() == user);
        if is_free(claimed) {
            return Arc::clone(claimed);
        }
        let base: String = claimed.chars().take(MAX_CLAIMED_CHARS).collect();
        let mut name = format!("{base}~{}", from.0);
        // This name may belong to another user as well.
        for number in 2.. {
            if is_free(&name) {
                break;
            }
            name = format!("{base}~{}~{number}", from.0);
        }
        name.into()
    }

    /// Makes room for a session by evicting those of the same user, so that no user can release the names of others.
    fn evict_sessions(&mut self, user: Option<&Arc<str>>) {
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
    /// Forwards an ephemeral message to the document's other peers, once, and to those of other processes.
    pub(super) fn relay_ephemeral(&mut self, from: ConnectionKey, message: &Arc<Ephemeral>) {
        let Some(subscription) = self.subscribers.peers.get(&from) else { return };
        let (user, relays) = (subscription.peer.requester.user(), subscription.peer.relays);
        let Some(message) = self.presence.sources.accept(user.as_ref(), from, relays, message) else { return };
        self.deliver_ephemeral(&message, Some(from));
        self.hub.tell_ephemeral(&message, user);
    }

    /// Forwards an ephemeral message of a client of another process to all peers, once.
    pub(super) fn forward_remote_ephemeral(&mut self, user: Option<&Arc<str>>, message: &Arc<Ephemeral>) {
        if let Some(message) = self.presence.sources.accept(user, ELSEWHERE, false, message) {
            self.deliver_ephemeral(&message, None);
        }
    }

    fn deliver_ephemeral(&self, message: &Arc<Ephemeral>, except: Option<ConnectionKey>) {
        for (key, subscription) in &self.subscribers.peers {
            if Some(*key) == except {
                continue;
            }
            // Ephemeral messages may be lost: a peer that is behind does not get them.
            if let Some(permit) = subscription.peer.outbox.try_reserve_for_ephemeral(message.data.len()) {
                permit.send(Outgoing::Ephemeral(Arc::clone(message)));
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
    fn message_is_forwarded_once() {
        let mut sources = EphemeralSources::default();
        for (key, count, passes) in [(ONE, 1, true), (ONE, 1, false), (OTHER, 1, false), (OTHER, 2, true)] {
            assert_eq!(sources.accept(None, key, false, &message("a", "s", count)).is_some(), passes, "{count}");
        }
        assert!(sources.accept(None, ONE, false, &message("a", "other", 1)).is_some());
        assert!(sources.accept(None, ONE, false, &message("b", "s", 1)).is_some());
    }

    #[test]
    fn user_cannot_send_under_the_name_of_another() {
        let (ceo, intern, mut sources) = (user("ceo"), user("intern"), EphemeralSources::default());
        let passed = sources.accept(ceo.as_ref(), ONE, false, &message("laptop", "s", 1)).expect("passed on");
        assert_eq!(&*passed.sender, "laptop");
        let passed =
            sources.accept(intern.as_ref(), OTHER, false, &message("laptop", "s", u64::MAX)).expect("passed on");
        assert_eq!(&*passed.sender, "laptop~2");
        let passed = sources.accept(ceo.as_ref(), ONE, false, &message("laptop", "s", 2)).expect("passed on");
        assert_eq!(&*passed.sender, "laptop");
        // Also under the replacement name of the other user.
        assert!(sources.accept(intern.as_ref(), OTHER, false, &message("laptop~3", "s", 1)).is_some());
        let cfo = user("cfo");
        let passed =
            sources.accept(cfo.as_ref(), ConnectionKey(3), false, &message("laptop", "s", 1)).expect("passed on");
        assert_eq!(&*passed.sender, "laptop~3~2");
    }

    #[test]
    fn message_returned_by_a_server_is_dropped() {
        let (ceo, office, mut sources) = (user("ceo"), user("office"), EphemeralSources::default());
        sources.accept(ceo.as_ref(), ONE, false, &message("laptop", "s", 1)).expect("passed on");
        assert!(sources.accept(office.as_ref(), OTHER, true, &message("laptop", "s", 1)).is_none());
        assert!(sources.accept(None, ConnectionKey(3), true, &message("laptop", "s", 2)).is_none());
        let passed = sources.accept(office.as_ref(), OTHER, true, &message("desktop", "s", 1)).expect("passed on");
        assert_eq!(&*passed.sender, "desktop");
        assert!(
            sources.accept(None, ConnectionKey(3), true, &message("desktop", "s", 1)).is_none(),
            "over another server"
        );
    }

    #[test]
    fn full_table_evicts_sessions_of_the_same_user() {
        let (ceo, intern, mut sources) = (user("ceo"), user("intern"), EphemeralSources::default());
        sources.accept(ceo.as_ref(), ONE, false, &message("laptop", "s", 5));
        for number in 0..3 * MAX_SESSIONS {
            sources.accept(intern.as_ref(), OTHER, false, &message(&format!("peer {number}"), "s", 1));
            assert!(sources.sessions <= MAX_SESSIONS);
        }
        assert!(
            sources.accept(ceo.as_ref(), ONE, false, &message("laptop", "s", 5)).is_none(),
            "the session is still known"
        );
        let passed = sources.accept(intern.as_ref(), OTHER, false, &message("laptop", "s", 6)).expect("passed on");
        assert_ne!(&*passed.sender, "laptop");
    }
}
