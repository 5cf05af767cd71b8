//! What all WebSocket surfaces have in common: one task per connection that reads, writes, pings, and ends well.
//!
//! Reading goes on while a write is stuck, so two sides that both have much to say cannot wait for each other for ever.
//! The end is always told: last words in the surface's own language, then a close frame with code and reason; then what
//! still comes in is discarded for a moment, as a socket that is closed with unread bytes may lose the words. When both sides
//! have sent a close frame it is the server that ends the connection: the client waits for that.

use std::convert::Infallible;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use runtime::hub::{CloseKind, CloseReason, ConnectionKey, DrainListener, Hub, OutboxReceiver, Outgoing, Unavailable};
use runtime::memory_budget::{FREE_BYTES, OutOfMemory, Reservation};
use runtime::metrics::{ConnectionKind, RefusalReason};
use tokio::time::{Instant, MissedTickBehavior, Sleep, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::guests::UserSeat;
use super::inbound::Inbound;
use super::last_words::{BREATH, say_goodbye, write};
use super::liveness::{Liveness, Moved, Verdict};
use super::origin::SocketOrigin;
use super::outbound::Outbound;
use super::pace::Pace;
use super::protocol::Protocol;
use super::read_budget::{ReadBudget, UploadProblem};
use super::sessions::Session;
use super::socket_times::SocketTimes;
use super::upgrade::Socket;

/// Bytes of small messages that are written with one system call.
const WRITE_TOGETHER: usize = 64 << 10;
/// Answers that may wait for a socket before it is read from again.
const MAX_ANSWERS: usize = 64;
/// In the ping that comes behind the last message.
const LAST: &[u8] = b"last";

/// Why a connection ends.
#[derive(Debug, Clone)]
pub enum End {
    /// The other side closed (with this code, if it gave one), or is gone.
    Theirs(Option<u16>),
    /// The server ends it.
    Ours(CloseReason),
    /// A message over the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// No answer to pings, or no progress in writing.
    Stalled,
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
    pub pace: Option<Pace>,
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
    pub async fn run<P: Protocol>(mut self, mut socket: Socket, mut protocol: P, first: Option<Message>) {
        let gauge = self.hub.metrics().connections(P::KIND).clone();
        gauge.increment(1.0);
        let mut out = Outbound::default();
        let end = self.talk(&mut socket, &mut out, &mut protocol, first).await;
        protocol.gone().await;
        gauge.decrement(1.0);
        tracing::debug!(connection = self.key.0, ?end, "closed");
        if let Some((code, reason)) = self.goodbye(&end, &protocol) {
            if P::KIND == ConnectionKind::Repo && !matches!(end, End::Theirs(_)) {
                // The sender of a bad message is not a stock client: it is not waited for.
                let waited = matches!(&end, End::Ours(close_reason) if close_reason.kind != CloseKind::BadMessage);
                let _ = timeout(self.times.goodbye, self.be_heard(&mut socket, &mut out, waited)).await;
                sleep(BREATH).await;
            }
            if !reason.is_empty() {
                protocol.last_words(&reason, &mut out);
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
        while inbound.unfinished() <= FREE_BYTES {
            match inbound.next().await {
                Ok(Some(Message::Pong(content))) if content == LAST => return,
                Ok(Some(Message::Close(_))) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    async fn talk<P: Protocol>(
        &mut self,
        socket: &mut Socket,
        out: &mut Outbound,
        protocol: &mut P,
        first: Option<Message>,
    ) -> End {
        match self.exchange(socket, out, protocol, first).await {
            Err(end) => end,
            Ok(never) => match never {},
        }
    }

    /// Reads and writes until an end.
    async fn exchange<P: Protocol>(
        &mut self,
        Socket { inbound, writer }: &mut Socket,
        out: &mut Outbound,
        protocol: &mut P,
        first: Option<Message>,
    ) -> Result<Infallible, End> {
        let mut pings = interval_at(Instant::now() + self.times.ping, self.times.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = self.outbox.closing();
        let mut closing = pin!(closing.cancelled());
        let mut liveness = Liveness::new(moved(inbound, out));
        let Some(pace) = self.pace.take() else { return Err(End::Theirs(None)) };
        let budget = ReadBudget::begin(self.key, self.hub.clone(), pace, inbound.read(), inbound.unfinished());
        let mut budget = budget.map_err(|_| self.without_memory())?;
        // Boxed, and rarely there for long: most sockets have begun.
        let mut handshake = (!protocol.has_begun()).then(|| Box::pin(sleep(self.handshake)));
        if let Some(message) = first {
            // A greeting comes before any answer, also where the other side spoke first.
            while let Some(outgoing) = self.outbox.try_next() {
                protocol.send(outgoing, out)?;
            }
            self.receive(protocol, message, self.hub.memory_budget().reservation(), out).await?;
        }
        loop {
            let writing = !out.is_empty();
            // A side that does not take our answers is not asked for more.
            let is_read = out.frames() < MAX_ANSWERS;
            handshake = handshake.filter(|_| !protocol.has_begun());
            // What there is to say comes before the end, and the end before what comes in: there may be no end of that. The rest
            // is looked at when nothing else is ready. (A side that never stops sending runs into tokio's budget for one turn,
            // or is read from no further until it takes our answers.)
            tokio::select! {
                biased;
                written = write(writer, out, self.hub.metrics()), if writing => {
                    written.map_err(|_| End::Theirs(None))?;
                    self.report_drained(protocol).await;
                }
                outgoing = self.outbox.next(), if !writing => {
                    self.collect(protocol, outgoing, out)?;
                    // A socket mostly takes it at once; an error is seen when it is tried again.
                    let _ = write(writer, out, self.hub.metrics()).now_or_never();
                    if out.is_empty() {
                        self.report_drained(protocol).await;
                    }
                }
                () = &mut closing => return Err(End::Ours(self.outbox.close_reason())),
                message = inbound.next(), if is_read && !budget.is_paused() => {
                    liveness.heard();
                    // That it answers our pings inside long messages is not held against it.
                    let is_delivery = matches!(&message, Ok(Some(Message::Pong(content))) if out.acknowledge(content));
                    let messages = u32::from(matches!(message, Ok(Some(_))) && !is_delivery);
                    budget.count(messages, inbound.read()).map_err(|_| self.without_memory())?;
                    match message.map_err(|error| self.broken(&error))? {
                        Some(Message::Close(frame)) => return Err(End::Theirs(frame.map(|frame| frame.code.into()))),
                        Some(Message::Ping(content)) => out.pong(&content),
                        Some(Message::Pong(_) | Message::Frame(_)) | None => {}
                        Some(message) => {
                            let reservation = budget.complete(inbound.read());
                            if let Err(close_reason) = self.receive(protocol, message, reservation, out).await {
                                // Answers that were due before it went wrong are still told.
                                let _ = timeout(self.times.goodbye, write(writer, out, self.hub.metrics())).await;
                                return Err(End::Ours(close_reason));
                            }
                        }
                    }
                    if budget.yields(inbound.read()) {
                        tokio::task::yield_now().await;
                    }
                }
                () = budget.pause_over(), if budget.is_paused() => {}
                () = reached(&mut handshake), if handshake.is_some() => return Err(End::Ours(self.too_late())),
                now = pings.tick() => {
                    let is_paused = budget.is_paused();
                    budget.check_upload(now, inbound.read(), is_read, &self.times).map_err(|problem| match problem {
                        UploadProblem::Stalled => End::Stalled,
                        UploadProblem::OutOfMemory => End::Ours(self.without_memory()),
                    })?;
                    match liveness.tick(now, moved(inbound, out), writing, is_paused, self.times.stall) {
                        Verdict::Wait => {}
                        Verdict::Ping => out.ping(),
                        Verdict::Dead => return Err(End::Stalled),
                    }
                }
            }
        }
    }

    /// Those who found the outbox full may go on.
    async fn report_drained<P: Protocol>(&self, protocol: &mut P) {
        for waiter in self.outbox.take_drain_listeners() {
            match waiter {
                DrainListener::Document(document) => self.hub.notify_drained(self.key, &document).await,
                DrainListener::Connection => protocol.drained(),
            }
        }
    }

    /// Takes what waits in the outbox, up to what one write takes.
    fn collect<P: Protocol>(
        &mut self,
        protocol: &mut P,
        first: Outgoing,
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        protocol.send(first, out)?;
        while out.waiting() < WRITE_TOGETHER {
            let Some(outgoing) = self.outbox.try_next() else { break };
            protocol.send(outgoing, out)?;
        }
        Ok(())
    }

    async fn receive<P: Protocol>(
        &self,
        protocol: &mut P,
        message: Message,
        reservation: Reservation,
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        self.hub.metrics().bytes_received.increment(message.len() as u64);
        protocol.receive(message, reservation, out).await
    }

    fn without_memory(&self) -> CloseReason {
        self.hub.metrics().record_refusal(RefusalReason::Memory);
        CloseReason::from(Unavailable::from(OutOfMemory))
    }

    fn too_late(&self) -> CloseReason {
        self.hub.metrics().record_refusal(RefusalReason::Handshake);
        let message =
            format!("no join came within {} s; connect again and send it first", self.handshake.as_secs_f64());
        CloseReason { kind: CloseKind::BadMessage, message }
    }

    fn broken(&self, error: &Error) -> End {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => End::TooLarge { limit: self.max_message },
            // Gone without a word: no news, and nobody's fault.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => End::Theirs(None),
            Error::Protocol(_) | Error::Utf8(_) => {
                self.hub.metrics().record_refusal(RefusalReason::Undecodable);
                End::Ours(CloseReason { kind: CloseKind::BadMessage, message: error.to_string() })
            }
            _ => End::Theirs(None),
        }
    }

    /// Close code and reason; None when there is nobody to tell.
    fn goodbye<P: Protocol>(&self, end: &End, protocol: &P) -> Option<(Option<u16>, String)> {
        match end {
            // A close frame is answered with its own code.
            End::Theirs(code) => Some((*code, String::new())),
            End::Ours(close_reason) => {
                let code = protocol.close_code(close_reason.kind);
                use CloseKind::{BadMessage, Forbidden, TryAgainLater, Unauthorized};
                if matches!(close_reason.kind, BadMessage | Forbidden | TryAgainLater | Unauthorized) {
                    self.origin.log_refusal(code, &close_reason.message);
                }
                Some((Some(code), close_reason.message.clone()))
            }
            End::TooLarge { limit } => {
                self.hub.metrics().record_refusal(RefusalReason::TooLarge);
                let (code, reason) = (CloseCode::Size.into(), format!("messages may have at most {limit} bytes"));
                self.origin.log_refusal(code, &reason);
                Some((Some(code), reason))
            }
            End::Stalled => {
                self.hub.metrics().record_refusal(RefusalReason::Stalled);
                None
            }
        }
    }
}

impl From<CloseReason> for End {
    fn from(close_reason: CloseReason) -> Self {
        Self::Ours(close_reason)
    }
}

/// How far a connection has come.
fn moved(inbound: &Inbound, out: &Outbound) -> Moved {
    Moved { read: inbound.read(), written: out.written(), delivered: out.delivered() }
}

/// Waits until a deadline; for ever if there is none.
async fn reached(deadline: &mut Option<Pin<Box<Sleep>>>) {
    match deadline {
        Some(sleep) => sleep.await,
        None => pending().await,
    }
}
