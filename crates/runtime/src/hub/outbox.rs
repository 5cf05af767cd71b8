//! What waits for one socket. Small and bounded: a document never waits for a socket, and never piles up for one.
//!
//! Whoever has something for a socket asks for a place first ([`Outbox::place`]). If there is none, it remembers that
//! the socket is behind, makes nothing, and is told when the socket has drained. So a slow socket costs a flag.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use primitives::DocumentId;
use tokio_util::sync::CancellationToken;

use super::text::Text;

/// Places in an outbox: enough to ride out a scheduling hiccup, few enough that a stalled socket holds nothing much.
const PLACES: usize = 16;

/// Bytes in an outbox from which on nothing more is made for its socket. The last message may go beyond.
const MAX_BYTES: usize = 1 << 20;
/// Bytes of ephemeral messages in an outbox: more of them are lost to this socket.
const MAX_EPHEMERAL_BYTES: usize = 128 << 10;

/// One thing to be written to a socket. Which bytes that makes is the connection's business.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// A sync message for one document.
    Sync {
        /// Which document.
        document: DocumentId,
        /// The encoded message; shared by all who get the same.
        data: Bytes,
    },
    /// A document that the peer syncs or has asked for is not served to it: it does not exist, or `reason` says why.
    Unavailable {
        /// Which document.
        document: DocumentId,
        /// Why, for people; `None` if the document does not exist.
        reason: Option<Arc<str>>,
    },
    /// For this peer there is no such document, and it may not make it.
    Missing(DocumentId),
    /// The document takes no changes from this connection.
    Refused {
        /// Which document.
        document: DocumentId,
        /// Whether another try may help, and how a connection ends that is about this document alone.
        kind: FarewellKind,
        /// What happened and what to do.
        message: Arc<str>,
    },
    /// An ephemeral message of another peer.
    Ephemeral(Arc<Ephemeral>),
    /// Another peer's heads have changed.
    RemoteHeads(Arc<RemoteHeads>),
    /// Text frames, to be written one after the other.
    Texts(Arc<[Text]>),
    /// Who is here, for legacy sockets: a text frame. It replaces one that still waits.
    Presence(Text),
}

impl Outgoing {
    /// About how many bytes it holds.
    fn size(&self) -> usize {
        match self {
            Self::Sync { data, .. } => data.len(),
            Self::Ephemeral(message) => message.data.len(),
            Self::RemoteHeads(news) => news.heads.iter().map(String::len).sum(),
            Self::Texts(texts) => texts.iter().map(|text| text.bytes().len()).sum(),
            Self::Presence(text) => text.bytes().len(),
            Self::Unavailable { .. } | Self::Missing(_) | Self::Refused { .. } => 0,
        }
    }
}

/// An ephemeral message, passed on as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ephemeral {
    /// Which document it is about.
    pub document: DocumentId,
    /// The peer that made it.
    pub sender: Arc<str>,
    /// That peer's session.
    pub session: Arc<str>,
    /// Its number within the session.
    pub count: u64,
    /// A message of the application.
    pub data: Bytes,
}

/// What is known of the heads of a storage that is not this server's.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteHeads {
    /// Of which document.
    pub document: DocumentId,
    /// Whose.
    pub storage: Arc<str>,
    /// The heads, each in base58check.
    pub heads: Vec<String>,
    /// When they were seen; milliseconds since 1970.
    pub timestamp: f64,
}

/// Why the server ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// What kind of end.
    pub kind: FarewellKind,
    /// Said to the other side before closing: what happened and what to do.
    pub message: String,
}

/// Kinds of ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarewellKind {
    /// It sent what it must not send.
    BadMessage,
    /// It said goodbye.
    Left,
    /// It, or somebody else, joined again under its peer id.
    Replaced,
    /// It may not, as the one it is.
    Forbidden,
    /// Who it is has to be shown again: a token has expired, or does not count any more.
    Unauthorized,
    /// Something failed here; trying again later may help.
    TryAgainLater,
    /// The server stops.
    GoingAway,
}

/// The sending side: held by documents and rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    closing: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Outgoing>,
    /// Bytes of what waits.
    bytes: usize,
    /// Bytes of ephemeral messages among it.
    ephemeral: usize,
    /// Places that were given out and are not filled yet.
    promised: usize,
    behind: Vec<Waiter>,
    farewell: Option<Farewell>,
    /// The connection, when it waits for something to write.
    connection: Option<Waker>,
    /// The connection is over.
    over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back a promise, and puts what it was for in its place.
    fn keep_promise(&self, outgoing: Option<Outgoing>) {
        let mut state = self.lock();
        state.promised -= 1;
        if state.over {
            return;
        }
        match outgoing {
            Some(outgoing) => state.put(outgoing),
            // Senders that found no place are told by the connection that there is one.
            None if !state.behind.is_empty() => state.waiting.push_back(Outgoing::Texts(Arc::from([]))),
            None => return,
        }
        let connection = state.connection.take();
        drop(state);
        if let Some(connection) = connection {
            connection.wake();
        }
    }
}

/// Who is to be told when the socket has drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiter {
    /// A document.
    Document(DocumentId),
    /// The connection's own protocol.
    Connection,
}

/// The receiving side: held by the connection.
#[derive(Debug)]
pub struct OutboxReceiver {
    shared: Arc<Shared>,
}

/// A place in an outbox, to be filled.
#[derive(Debug)]
pub struct Place(Option<Arc<Shared>>);

impl Place {
    /// Fills the place.
    pub fn fill(mut self, outgoing: Outgoing) {
        if let Some(shared) = self.0.take() {
            shared.keep_promise(Some(outgoing));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.keep_promise(None);
        }
    }
}

/// Makes an outbox for one connection. `closing` is cancelled when the server wants the connection to end.
#[must_use]
pub fn outbox(closing: CancellationToken) -> (Outbox, OutboxReceiver) {
    let shared = Arc::new(Shared { state: Mutex::default(), closing });
    (Outbox { shared: Arc::clone(&shared) }, OutboxReceiver { shared })
}

impl Outbox {
    /// A place for one thing, or a note that `waiter` is to be told when there are places again.
    #[must_use]
    pub fn place(&self, waiter: &Waiter) -> Option<Place> {
        self.place_within(MAX_BYTES, waiter)
    }

    /// The same for a notice, which holds next to nothing: it finds a place behind large messages, too.
    #[must_use]
    pub fn place_for_notice(&self, waiter: &Waiter) -> Option<Place> {
        self.place_within(usize::MAX, waiter)
    }

    /// A place for an ephemeral message of so many bytes, to be filled with it at once. `None`: the socket is behind, and does
    /// not get it.
    #[must_use]
    pub fn place_for_ephemeral(&self, bytes: usize) -> Option<Place> {
        let mut state = self.shared.lock();
        if !state.has_place() || state.bytes >= MAX_BYTES || state.ephemeral + bytes > MAX_EPHEMERAL_BYTES {
            return None;
        }
        state.promised += 1;
        Some(Place(Some(Arc::clone(&self.shared))))
    }

    fn place_within(&self, bytes: usize, waiter: &Waiter) -> Option<Place> {
        let mut state = self.shared.lock();
        if state.has_place() && state.bytes < bytes {
            state.promised += 1;
            return Some(Place(Some(Arc::clone(&self.shared))));
        }
        if !state.behind.contains(waiter) {
            state.behind.push(waiter.clone());
        }
        None
    }

    /// Cancelled once the connection is to end.
    pub(super) fn closing(&self) -> CancellationToken {
        self.shared.closing.clone()
    }

    /// Whether it is to be closed: what its socket still sends is not worth anything any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closing.is_cancelled()
    }

    /// Ends the connection, with these words. Only the first farewell counts.
    pub fn close(&self, kind: FarewellKind, message: impl Into<String>) {
        self.shared.lock().farewell.get_or_insert(Farewell { kind, message: message.into() });
        self.shared.closing.cancel();
    }
}

impl OutboxReceiver {
    /// The next thing to write. Never ends by itself: the connection decides when it is over.
    pub async fn next(&mut self) -> Outgoing {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            match state.take() {
                Some(outgoing) => Poll::Ready(outgoing),
                None => {
                    match &mut state.connection {
                        Some(known) => known.clone_from(cx.waker()),
                        unknown => *unknown = Some(cx.waker().clone()),
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The next thing to write, if one is waiting.
    pub fn try_next(&mut self) -> Option<Outgoing> {
        self.shared.lock().take()
    }

    /// Who is to be told that the socket has drained. To be asked whenever everything is written.
    #[must_use]
    pub fn take_waiters(&self) -> Vec<Waiter> {
        std::mem::take(&mut self.shared.lock().behind)
    }

    /// Cancelled once the server wants the connection to end.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.shared.closing.clone()
    }

    /// The last words, once the server wants the connection to end.
    #[must_use]
    pub fn farewell(&self) -> Farewell {
        let farewell = self.shared.lock().farewell.take();
        farewell.unwrap_or(Farewell {
            kind: FarewellKind::GoingAway,
            message: "the server is shutting down; connect again in a moment".to_owned(),
        })
    }
}

impl State {
    fn has_place(&self) -> bool {
        !self.over && self.waiting.len() + self.promised < PLACES
    }

    fn put(&mut self, outgoing: Outgoing) {
        if let Outgoing::Presence(_) = &outgoing
            && let Some(at) = self.waiting.iter().position(|waiting| matches!(waiting, Outgoing::Presence(_)))
            && let Some(old) = self.waiting.remove(at)
        {
            self.count_out(&old);
        }
        let size = outgoing.size();
        self.bytes += size;
        if let Outgoing::Ephemeral(_) = &outgoing {
            self.ephemeral += size;
        }
        self.waiting.push_back(outgoing);
    }

    fn count_out(&mut self, outgoing: &Outgoing) {
        let size = outgoing.size();
        self.bytes -= size;
        if let Outgoing::Ephemeral(_) = outgoing {
            self.ephemeral -= size;
        }
    }

    fn take(&mut self) -> Option<Outgoing> {
        let outgoing = self.waiting.pop_front();
        if let Some(outgoing) = &outgoing {
            self.count_out(outgoing);
        }
        if self.waiting.is_empty() {
            // A burst is over: most sockets mostly have nothing waiting.
            self.waiting.shrink_to(2);
        }
        outgoing
    }
}

impl Drop for OutboxReceiver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.over = true;
        state.waiting = VecDeque::new();
    }
}

/// Names one connection to documents and rooms.
pub use sync_engine::PeerKey as ConnectionKey;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Outgoing {
        Outgoing::Texts(Arc::from([]))
    }

    #[tokio::test]
    async fn a_full_outbox_takes_a_note_once_and_nothing_else() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        for _ in 0..PLACES {
            outbox.place(&Waiter::Connection).expect("a place").fill(texts());
        }
        assert!(outbox.place(&Waiter::Connection).is_none());
        assert!(outbox.place(&Waiter::Connection).is_none());
        while receiver.try_next().is_some() {}
        assert_eq!(receiver.take_waiters(), [Waiter::Connection]);
        assert_eq!(receiver.take_waiters(), []);
        assert!(outbox.place(&Waiter::Connection).is_some());
    }

    fn sync(bytes: usize) -> Outgoing {
        let document = DocumentId::from_random([7; 16]);
        Outgoing::Sync { document, data: Bytes::from(vec![7; bytes]) }
    }

    #[test]
    fn outbox_is_bounded_in_bytes() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        for _ in 0..2 {
            outbox.place(&Waiter::Connection).expect("a place").fill(sync(MAX_BYTES / 2));
        }
        assert!(outbox.place(&Waiter::Connection).is_none(), "nothing more is made for this socket");
        outbox.place_for_notice(&Waiter::Connection).expect("a place").fill(texts());
        assert!(receiver.try_next().is_some());
        assert_eq!(receiver.take_waiters(), [Waiter::Connection]);
        assert!(outbox.place(&Waiter::Connection).is_some());
    }

    #[test]
    fn ephemeral_messages_in_an_outbox_are_bounded_in_bytes() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        let message = Outgoing::Ephemeral(Arc::new(Ephemeral {
            document: DocumentId::from_random([7; 16]),
            sender: "peer".into(),
            session: "session".into(),
            count: 1,
            data: Bytes::from(vec![7; MAX_EPHEMERAL_BYTES / 2]),
        }));
        let mut taken = 0;
        while let Some(place) = outbox.place_for_ephemeral(MAX_EPHEMERAL_BYTES / 2) {
            place.fill(message.clone());
            taken += 1;
        }
        assert_eq!(taken, 2);
        assert!(outbox.place(&Waiter::Connection).is_some(), "other messages have room");
        assert!(receiver.try_next().is_some());
        assert!(outbox.place_for_ephemeral(MAX_EPHEMERAL_BYTES / 2).is_some());
    }

    #[test]
    fn presence_replaces_the_one_that_waits() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        for name in ["one", "two", "three"] {
            outbox.place(&Waiter::Connection).expect("a place").fill(Outgoing::Presence(Text::from(name.to_owned())));
            outbox.place(&Waiter::Connection).expect("a place").fill(texts());
        }
        let waiting: Vec<_> = std::iter::from_fn(|| receiver.try_next()).collect();
        let presence = |outgoing: &&Outgoing| matches!(outgoing, Outgoing::Presence(_));
        assert_eq!((waiting.len(), waiting.iter().filter(presence).count()), (4, 1));
    }

    #[tokio::test]
    async fn who_found_no_place_is_told_even_if_the_places_were_not_used() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        let places: Vec<_> = (0..PLACES).map(|_| outbox.place(&Waiter::Connection).expect("a place")).collect();
        assert!(outbox.place(&Waiter::Connection).is_none());
        drop(places);
        assert!(matches!(receiver.next().await, Outgoing::Texts(texts) if texts.is_empty()));
        assert_eq!(receiver.take_waiters(), [Waiter::Connection]);
    }

    #[tokio::test]
    async fn what_comes_wakes_the_connection() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        let connection = tokio::spawn(async move { receiver.next().await });
        tokio::task::yield_now().await;
        outbox.place(&Waiter::Connection).expect("a place").fill(texts());
        assert!(matches!(connection.await.expect("ended"), Outgoing::Texts(_)));
    }

    #[tokio::test]
    async fn the_first_farewell_is_the_one_that_is_said() {
        let (outbox, receiver) = outbox(CancellationToken::new());
        outbox.close(FarewellKind::BadMessage, "one");
        outbox.close(FarewellKind::TryAgainLater, "two");
        assert_eq!(receiver.farewell(), Farewell { kind: FarewellKind::BadMessage, message: "one".to_owned() });
    }
}
