//! The replica's connection: the current session, or the time of the next attempt.

use std::time::{Duration, SystemTime};

use primitives::DocumentId;
use repo_protocol::StorageId;
use sync_engine::PeerKey;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::endpoint::Server;
use super::identity::Identity;
use super::link::{Event, Link, Outgoing};
use super::{Problem, Status};

/// Capacity of the queue of messages from the server. When it is full, the connection stops reading.
const INBOX: usize = 64;
/// Capacity of the queue of messages to the server. Small, since a message that is generated later covers more.
const OUTBOX: usize = 2;
/// A session that lasted this long resets the back-off, even if it never synced completely.
const GOOD_SESSION: Duration = Duration::from_secs(60);

/// One connection, from dialling to its end.
pub(super) struct Session {
    /// The server as a peer of the document. New in every session, since sync states end with their session.
    pub(super) key: PeerKey,
    pub(super) outgoing: mpsc::Sender<Outgoing>,
    /// The handshake is complete.
    pub(super) joined: bool,
    /// The server's storage id, under which its heads are remembered.
    pub(super) storage: Option<StorageId>,
    /// The server reported that it does not have the document.
    pub(super) unavailable: bool,
    /// Why the server rejects the replica's changes, if it does.
    pub(super) refused: Option<String>,
    /// The server rejects changes for the rest of this connection.
    pub(super) refused_for_good: bool,
    /// Both sides were in sync at some time in this session.
    pub(super) good: bool,
    events: mpsc::Receiver<Event>,
    stop: CancellationToken,
    began: Instant,
}

/// Why the connection wakes the replica's task.
pub(super) enum Wake {
    /// The link reported an event.
    Event(Event),
    /// The outbox has room for another message.
    Room,
    /// The next attempt to connect is due.
    Redial,
}

enum State {
    Off,
    Waiting(Instant),
    Up(Session),
}

/// The connection to the server, and the state of reconnecting.
pub(super) struct Connection {
    identity: Identity,
    document: DocumentId,
    ping: Duration,
    max_message: usize,
    wanted: Option<Server>,
    state: State,
    backoff: Backoff,
    since: SystemTime,
    last_error: Option<Problem>,
    retry_at: Option<SystemTime>,
    sessions: u64,
    /// All links that have not ended yet, including those that are closing.
    links: JoinSet<()>,
}

impl Connection {
    pub(super) fn new(identity: Identity, document: DocumentId, ping: Duration, max_message: usize) -> Self {
        Self {
            identity,
            document,
            ping,
            max_message,
            wanted: None,
            state: State::Off,
            backoff: Backoff::default(),
            since: SystemTime::now(),
            last_error: None,
            retry_at: None,
            sessions: 0,
            links: JoinSet::new(),
        }
    }

    /// The current session. A session starts when it is dialled.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Up(session) => Some(session),
            _ => None,
        }
    }

    /// Whether there is a session with this server, or one being dialled.
    pub(super) fn is_connected_to(&self, server: &Server) -> bool {
        matches!(self.state, State::Up(_)) && self.wanted.as_ref().is_some_and(|wanted| wanted.is(server))
    }

    /// The status, unless there is a session: `None` means that it depends on the document.
    pub(super) fn status(&self) -> Option<Status> {
        match &self.state {
            State::Up(session) if session.joined => None,
            State::Up(_) => Some(Status::Connecting),
            State::Off | State::Waiting(_) => Some(Status::Offline {
                since: self.since,
                last_error: self.last_error.clone(),
                retry_at: self.retry_at,
            }),
        }
    }

    /// Waits for the next wake-up. `behind` tells that a message waits for room in the outbox. Cancel safe.
    pub(super) async fn next(&mut self, behind: bool) -> Wake {
        match &mut self.state {
            State::Off => std::future::pending().await,
            State::Waiting(until) => {
                let replaced = async {
                    match &mut self.wanted {
                        Some(server) => server.token_replaced().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = sleep_until(*until) => {}
                    // The server may accept the new token.
                    () = replaced => self.backoff.reset(),
                }
                Wake::Redial
            }
            State::Up(session) => tokio::select! {
                biased;
                event = session.events.recv() => Wake::Event(event.unwrap_or_else(ended)),
                _ = session.outgoing.reserve(), if behind => Wake::Room,
            },
        }
    }

    /// Returns an event that is already there.
    pub(super) fn try_next(&mut self) -> Option<Event> {
        match self.session()?.events.try_recv() {
            Ok(event) => Some(event),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => Some(ended()),
        }
    }

    /// Connects to a server, and reconnects until [`stay_offline`](Self::stay_offline).
    pub(super) fn go_online(&mut self, server: Server) {
        self.wanted = Some(server);
        self.backoff.reset();
        self.dial();
    }

    /// Makes the next attempt.
    pub(super) fn dial(&mut self) {
        let Some(server) = &mut self.wanted else { return };
        while self.links.try_join_next().is_some() {}
        let (to_replica, events) = mpsc::channel(INBOX);
        let (outgoing, from_replica) = mpsc::channel(OUTBOX);
        let stop = CancellationToken::new();
        let link = Link {
            url: server.url.clone(),
            authorization: server.authorization(),
            trust: server.trust.clone(),
            document: self.document.clone(),
            identity: self.identity.clone(),
            ping: self.ping,
            max_message: self.max_message,
        };
        self.links.spawn(link.run(to_replica, from_replica, stop.clone()));
        self.sessions += 1;
        self.retry_at = None;
        self.state = State::Up(Session {
            key: PeerKey(self.sessions),
            outgoing,
            joined: false,
            storage: None,
            unavailable: false,
            refused: None,
            refused_for_good: false,
            good: false,
            events,
            stop,
            began: Instant::now(),
        });
    }

    /// Ends the session, if there is one. Its link closes in the background; later events from it are discarded.
    pub(super) fn disconnect(&mut self) -> Option<Session> {
        let State::Up(session) = std::mem::replace(&mut self.state, State::Off) else { return None };
        session.stop.cancel();
        if session.joined {
            self.since = SystemTime::now();
        }
        if session.good || session.began.elapsed() >= GOOD_SESSION {
            self.backoff.reset();
        }
        Some(session)
    }

    /// Stays offline until the next [`go_online`](Self::go_online).
    pub(super) fn stay_offline(&mut self) {
        self.wanted = None;
        self.state = State::Off;
        self.last_error = None;
        self.retry_at = None;
    }

    /// Schedules the next attempt, with back-off.
    pub(super) fn retry_after(&mut self, problem: Problem) {
        let wait = self.backoff.next(problem.retry_class(), rand::random());
        tracing::info!(document = %self.document, %problem, ?wait, "offline");
        self.last_error = Some(problem);
        self.retry_at = Some(SystemTime::now() + wait);
        self.state = State::Waiting(Instant::now() + wait);
    }

    /// Waits until all links have closed, which takes a bounded time.
    pub(super) async fn close(mut self) {
        while self.links.join_next().await.is_some() {}
    }
}

/// The event for a link whose task ended without one.
fn ended() -> Event {
    Event::Ended(Problem::Lost("its task ended".to_owned()))
}
