//! What waits for one socket. Small and bounded: a document never waits for a socket, and never piles up for one.
//!
//! Whoever has something for a socket asks for a place first ([`Outbox::place`]). If there is none, it remembers that
//! the socket is behind, makes nothing, and is told when the socket has drained. So a slow socket costs a flag.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::text::Text;
use crate::format::DocumentId;

/// Places in an outbox: enough to ride out a scheduling hiccup, few enough that a stalled socket holds nothing much.
const PLACES: usize = 16;

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
    /// The document that was asked for does not exist.
    Unavailable(DocumentId),
    /// An ephemeral message of another peer.
    Ephemeral(Arc<Ephemeral>),
    /// Another peer's heads have changed.
    RemoteHeads(Arc<RemoteHeads>),
    /// Text frames, to be written one after the other.
    Texts(Arc<[Text]>),
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
    /// Whatever the application sends.
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
    /// Something failed here; trying again later may help.
    TryAgainLater,
    /// The server stops.
    GoingAway,
}

/// The sending side: held by documents and rooms. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    sender: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behind: Mutex<Vec<Waiter>>,
    farewell: Mutex<Option<Farewell>>,
    closing: CancellationToken,
}

/// Who is to be told when the socket has drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiter {
    /// A document.
    Document(DocumentId),
    /// The room of the legacy sockets.
    Room,
}

/// The receiving side: held by the connection.
#[derive(Debug)]
pub struct OutboxReceiver {
    receiver: mpsc::Receiver<Outgoing>,
    shared: Arc<Shared>,
}

/// A place in an outbox, to be filled.
#[derive(Debug)]
pub struct Place(mpsc::OwnedPermit<Outgoing>);

impl Place {
    /// Fills the place.
    pub fn fill(self, outgoing: Outgoing) {
        self.0.send(outgoing);
    }
}

/// Makes an outbox for one connection. `closing` is cancelled when the server wants the connection to end.
#[must_use]
pub fn outbox(closing: CancellationToken) -> (Outbox, OutboxReceiver) {
    let (sender, receiver) = mpsc::channel(PLACES);
    let shared = Arc::new(Shared { behind: Mutex::default(), farewell: Mutex::default(), closing });
    (Outbox { sender, shared: Arc::clone(&shared) }, OutboxReceiver { receiver, shared })
}

impl Outbox {
    /// A place for one thing, or a note that `waiter` is to be told when there are places again.
    #[must_use]
    pub fn place(&self, waiter: &Waiter) -> Option<Place> {
        if let Ok(place) = self.sender.clone().try_reserve_owned() {
            return Some(Place(place));
        }
        {
            let mut behind = self.shared.behind.lock().unwrap_or_else(PoisonError::into_inner);
            if !behind.contains(waiter) {
                behind.push(waiter.clone());
            }
        }
        // The socket may have drained between the two: whoever fails here knows that it will still drain something,
        // and so will look at the note.
        self.sender.clone().try_reserve_owned().ok().map(Place)
    }

    /// Ends the connection, with these words. Only the first farewell counts.
    pub fn close(&self, kind: FarewellKind, message: impl Into<String>) {
        let mut farewell = self.shared.farewell.lock().unwrap_or_else(PoisonError::into_inner);
        farewell.get_or_insert(Farewell { kind, message: message.into() });
        drop(farewell);
        self.shared.closing.cancel();
    }
}

impl OutboxReceiver {
    /// The next thing to write. Never ends by itself: the connection decides when it is over.
    pub async fn next(&mut self) -> Outgoing {
        match self.receiver.recv().await {
            Some(outgoing) => outgoing,
            None => std::future::pending().await,
        }
    }

    /// The next thing to write, if one is waiting.
    pub fn try_next(&mut self) -> Option<Outgoing> {
        self.receiver.try_recv().ok()
    }

    /// Who is to be told that the socket has drained. To be asked whenever everything is written.
    #[must_use]
    pub fn take_waiters(&self) -> Vec<Waiter> {
        std::mem::take(&mut *self.shared.behind.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Cancelled once the server wants the connection to end.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.shared.closing.clone()
    }

    /// The last words, once the server wants the connection to end.
    #[must_use]
    pub fn farewell(&self) -> Farewell {
        let farewell = self.shared.farewell.lock().unwrap_or_else(PoisonError::into_inner).take();
        farewell.unwrap_or(Farewell {
            kind: FarewellKind::GoingAway,
            message: "the server is shutting down; connect again in a moment".to_owned(),
        })
    }
}

/// Names one connection to documents and rooms.
pub use crate::document::PeerKey as ConnectionKey;

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
            outbox.place(&Waiter::Room).expect("a place").fill(texts());
        }
        assert!(outbox.place(&Waiter::Room).is_none());
        assert!(outbox.place(&Waiter::Room).is_none());
        while receiver.try_next().is_some() {}
        assert_eq!(receiver.take_waiters(), [Waiter::Room]);
        assert_eq!(receiver.take_waiters(), []);
        assert!(outbox.place(&Waiter::Room).is_some());
    }

    #[tokio::test]
    async fn the_first_farewell_is_the_one_that_is_said() {
        let (outbox, receiver) = outbox(CancellationToken::new());
        outbox.close(FarewellKind::BadMessage, "one");
        outbox.close(FarewellKind::TryAgainLater, "two");
        assert_eq!(receiver.farewell(), Farewell { kind: FarewellKind::BadMessage, message: "one".to_owned() });
    }
}
