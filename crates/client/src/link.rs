//! One connection to a server, from dialling to its end: a task of its own, so that pings are answered while the
//! replica waits for its disk.
//!
//! It knows the protocol's envelope and no Automerge; what the messages say is the replica's business.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::header::HeaderValue;
use primitives::DocumentId;
use repo_protocol::{self, Message, PROTOCOL_VERSION, PeerId, PeerMetadata, StorageId};
use runtime::byte_counter::{Meter, Metered, limit_unsent};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::identity::Identity;
use super::tls::{self, Trust};
use super::url::ServerUrl;
use super::{Problem, handshake};

/// How long reaching the server and shaking hands may take.
const DIAL: Duration = Duration::from_secs(15);
/// How long a goodbye may take, and the wait for a close frame after an `error` message.
const GOODBYE: Duration = Duration::from_secs(2);
/// Pings in a row after which nothing moved: the server is dead, or the network is.
const MISSED_PINGS: u32 = 2;

/// In the clear, or over TLS; either way what counts is what moves on the wire.
type Stream = Either<Metered<TcpStream>, Box<TlsStream<Metered<TcpStream>>>>;
type Socket = WebSocketStream<Stream>;

/// What a connection tells the replica.
#[derive(Debug)]
pub(super) enum Event {
    /// The handshake is done. The server's storage, if it has one that outlives the connection.
    Joined(Option<StorageId>),
    /// A sync message about the document. `asked`: the server has not got it, and asks whether we have.
    Sync { data: Bytes, asked: bool },
    /// The server has not got the document.
    Unavailable,
    /// The server does not accept our changes to the document, and says why. The connection goes on.
    Refused(String),
    /// The connection is over; nothing comes after this.
    Ended(Problem),
}

/// What the replica sends.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A sync message about a document that is here.
    Sync(Bytes),
    /// The first sync message about a document that is not here yet.
    Request(Bytes),
    /// The answer to somebody who asks for a document that is not here.
    Unavailable,
}

/// What it takes to connect.
pub(super) struct Link {
    pub(super) url: ServerUrl,
    /// Shown to the server.
    pub(super) authorization: Option<HeaderValue>,
    /// By what to know it. None: without TLS.
    pub(super) trust: Option<Arc<Trust>>,
    pub(super) document: DocumentId,
    pub(super) identity: Identity,
    /// Between two pings.
    pub(super) ping: Duration,
    /// Bytes in one message.
    pub(super) max_message: usize,
}

/// The two ends of a connection that stands.
struct Standing {
    sink: SplitSink<Socket, Frame>,
    source: SplitStream<Socket>,
    meter: Arc<Meter>,
    server: PeerId,
}

impl Link {
    /// Runs the connection until it ends or `stop` is cancelled, which says goodbye.
    pub(super) async fn run(
        self,
        events: mpsc::Sender<Event>,
        mut outgoing: mpsc::Receiver<Outgoing>,
        stop: CancellationToken,
    ) {
        let dialled = tokio::select! {
            biased;
            // Nobody knows us yet, so there is nobody to take leave of.
            () = stop.cancelled() => return,
            dialled = timeout(DIAL, self.dial()) => dialled.unwrap_or(Err(Problem::Silent)),
        };
        let problem = match dialled {
            Ok((mut standing, storage)) => {
                if events.send(Event::Joined(storage)).await.is_err() {
                    return self.leave(standing).await;
                }
                match self.talk(&mut standing, &events, &mut outgoing, &stop).await {
                    Some(problem) => {
                        // Answers their close frame, where there was one.
                        let _ = timeout(GOODBYE, standing.sink.close()).await;
                        problem
                    }
                    None => return self.leave(standing).await,
                }
            }
            Err(problem) => problem,
        };
        let _ = events.send(Event::Ended(problem)).await;
    }

    async fn dial(&self) -> Result<(Standing, Option<StorageId>), Problem> {
        let socket = TcpStream::connect((self.url.host.as_str(), self.url.port)).await;
        let socket = socket.map_err(|error| Problem::Unreachable(error.to_string()))?;
        // Messages are whole: waiting to fill packets would only make them late.
        let _ = socket.set_nodelay(true);
        limit_unsent(&socket);
        let socket = Metered::new(socket);
        let meter = socket.meter();
        let config =
            WebSocketConfig::default().max_message_size(Some(self.max_message)).max_frame_size(Some(self.max_message));
        let stream = self.encrypt(socket).await?;
        let socket = handshake::ask(stream, &self.url, self.authorization.clone(), config).await?;
        let (mut sink, mut source) = socket.split();
        let join = Message::Join {
            sender: self.identity.peer.clone(),
            metadata: PeerMetadata { storage_id: Some(self.identity.storage.clone()), is_ephemeral: false },
            versions: vec![PROTOCOL_VERSION.to_owned()],
        };
        sink.send(frame(&join)).await.map_err(|error| Problem::Lost(error.to_string()))?;
        let mut words = None;
        loop {
            let bytes = match source.next().await {
                Some(Ok(Frame::Binary(bytes))) => bytes,
                Some(Ok(Frame::Text(_))) => return Err(Problem::Handshake("it sends text".to_owned())),
                Some(Ok(Frame::Close(close))) => return Err(closed(close, words)),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(words.map_or_else(|| broken(&error), refused)),
                None => return Err(closed(None, words)),
            };
            match repo_protocol::decode(&bytes).map_err(|error| Problem::Handshake(error.to_string()))? {
                Message::Peer { sender, metadata, version, .. } if version == PROTOCOL_VERSION => {
                    let storage = metadata.storage_id.filter(|_| !metadata.is_ephemeral);
                    return Ok((Standing { sink, source, meter, server: sender }, storage));
                }
                Message::Peer { version, .. } => {
                    return Err(Problem::Handshake(format!("it speaks version {version:?}, not {PROTOCOL_VERSION:?}")));
                }
                Message::Error { message, .. } => words = Some(message),
                _ => {}
            }
        }
    }

    /// Over TLS, if that is spoken there: then the server has proved who it is.
    async fn encrypt(&self, socket: Metered<TcpStream>) -> Result<Stream, Problem> {
        let (Some(trust), Some(name)) = (&self.trust, &self.url.tls) else { return Ok(Either::Left(socket)) };
        let connector = TlsConnector::from(trust.config().await?);
        let stream = connector.connect(name.clone(), socket).await.map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
            cause.map_or_else(|| Problem::Unreachable(error.to_string()), |cause| tls::problem(cause, &self.url.host))
        })?;
        Ok(Either::Right(Box::new(stream)))
    }

    /// None: `stop` was cancelled, or the replica is gone.
    async fn talk(
        &self,
        standing: &mut Standing,
        events: &mpsc::Sender<Event>,
        outgoing: &mut mpsc::Receiver<Outgoing>,
        stop: &CancellationToken,
    ) -> Option<Problem> {
        let Standing { sink, source, meter, server } = standing;
        let mut pings = interval_at(Instant::now() + self.ping, self.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut counts, mut missed) = ((meter.read(), meter.written()), 0);
        let mut unflushed = false;
        // What an `error` message said: the close frame that follows it has the code.
        let mut words: Option<(String, Instant)> = None;
        loop {
            let until = words.as_ref().map(|(_, until)| *until);
            let sent = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    return words.map(|(words, _)| refused(words));
                }
                _ = pings.tick() => {
                    let (read, written) = (meter.read(), meter.written());
                    // A large message is on its way, in or out: the other side is slow, not dead.
                    let moved = read != counts.0 || (unflushed && written != counts.1);
                    missed = if moved { 0 } else { missed + 1 };
                    counts = (read, written);
                    if missed > MISSED_PINGS {
                        return Some(words.map_or(Problem::Silent, |(words, _)| refused(words)));
                    }
                    if unflushed { Ok(()) } else { unflushed = true; sink.feed(Frame::Ping(Bytes::new())).await }
                }
                flushed = sink.flush(), if unflushed => { unflushed = false; flushed }
                // Never waits: nothing is fed before the last flush is through.
                next = outgoing.recv(), if !unflushed => match next {
                    Some(next) => { unflushed = true; sink.feed(self.envelope(next, server)).await }
                    None => return None,
                },
                incoming = source.next() => match incoming {
                    Some(Ok(Frame::Binary(bytes))) => match self.open(&bytes, server) {
                        Ok(Some(Received::Event(event))) => {
                            // Waits while the replica is busy, and so does the server then.
                            if events.send(event).await.is_err() {
                                return None;
                            }
                            Ok(())
                        }
                        Ok(Some(Received::LastWords(message))) => {
                            words = Some((message, Instant::now() + GOODBYE));
                            Ok(())
                        }
                        Ok(None) => Ok(()),
                        Err(problem) => return Some(problem),
                    },
                    Some(Ok(Frame::Text(_))) => return Some(Problem::BadServer("a text frame".to_owned())),
                    Some(Ok(Frame::Close(close))) => return Some(closed(close, words.map(|(words, _)| words))),
                    // An answer to a ping waits to be written.
                    Some(Ok(_)) => { unflushed = true; Ok(()) }
                    Some(Err(error)) => Err(error),
                    None => return Some(closed(None, words.map(|(words, _)| words))),
                },
            };
            if let Err(error) = sent {
                return Some(words.map_or_else(|| broken(&error), |(words, _)| refused(words)));
            }
        }
    }

    /// What a frame says about this document. Other documents, and messages of others, are not for us.
    fn open(&self, bytes: &Bytes, server: &PeerId) -> Result<Option<Received>, Problem> {
        let message = repo_protocol::decode(bytes).map_err(|error| Problem::BadServer(error.to_string()))?;
        let about_us = |sender: &PeerId, document: &DocumentId| sender == server && *document == self.document;
        let event = match message {
            Message::Sync { sender, document, data, .. } if about_us(&sender, &document) => {
                Event::Sync { data, asked: false }
            }
            Message::Request { sender, document, data, .. } if about_us(&sender, &document) => {
                Event::Sync { data, asked: true }
            }
            Message::DocUnavailable { sender, document, .. } if about_us(&sender, &document) => Event::Unavailable,
            Message::Error { document: Some(document), message, .. } if document == self.document => {
                Event::Refused(message)
            }
            Message::Error { document: None, message, .. } => return Ok(Some(Received::LastWords(message))),
            _ => return Ok(None),
        };
        Ok(Some(Received::Event(event)))
    }

    fn envelope(&self, outgoing: Outgoing, server: &PeerId) -> Frame {
        let (sender, target, document) = (self.identity.peer.clone(), server.clone(), self.document.clone());
        frame(&match outgoing {
            Outgoing::Sync(data) => Message::Sync { sender, target, document, data },
            Outgoing::Request(data) => Message::Request { sender, target, document, data },
            Outgoing::Unavailable => Message::DocUnavailable { sender, target, document, message: None },
        })
    }

    /// Says goodbye, and waits a moment for the server to take note: else it holds a dead connection until it pings.
    async fn leave(&self, standing: Standing) {
        let Standing { mut sink, mut source, .. } = standing;
        let goodbye = async {
            let _ = sink.send(frame(&Message::Leave { sender: self.identity.peer.clone() })).await;
            let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            let _ = sink.send(Frame::Close(Some(close))).await;
            // Up to its close frame; it waits for us to end the socket.
            while let Some(Ok(frame)) = source.next().await {
                if frame.is_close() {
                    break;
                }
            }
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

enum Received {
    Event(Event),
    LastWords(String),
}

fn frame(message: &Message) -> Frame {
    Frame::Binary(message.encode().into())
}

fn closed(close: Option<CloseFrame>, words: Option<String>) -> Problem {
    let code = close.as_ref().map(|close| close.code.into());
    Problem::from_close(code, close.as_ref().map_or("", |close| close.reason.as_str()), words)
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
