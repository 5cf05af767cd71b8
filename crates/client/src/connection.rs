//! The replica's connection: the current session, or the time of the next attempt.

use std::time::{Duration, SystemTime};

use dialer::{Problem, RetryDelay, Server};
use primitives::DocumentId;
use repo_protocol::StorageId;
use sync_engine::PeerKey;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Status;
use super::identity::Identity;
use super::socket_task::{Event, Outgoing, SocketTask};

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
    pub(super) refused_permanently: bool,
    /// Both sides were in sync at some time in this session.
    pub(super) good: bool,
    events: mpsc::Receiver<Event>,
    stop: CancellationToken,
    began: Instant,
}

/// Why the connection wakes the replica's task.
pub(super) enum Wake {
    /// The socket task reported an event.
    Event(Event),
    /// The outbox has room for another message.
    OutboxReady,
    /// The next attempt to connect is due.
    Redial,
}

enum State {
    Offline,
    Waiting(Instant),
    Active(Session),
}

/// The connection to the server, and the state of reconnecting.
pub(super) struct Connection {
    identity: Identity,
    document: DocumentId,
    ping: Duration,
    max_message: usize,
    target: Option<Server>,
    state: State,
    retry: RetryDelay,
    since: SystemTime,
    last_error: Option<Problem>,
    retry_at: Option<SystemTime>,
    sessions: u64,
    /// All tasks that have not ended yet, including those that are closing.
    tasks: JoinSet<()>,
}

impl Connection {
    pub(super) fn new(identity: Identity, document: DocumentId, ping: Duration, max_message: usize) -> Self {
        Self {
            identity,
            document,
            ping,
            max_message,
            target: None,
            state: State::Offline,
            retry: RetryDelay::default(),
            since: SystemTime::now(),
            last_error: None,
            retry_at: None,
            sessions: 0,
            tasks: JoinSet::new(),
        }
    }

    /// The current session. A session starts when it is dialled.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Active(session) => Some(session),
            _ => None,
        }
    }

    /// Whether there is a session with this server, or one being dialled.
    pub(super) fn is_connected_to(&self, server: &Server) -> bool {
        matches!(self.state, State::Active(_)) && self.target.as_ref().is_some_and(|target| target.is_same(server))
    }

    /// The status, unless there is a session: `None` means that it depends on the document.
    pub(super) fn status(&self) -> Option<Status> {
        match &self.state {
            State::Active(session) if session.joined => None,
            State::Active(_) => Some(Status::Connecting),
            State::Offline | State::Waiting(_) => Some(Status::Offline {
                since: self.since,
                last_error: self.last_error.clone(),
                retry_at: self.retry_at,
            }),
        }
    }

    /// Waits for the next wake-up. `behind` tells that a message waits for room in the outbox. Cancel safe.
    pub(super) async fn next(&mut self, behind: bool) -> Wake {
        match &mut self.state {
            State::Offline => std::future::pending().await,
            State::Waiting(until) => {
                let replaced = async {
                    match &mut self.target {
                        Some(server) => server.token_replaced().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = sleep_until(*until) => {}
                    // The server may accept the new token.
                    () = replaced => self.retry.reset(),
                }
                Wake::Redial
            }
            State::Active(session) => tokio::select! {
                biased;
                event = session.events.recv() => Wake::Event(event.unwrap_or_else(ended)),
                _ = session.outgoing.reserve(), if behind => Wake::OutboxReady,
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
        self.target = Some(server);
        self.retry.reset();
        self.dial();
    }

    /// Makes the next attempt.
    pub(super) fn dial(&mut self) {
        let Some(server) = &mut self.target else { return };
        while self.tasks.try_join_next().is_some() {}
        let (to_replica, events) = mpsc::channel(INBOX);
        let (outgoing, from_replica) = mpsc::channel(OUTBOX);
        let stop = CancellationToken::new();
        let task = SocketTask {
            url: server.url.clone(),
            authorization: server.authorization(),
            trust: server.trust.clone(),
            document: self.document.clone(),
            identity: self.identity.clone(),
            ping: self.ping,
            max_message: self.max_message,
        };
        self.tasks.spawn(task.run(to_replica, from_replica, stop.clone()));
        self.sessions += 1;
        self.retry_at = None;
        self.state = State::Active(Session {
            key: PeerKey(self.sessions),
            outgoing,
            joined: false,
            storage: None,
            unavailable: false,
            refused: None,
            refused_permanently: false,
            good: false,
            events,
            stop,
            began: Instant::now(),
        });
    }

    /// Ends the session, if there is one. Its socket task closes in the background; later events from it are discarded.
    pub(super) fn disconnect(&mut self) -> Option<Session> {
        let State::Active(session) = std::mem::replace(&mut self.state, State::Offline) else { return None };
        session.stop.cancel();
        if session.joined {
            self.since = SystemTime::now();
        }
        if session.good || session.began.elapsed() >= GOOD_SESSION {
            self.retry.reset();
        }
        Some(session)
    }

    /// Stays offline until the next [`go_online`](Self::go_online).
    pub(super) fn stay_offline(&mut self) {
        self.target = None;
        self.state = State::Offline;
        self.last_error = None;
        self.retry_at = None;
    }

    /// Schedules the next attempt, with back-off.
    pub(super) fn retry_after(&mut self, problem: Problem) {
        let wait = self.retry.record_failure(problem.retry_class(), rand::random());
        tracing::info!(document = %self.document, %problem, ?wait, "offline");
        self.last_error = Some(problem);
        self.retry_at = Some(SystemTime::now() + wait);
        self.state = State::Waiting(Instant::now() + wait);
    }

    /// Waits until all tasks have closed, which takes a bounded time.
    pub(super) async fn close(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The event for a socket task that ended without one.
fn ended() -> Event {
    Event::Ended(Problem::Lost("its task ended".to_owned()))
}
