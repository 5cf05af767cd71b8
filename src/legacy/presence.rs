//! Presence of legacy clients: the names of logged-in users, and marks such as clicks, which all legacy sockets show. Neither is
//! stored.
//!
//! A socket whose outbox is full gets the latest names and the latest mark once it has room again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use runtime::hub::{ConnectionKey, DrainListener, Outbox, Outgoing, Text};
use tokio::sync::mpsc;

/// Renders names as a frame.
pub type RenderPresence = fn(&[&str]) -> Text;

/// Maximum number of names that are listed. The number of the others is appended.
const MAX_NAMES: usize = 100;

/// A change that the boards of other servers have to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// The names at this server have changed.
    Names,
    /// A mark.
    Mark(Text),
}

/// Announcements that wait to be sent.
const MAX_ANNOUNCEMENTS: usize = 64;

/// The presence of all legacy sockets.
pub struct PresenceBoard {
    render: RenderPresence,
    state: Mutex<State>,
    announcements: mpsc::Sender<Announcement>,
    /// Taken by the task that sends them. Announcements are dropped if there is no such task.
    announced: Mutex<Option<mpsc::Receiver<Announcement>>>,
}

#[derive(Default)]
struct State {
    members: HashMap<ConnectionKey, Member>,
    /// The number of sockets by name. A user with two tabs is listed until both are closed.
    names: BTreeMap<String, usize>,
    /// The names at other servers, by server.
    elsewhere: HashMap<String, BTreeSet<String>>,
}

struct Member {
    outbox: Outbox,
    name: Option<String>,
    pending: Pending,
}

/// Frames for which the outbox of a socket had no room.
#[derive(Default)]
struct Pending {
    presence: bool,
    mark: Option<Text>,
}

impl PresenceBoard {
    /// A board without sockets.
    #[must_use]
    pub fn new(render: RenderPresence) -> Self {
        let (announcements, announced) = mpsc::channel(MAX_ANNOUNCEMENTS);
        Self { render, state: Mutex::default(), announcements, announced: Mutex::new(Some(announced)) }
    }

    /// The announcements for other servers. `None` after the first call.
    pub fn announcements(&self) -> Option<mpsc::Receiver<Announcement>> {
        self.announced.lock().take()
    }

    /// Sets the names at another server. Returns whether they have changed.
    pub fn set_names_elsewhere(&self, server: &str, names: BTreeSet<String>) -> bool {
        let mut state = self.lock();
        let changed = state.elsewhere.get(server).map_or(!names.is_empty(), |before| *before != names);
        if names.is_empty() {
            state.elsewhere.remove(server);
        } else {
            state.elsewhere.insert(server.to_owned(), names);
        }
        if changed {
            self.broadcast(&mut state);
        }
        changed
    }

    /// The names at this server.
    pub fn own_names(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    /// Adds a socket without a name, and sends it the current names.
    pub fn join(&self, key: ConnectionKey, outbox: Outbox) {
        let mut state = self.lock();
        let presence = self.presence(&state);
        let mut member = Member { outbox, name: None, pending: Pending::default() };
        member.send_presence(&presence);
        state.members.insert(key, member);
    }

    /// Removes a socket. Returns whether the list of names has changed.
    pub fn leave(&self, key: ConnectionKey) -> bool {
        let mut state = self.lock();
        let Some(member) = state.members.remove(&key) else { return false };
        let changed = state.release(member.name);
        if changed {
            self.announce(Announcement::Names);
            self.broadcast(&mut state);
        }
        changed
    }

    /// Sets or removes the name of a socket. Sends the names to all sockets if the list has changed, or if `always` is set. Returns
    /// whether the list has changed.
    pub fn rename(&self, key: ConnectionKey, name: Option<String>, always: bool) -> bool {
        let mut state = self.lock();
        let Some(member) = state.members.get_mut(&key) else { return false };
        let before = std::mem::replace(&mut member.name, name.clone());
        let mut changed = false;
        if before != name {
            if let Some(name) = name {
                let sockets = state.names.entry(name).or_default();
                *sockets += 1;
                changed |= *sockets == 1;
            }
            changed |= state.release(before);
        }
        if changed {
            self.announce(Announcement::Names);
        }
        if changed || always {
            self.broadcast(&mut state);
        }
        changed
    }

    /// The first 100 non-empty names in alphabetical order, for automerge-repo peers.
    pub fn names(&self) -> Vec<String> {
        let state = self.lock();
        state.all_names().into_iter().filter(|name| !name.is_empty()).take(MAX_NAMES).map(str::to_owned).collect()
    }

    /// The name of a socket.
    #[must_use]
    pub fn name(&self, key: ConnectionKey) -> Option<String> {
        self.lock().members.get(&key)?.name.clone()
    }

    /// Sends a mark to all sockets, including the sender, and to those of other servers.
    pub fn mark(&self, text: &Text) {
        self.announce(Announcement::Mark(text.clone()));
        self.show_mark(text);
    }

    /// Sends a mark to all sockets of this server.
    pub fn show_mark(&self, text: &Text) {
        for member in self.lock().members.values_mut() {
            member.send_mark(text);
        }
    }

    /// Sends a socket the frames for which it had no room.
    pub fn on_drained(&self, key: ConnectionKey) {
        let mut state = self.lock();
        let needs_presence = state.members.get(&key).is_some_and(|member| member.pending.presence);
        let presence = needs_presence.then(|| self.presence(&state));
        let Some(member) = state.members.get_mut(&key) else { return };
        if let Some(presence) = presence {
            member.send_presence(&presence);
        }
        if let Some(mark) = member.pending.mark.take() {
            member.send_mark(&mark);
        }
    }

    fn broadcast(&self, state: &mut State) {
        let presence = self.presence(state);
        for member in state.members.values_mut() {
            member.send_presence(&presence);
        }
    }

    fn presence(&self, state: &State) -> Text {
        let all = state.all_names();
        let mut names: Vec<&str> = all.iter().copied().take(MAX_NAMES).collect();
        let more = all.len() - names.len();
        let more = (more > 0).then(|| format!("and {more} more"));
        names.extend(more.as_deref());
        (self.render)(&names)
    }

    fn announce(&self, announcement: Announcement) {
        // Without room it is lost. Names are repeated.
        let _ = self.announcements.try_send(announcement);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// The names at all servers, sorted.
    fn all_names(&self) -> Vec<&str> {
        let own = self.names.keys().map(String::as_str);
        if self.elsewhere.is_empty() {
            return own.collect();
        }
        let all: BTreeSet<&str> = own.chain(self.elsewhere.values().flatten().map(String::as_str)).collect();
        all.into_iter().collect()
    }

    /// Removes one socket from a name. Returns whether the name is no longer used.
    fn release(&mut self, name: Option<String>) -> bool {
        let Some(name) = name else { return false };
        match self.names.get_mut(&name) {
            Some(sockets) if *sockets > 1 => {
                *sockets -= 1;
                false
            }
            _ => self.names.remove(&name).is_some(),
        }
    }
}

impl Member {
    fn send_presence(&mut self, presence: &Text) {
        self.pending.presence = !self.send(Outgoing::Presence(presence.clone()));
    }

    fn send_mark(&mut self, mark: &Text) {
        // A mark that was sent replaces an older one that is pending.
        self.pending.mark = (!self.send(Outgoing::Texts(Arc::from([mark.clone()])))).then(|| mark.clone());
    }

    /// Returns false if the outbox has no room.
    fn send(&self, outgoing: Outgoing) -> bool {
        let permit = self.outbox.try_reserve(&DrainListener::Connection);
        let has_room = permit.is_some();
        if let Some(permit) = permit {
            permit.send(outgoing);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use runtime::hub::{OutboxReceiver, outbox};
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn join(board: &PresenceBoard, key: u64) -> OutboxReceiver {
        let (sender, receiver) = outbox(CancellationToken::new());
        board.join(ConnectionKey(key), sender);
        receiver
    }

    fn received(receiver: &mut OutboxReceiver) -> Vec<String> {
        std::iter::from_fn(|| receiver.try_next())
            .flat_map(|outgoing| match outgoing {
                Outgoing::Presence(text) => vec![format!("{text:?}")],
                Outgoing::Texts(texts) => texts.iter().map(|text| format!("{text:?}")).collect(),
                other => vec![format!("{other:?}")],
            })
            .collect()
    }

    fn board() -> PresenceBoard {
        PresenceBoard::new(|names| Text::from(names.join("+")))
    }

    #[test]
    fn name_is_listed_until_all_its_sockets_have_left() {
        let board = board();
        let mut observer = join(&board, 1);
        let (_one, _two) = (join(&board, 2), join(&board, 3));
        board.rename(ConnectionKey(2), Some("jane".to_owned()), false);
        board.rename(ConnectionKey(3), Some("jane".to_owned()), false);
        board.leave(ConnectionKey(2));
        assert_eq!(received(&mut observer), ["\"jane\""]);
        board.leave(ConnectionKey(3));
        assert_eq!(received(&mut observer), ["\"\""]);
    }

    #[test]
    fn names_of_other_servers_are_listed_too() {
        let board = board();
        let mut announced = board.announcements().expect("the first call");
        let mut observer = join(&board, 1);
        board.rename(ConnectionKey(1), Some("jane".to_owned()), false);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert!(board.set_names_elsewhere("b", names(&["jane", "amit"])));
        assert!(!board.set_names_elsewhere("b", names(&["jane", "amit"])), "a repetition");
        assert!(board.set_names_elsewhere("b", names(&[])));
        assert_eq!(board.own_names(), ["jane"]);
        board.mark(&Text::from("click".to_owned()));
        board.show_mark(&Text::from("click elsewhere".to_owned()));
        assert_eq!(received(&mut observer), ["\"jane\"", "\"click\"", "\"click elsewhere\""]);
        let said: Vec<Announcement> = std::iter::from_fn(|| announced.try_recv().ok()).collect();
        assert_eq!(said, [Announcement::Names, Announcement::Mark(Text::from("click".to_owned()))]);
    }

    #[test]
    fn full_outbox_gets_only_the_latest_mark_and_names() {
        let board = board();
        let mut slow = join(&board, 1);
        for mark in 0..100 {
            board.mark(&Text::from(mark.to_string()));
        }
        let _other = join(&board, 2);
        board.rename(ConnectionKey(2), Some("jane".to_owned()), false);
        received(&mut slow);
        assert_eq!(slow.take_drain_listeners(), [DrainListener::Connection]);
        board.on_drained(ConnectionKey(1));
        assert_eq!(received(&mut slow), ["\"jane\"", "\"99\""]);
    }

    #[test]
    fn socket_that_does_not_read_holds_one_presence() {
        let board = board();
        let mut slow = join(&board, 1);
        let _other = join(&board, 2);
        for name in 0..10 {
            board.rename(ConnectionKey(2), Some(name.to_string()), true);
        }
        assert_eq!(received(&mut slow), ["\"9\""]);
    }

    #[test]
    fn presence_lists_a_bounded_number_of_names() {
        let board = board();
        let _sockets: Vec<_> = (0..MAX_NAMES + 23)
            .map(|key| {
                let socket = join(&board, key as u64);
                board.rename(ConnectionKey(key as u64), Some(format!("{key:03}")), false);
                socket
            })
            .collect();
        let received = received(&mut join(&board, 1_000));
        assert_eq!(received[0].matches('+').count(), MAX_NAMES, "{received:?}");
        assert!(received[0].ends_with("and 23 more\""), "{received:?}");
    }
}
