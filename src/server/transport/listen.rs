//! Accepts connections, serves HTTP on them, and shuts the server down gracefully: it stops accepting, closes open connections
//! with a reason, and waits until all documents are stored.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use runtime::byte_counter::{ByteCounter, CountedStream, limit_unsent};
use runtime::clock::{now, now_ms};
use runtime::hub::Hub;
use runtime::metrics::{Metrics, RefusalReason};
use store::sql::Database;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::byte_stream::ByteStream;
use super::client_connection::{Admission, ClientConnection, ListenerKind};
use super::connection_limits::TooManyConnections;
use super::tls::{HandshakeError, Tls};
use crate::server::App;
use crate::server::routes::router;

/// Time limit for the head of a request on a rejected connection.
const REJECTED_HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// Time that documents have for their last writes even if connections have used up the grace period.
const LAST_WRITES: Duration = Duration::from_secs(1);
/// Maximum size of the head of a request. Above it hyper answers with an empty 431; [`middleware`](crate::server::middleware)
/// has lower limits and explains them.
const MAX_HEAD: usize = 32 << 10;
/// Interval at which recorded metrics are added up: some thousand samples under load.
const METRICS_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which deleted documents are removed.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(3_600);
/// Pause after a failed accept. The usual cause, too many open files, persists for a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that is bound to its addresses. [`run`](Self::run) serves connections.
pub struct Server {
    app: Arc<App>,
    /// The database of the documents, if there is one. It is shut down after the documents.
    database: Option<Arc<dyn Database>>,
    listeners: Vec<TcpListener>,
    tls: Option<Tls>,
    background: Background,
    grace: Duration,
}

/// What the server does by itself.
pub(in crate::server) struct Background {
    /// Connections that it opens. They end when it stops.
    pub(in crate::server) outgoing: Vec<BoxFuture<'static, ()>>,
    /// Other work, which is given up when it stops.
    pub(in crate::server) tasks: Vec<BoxFuture<'static, ()>>,
}

impl Server {
    pub(in crate::server) fn new(
        app: Arc<App>,
        database: Option<Arc<dyn Database>>,
        listeners: Vec<TcpListener>,
        tls: Option<Tls>,
        background: Background,
        grace: Duration,
    ) -> Self {
        Self { app, database, listeners, tls, background, grace }
    }

    /// The state that all request handlers share.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The code that creates the first account, while there is none.
    #[must_use]
    pub fn setup_code(&self) -> Option<&str> {
        self.app.authority.as_ref()?.setup_code()
    }

    /// The TLS configuration; `None` if the server does not use TLS.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The routes with their middleware, without listeners and connection limits.
    pub fn router(&self) -> Router {
        router(&self.app)
    }

    /// Serves until `shutdown` completes, and then shuts down. Returns false if that took longer than the grace period.
    /// Acknowledged changes are on disk in either case.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> bool {
        let Self { app, database, listeners, tls, background: Background { outgoing, tasks }, grace } = self;
        let router = router(&app);
        let accepting = CancellationToken::new();
        let mut loops = JoinSet::new();
        for listener in listeners {
            loops.spawn(accept(listener, tls.clone(), router.clone(), Arc::clone(&app), accepting.clone()));
        }
        loops.spawn(flush_metrics(Arc::clone(&app), tls, accepting.clone()));
        for connection in outgoing {
            app.connections.spawn(connection);
        }
        let mut background = spawn_background_tasks(&app);
        for task in tasks {
            background.spawn(task);
        }
        shutdown.await;
        tracing::info!("stopping");
        drop(background);
        let deadline = Instant::now() + grace;
        let end = async {
            accepting.cancel();
            while loops.join_next().await.is_some() {}
            app.stopping.cancel();
            app.hub.drain();
            app.connections.close();
            app.connections.wait().await;
        };
        let closed = timeout_at(deadline, end).await.is_ok();
        if !closed {
            tracing::warn!("aborted connections that were still open after {} s", grace.as_secs());
        }
        // A hanging disk must not hang the shutdown.
        let stored = timeout_at(deadline.max(Instant::now() + LAST_WRITES), app.hub.stop()).await.is_ok();
        if !stored && !app.hub.waits_for_store() {
            // They apply large messages, for example, which are not acknowledged yet.
            tracing::warn!("some documents were busy and were not closed; all acknowledged changes are stored");
            return closed;
        }
        if !stored {
            tracing::warn!("the disk or the database hangs; some documents were not closed");
        }
        if let Some(database) = database
            && timeout_at(deadline.max(Instant::now() + LAST_WRITES), database.shut_down()).await.is_err()
        {
            tracing::warn!("the connections to the database were not closed");
        }
        closed && stored
    }
}

/// Removes the content of documents that were deleted longer than `keep` ago. Never returns.
async fn remove_deleted_documents(hub: Hub, keep: Duration) {
    loop {
        let before = now_ms().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        if let Err(error) = hub.remove_deleted(before).await {
            tracing::error!(%error, "deleted documents could not be removed; will retry");
        }
        sleep(REMOVAL_INTERVAL).await;
    }
}

/// Starts the tasks that watch keys, accounts, sessions and other servers, remove deleted documents, and deliver webhooks. Dropping the set stops
/// them.
fn spawn_background_tasks(app: &App) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(remove_deleted_documents(app.hub.clone(), app.keep_deleted));
    if let (Some(authority), Some(sessions)) = (&app.authority, &app.session_monitor) {
        tasks.spawn(authority.clone().watch(now));
        tasks.spawn(sessions.clone().run(app.hub.clone()));
    }
    if let Some(webhooks) = app.webhooks.clone() {
        tasks.spawn(webhooks.run(app.hub.clone(), app.default_id.clone()));
    }
    if let Some(surface) = &app.additional
        && app.hub.is_shared()
    {
        tasks.spawn(Arc::clone(surface).follow_others(app.hub.clone()));
    }
    tasks
}

async fn flush_metrics(app: Arc<App>, tls: Option<Tls>, stop: CancellationToken) {
    while timeout(METRICS_INTERVAL, stop.cancelled()).await.is_err() {
        // Also after the certificate was replaced.
        if let Some(expires) = tls.as_ref().and_then(Tls::expires) {
            // A timestamp fits a float exactly.
            app.metrics.certificate_expiry.set(expires as f64);
        }
        app.hub.record_store_state();
        app.hub.metrics().run_upkeep();
    }
}

async fn accept(listener: TcpListener, tls: Option<Tls>, router: Router, app: Arc<App>, stop: CancellationToken) {
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let kind = ListenerKind { loopback, tls: tls.is_some() };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let admission = tokio::select! {
                    () = stop.cancelled() => return,
                    admission = admit(&app, peer.ip()) => admission,
                };
                if let Some(admission) = admission {
                    let client = Arc::new(ClientConnection { peer: peer.ip(), admission });
                    serve(stream, tls.clone(), peer, client, kind, router.clone(), &app);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Applies the connection limits to a new connection. `None`: the connection is dropped without an answer.
async fn admit(app: &App, peer: IpAddr) -> Option<Admission> {
    let limit = match app.connection_limiter.acquire(peer) {
        Ok(permit) => return Some(Admission::Admitted(permit)),
        Err(limit) => limit,
    };
    let refusal = match limit {
        TooManyConnections::Total => RefusalReason::TooManyConnections,
        TooManyConnections::Address | TooManyConnections::User => RefusalReason::TooManyFromAddress,
    };
    app.hub.metrics().record_refusal(refusal);
    let close_permit = match app.connection_limiter.try_close_permit() {
        None if limit == TooManyConnections::Total => {
            // Every other client would be rejected as well: they wait in the accept queue of the operating system.
            let close_permit = app.connection_limiter.close_permit().await;
            if let Ok(permit) = app.connection_limiter.acquire(peer) {
                return Some(Admission::Admitted(permit));
            }
            close_permit
        }
        // Other addresses are admitted, so the listener does not wait for this one.
        close_permit => close_permit,
    };
    if close_permit.is_none() {
        tracing::info!(address = %peer, reason = %limit, "a connection was dropped");
    }
    close_permit.map(|close_permit| Admission::Rejected(limit, close_permit))
}

/// Returns once no bytes have been read or written for `timeout`.
async fn stalled(counter: &ByteCounter, timeout: Duration) {
    let mut before = None;
    loop {
        let transferred = Some((counter.read(), counter.written()));
        if std::mem::replace(&mut before, transferred) == transferred {
            return;
        }
        sleep(timeout).await;
    }
}

fn serve(
    socket: TcpStream,
    tls: Option<Tls>,
    peer: SocketAddr,
    client: Arc<ClientConnection>,
    kind: ListenerKind,
    router: Router,
    app: &App,
) {
    // Nagle's algorithm would delay small messages.
    let _ = socket.set_nodelay(true);
    limit_unsent(&socket);
    let router = TowerToHyperService::new(router);
    let header_timeout = match client.rejection() {
        None => app.limits.handshake,
        Some(_) => app.limits.handshake.min(REJECTED_HEADER_TIMEOUT),
    };
    // Holds the permit of the connection, also during the TLS handshake.
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(kind);
        request.extensions_mut().insert(Arc::clone(&client));
        router.call(request)
    });
    let (stopping, metrics, stall) = (app.stopping.clone(), Arc::clone(app.hub.metrics()), app.timeouts.stall);
    app.connections.spawn(async move {
        let stream = match tls {
            None => ByteStream::Left(socket),
            // Boxed, so that the handshake does not enlarge the tasks of plain connections.
            Some(tls) => match Box::pin(tls_handshake(&tls, socket, peer, header_timeout, &stopping, &metrics)).await {
                Some(stream) => stream,
                None => return,
            },
        };
        let stream = CountedStream::new(stream);
        let counter = stream.counter();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stalled(&counter, stall) => {
                metrics.record_refusal(RefusalReason::Stalled);
                return tracing::debug!(%peer, "closed a stalled connection");
            }
            () = stopping.cancelled() => {
                // Finishes the current request. An idle connection closes at once.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection failed");
        }
    });
}

/// Performs the TLS handshake. `None` if it fails.
async fn tls_handshake(
    tls: &Tls,
    socket: TcpStream,
    peer: SocketAddr,
    time_limit: Duration,
    stopping: &CancellationToken,
    metrics: &Metrics,
) -> Option<ByteStream> {
    let accepted = tokio::select! {
        accepted = timeout(time_limit, tls.accept(socket)) => accepted,
        () = stopping.cancelled() => return None,
    };
    let error = match accepted {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(HandshakeError::Silent)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("not done within {} s", time_limit.as_secs_f64()),
    };
    metrics.record_refusal(RefusalReason::TlsHandshake);
    tracing::debug!(%peer, error, "the TLS handshake failed");
    None
}
