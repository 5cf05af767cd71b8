//! Who is logged in on legacy sockets, told to the automerge-repo peers of the document that those show: whenever that
//! changes; to whoever speaks for the first time, as then there is somebody who listens; and again before it is forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::DocumentTask;
use crate::hub::outbox::{ConnectionKey, Outgoing};

/// Peers forget who was not heard of for three times as long.
const AGAIN: Duration = Duration::from_secs(15);
/// Names that come and go faster are told together.
const PAUSE: Duration = Duration::from_millis(100);

/// Who is here, as peers were told or are about to be.
#[derive(Debug, Default)]
pub(super) struct People {
    names: Vec<String>,
    /// When it is to be told.
    due: Option<Instant>,
    last: Option<Instant>,
    /// Somebody may still take somebody to be here.
    told: bool,
}

impl People {
    /// These are here now.
    fn change(&mut self, names: Vec<String>, now: Instant) {
        if self.names == names {
            return;
        }
        self.names = names;
        let pause_over = self.last.map_or(now, |last| last + PAUSE);
        self.due = (self.told || !self.names.is_empty()).then_some(now.max(pause_over));
    }

    /// It is told now.
    fn tell(&mut self, now: Instant) {
        self.last = Some(now);
        self.due = (!self.names.is_empty()).then_some(now + AGAIN);
        self.told = !self.names.is_empty();
    }
}

impl DocumentTask {
    /// When there is something to tell of people: never, while nobody is here.
    pub(super) fn people_due(&self) -> Option<Instant> {
        self.presence.people.as_ref()?.due
    }

    /// Somebody has logged in or out on a legacy socket, or may have.
    pub(super) fn people_changed(&mut self) {
        if let (Some(people), Some(announcer)) = (&mut self.presence.people, &self.hub.inner.settings.announcer) {
            people.change(announcer.names(), Instant::now());
        }
    }

    /// Tells all peers, if it is time to.
    pub(super) fn tell_people_if_due(&mut self, now: Instant) {
        let Some(people) = &mut self.presence.people else { return };
        if people.due.is_none_or(|due| due > now) {
            return;
        }
        people.tell(now);
        let listeners = self.subscribers.peers.iter().filter(|(_, member)| member.peer.caller.speaks_repo());
        let listeners: Vec<ConnectionKey> = listeners.map(|(key, _)| *key).collect();
        self.tell_people(&listeners);
    }

    /// A peer has spoken, and so listens. The first time it is told who is here.
    pub(super) fn hears(&mut self, key: ConnectionKey) {
        let Some(member) = self.subscribers.peers.get_mut(&key) else { return };
        if std::mem::replace(&mut member.listens, true) {
            return;
        }
        if let Some(people) = &mut self.presence.people
            && !people.names.is_empty()
        {
            people.told = true;
            self.tell_people(&[key]);
        }
    }

    /// Written once for all of them, and not at all for nobody.
    fn tell_people(&self, listeners: &[ConnectionKey]) {
        let (Some(people), Some(announcer)) = (&self.presence.people, &self.hub.inner.settings.announcer) else {
            return;
        };
        if listeners.is_empty() {
            return;
        }
        let message = Arc::new(announcer.people(&self.id, &people.names));
        for member in listeners.iter().filter_map(|key| self.subscribers.peers.get(key)) {
            // A peer that is behind gets the next one.
            if let Some(place) = member.peer.outbox.place_for_ephemeral(message.data.len()) {
                place.fill(Outgoing::Ephemeral(Arc::clone(&message)));
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
    fn while_nobody_is_here_there_is_nothing_to_do() {
        let (mut people, now) = (People::default(), Instant::now());
        people.change(Vec::new(), now);
        assert_eq!(people.due, None);
        people.change(names(&["CFO"]), now);
        people.change(Vec::new(), now);
        assert_eq!(people.due, None, "nobody was told that anybody is here");
    }

    #[test]
    fn names_are_repeated_and_departure_is_told_once() {
        let (mut people, now) = (People::default(), Instant::now());
        people.change(names(&["CFO"]), now);
        assert_eq!(people.due, Some(now));
        people.tell(now);
        assert_eq!(people.due, Some(now + AGAIN));
        people.change(names(&["CFO"]), now + PAUSE);
        assert_eq!(people.due, Some(now + AGAIN), "that is nothing new");
        people.tell(now + AGAIN);
        assert_eq!(people.due, Some(now + AGAIN + AGAIN));
        people.change(Vec::new(), now + AGAIN + PAUSE);
        assert_eq!(people.due, Some(now + AGAIN + PAUSE));
        people.tell(now + AGAIN + PAUSE);
        assert_eq!(people.due, None);
    }

    #[test]
    fn what_changes_again_and_again_is_told_together() {
        let (mut people, now) = (People::default(), Instant::now());
        people.change(names(&["CFO"]), now);
        people.tell(now);
        for moment in 1..50 {
            people.change(names(&[&moment.to_string()]), now + Duration::from_millis(moment));
            assert_eq!(people.due, Some(now + PAUSE));
        }
    }
}
