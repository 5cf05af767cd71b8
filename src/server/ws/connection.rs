//! The task of a WebSocket connection, which is the same for all protocols: it reads, writes, pings, and closes.
//!
//! The task keeps reading while a write is blocked, so that two peers with much to send do not deadlock. When the server closes
//! a connection, it sends the reason as a message of the protocol, then a close frame with code and reason, and then discards
//! input for a moment: a socket that is closed with unread input may lose its output. After the close handshake the server closes
//! the TCP connection, which the client waits for.

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
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tracing::field::display;

use super::client_info::ClientInfo;
use super::closing::{CLOSE_DELAY, close, flush};
use super::inbound::Inbound;
use super::liveness::{Action, Liveness, Progress};
use super::outbound::Outbound;
use super::protocol::Protocol;
use super::rate_limit::RateLimit;
use super::read_budget::{ReadBudget, UploadProblem};
use super::timeouts::SocketTimeouts;
use super::upgrade::WebSocket;
use crate::server::security::session_monitor::SessionRegistration;
use crate::server::transport::connection_limits::UserPermit;

/// Maximum bytes of small messages that are written with one system call.
const WRITE_BATCH: usize = 64 << 10;
/// Number of queued frames at which the connection stops reading.
const MAX_ANSWERS: usize = 64;
/// Content of the ping that follows the last message.
const LAST: &[u8] = b"last";

/// Why a connection ends.
#[derive(Debug, Clone)]
pub enum Disconnect {
    /// The peer sent a close frame (this one, if it has a code), or the connection was lost.
    ByPeer(Option<CloseFrame>),
    /// The server closes the connection for this reason.
    ByServer(CloseReason),
    /// The peer sent a message over the size limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The peer does not answer pings, or a write makes no progress.
    Stalled,
}

/// A connection, without its protocol.
pub struct Connection {
    /// Identifies the connection in the hub.
    pub key: ConnectionKey,
    /// The documents. The connection notifies them when its outbox has room again.
    pub hub: Hub,
    /// Messages of documents for this connection.
    pub outbox: OutboxReceiver,
    /// Time limits.
    pub timeouts: SocketTimeouts,
    /// Maximum size of an incoming message in bytes, for the error message.
    pub max_message: usize,
    /// Rate limit of incoming data. Taken when the connection starts.
    pub rate_limit: Option<RateLimit>,
    /// Time limit for the message that must come first.
    pub handshake: Duration,
    /// The client, for the log.
    pub client: Arc<ClientInfo>,
    /// The authenticated user, for the log.
    pub user: Option<Arc<str>>,
    /// Registration with the session monitor.
    pub _session: Option<SessionRegistration>,
    /// Permit of the user's connections.
    pub _permit: Option<UserPermit>,
}

impl Connection {
    /// Runs `protocol` until the connection is closed. `first`: a message that was already read. Returns why the connection ended.
    pub async fn run<P: Protocol>(
        mut self,
        mut socket: WebSocket,
        protocol: &mut P,
        first: Option<Message>,
    ) -> Disconnect {
        let kind = protocol.kind();
        let gauge = self.hub.metrics().connections(kind).clone();
        gauge.increment(1.0);
        let mut out = Outbound::new(socket.role);
        let cause = match self.exchange(&mut socket, &mut out, protocol, first).await {
            Err(cause) => cause,
            Ok(never) => match never {},
        };
        protocol.on_disconnected().await;
        gauge.decrement(1.0);
        let (user, document) = (self.user.as_deref(), protocol.document().map(display));
        tracing::debug!(connection = self.key.0, user, document, ?cause, "closed");
        if let Some((code, reason)) = self.close_frame(&cause, protocol) {
            let speaks_repo = matches!(kind, ConnectionKind::Repo | ConnectionKind::Peering);
            if speaks_repo && !matches!(cause, Disconnect::ByPeer(_)) {
                // A client that sends invalid messages is not a stock client, so the delivery is not awaited.
                let confirm = matches!(&cause, Disconnect::ByServer(reason) if reason.kind != CloseKind::BadMessage);
                let _ = timeout(self.timeouts.close, self.flush_all(&mut socket, &mut out, confirm)).await;
                sleep(CLOSE_DELAY).await;
            }
            if !reason.is_empty() {
                protocol.write_close_message(&reason, &mut out);
            }
            out.close(code, &reason);
            if matches!(cause, Disconnect::ByPeer(_)) {
                // The peer has sent its close frame: no more input follows.
                let _ = timeout(self.timeouts.close, flush(&mut socket.writer, &mut out, self.hub.metrics())).await;
            } else {
                close(socket, out, self.timeouts.close).await;
            }
        }
        cause
    }

    /// Writes all queued frames. `confirm`: also sends a ping, and waits for its pong, which shows that the peer has received
    /// everything. Other input is discarded meanwhile.
    async fn flush_all(&self, WebSocket { inbound, writer, .. }: &mut WebSocket, out: &mut Outbound, confirm: bool) {
        if confirm {
            out.ping_with(LAST);
        }
        if flush(writer, out, self.hub.metrics()).await.is_err() || !confirm {
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

    /// Reads and writes until the connection must be closed.
    async fn exchange<P: Protocol>(
        &mut self,
        WebSocket { inbound, writer, .. }: &mut WebSocket,
        out: &mut Outbound,
        protocol: &mut P,
        first: Option<Message>,
    ) -> Result<Infallible, Disconnect> {
        let mut pings = interval_at(Instant::now() + self.timeouts.ping, self.timeouts.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = self.outbox.closing();
        let mut closing = pin!(closing.cancelled());
        let mut liveness = Liveness::new(progress(inbound, out));
        let Some(rate_limit) = self.rate_limit.take() else { return Err(Disconnect::ByPeer(None)) };
        let budget = ReadBudget::new(self.key, self.hub.clone(), rate_limit, inbound.read(), inbound.unfinished());
        let mut budget = budget.map_err(|_| self.out_of_memory())?;
        // Boxed, because most connections need it only for a moment.
        let mut handshake = (!protocol.is_handshake_complete()).then(|| Box::pin(sleep(self.handshake)));
        protocol.begin(out);
        if let Some(message) = first {
            // Messages that were queued when the connection was created come before any answer.
            while let Some(outgoing) = self.outbox.try_next() {
                protocol.send(outgoing, out)?;
            }
            self.receive(protocol, message, self.hub.memory_budget().reservation(), out).await?;
        }
        loop {
            let writing = !out.is_empty();
            // Does not read more from a peer that does not read the answers.
            let is_read = out.frames() < MAX_ANSWERS;
            handshake = handshake.filter(|_| !protocol.is_handshake_complete());
            // In order of priority: output, the close signal, input, timers. A peer that never stops sending does not starve the
            // timers: tokio's cooperative budget, and the limit of queued answers, interrupt reading.
            tokio::select! {
                biased;
                written = flush(writer, out, self.hub.metrics()), if writing => {
                    written.map_err(|_| Disconnect::ByPeer(None))?;
                    self.report_drained(protocol).await;
                }
                outgoing = self.outbox.next(), if !writing => {
                    self.collect(protocol, outgoing, out)?;
                    // Usually the socket accepts everything at once. The next write reports an error.
                    let _ = flush(writer, out, self.hub.metrics()).now_or_never();
                    if out.is_empty() {
                        self.report_drained(protocol).await;
                    }
                }
                () = &mut closing => return Err(Disconnect::ByServer(self.outbox.close_reason())),
                message = inbound.next(), if is_read && !budget.is_paused() => {
                    liveness.record_message();
                    // Answers to the server's own pings do not count for the rate limit.
                    let is_delivery = matches!(&message, Ok(Some(Message::Pong(content))) if out.acknowledge(content));
                    let messages = u32::from(matches!(message, Ok(Some(_))) && !is_delivery);
                    budget.count(messages, inbound.read()).map_err(|_| self.out_of_memory())?;
                    match message.map_err(|error| self.read_error(&error))? {
                        Some(Message::Close(frame)) => return Err(Disconnect::ByPeer(frame)),
                        Some(Message::Ping(content)) => out.pong(&content),
                        Some(Message::Pong(_) | Message::Frame(_)) | None => {}
                        Some(message) => {
                            let reservation = budget.complete_message(inbound.read());
                            if let Err(reason) = self.receive(protocol, message, reservation, out).await {
                                // Sends the answers to earlier messages first.
                                let _ = timeout(self.timeouts.close, flush(writer, out, self.hub.metrics())).await;
                                return Err(Disconnect::ByServer(reason));
                            }
                        }
                    }
                    if budget.should_yield(inbound.read()) {
                        tokio::task::yield_now().await;
                    }
                }
                () = budget.pause_elapsed(), if budget.is_paused() => {}
                () = elapsed(&mut handshake), if handshake.is_some() => {
                    return Err(Disconnect::ByServer(self.handshake_timed_out(protocol)));
                }
                now = pings.tick() => {
                    let is_paused = budget.is_paused();
                    budget.check_upload(now, inbound.read(), is_read, &self.timeouts).map_err(|problem| match problem {
                        UploadProblem::Stalled => Disconnect::Stalled,
                        UploadProblem::OutOfMemory => Disconnect::ByServer(self.out_of_memory()),
                    })?;
                    match liveness.tick(now, progress(inbound, out), writing, is_paused, self.timeouts.stall) {
                        Action::Wait => {}
                        Action::Ping => out.ping(),
                        Action::Close => return Err(Disconnect::Stalled),
                    }
                }
            }
        }
    }

    /// Notifies documents, and the protocol, that found the outbox full.
    async fn report_drained<P: Protocol>(&self, protocol: &mut P) {
        for waiter in self.outbox.take_drain_listeners() {
            match waiter {
                DrainListener::Document(document) => self.hub.notify_drained(self.key, &document).await,
                DrainListener::Connection => protocol.on_drained(),
            }
        }
    }

    /// Encodes messages of the outbox, up to the size of one write.
    fn collect<P: Protocol>(
        &mut self,
        protocol: &mut P,
        first: Outgoing,
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        protocol.send(first, out)?;
        while out.waiting() < WRITE_BATCH {
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

    fn out_of_memory(&self) -> CloseReason {
        self.hub.metrics().record_refusal(RefusalReason::Memory);
        CloseReason::from(Unavailable::from(OutOfMemory))
    }

    fn handshake_timed_out<P: Protocol>(&self, protocol: &P) -> CloseReason {
        self.hub.metrics().record_refusal(RefusalReason::Handshake);
        let (first, seconds) = (protocol.first_message(), self.handshake.as_secs_f64());
        let message = format!("no {first} message within {seconds} s; reconnect and send it first");
        CloseReason { kind: CloseKind::BadMessage, message }
    }

    fn read_error(&self, error: &Error) -> Disconnect {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => Disconnect::TooLarge { limit: self.max_message },
            // The connection was lost, which is not an error of the client.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::ConnectionClosed => {
                Disconnect::ByPeer(None)
            }
            Error::Protocol(_) | Error::Utf8(_) => {
                self.hub.metrics().record_refusal(RefusalReason::Undecodable);
                Disconnect::ByServer(CloseReason { kind: CloseKind::BadMessage, message: error.to_string() })
            }
            _ => Disconnect::ByPeer(None),
        }
    }

    /// The code and reason of the close frame; `None` if the peer is dead.
    fn close_frame<P: Protocol>(&self, cause: &Disconnect, protocol: &P) -> Option<(Option<u16>, String)> {
        match cause {
            // A close frame is answered with its own code.
            Disconnect::ByPeer(frame) => Some((frame.as_ref().map(|frame| frame.code.into()), String::new())),
            Disconnect::ByServer(reason) => {
                let code = protocol.close_code(reason.kind);
                use CloseKind::{BadMessage, Forbidden, TryAgainLater, Unauthorized};
                if matches!(reason.kind, BadMessage | Forbidden | TryAgainLater | Unauthorized) {
                    self.client.log_refusal(code, &reason.message, self.user.as_deref(), protocol.document());
                }
                Some((Some(code), reason.message.clone()))
            }
            Disconnect::TooLarge { limit } => {
                self.hub.metrics().record_refusal(RefusalReason::TooLarge);
                let (code, reason) = (CloseCode::Size.into(), format!("messages may have at most {limit} bytes"));
                self.client.log_refusal(code, &reason, self.user.as_deref(), protocol.document());
                Some((Some(code), reason))
            }
            Disconnect::Stalled => {
                self.hub.metrics().record_refusal(RefusalReason::Stalled);
                None
            }
        }
    }
}

impl From<CloseReason> for Disconnect {
    fn from(reason: CloseReason) -> Self {
        Self::ByServer(reason)
    }
}

fn progress(inbound: &Inbound, out: &Outbound) -> Progress {
    Progress { read: inbound.read(), written: out.written(), delivered: out.delivered() }
}

/// Waits for a deadline. Never returns without one.
async fn elapsed(deadline: &mut Option<Pin<Box<Sleep>>>) {
    match deadline {
        Some(sleep) => sleep.await,
        None => pending().await,
    }
}
