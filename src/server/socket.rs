//! What all WebSocket surfaces have in common: one task per connection that reads, writes, pings, and ends well.
//!
//! Reading goes on while a write is stuck, so two sides that both have much to say cannot wait for each other for ever.
//! The end is always told: last words in the surface's own language, then a close frame with code and reason; then what
//! still comes in is discarded for a moment, as a socket that is closed with unread bytes may lose the words. When both sides
//! have sent a close frame it is the server that ends the connection: the client waits for that.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use runtime::hub::{ConnectionKey, Farewell, FarewellKind, Hub, OutboxReceiver, Outgoing, Unavailable, Waiter};
use runtime::memory_budget::{FREE, OutOfMemory, Share};
use runtime::metrics::{ConnectionKind, Metrics, Refusal};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, MissedTickBehavior, Sleep, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::close_codes;
use super::guests::UserSeat;
use super::liveness::{Liveness, Moved, Upload, Verdict};
use super::origin::SocketOrigin;
use super::outbound::Outbound;
use super::pace::Pace;
use super::sessions::Session;
use super::stream::Writer;
use super::upgrade::Socket;

/// How long a socket may take.
#[derive(Debug, Clone, Copy)]
pub struct SocketTimes {
    /// Between two pings.
    pub ping: Duration,
    /// Without any progress although bytes wait to go out; and over how long the rate of a large incoming message is
    /// averaged, which must not fall below 1 KiB/s.
    pub stall: Duration,
    /// For one message that is large enough to be counted, from its first byte to its last, when half of the memory for such
    /// messages is taken.
    pub message: Duration,
    /// For last words, and for discarding what comes after them.
    pub goodbye: Duration,
}

impl Default for SocketTimes {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            message: Duration::from_secs(300),
            goodbye: Duration::from_secs(2),
        }
    }
}

/// Bytes of small messages that are written with one system call.
const WRITE_TOGETHER: usize = 64 << 10;
/// Bytes that a socket reads before it yields to the others.
const READ_IN_A_TURN: u64 = 256 << 10;
/// Answers that may wait for a socket before it is read from again.
const MAX_ANSWERS: usize = 64;
/// Between the moment at which a client has heard the last sync message, and the close of its socket by the server. A stock
/// client that is still taking a sync message in when its socket begins to close throws in the middle of it
/// (automerge-repo 2.5.6, "Websocket not ready"), and its copy of the document cannot be changed from then on.
const BREATH: Duration = Duration::from_millis(100);
/// In the ping that comes behind the last message.
const LAST: &[u8] = b"last";
/// What is discarded after last words, at the most.
const MAX_DISCARD: u64 = 64 << 20;

/// Why a connection ends.
#[derive(Debug, Clone)]
pub enum End {
    /// The other side closed (with this code, if it gave one), or is gone.
    Theirs(Option<u16>),
    /// The server ends it.
    Ours(Farewell),
    /// A message over the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// No answer to pings, or no progress in writing.
    Stalled,
}

/// One language spoken over a socket.
pub trait Surface: Send {
    /// For the metrics.
    const KIND: ConnectionKind;

    /// What the other side sent. `share`: what it takes of the memory, until it is dealt with. Answers go into `out`.
    fn receive(
        &mut self,
        message: Message,
        share: Share,
        out: &mut Outbound,
    ) -> impl Future<Output = Result<(), Farewell>> + Send;

    /// What a document or a room has for the other side.
    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), Farewell>;

    /// The socket takes messages again that found no place in its outbox.
    fn drained(&mut self) {}

    /// Last words before the close frame, if the language has any.
    fn last_words(&self, message: &str, out: &mut Outbound);

    /// Whether the other side has said what has to come first.
    fn has_begun(&self) -> bool {
        true
    }

    /// The close code for this end.
    fn close_code(&self, kind: FarewellKind) -> u16 {
        match kind {
            FarewellKind::BadMessage => CloseCode::Policy.into(),
            FarewellKind::Left => CloseCode::Normal.into(),
            FarewellKind::Replaced => close_codes::REPLACED,
            FarewellKind::Forbidden => close_codes::FORBIDDEN,
            FarewellKind::Unauthorized => close_codes::UNAUTHORIZED,
            FarewellKind::TryAgainLater => CloseCode::Again.into(),
            FarewellKind::GoingAway => CloseCode::Away.into(),
        }
    }

    /// The connection is over: documents and rooms are told, before the other side hears its last words.
    fn gone(&mut self) -> impl Future<Output = ()> + Send;
}

/// A connection and what it needs besides its language.
pub struct Connection {
    /// Names it.
    pub key: ConnectionKey,
    /// Where to report that it has drained.
    pub hub: Hub,
    /// What waits for it.
    pub outbox: OutboxReceiver,
    /// How long things may take.
    pub times: SocketTimes,
    /// Bytes in one message.
    pub max_message: usize,
    /// How fast the other side may send.
    pub pace: Pace,
    /// How long it may take to say what has to come first.
    pub handshake: Duration,
    /// Where it comes from.
    pub origin: Arc<SocketOrigin>,
    /// Its place among the connections of users.
    pub _session: Option<Session>,
    /// Its place among its user's connections.
    pub _seat: Option<UserSeat>,
}

impl Connection {
    /// Runs the connection to its end. `first`: a message that was read already.
    pub async fn run<S: Surface>(mut self, mut socket: Socket, mut surface: S, first: Option<Message>) {
        let gauge = self.hub.metrics().connections(S::KIND).clone();
        gauge.increment(1.0);
        let mut out = Outbound::default();
        let end = self.talk(&mut socket, &mut out, &mut surface, first).await;
        surface.gone().await;
        gauge.decrement(1.0);
        tracing::debug!(connection = self.key.0, ?end, "closed");
        if let Some((code, reason)) = self.goodbye(&end, &surface) {
            if S::KIND == ConnectionKind::Repo && !matches!(end, End::Theirs(_)) {
                // Whoever sent what is bad, or too large, is no such client, and not waited for.
                let waited = matches!(&end, End::Ours(farewell) if farewell.kind != FarewellKind::BadMessage);
                let _ = timeout(self.times.goodbye, self.be_heard(&mut socket, &mut out, waited)).await;
                sleep(BREATH).await;
            }
            if !reason.is_empty() {
                surface.last_words(&reason, &mut out);
            }
            out.close(code, &reason);
            if matches!(end, End::Theirs(_)) {
                // Nothing comes after it.
                let _ = timeout(self.times.goodbye, write(&mut socket.writer, &mut out, self.hub.metrics())).await;
            } else {
                say_goodbye(socket, out, self.times.goodbye).await;
            }
        }
    }

    /// Writes what waits, and returns when the other side has come to the end of it, if it is `waited` for: it answers a ping
    /// that comes behind. What it says meanwhile is for nobody any more.
    async fn be_heard(&self, Socket { inbound, writer }: &mut Socket, out: &mut Outbound, waited: bool) {
        if waited {
            out.ping_with(LAST);
        }
        if write(writer, out, self.hub.metrics()).await.is_err() || !waited {
            return;
        }
        while inbound.unfinished() <= FREE {
            match inbound.next().await {
                Ok(Some(Message::Pong(content))) if content == LAST => return,
                Ok(Some(Message::Close(_))) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    async fn talk<S: Surface>(
        &mut self,
        Socket { inbound, writer }: &mut Socket,
        out: &mut Outbound,
        surface: &mut S,
        first: Option<Message>,
    ) -> End {
        let mut pings = interval_at(Instant::now() + self.times.ping, self.times.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = self.outbox.closing();
        let mut closing = pin!(closing.cancelled());
        let moved = |read, out: &Outbound| Moved { read, written: out.written(), delivered: out.delivered() };
        let mut liveness = Liveness::new(moved(inbound.read(), out));
        // What the message takes that is being read, where it began, and how it comes in once it is large.
        let mut share = self.hub.memory().share();
        let mut begun = inbound.read() - inbound.unfinished();
        if share.hold(inbound.unfinished()).is_err() {
            return End::Ours(self.without_memory());
        }
        let mut large = share.holds().then(|| Upload::new(Instant::now(), inbound.read()));
        let mut turn_until = inbound.read() + READ_IN_A_TURN;
        // Set while the other side is too fast to be read from.
        let mut pause: Moment = None;
        let mut was_slowed = false;
        // Boxed, and rarely there for long: most sockets have begun.
        let mut deadline: Moment = (!surface.has_begun()).then(|| Box::pin(sleep(self.handshake)));
        if let Some(message) = first {
            // A greeting comes before any answer, also where the other side spoke first.
            while let Some(outgoing) = self.outbox.try_next() {
                if let Err(farewell) = surface.send(outgoing, out) {
                    return End::Ours(farewell);
                }
            }
            if let Err(farewell) = self.receive(surface, message, self.hub.memory().share(), out).await {
                return End::Ours(farewell);
            }
            deadline = deadline.filter(|_| !surface.has_begun());
        }
        loop {
            let writing = !out.is_empty();
            // What there is to say comes before the end, and the end before what comes in: there may be no end of that. The rest
            // is looked at when nothing else is ready. (A side that never stops sending runs into tokio's budget for one turn,
            // or is read from no further until it takes our answers.)
            tokio::select! {
                biased;
                written = write(writer, out, self.hub.metrics()), if writing => {
                    if written.is_err() {
                        return End::Theirs(None);
                    }
                    self.report_drained(surface).await;
                }
                outgoing = self.outbox.next(), if !writing => {
                    if let Err(farewell) = self.collect(surface, outgoing, out) {
                        return End::Ours(farewell);
                    }
                    // A socket mostly takes it at once; an error is seen when it is tried again.
                    let _ = write(writer, out, self.hub.metrics()).now_or_never();
                    if out.is_empty() {
                        self.report_drained(surface).await;
                    }
                }
                () = &mut closing => return End::Ours(self.outbox.farewell()),
                // Whoever does not take our answers is not asked for more.
                message = inbound.next(), if out.frames() < MAX_ANSWERS && pause.is_none() => {
                    // Whatever it says, it is alive.
                    liveness.heard();
                    // That it answers our pings inside long messages is not held against it.
                    let is_delivery = matches!(&message, Ok(Some(Message::Pong(content))) if out.acknowledge(content));
                    let messages = u32::from(matches!(message, Ok(Some(_))) && !is_delivery);
                    if let Some(too_fast) = self.pace.count(messages, inbound.read(), Instant::now) {
                        self.hub.metrics().refuse(Refusal::Slowed);
                        if !std::mem::replace(&mut was_slowed, true) {
                            tracing::info!(connection = self.key.0, "too fast: it is read from more slowly");
                        }
                        pause = Some(Box::pin(sleep(too_fast)));
                    }
                    if share.hold(inbound.read() - begun).is_err() {
                        return End::Ours(self.without_memory());
                    }
                    if share.holds() {
                        large.get_or_insert_with(|| Upload::new(Instant::now(), inbound.read()));
                    }
                    match message {
                        Ok(Some(Message::Close(frame))) => return End::Theirs(frame.map(|frame| frame.code.into())),
                        Ok(Some(Message::Ping(content))) => out.pong(&content),
                        Ok(Some(Message::Pong(_) | Message::Frame(_)) | None) => {}
                        Ok(Some(message)) => {
                            let share = std::mem::replace(&mut share, self.hub.memory().share());
                            begun = inbound.read();
                            large = None;
                            if let Err(farewell) = self.receive(surface, message, share, out).await {
                                // Answers that were due before it went wrong are still told.
                                let _ = timeout(self.times.goodbye, write(writer, out, self.hub.metrics())).await;
                                return End::Ours(farewell);
                            }
                            if deadline.is_some() && surface.has_begun() {
                                deadline = None;
                            }
                        }
                        Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                            return End::TooLarge { limit: self.max_message };
                        }
                        Err(error) => return self.broken(&error),
                    }
                    // tokio lets one task make 128 reads, up to 8 MiB here, while the other sockets of its worker wait.
                    if inbound.read() >= turn_until {
                        turn_until = inbound.read() + READ_IN_A_TURN;
                        tokio::task::yield_now().await;
                    }
                }
                () = reached(&mut pause), if pause.is_some() => pause = None,
                () = reached(&mut deadline), if deadline.is_some() => return End::Ours(self.too_late()),
                now = pings.tick() => {
                    if let Some(upload) = &mut large {
                        let paused = pause.is_some() || out.frames() >= MAX_ANSWERS;
                        if upload.is_too_slow(now, inbound.read(), paused, self.times.stall) {
                            return End::Stalled;
                        }
                        // A slow line is no fault as long as the room is not needed.
                        if upload.age(now) >= self.times.message && self.hub.memory().is_scarce() {
                            return End::Ours(self.without_memory());
                        }
                    }
                    match liveness.tick(now, moved(inbound.read(), out), writing, pause.is_some(), self.times.stall) {
                        Verdict::Wait => {}
                        Verdict::Ping => out.ping(),
                        Verdict::Dead => return End::Stalled,
                    }
                }
            }
        }
    }

    /// Those who found the outbox full may go on.
    async fn report_drained<S: Surface>(&self, surface: &mut S) {
        for waiter in self.outbox.take_waiters() {
            match waiter {
                Waiter::Document(document) => self.hub.drained(self.key, &document).await,
                Waiter::Connection => surface.drained(),
            }
        }
    }

    /// Takes what waits in the outbox, up to what one write takes.
    fn collect<S: Surface>(&mut self, surface: &mut S, first: Outgoing, out: &mut Outbound) -> Result<(), Farewell> {
        surface.send(first, out)?;
        while out.waiting() < WRITE_TOGETHER {
            let Some(outgoing) = self.outbox.try_next() else { break };
            surface.send(outgoing, out)?;
        }
        Ok(())
    }

    async fn receive<S: Surface>(
        &self,
        surface: &mut S,
        message: Message,
        share: Share,
        out: &mut Outbound,
    ) -> Result<(), Farewell> {
        self.hub.metrics().bytes_received.increment(message.len() as u64);
        surface.receive(message, share, out).await
    }

    fn without_memory(&self) -> Farewell {
        self.hub.metrics().refuse(Refusal::Memory);
        Farewell::from(Unavailable::from(OutOfMemory))
    }

    fn too_late(&self) -> Farewell {
        self.hub.metrics().refuse(Refusal::Handshake);
        let message =
            format!("no join came within {} s; connect again and send it first", self.handshake.as_secs_f64());
        Farewell { kind: FarewellKind::BadMessage, message }
    }

    fn broken(&self, error: &Error) -> End {
        match error {
            // Gone without a word: no news, and nobody's fault.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => End::Theirs(None),
            Error::Protocol(_) | Error::Utf8(_) => {
                self.hub.metrics().refuse(Refusal::Undecodable);
                End::Ours(Farewell { kind: FarewellKind::BadMessage, message: error.to_string() })
            }
            _ => End::Theirs(None),
        }
    }

    /// Close code and reason; None when there is nobody to tell.
    fn goodbye<S: Surface>(&self, end: &End, surface: &S) -> Option<(Option<u16>, String)> {
        match end {
            // A close frame is answered with its own code.
            End::Theirs(code) => Some((*code, String::new())),
            End::Ours(farewell) => {
                let code = surface.close_code(farewell.kind);
                use FarewellKind::{BadMessage, Forbidden, TryAgainLater, Unauthorized};
                if matches!(farewell.kind, BadMessage | Forbidden | TryAgainLater | Unauthorized) {
                    self.origin.log_refusal(code, &farewell.message);
                }
                Some((Some(code), farewell.message.clone()))
            }
            End::TooLarge { limit } => {
                self.hub.metrics().refuse(Refusal::TooLarge);
                let (code, reason) = (CloseCode::Size.into(), format!("messages may have at most {limit} bytes"));
                self.origin.log_refusal(code, &reason);
                Some((Some(code), reason))
            }
            End::Stalled => {
                self.hub.metrics().refuse(Refusal::Stalled);
                None
            }
        }
    }
}

/// A moment to come, if there is one.
type Moment = Option<Pin<Box<Sleep>>>;

/// Waits for it; for ever if there is none.
async fn reached(moment: &mut Moment) {
    match moment {
        Some(sleep) => sleep.await,
        None => pending().await,
    }
}

/// Writes all of it. May be given up at any point and be called again.
async fn write(writer: &mut Writer, out: &mut Outbound, metrics: &Metrics) -> io::Result<()> {
    poll_fn(|cx| {
        let before = out.written();
        let written = out.poll_write(cx, writer);
        metrics.bytes_sent.increment(out.written() - before);
        written
    })
    .await
}

/// Writes what a socket takes at once, and lets go of it. For when there are too many to be told.
pub async fn say_briefly(Socket { mut writer, .. }: Socket, mut out: Outbound) {
    let _ = timeout(Duration::ZERO, poll_fn(|cx| out.poll_write(cx, &mut writer))).await;
}

/// Writes what waits, and gives a stock client the time to take it in before a close frame follows.
pub async fn write_and_pause(Socket { writer, .. }: &mut Socket, out: &mut Outbound) -> io::Result<()> {
    poll_fn(|cx| out.poll_write(cx, writer)).await?;
    sleep(BREATH).await;
    Ok(())
}

/// Writes what waits, a close frame last, and then discards what still comes in until the other side has heard it; or for
/// a moment.
pub async fn say_goodbye(Socket { mut inbound, mut writer }: Socket, mut out: Outbound, patience: Duration) {
    let _ = timeout(patience, poll_fn(|cx| out.poll_write(cx, &mut writer))).await;
    let discard = async {
        let until = inbound.read() + MAX_DISCARD;
        // What is large is not put together only to find the close frame behind it.
        while inbound.unfinished() <= FREE && inbound.read() < until {
            match inbound.next().await {
                Ok(Some(Message::Close(_))) => return,
                Ok(_) => {}
                // It was no WebSocket, or is none any more.
                Err(_) => break,
            }
        }
        let mut discarded = inbound.read();
        let mut io = inbound.into_stream();
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = io.read(&mut buffer).await {
            discarded += count as u64;
            if discarded > until {
                break;
            }
        }
    };
    let _ = timeout(patience, discard).await;
}
