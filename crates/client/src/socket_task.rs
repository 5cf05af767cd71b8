//! One connection to a server, from dialling to its end. It runs as a task of its own, so that it answers pings while the
//! replica waits for the disk.
//!
//! It handles the messages of automerge-repo's protocol. The replica's task handles the sync messages inside.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialer::{DIAL_TIMEOUT, MaybeTls, Problem, ServerUrl, TrustStore};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::header::HeaderValue;
use primitives::DocumentId;
use repo_protocol::{self, Message, PROTOCOL_VERSION, PeerId, PeerMetadata, StorageId};
use runtime::byte_counter::{ByteCounter, CountedStream, limit_unsent};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_util::sync::CancellationToken;

use super::identity::Identity;

/// Deadline of closing the connection, and of the close frame after an `error` message.
const CLOSE: Duration = Duration::from_secs(2);
/// Number of successive pings without traffic after which the connection counts as dead.
const MISSED_PINGS: u32 = 2;

/// The byte counters are below TLS, on the wire.
type Socket = WebSocketStream<MaybeTls<CountedStream<TcpStream>>>;

/// The reports of the socket task to the replica.
#[derive(Debug)]
pub(super) enum Event {
    /// The handshake is complete. Contains the server's storage id, if its storage is persistent.
    Joined(Option<StorageId>),
    /// A sync message about the document. `requested` is set if the server does not have the document and requests it.
    Sync { data: Bytes, requested: bool },
    /// The server does not have the document.
    Unavailable,
    /// The server rejects the replica's changes, for this reason. The connection stays open.
    Refused(String),
    /// The connection has ended. This is the last event.
    Ended(Problem),
}

/// A message from the replica to the server.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A sync message about a document that the replica has.
    Sync(Bytes),
    /// The first sync message about a document that the replica does not have yet.
    Request(Bytes),
    /// The answer to a request for a document that the replica does not have.
    Unavailable,
}

/// The parameters of a connection.
pub(super) struct SocketTask {
    pub(super) url: ServerUrl,
    /// The `Authorization` header of the handshake.
    pub(super) authorization: Option<HeaderValue>,
    /// How to verify the server; `None` without TLS.
    pub(super) trust: Option<Arc<TrustStore>>,
    pub(super) document: DocumentId,
    pub(super) identity: Identity,
    /// Interval between pings.
    pub(super) ping: Duration,
    /// Maximum size of a message, in bytes.
    pub(super) max_message: usize,
}

/// A connection after the handshake.
struct Established {
    sink: SplitSink<Socket, Frame>,
    source: SplitStream<Socket>,
    counter: Arc<ByteCounter>,
    server: PeerId,
}

impl SocketTask {
    /// Runs the connection until it ends, or until `stop` is cancelled, which closes it gracefully.
    pub(super) async fn run(
        self,
        events: mpsc::Sender<Event>,
        mut outgoing: mpsc::Receiver<Outgoing>,
        stop: CancellationToken,
    ) {
        let dialled = tokio::select! {
            biased;
            // Before the handshake there is nothing to close.
            () = stop.cancelled() => return,
            dialled = timeout(DIAL_TIMEOUT, self.dial()) => dialled.unwrap_or(Err(Problem::Silent)),
        };
        let problem = match dialled {
            Ok((mut established, storage)) => {
                if events.send(Event::Joined(storage)).await.is_err() {
                    return self.close_gracefully(established).await;
                }
                match self.exchange(&mut established, &events, &mut outgoing, &stop).await {
                    Some(problem) => {
                        // Answers the server's close frame, if there was one.
                        let _ = timeout(CLOSE, established.sink.close()).await;
                        problem
                    }
                    None => return self.close_gracefully(established).await,
                }
            }
            Err(problem) => problem,
        };
        let _ = events.send(Event::Ended(problem)).await;
    }

    async fn dial(&self) -> Result<(Established, Option<StorageId>), Problem> {
        let socket = dialer::connect(&self.url).await?;
        limit_unsent(&socket);
        let socket = CountedStream::new(socket);
        let counter = socket.counter();
        let config =
            WebSocketConfig::default().max_message_size(Some(self.max_message)).max_frame_size(Some(self.max_message));
        let stream = dialer::encrypt(socket, &self.url, self.trust.as_deref()).await?;
        let (stream, early) = dialer::upgrade(stream, &self.url, self.authorization.clone()).await?;
        let socket = WebSocketStream::from_partially_read(stream, early, Role::Client, Some(config)).await;
        let (mut sink, mut source) = socket.split();
        let join = Message::Join {
            sender: self.identity.peer.clone(),
            metadata: PeerMetadata { storage_id: Some(self.identity.storage.clone()), is_ephemeral: false },
            versions: vec![PROTOCOL_VERSION.to_owned()],
        };
        sink.send(frame(&join)).await.map_err(|error| Problem::Lost(error.to_string()))?;
        let mut fatal = None;
        loop {
            let bytes = match source.next().await {
                Some(Ok(Frame::Binary(bytes))) => bytes,
                Some(Ok(Frame::Text(_))) => return Err(Problem::Handshake("it sent a text frame".to_owned())),
                Some(Ok(Frame::Close(close))) => return Err(closed(close, fatal)),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(fatal.map_or_else(|| broken(&error), refused)),
                None => return Err(closed(None, fatal)),
            };
            match repo_protocol::decode(&bytes).map_err(|error| Problem::Handshake(error.to_string()))? {
                Message::Peer { sender, metadata, version, .. } if version == PROTOCOL_VERSION => {
                    let storage = metadata.storage_id.filter(|_| !metadata.is_ephemeral);
                    return Ok((Established { sink, source, counter, server: sender }, storage));
                }
                Message::Peer { version, .. } => {
                    return Err(Problem::Handshake(format!("it speaks version {version:?}, not {PROTOCOL_VERSION:?}")));
                }
                Message::Error { message, .. } => fatal = Some(message),
                _ => {}
            }
        }
    }

    /// Exchanges messages. Returns `None` if `stop` was cancelled or the replica is gone.
    async fn exchange(
        &self,
        established: &mut Established,
        events: &mpsc::Sender<Event>,
        outgoing: &mut mpsc::Receiver<Outgoing>,
        stop: &CancellationToken,
    ) -> Option<Problem> {
        let Established { sink, source, counter, server } = established;
        let mut pings = interval_at(Instant::now() + self.ping, self.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut counts, mut missed) = ((counter.read(), counter.written()), 0);
        let mut unflushed = false;
        // The text of an `error` message, and the deadline of the close frame that follows with the code.
        let mut fatal: Option<(String, Instant)> = None;
        loop {
            let until = fatal.as_ref().map(|(_, until)| *until);
            let sent = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    return fatal.map(|(message, _)| refused(message));
                }
                _ = pings.tick() => {
                    let (read, written) = (counter.read(), counter.written());
                    // While a large message is in transit, the other side is slow and not dead.
                    let moved = read != counts.0 || (unflushed && written != counts.1);
                    missed = if moved { 0 } else { missed + 1 };
                    counts = (read, written);
                    if missed > MISSED_PINGS {
                        return Some(fatal.map_or(Problem::Silent, |(message, _)| refused(message)));
                    }
                    if unflushed { Ok(()) } else { unflushed = true; sink.feed(Frame::Ping(Bytes::new())).await }
                }
                flushed = sink.flush(), if unflushed => { unflushed = false; flushed }
                // `feed` does not block: the last flush is complete.
                next = outgoing.recv(), if !unflushed => match next {
                    Some(next) => { unflushed = true; sink.feed(self.encode(next, server)).await }
                    None => return None,
                },
                incoming = source.next() => match incoming {
                    Some(Ok(Frame::Binary(bytes))) => match self.decode(&bytes, server) {
                        Ok(Some(Received::Event(event))) => {
                            // Backpressure: while the replica is busy, the task stops reading.
                            if events.send(event).await.is_err() {
                                return None;
                            }
                            Ok(())
                        }
                        Ok(Some(Received::Fatal(message))) => {
                            fatal = Some((message, Instant::now() + CLOSE));
                            Ok(())
                        }
                        Ok(None) => Ok(()),
                        Err(problem) => return Some(problem),
                    },
                    Some(Ok(Frame::Text(_))) => return Some(Problem::BadServer("a text frame".to_owned())),
                    Some(Ok(Frame::Close(close))) => return Some(closed(close, fatal.map(|(message, _)| message))),
                    // The answer to a ping has to be flushed.
                    Some(Ok(_)) => { unflushed = true; Ok(()) }
                    Some(Err(error)) => Err(error),
                    None => return Some(closed(None, fatal.map(|(message, _)| message))),
                },
            };
            if let Err(error) = sent {
                return Some(fatal.map_or_else(|| broken(&error), |(message, _)| refused(message)));
            }
        }
    }

    /// Decodes a frame. Messages about other documents or from other peers are ignored.
    fn decode(&self, bytes: &Bytes, server: &PeerId) -> Result<Option<Received>, Problem> {
        let message = repo_protocol::decode(bytes).map_err(|error| Problem::BadServer(error.to_string()))?;
        let is_ours = |sender: &PeerId, document: &DocumentId| sender == server && *document == self.document;
        let event = match message {
            Message::Sync { sender, document, data, .. } if is_ours(&sender, &document) => {
                Event::Sync { data, requested: false }
            }
            Message::Request { sender, document, data, .. } if is_ours(&sender, &document) => {
                Event::Sync { data, requested: true }
            }
            Message::DocUnavailable { sender, document, .. } if is_ours(&sender, &document) => Event::Unavailable,
            Message::Error { document: Some(document), message, .. } if document == self.document => {
                Event::Refused(message)
            }
            Message::Error { document: None, message, .. } => return Ok(Some(Received::Fatal(message))),
            _ => return Ok(None),
        };
        Ok(Some(Received::Event(event)))
    }

    fn encode(&self, outgoing: Outgoing, server: &PeerId) -> Frame {
        let (sender, target, document) = (self.identity.peer.clone(), server.clone(), self.document.clone());
        frame(&match outgoing {
            Outgoing::Sync(data) => Message::Sync { sender, target, document, data },
            Outgoing::Request(data) => Message::Request { sender, target, document, data },
            Outgoing::Unavailable => Message::DocUnavailable { sender, target, document, message: None },
        })
    }

    /// Closes the connection gracefully: sends `leave` and a close frame, and waits for the server's close frame. Otherwise
    /// the server would keep a dead connection until its next ping.
    async fn close_gracefully(&self, established: Established) {
        let Established { mut sink, mut source, .. } = established;
        let closing = async {
            let _ = sink.send(frame(&Message::Leave { sender: self.identity.peer.clone() })).await;
            let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            let _ = sink.send(Frame::Close(Some(close))).await;
            // After its close frame, the server waits for the client to end the socket.
            while let Some(Ok(frame)) = source.next().await {
                if frame.is_close() {
                    break;
                }
            }
        };
        let _ = timeout(CLOSE, closing).await;
    }
}

enum Received {
    Event(Event),
    /// An `error` message about the whole connection. A close frame follows.
    Fatal(String),
}

fn frame(message: &Message) -> Frame {
    Frame::Binary(message.encode().into())
}

fn closed(close: Option<CloseFrame>, error: Option<String>) -> Problem {
    let code = close.as_ref().map(|close| close.code.into());
    Problem::from_close(code, close.as_ref().map_or("", |close| close.reason.as_str()), error)
}

fn refused(message: String) -> Problem {
    Problem::Refused { code: None, message }
}

fn broken(error: &Error) -> Problem {
    match error {
        Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) => Problem::BadServer(error.to_string()),
        _ => Problem::Lost(error.to_string()),
    }
}
