//! Peerings: this server dials other automerge-repo servers, and keeps documents in step with them.
//!
//! A peering is a connection like that of a client ([`ws`](super::ws)), in the other role: this server sends the `join`. What
//! the other server sends passes the same limits and checks, and is attributed to it. The runtime decides which documents it
//! follows ([`Hub::begin_peering`](runtime::hub::Hub::begin_peering)).

mod options;
mod token_file;

use std::sync::Arc;
use std::time::Duration;

use auth::Documents;
use dialer::{DIAL_TIMEOUT, Problem, RetryClass, RetryDelay, Server};
use options::OpenedPeer;
pub use options::{PeerError, PeerOptions};
use runtime::byte_counter::limit_unsent;
use runtime::hub::Requester;
use runtime::metrics::PeeringMetrics;
use token_file::TokenFile;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::server::App;
use crate::server::transport::byte_stream::dialled;
use crate::server::ws::serve::run_dialled;
use crate::server::ws::sync::repo::dialled::Dialled;
use crate::server::ws::upgrade::WebSocket;

/// A connection that lasted this long resets the back-off.
const GOOD_CONNECTION: Duration = Duration::from_secs(60);
/// Interval at which the token file is read while the other server is not connected.
const TOKEN_CHECK: Duration = Duration::from_secs(1);
/// Before the name of the other server in the provenance of changes.
const CONTRIBUTOR_PREFIX: &str = "peer:";

/// Another server that this server dials.
pub struct Peering {
    /// Host and port, for the log and the metrics.
    name: Arc<str>,
    server: Server,
    token_file: Option<TokenFile>,
    documents: Documents,
}

impl Peering {
    /// Checks the options of all peerings, and reads their files. Blocks the thread.
    ///
    /// # Errors
    /// If an option is invalid, or a file cannot be read.
    pub fn open_all(options: Vec<PeerOptions>) -> Result<Vec<Self>, PeerError> {
        let mut peerings: Vec<Self> = Vec::new();
        for options in options {
            let OpenedPeer { server, token_file, documents } = options.open()?;
            let name: Arc<str> = server.url.authority.as_str().into();
            if peerings.iter().any(|known| known.name == name) {
                return Err(PeerError::Twice(name.to_string()));
            }
            peerings.push(Self { name, server, token_file, documents });
        }
        Ok(peerings)
    }

    /// Dials the other server, and dials it again whenever the connection ends, until this server stops.
    pub fn run(self, app: Arc<App>) -> impl Future<Output = ()> + Send {
        // Registered at once, so that the metrics of a server are complete from its start.
        let metrics = app.hub.metrics().peering(&self.name);
        self.stay_connected(app, metrics)
    }

    async fn stay_connected(mut self, app: Arc<App>, metrics: PeeringMetrics) {
        let mut retry = RetryDelay::default();
        loop {
            let began = Instant::now();
            let dialled = app.stopping.run_until_cancelled(timeout(DIAL_TIMEOUT, self.dial(&app))).await;
            let problem = match dialled {
                None => return,
                Some(Err(_)) => Problem::Silent,
                Some(Ok(Err(problem))) => problem,
                // Ends when this server stops, after it has announced that.
                Some(Ok(Ok(socket))) => self.exchange(&app, socket, &metrics).await,
            };
            if app.stopping.is_cancelled() {
                return;
            }
            if began.elapsed() >= GOOD_CONNECTION {
                retry.reset();
            }
            let class = match problem {
                // It would probably send the same again.
                Problem::BadServer(_) => RetryClass::Rejected,
                _ => problem.retry_class(),
            };
            let wait = retry.record_failure(class, rand::random());
            if class == RetryClass::Rejected {
                tracing::warn!(peer = %self.name, %problem, ?wait, "a peer is not connected; check its settings");
            } else {
                tracing::info!(peer = %self.name, %problem, ?wait, "a peer is not connected; dialling again");
            }
            match app.stopping.run_until_cancelled(self.wait(Instant::now() + wait)).await {
                None => return,
                Some(Wake::TokenChanged) => retry.reset(),
                Some(Wake::Due) => {}
            }
            metrics.reconnects.increment(1);
        }
    }

    /// Connects, and performs all handshakes below automerge-repo's.
    async fn dial(&mut self, app: &App) -> Result<WebSocket, Problem> {
        self.reload_token().await;
        let authorization = self.server.authorization();
        let Server { url, trust, .. } = &self.server;
        let socket = dialer::connect(url).await?;
        limit_unsent(&socket);
        let stream = dialled(dialer::encrypt(socket, url, trust.as_deref()).await?);
        let (stream, early) = dialer::upgrade(stream, url, authorization).await?;
        Ok(WebSocket::new(stream, early, app.max_message, Role::Client))
    }

    async fn exchange(&self, app: &App, socket: WebSocket, metrics: &PeeringMetrics) -> Problem {
        let contributor = format!("{CONTRIBUTOR_PREFIX}{}", self.name);
        let requester = Requester::peering(contributor, self.documents.clone());
        // Boxed, because the task would reserve its memory while it waits.
        Box::pin(run_dialled(app, socket, requester, Dialled::new(Arc::clone(&self.name), metrics.clone()))).await
    }

    /// Waits until the next attempt is due, or the token has changed: the other server may accept the new one.
    async fn wait(&mut self, until: Instant) -> Wake {
        let mut checks = interval(TOKEN_CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = sleep_until(until) => return Wake::Due,
                _ = checks.tick(), if self.token_file.is_some() => {
                    if self.reload_token().await {
                        return Wake::TokenChanged;
                    }
                }
            }
        }
    }

    /// Reads the token file again. Returns whether the token has changed.
    async fn reload_token(&mut self) -> bool {
        match &mut self.token_file {
            Some(file) => file.reload(&self.name).await,
            None => false,
        }
    }
}

/// Why the wait for the next attempt ended.
enum Wake {
    Due,
    TokenChanged,
}
