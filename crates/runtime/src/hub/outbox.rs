//! The outbox of a connection: a small, bounded queue of messages to one socket.
//!
//! A document never waits for a socket, and queues little for it. It reserves room ([`Outbox::try_reserve`]) before
//! it generates a message. Without room it generates nothing and is notified once the outbox has drained, so a slow
//! socket costs one flag.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use primitives::DocumentId;
use tokio_util::sync::CancellationToken;

use super::text::Text;

/// Messages that an outbox holds. Enough for a scheduling hiccup, and few enough that a stalled socket holds little
/// memory.
const CAPACITY: usize = 16;

/// Bytes in an outbox from which on there is no room. The last message may exceed it.
const MAX_BYTES: usize = 1 << 20;
/// Maximum bytes of ephemeral messages in an outbox. Further ones are dropped.
const MAX_EPHEMERAL_BYTES: usize = 128 << 10;

/// A message to a client. The connection encodes it for its protocol.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// A sync message about a document.
    Sync {
        /// The document.
        document: DocumentId,
        /// The encoded message, shared by all recipients.
        data: Bytes,
    },
    /// A document that the peer has requested or syncs is not available.
    Unavailable {
        /// The document.
        document: DocumentId,
        /// The reason, for people. `None` if the document does not exist.
        reason: Option<Arc<str>>,
    },
    /// The document does not exist for this client, and the client may not create it.
    Missing(DocumentId),
    /// The document rejects changes of this connection.
    Refused {
        /// The document.
        document: DocumentId,
        /// Whether a retry may help. Also the close kind of a connection that is about this document alone.
        kind: CloseKind,
        /// The cause and the remedy.
        message: Arc<str>,
    },
    /// An ephemeral message of another peer.
    Ephemeral(Arc<Ephemeral>),
    /// The heads of another storage have changed.
    RemoteHeads(Arc<RemoteHeads>),
    /// Text frames, in order.
    Texts(Arc<[Text]>),
    /// A text frame with the presence on legacy sockets. Replaces an earlier one that is still queued.
    Presence(Text),
}

impl Outgoing {
    /// Approximate size in bytes.
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

/// An ephemeral message, forwarded unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ephemeral {
    /// The document that it is about.
    pub document: DocumentId,
    /// The peer that sent it.
    pub sender: Arc<str>,
    /// The sender's session.
    pub session: Arc<str>,
    /// The message's number within the session.
    pub count: u64,
    /// The application's payload.
    pub data: Bytes,
}

/// The heads of a document in a storage other than this server's.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteHeads {
    /// The document.
    pub document: DocumentId,
    /// The storage's id.
    pub storage: Arc<str>,
    /// The heads, each in base58check.
    pub heads: Vec<String>,
    /// When the heads were observed, in milliseconds since 1970.
    pub timestamp: f64,
}

/// Why the server closes a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    /// Selects the close code.
    pub kind: CloseKind,
    /// The cause and the remedy, sent to the client before closing.
    pub message: String,
}

/// Kinds of close reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseKind {
    /// The client sent an invalid message.
    BadMessage,
    /// The client left.
    Left,
    /// Another connection joined under the same peer id.
    Replaced,
    /// The client lacks the right.
    Forbidden,
    /// The client has to authenticate again: its token has expired or was revoked.
    Unauthorized,
    /// The server failed or is overloaded. A retry may help.
    TryAgainLater,
    /// The server is shutting down.
    GoingAway,
}

/// The sending half, held by documents. Clones address the same outbox.
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
    queue: VecDeque<Outgoing>,
    /// Size of the queue in bytes.
    bytes: usize,
    /// Size of the ephemeral messages in the queue, in bytes.
    ephemeral: usize,
    /// Number of permits that are not used yet.
    reserved: usize,
    drain_listeners: Vec<DrainListener>,
    close_reason: Option<CloseReason>,
    /// Set while the receiving half waits for a message.
    receiver: Option<Waker>,
    /// Whether the receiving half was dropped.
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Takes back a permit, and queues its message.
    fn settle(&self, outgoing: Option<Outgoing>) {
        let mut state = self.lock();
        state.reserved -= 1;
        if state.closed {
            return;
        }
        match outgoing {
            Some(outgoing) => state.push(outgoing),
            // Wakes the connection so that it notifies the listeners that found no room: an empty message.
            None if !state.drain_listeners.is_empty() => state.queue.push_back(Outgoing::Texts(Arc::from([]))),
            None => return,
        }
        let waker = state.receiver.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The document or connection that is notified when the outbox has drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrainListener {
    /// A document.
    Document(DocumentId),
    /// The connection's own protocol.
    Connection,
}

/// The receiving half, held by the connection.
#[derive(Debug)]
pub struct OutboxReceiver {
    shared: Arc<Shared>,
}

/// Reserved room for one message. Released if it is dropped unused.
#[derive(Debug)]
pub struct OutboxPermit(Option<Arc<Shared>>);

impl OutboxPermit {
    /// Queues the message.
    pub fn send(mut self, outgoing: Outgoing) {
        if let Some(shared) = self.0.take() {
            shared.settle(Some(outgoing));
        }
    }
}

impl Drop for OutboxPermit {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.settle(None);
        }
    }
}

/// Creates an outbox for one connection. `closing` is cancelled when the server closes the connection.
#[must_use]
pub fn outbox(closing: CancellationToken) -> (Outbox, OutboxReceiver) {
    let shared = Arc::new(Shared { state: Mutex::default(), closing });
    (Outbox { shared: Arc::clone(&shared) }, OutboxReceiver { shared })
}

impl Outbox {
    /// Reserves room for one message. Without room, registers `drain_listener` and returns `None`.
    #[must_use]
    pub fn try_reserve(&self, drain_listener: &DrainListener) -> Option<OutboxPermit> {
        self.try_reserve_within(MAX_BYTES, drain_listener)
    }

    /// Like [`try_reserve`](Self::try_reserve), for a small notice: large queued messages do not count.
    #[must_use]
    pub fn try_reserve_for_notice(&self, drain_listener: &DrainListener) -> Option<OutboxPermit> {
        self.try_reserve_within(usize::MAX, drain_listener)
    }

    /// Reserves room for an ephemeral message of this size, which has to be sent at once. `None` means that the
    /// socket is behind, and does not get the message.
    #[must_use]
    pub fn try_reserve_for_ephemeral(&self, bytes: usize) -> Option<OutboxPermit> {
        let mut state = self.shared.lock();
        if !state.has_capacity() || state.bytes >= MAX_BYTES || state.ephemeral + bytes > MAX_EPHEMERAL_BYTES {
            return None;
        }
        state.reserved += 1;
        Some(OutboxPermit(Some(Arc::clone(&self.shared))))
    }

    fn try_reserve_within(&self, bytes: usize, drain_listener: &DrainListener) -> Option<OutboxPermit> {
        let mut state = self.shared.lock();
        if state.has_capacity() && state.bytes < bytes {
            state.reserved += 1;
            return Some(OutboxPermit(Some(Arc::clone(&self.shared))));
        }
        if !state.drain_listeners.contains(drain_listener) {
            state.drain_listeners.push(drain_listener.clone());
        }
        None
    }

    /// Cancelled once the connection is to be closed.
    pub(super) fn closing(&self) -> CancellationToken {
        self.shared.closing.clone()
    }

    /// Whether the connection is to be closed. Messages that it still sends are ignored.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closing.is_cancelled()
    }

    /// Closes the connection for this reason. Only the first reason counts.
    pub fn close(&self, kind: CloseKind, message: impl Into<String>) {
        self.shared.lock().close_reason.get_or_insert(CloseReason { kind, message: message.into() });
        self.shared.closing.cancel();
    }
}

impl OutboxReceiver {
    /// Waits for the next message. Cancel safe.
    pub async fn next(&mut self) -> Outgoing {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            match state.take() {
                Some(outgoing) => Poll::Ready(outgoing),
                None => {
                    match &mut state.receiver {
                        Some(known) => known.clone_from(cx.waker()),
                        unknown => *unknown = Some(cx.waker().clone()),
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Returns the next message, if one is queued.
    pub fn try_next(&mut self) -> Option<Outgoing> {
        self.shared.lock().take()
    }

    /// Returns the listeners to notify. Call it whenever everything was written.
    #[must_use]
    pub fn take_drain_listeners(&self) -> Vec<DrainListener> {
        std::mem::take(&mut self.shared.lock().drain_listeners)
    }

    /// Cancelled once the server closes the connection.
    #[must_use]
    pub fn closing(&self) -> CancellationToken {
        self.shared.closing.clone()
    }

    /// The reason, once the server closes the connection.
    #[must_use]
    pub fn close_reason(&self) -> CloseReason {
        let close_reason = self.shared.lock().close_reason.take();
        close_reason.unwrap_or(CloseReason {
            kind: CloseKind::GoingAway,
            message: "the server is shutting down; connect again in a moment".to_owned(),
        })
    }
}

impl State {
    fn has_capacity(&self) -> bool {
        !self.closed && self.queue.len() + self.reserved < CAPACITY
    }

    fn push(&mut self, outgoing: Outgoing) {
        if let Outgoing::Presence(_) = &outgoing
            && let Some(at) = self.queue.iter().position(|waiting| matches!(waiting, Outgoing::Presence(_)))
            && let Some(old) = self.queue.remove(at)
        {
            self.subtract_size(&old);
        }
        let size = outgoing.size();
        self.bytes += size;
        if let Outgoing::Ephemeral(_) = &outgoing {
            self.ephemeral += size;
        }
        self.queue.push_back(outgoing);
    }

    fn subtract_size(&mut self, outgoing: &Outgoing) {
        let size = outgoing.size();
        self.bytes -= size;
        if let Outgoing::Ephemeral(_) = outgoing {
            self.ephemeral -= size;
        }
    }

    fn take(&mut self) -> Option<Outgoing> {
        let outgoing = self.queue.pop_front();
        if let Some(outgoing) = &outgoing {
            self.subtract_size(outgoing);
        }
        if self.queue.is_empty() {
            // Frees the memory of a burst: most queues are mostly empty.
            self.queue.shrink_to(2);
        }
        outgoing
    }
}

impl Drop for OutboxReceiver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue = VecDeque::new();
    }
}

/// Identifies a connection, in all documents.
pub use sync_engine::PeerKey as ConnectionKey;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Outgoing {
        Outgoing::Texts(Arc::from([]))
    }

    #[tokio::test]
    async fn full_outbox_registers_a_listener_once() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        for _ in 0..CAPACITY {
            outbox.try_reserve(&DrainListener::Connection).expect("room").send(texts());
        }
        assert!(outbox.try_reserve(&DrainListener::Connection).is_none());
        assert!(outbox.try_reserve(&DrainListener::Connection).is_none());
        while receiver.try_next().is_some() {}
        assert_eq!(receiver.take_drain_listeners(), [DrainListener::Connection]);
        assert_eq!(receiver.take_drain_listeners(), []);
        assert!(outbox.try_reserve(&DrainListener::Connection).is_some());
    }

    fn sync(bytes: usize) -> Outgoing {
        let document = DocumentId::from_random([7; 16]);
        Outgoing::Sync { document, data: Bytes::from(vec![7; bytes]) }
    }

    #[test]
    fn outbox_is_bounded_in_bytes() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        for _ in 0..2 {
            outbox.try_reserve(&DrainListener::Connection).expect("room").send(sync(MAX_BYTES / 2));
        }
        assert!(outbox.try_reserve(&DrainListener::Connection).is_none(), "the byte limit is reached");
        outbox.try_reserve_for_notice(&DrainListener::Connection).expect("room").send(texts());
        assert!(receiver.try_next().is_some());
        assert_eq!(receiver.take_drain_listeners(), [DrainListener::Connection]);
        assert!(outbox.try_reserve(&DrainListener::Connection).is_some());
    }

    #[test]
    fn ephemeral_messages_are_bounded_in_bytes() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        let message = Outgoing::Ephemeral(Arc::new(Ephemeral {
            document: DocumentId::from_random([7; 16]),
            sender: "peer".into(),
            session: "session".into(),
            count: 1,
            data: Bytes::from(vec![7; MAX_EPHEMERAL_BYTES / 2]),
        }));
        let mut taken = 0;
        while let Some(permit) = outbox.try_reserve_for_ephemeral(MAX_EPHEMERAL_BYTES / 2) {
            permit.send(message.clone());
            taken += 1;
        }
        assert_eq!(taken, 2);
        assert!(outbox.try_reserve(&DrainListener::Connection).is_some(), "other messages have room");
        assert!(receiver.try_next().is_some());
        assert!(outbox.try_reserve_for_ephemeral(MAX_EPHEMERAL_BYTES / 2).is_some());
    }

    #[test]
    fn newer_presence_replaces_a_queued_one() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        for name in ["one", "two", "three"] {
            outbox
                .try_reserve(&DrainListener::Connection)
                .expect("room")
                .send(Outgoing::Presence(Text::from(name.to_owned())));
            outbox.try_reserve(&DrainListener::Connection).expect("room").send(texts());
        }
        let waiting: Vec<_> = std::iter::from_fn(|| receiver.try_next()).collect();
        let presence = |outgoing: &&Outgoing| matches!(outgoing, Outgoing::Presence(_));
        assert_eq!((waiting.len(), waiting.iter().filter(presence).count()), (4, 1));
    }

    #[tokio::test]
    async fn unused_permits_notify_the_drain_listeners() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        let permits: Vec<_> =
            (0..CAPACITY).map(|_| outbox.try_reserve(&DrainListener::Connection).expect("room")).collect();
        assert!(outbox.try_reserve(&DrainListener::Connection).is_none());
        drop(permits);
        assert!(matches!(receiver.next().await, Outgoing::Texts(texts) if texts.is_empty()));
        assert_eq!(receiver.take_drain_listeners(), [DrainListener::Connection]);
    }

    #[tokio::test]
    async fn queued_message_wakes_the_connection() {
        let (outbox, mut receiver) = outbox(CancellationToken::new());
        let connection = tokio::spawn(async move { receiver.next().await });
        tokio::task::yield_now().await;
        outbox.try_reserve(&DrainListener::Connection).expect("room").send(texts());
        assert!(matches!(connection.await.expect("ended"), Outgoing::Texts(_)));
    }

    #[tokio::test]
    async fn first_close_reason_wins() {
        let (outbox, receiver) = outbox(CancellationToken::new());
        outbox.close(CloseKind::BadMessage, "one");
        outbox.close(CloseKind::TryAgainLater, "two");
        assert_eq!(receiver.close_reason(), CloseReason { kind: CloseKind::BadMessage, message: "one".to_owned() });
    }
}
