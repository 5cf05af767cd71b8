//! Presence of legacy users for automerge-repo peers of the default document.
//!
//! The task broadcasts it when it changes, repeats it before peers forget it, and sends it to each peer that sends
//! its first ephemeral message and so is known to read them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::DocumentTask;
use crate::hub::outbox::{ConnectionKey, Outgoing};

/// Interval at which the names are repeated. Peers forget a name that they have not received for three intervals.
const REPEAT_INTERVAL: Duration = Duration::from_secs(15);
/// Minimum interval between broadcasts of changes.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The names to broadcast, and when.
#[derive(Debug, Default)]
pub(super) struct PresenceBroadcast {
    names: Vec<String>,
    /// Time of the next broadcast.
    due: Option<Instant>,
    last_broadcast: Option<Instant>,
    /// Whether peers may still show a name, so that an empty list has to be broadcast.
    may_be_shown: bool,
}

impl PresenceBroadcast {
    /// Sets the current names, and schedules a broadcast if they have changed.
    fn update(&mut self, names: Vec<String>, now: Instant) {
        if self.names == names {
            return;
        }
        self.names = names;
        let earliest = self.last_broadcast.map_or(now, |last_broadcast| last_broadcast + MIN_INTERVAL);
        self.due = (self.may_be_shown || !self.names.is_empty()).then_some(now.max(earliest));
    }

    /// Records a broadcast, and schedules the next one.
    fn record_broadcast(&mut self, now: Instant) {
        self.last_broadcast = Some(now);
        self.due = (!self.names.is_empty()).then_some(now + REPEAT_INTERVAL);
        self.may_be_shown = !self.names.is_empty();
    }
}

impl DocumentTask {
    /// Time of the next broadcast. `None` while there is nothing to broadcast.
    pub(super) fn presence_due(&self) -> Option<Instant> {
        self.presence.legacy.as_ref()?.due
    }

    /// Reads the current names of legacy users.
    pub(super) fn update_presence(&mut self) {
        if let (Some(presence), Some(legacy_presence)) =
            (&mut self.presence.legacy, &self.hub.inner.settings.legacy_presence)
        {
            presence.update(legacy_presence.names(), Instant::now());
        }
    }

    /// Broadcasts the presence to all automerge-repo peers, if it is due.
    pub(super) fn broadcast_presence_if_due(&mut self, now: Instant) {
        let Some(presence) = &mut self.presence.legacy else { return };
        if presence.due.is_none_or(|due| due > now) {
            return;
        }
        presence.record_broadcast(now);
        let listeners =
            self.subscribers.peers.iter().filter(|(_, subscription)| subscription.peer.requester.speaks_repo());
        let listeners: Vec<ConnectionKey> = listeners.map(|(key, _)| *key).collect();
        self.broadcast_presence(&listeners);
    }

    /// Records that a peer reads ephemeral messages. The first time, it gets the current presence.
    pub(super) fn record_ephemeral_reader(&mut self, key: ConnectionKey) {
        let Some(subscription) = self.subscribers.peers.get_mut(&key) else { return };
        if std::mem::replace(&mut subscription.reads_ephemerals, true) {
            return;
        }
        if let Some(presence) = &mut self.presence.legacy
            && !presence.names.is_empty()
        {
            presence.may_be_shown = true;
            self.broadcast_presence(&[key]);
        }
    }

    /// Sends the presence to these peers. It is rendered once for all of them.
    fn broadcast_presence(&self, listeners: &[ConnectionKey]) {
        let (Some(presence), Some(legacy_presence)) = (&self.presence.legacy, &self.hub.inner.settings.legacy_presence)
        else {
            return;
        };
        if listeners.is_empty() {
            return;
        }
        let message = Arc::new(legacy_presence.message(&self.id, &presence.names));
        for subscription in listeners.iter().filter_map(|key| self.subscribers.peers.get(key)) {
            // A peer that is behind gets the next broadcast.
            if let Some(permit) = subscription.peer.outbox.try_reserve_for_ephemeral(message.data.len()) {
                permit.send(Outgoing::Ephemeral(Arc::clone(&message)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn nothing_is_broadcast_without_users() {
        let (mut presence, now) = (PresenceBroadcast::default(), Instant::now());
        presence.update(Vec::new(), now);
        assert_eq!(presence.due, None);
        presence.update(names(&["CFO"]), now);
        presence.update(Vec::new(), now);
        assert_eq!(presence.due, None, "no name was broadcast");
    }

    #[test]
    fn names_repeat_and_departure_is_broadcast_once() {
        let (mut presence, now) = (PresenceBroadcast::default(), Instant::now());
        presence.update(names(&["CFO"]), now);
        assert_eq!(presence.due, Some(now));
        presence.record_broadcast(now);
        assert_eq!(presence.due, Some(now + REPEAT_INTERVAL));
        presence.update(names(&["CFO"]), now + MIN_INTERVAL);
        assert_eq!(presence.due, Some(now + REPEAT_INTERVAL), "the names are unchanged");
        presence.record_broadcast(now + REPEAT_INTERVAL);
        assert_eq!(presence.due, Some(now + REPEAT_INTERVAL + REPEAT_INTERVAL));
        presence.update(Vec::new(), now + REPEAT_INTERVAL + MIN_INTERVAL);
        assert_eq!(presence.due, Some(now + REPEAT_INTERVAL + MIN_INTERVAL));
        presence.record_broadcast(now + REPEAT_INTERVAL + MIN_INTERVAL);
        assert_eq!(presence.due, None);
    }

    #[test]
    fn rapid_changes_are_broadcast_together() {
        let (mut presence, now) = (PresenceBroadcast::default(), Instant::now());
        presence.update(names(&["CFO"]), now);
        presence.record_broadcast(now);
        for moment in 1..50 {
            presence.update(names(&[&moment.to_string()]), now + Duration::from_millis(moment));
            assert_eq!(presence.due, Some(now + MIN_INTERVAL));
        }
    }
}
