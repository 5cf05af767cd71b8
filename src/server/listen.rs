//! Listening, and stopping well: no new connections, last words to the open ones, everything written, then the end.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use runtime::byte_counter::{ByteCounter, CountedStream, limit_unsent};
use runtime::clock::now_ms;
use runtime::hub::Hub;
use runtime::metrics::{Metrics, RefusalReason};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::App;
use super::access::ListenerKind;
use super::guests::{Full, Guest, Place};
use super::routes::router;
use super::stream::Stream;
use super::tls::{HandshakeError, Tls};

/// How long a client for which there is no room may take to send the head of a request.
const HURRY: Duration = Duration::from_secs(2);
/// How long documents may take to write what there is to write, also when connections have used up the grace period.
const LAST_WRITES: Duration = Duration::from_secs(1);
/// Bytes that the head of a request may have. (Most of those that are too large are told so in words: see
/// [`super::middleware`].)
const MAX_HEAD: usize = 32 << 10;
/// Between two additions of what the metrics have recorded: some thousand samples under load.
const METRICS_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at what was deleted long enough ago to be removed.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(3_600);
/// After a failed accept (too many open files, mostly) there is no point in trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
pub struct Server {
    app: Arc<App>,
    listeners: Vec<TcpListener>,
    tls: Option<Tls>,
    grace: Duration,
}

impl Server {
    pub(super) fn new(app: Arc<App>, listeners: Vec<TcpListener>, tls: Option<Tls>, grace: Duration) -> Self {
        Self { app, listeners, tls, grace }
    }

    /// What the surfaces share.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What connections are encrypted with, to be reloaded when its files have changed. None: they are not.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What answers requests, apart from sockets and the limits of connections.
    pub fn router(&self) -> Router {
        router(&self.app)
    }

    /// Serves until `shutdown` is done, and then until everything is written and told. False: that took longer than the
    /// grace period. (Everything acknowledged is on disk either way.)
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> bool {
        let Self { app, listeners, tls, grace } = self;
        let router = router(&app);
        let accepting = CancellationToken::new();
        let mut loops = JoinSet::new();
        for listener in listeners {
            loops.spawn(accept(listener, tls.clone(), router.clone(), Arc::clone(&app), accepting.clone()));
        }
        loops.spawn(add_up_metrics(Arc::clone(&app), accepting.clone()));
        let watching = watch(&app);
        shutdown.await;
        tracing::info!("stopping");
        drop(watching);
        let deadline = Instant::now() + grace;
        let end = async {
            accepting.cancel();
            while loops.join_next().await.is_some() {}
            app.stopping.cancel();
            app.hub.drain();
            app.connections.close();
            app.connections.wait().await;
        };
        let told = timeout_at(deadline, end).await.is_ok();
        if !told {
            tracing::warn!("some connections did not end within {} s and were cut", grace.as_secs());
        }
        // A disk that hangs may never come back.
        let written = timeout_at(deadline.max(Instant::now() + LAST_WRITES), app.hub.stop()).await.is_ok();
        if !written && !app.hub.waits_for_store() {
            // They apply large messages, say. None of that was acknowledged, and everything that was is on disk.
            tracing::warn!("some documents were busy and were not closed; everything that was acknowledged is stored");
            return told;
        }
        if !written {
            tracing::warn!("the disk hangs; some documents were not closed");
        }
        told && written
    }
}

/// Removes what was deleted so long ago.
async fn sweep(hub: Hub, keep: Duration) {
    loop {
        let before = now_ms().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        if let Err(error) = hub.remove_deleted(before).await {
            tracing::error!(%error, "what was deleted could not be removed; it is tried again");
        }
        sleep(BETWEEN_SWEEPS).await;
    }
}

/// Keeps an eye on keys and accounts, and on those who are connected by them, and on what is to be removed; until it is
/// dropped.
fn watch(app: &App) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    watching.spawn(sweep(app.hub.clone(), app.keep_deleted));
    if let (Some(authority), Some(sessions)) = (&app.authority, &app.sessions) {
        watching.spawn(authority.clone().watch());
        watching.spawn(sessions.clone().run(app.hub.clone()));
    }
    watching
}

async fn add_up_metrics(app: Arc<App>, stop: CancellationToken) {
    while timeout(METRICS_PAUSE, stop.cancelled()).await.is_err() {
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
                let place = tokio::select! {
                    () = stop.cancelled() => return,
                    place = place(&app, peer.ip()) => place,
                };
                if let Some(place) = place {
                    let guest = Arc::new(Guest { peer: peer.ip(), place });
                    serve(stream, tls.clone(), peer, guest, kind, router.clone(), &app);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A place for a new connection. None: it is dropped.
async fn place(app: &App, peer: IpAddr) -> Option<Place> {
    let full = match app.guests.seat(peer) {
        Ok(seat) => return Some(Place::Seat(seat)),
        Err(full) => full,
    };
    let refusal = match full {
        Full::House => RefusalReason::TooManyConnections,
        Full::Address | Full::User => RefusalReason::TooManyFromAddress,
    };
    app.hub.metrics().record_refusal(refusal);
    let goodbye = match app.guests.goodbye() {
        None if full == Full::House => {
            // The next client would get the same answer: all wait in the backlog of the system.
            let goodbye = app.guests.next_goodbye().await;
            if let Ok(seat) = app.guests.seat(peer) {
                return Some(Place::Seat(seat));
            }
            goodbye
        }
        // There is room for others: nobody waits for an address that has more than its share.
        goodbye => goodbye,
    };
    if goodbye.is_none() {
        tracing::info!(address = %peer, reason = %full, "a connection was dropped");
    }
    goodbye.map(|goodbye| Place::None(full, goodbye))
}

/// Done when nothing has moved on a connection for so long: its other side does not take our answer.
async fn stalled(meter: &ByteCounter, patience: Duration) {
    let mut before = None;
    loop {
        let moved = Some((meter.read(), meter.written()));
        if std::mem::replace(&mut before, moved) == moved {
            return;
        }
        sleep(patience).await;
    }
}

fn serve(
    socket: TcpStream,
    tls: Option<Tls>,
    peer: SocketAddr,
    guest: Arc<Guest>,
    kind: ListenerKind,
    router: Router,
    app: &App,
) {
    // Messages are small and must not wait for each other.
    let _ = socket.set_nodelay(true);
    limit_unsent(&socket);
    let surfaces = TowerToHyperService::new(router);
    let patience = match guest.refused() {
        None => app.limits.handshake,
        Some(_) => app.limits.handshake.min(HURRY),
    };
    // It has its place from here on, before anything is encrypted.
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(kind);
        request.extensions_mut().insert(Arc::clone(&guest));
        surfaces.call(request)
    });
    let (stopping, metrics, stall) = (app.stopping.clone(), Arc::clone(app.hub.metrics()), app.times.stall);
    app.connections.spawn(async move {
        let stream = match tls {
            None => Stream::Left(socket),
            // Boxed: what it takes is not set aside in the tasks of those who need none.
            Some(tls) => match Box::pin(encrypt(&tls, socket, peer, patience, &stopping, &metrics)).await {
                Some(stream) => stream,
                None => return,
            },
        };
        let stream = CountedStream::new(stream);
        let meter = stream.counter();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stalled(&meter, stall) => {
                metrics.record_refusal(RefusalReason::Stalled);
                return tracing::debug!(%peer, "closed: nothing moved on it");
            }
            () = stopping.cancelled() => {
                // What is being answered is answered; an idle connection ends at once.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended badly");
        }
    });
}

/// The TLS handshake. None: it came to nothing.
async fn encrypt(
    tls: &Tls,
    socket: TcpStream,
    peer: SocketAddr,
    patience: Duration,
    stopping: &CancellationToken,
    metrics: &Metrics,
) -> Option<Stream> {
    let accepted = tokio::select! {
        accepted = timeout(patience, tls.accept(socket)) => accepted,
        () = stopping.cancelled() => return None,
    };
    let error = match accepted {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(HandshakeError::Silent)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("not done within {} s", patience.as_secs_f64()),
    };
    metrics.record_refusal(RefusalReason::TlsHandshake);
    tracing::debug!(%peer, error, "no TLS handshake");
    None
}
