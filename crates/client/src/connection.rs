//! Whether the replica is online, and when it tries again if it is not.

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

/// Messages from the server that may wait for the replica; then the server waits.
const INBOX: usize = 64;
/// Messages that may wait for the socket. Few: what is generated late covers more.
const OUTBOX: usize = 2;
/// A session that lasted so long was a good one, even if it never got to the end of its work.
const GOOD: Duration = Duration::from_secs(60);

/// One connection, from dialling to its end.
pub(super) struct Session {
    /// The server as a peer of the document; another one in every session, as sync states do not outlive theirs.
    pub(super) key: PeerKey,
    pub(super) outgoing: mpsc::Sender<Outgoing>,
    pub(super) joined: bool,
    /// By what name to remember the server.
    pub(super) storage: Option<StorageId>,
    /// The server said that it has not got the document.
    pub(super) unavailable: bool,
    /// The server does not accept our changes, for this reason.
    pub(super) refused: Option<String>,
    /// It will not do so on this connection.
    pub(super) refused_for_good: bool,
    /// Both sides had the same at some moment.
    pub(super) good: bool,
    events: mpsc::Receiver<Event>,
    stop: CancellationToken,
    began: Instant,
}

/// What a connection asks the replica to do.
pub(super) enum Wake {
    /// Something came.
    Event(Event),
    /// There is room for another message.
    Room,
    /// It is time for the next attempt.
    Redial,
}

enum State {
    Off,
    Waiting(Instant),
    Up(Session),
}

/// The connection to the server, if one is wanted.
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
    /// All connections that have not ended yet, those included that are saying goodbye.
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

    /// The session, from when it is dialled.
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Up(session) => Some(session),
            _ => None,
        }
    }

    /// Whether this server is being talked to, or dialled, already.
    pub(super) fn is_up_to(&self, server: &Server) -> bool {
        matches!(self.state, State::Up(_)) && self.wanted.as_ref().is_some_and(|wanted| wanted.is(server))
    }

    /// The status, as far as it does not depend on the document. None: it does, as there is a connection.
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

    /// Waits for what is next. `behind`: something waits for room in the outbox. Cancel safe.
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
                    // What was refused may be welcome now.
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

    /// What came already, without waiting.
    pub(super) fn try_next(&mut self) -> Option<Event> {
        match self.session()?.events.try_recv() {
            Ok(event) => Some(event),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => Some(ended()),
        }
    }

    /// Goes online, now.
    pub(super) fn want(&mut self, server: Server) {
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

    /// Ends the session, if there is one; it says goodbye by itself. What still comes from it is not heard.
    pub(super) fn hang_up(&mut self) -> Option<Session> {
        let State::Up(session) = std::mem::replace(&mut self.state, State::Off) else { return None };
        session.stop.cancel();
        if session.joined {
            self.since = SystemTime::now();
        }
        if session.good || session.began.elapsed() >= GOOD {
            self.backoff.reset();
        }
        Some(session)
    }

    /// Stays offline until somebody wants otherwise.
    pub(super) fn rest(&mut self) {
        self.wanted = None;
        self.state = State::Off;
        self.last_error = None;
        self.retry_at = None;
    }

    /// Tries again after a while: soon after an outage, later and later while it lasts.
    pub(super) fn retry_after(&mut self, problem: Problem) {
        let wait = self.backoff.next(problem.pace(), rand::random());
        tracing::info!(document = %self.document, %problem, ?wait, "offline");
        self.last_error = Some(problem);
        self.retry_at = Some(SystemTime::now() + wait);
        self.state = State::Waiting(Instant::now() + wait);
    }

    /// Waits until all goodbyes are said (they are bounded in time).
    pub(super) async fn close(mut self) {
        while self.links.join_next().await.is_some() {}
    }
}

/// The task of a connection is gone without a word.
fn ended() -> Event {
    Event::Ended(Problem::Lost("its task ended".to_owned()))
}
