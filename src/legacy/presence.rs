//! Who is here: the names and marks that legacy sockets show each other. Not stored, not part of any document.
//!
//! A socket that is behind gets the latest of each kind when it has drained.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::hub::{ConnectionKey, DrainListener, Outbox, Outgoing, Text};

/// Renders presence as a frame.
pub type RenderPresence = fn(&[&str]) -> Text;

/// Names that are listed; how many there are beside them is said.
const MAX_PEOPLE: usize = 100;

/// All legacy sockets.
pub struct PresenceBoard {
    render: RenderPresence,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    members: HashMap<ConnectionKey, Member>,
    /// Names, and how many sockets go by each: two tabs of one person are one name until both leave.
    names: BTreeMap<String, usize>,
}

struct Member {
    outbox: Outbox,
    name: Option<String>,
    owed: Owed,
}

/// What a socket that is behind has to get when it has drained.
#[derive(Default)]
struct Owed {
    presence: bool,
    mark: Option<Text>,
}

impl PresenceBoard {
    /// A board without sockets.
    #[must_use]
    pub fn new(render: RenderPresence) -> Self {
        Self { render, state: Mutex::default() }
    }

    /// A socket enters: it is told who is here. The others hear nothing, as nobody has a new name.
    pub fn enter(&self, key: ConnectionKey, outbox: Outbox) {
        let mut state = self.lock();
        let presence = self.presence(&state);
        let mut member = Member { outbox, name: None, owed: Owed::default() };
        member.tell_presence(&presence);
        state.members.insert(key, member);
    }

    /// A socket leaves. Returns whether that changes who is here.
    pub fn leave(&self, key: ConnectionKey) -> bool {
        let mut state = self.lock();
        let Some(member) = state.members.remove(&key) else { return false };
        let changed = state.release(member.name);
        if changed {
            self.announce(&mut state);
        }
        changed
    }

    /// A socket takes a name, or (None) gives its name up. All are told if that changes who is here, and are told
    /// `always` even if it does not. True if it does.
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
        if changed || always {
            self.announce(&mut state);
        }
        changed
    }

    /// The names that others than legacy sockets are shown: in their order, and not more than anybody reads.
    pub fn people(&self) -> Vec<String> {
        let state = self.lock();
        state.names.keys().filter(|name| !name.is_empty()).take(MAX_PEOPLE).cloned().collect()
    }

    /// The name that a socket goes by.
    #[must_use]
    pub fn name(&self, key: ConnectionKey) -> Option<String> {
        self.lock().members.get(&key)?.name.clone()
    }

    /// Shows a mark to all, the sender included.
    pub fn mark(&self, text: &Text) {
        for member in self.lock().members.values_mut() {
            member.tell_mark(text);
        }
    }

    /// A socket has drained: it gets the latest of what it missed.
    pub fn drained(&self, key: ConnectionKey) {
        let mut state = self.lock();
        let owes_presence = state.members.get(&key).is_some_and(|member| member.owed.presence);
        let presence = owes_presence.then(|| self.presence(&state));
        let Some(member) = state.members.get_mut(&key) else { return };
        if let Some(presence) = presence {
            member.tell_presence(&presence);
        }
        if let Some(mark) = member.owed.mark.take() {
            member.tell_mark(&mark);
        }
    }

    fn announce(&self, state: &mut State) {
        let presence = self.presence(state);
        for member in state.members.values_mut() {
            member.tell_presence(&presence);
        }
    }

    fn presence(&self, state: &State) -> Text {
        let mut names: Vec<&str> = state.names.keys().map(String::as_str).take(MAX_PEOPLE).collect();
        let more = state.names.len() - names.len();
        let more = (more > 0).then(|| format!("and {more} more"));
        names.extend(more.as_deref());
        (self.render)(&names)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// True if nobody goes by this name any more.
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
    fn tell_presence(&mut self, presence: &Text) {
        self.owed.presence = !self.tell(Outgoing::Presence(presence.clone()));
    }

    fn tell_mark(&mut self, mark: &Text) {
        // A mark that got through is newer than any that was owed.
        self.owed.mark = (!self.tell(Outgoing::Texts(Arc::from([mark.clone()])))).then(|| mark.clone());
    }

    fn tell(&self, outgoing: Outgoing) -> bool {
        let permit = self.outbox.try_reserve(&DrainListener::Connection);
        let told = permit.is_some();
        if let Some(permit) = permit {
            permit.send(outgoing);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use runtime::hub::{OutboxReceiver, outbox};
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn enter(board: &PresenceBoard, key: u64) -> OutboxReceiver {
        let (sender, receiver) = outbox(CancellationToken::new());
        board.enter(ConnectionKey(key), sender);
        receiver
    }

    fn heard(receiver: &mut OutboxReceiver) -> Vec<String> {
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
    fn two_tabs_of_one_person_are_one_name_until_both_leave() {
        let board = board();
        let mut observer = enter(&board, 1);
        let (_one, _two) = (enter(&board, 2), enter(&board, 3));
        board.rename(ConnectionKey(2), Some("jane".to_owned()), false);
        board.rename(ConnectionKey(3), Some("jane".to_owned()), false);
        board.leave(ConnectionKey(2));
        assert_eq!(heard(&mut observer), ["\"jane\""]);
        board.leave(ConnectionKey(3));
        assert_eq!(heard(&mut observer), ["\"\""]);
    }

    #[test]
    fn who_is_behind_gets_the_latest_mark_and_presence_and_no_more() {
        let board = board();
        let mut slow = enter(&board, 1);
        for mark in 0..100 {
            board.mark(&Text::from(mark.to_string()));
        }
        let _other = enter(&board, 2);
        board.rename(ConnectionKey(2), Some("jane".to_owned()), false);
        heard(&mut slow);
        assert_eq!(slow.take_drain_listeners(), [DrainListener::Connection]);
        board.drained(ConnectionKey(1));
        assert_eq!(heard(&mut slow), ["\"jane\"", "\"99\""]);
    }

    #[test]
    fn socket_that_does_not_read_holds_one_presence() {
        let board = board();
        let mut slow = enter(&board, 1);
        let _other = enter(&board, 2);
        for name in 0..10 {
            board.rename(ConnectionKey(2), Some(name.to_string()), true);
        }
        assert_eq!(heard(&mut slow), ["\"9\""]);
    }

    #[test]
    fn presence_lists_a_bounded_number_of_names() {
        let board = board();
        let _sockets: Vec<_> = (0..MAX_PEOPLE + 23)
            .map(|key| {
                let socket = enter(&board, key as u64);
                board.rename(ConnectionKey(key as u64), Some(format!("{key:03}")), false);
                socket
            })
            .collect();
        let heard = heard(&mut enter(&board, 1_000));
        assert_eq!(heard[0].matches('+').count(), MAX_PEOPLE, "{heard:?}");
        assert!(heard[0].ends_with("and 23 more\""), "{heard:?}");
    }
}
