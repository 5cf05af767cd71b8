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
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::access::ListenerKind;
use super::guests::{Full, Guest, Place};
use super::{App, router};
use crate::meter::{Meter, Metered};
use crate::metrics::Refusal;

/// How long a client for which there is no room may take to send the head of a request.
const HURRY: Duration = Duration::from_secs(2);
/// How long documents may take to write what there is to write, also when connections have used up the grace period.
const LAST_WRITES: Duration = Duration::from_secs(1);
/// Bytes that the head of a request may have. (Most of those that are too large are told so in words: see
/// [`super::middleware`].)
const MAX_HEAD: usize = 32 << 10;
/// Between two additions of what the metrics have recorded: some thousand samples under load.
const METRICS_PAUSE: Duration = Duration::from_secs(1);
/// After a failed accept (too many open files, mostly) there is no point in trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
pub struct Server {
    app: Arc<App>,
    listeners: Vec<TcpListener>,
    grace: Duration,
}

impl Server {
    pub(super) fn new(app: Arc<App>, listeners: Vec<TcpListener>, grace: Duration) -> Self {
        Self { app, listeners, grace }
    }

    /// What the surfaces share.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What answers requests, apart from sockets and the limits of connections.
    pub fn router(&self) -> Router {
        router(&self.app)
    }

    /// Serves until `shutdown` is done, and then until everything is written and told. False: that took longer than the
    /// grace period. (Everything acknowledged is on disk either way.)
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> bool {
        let Self { app, listeners, grace } = self;
        let router = router(&app);
        let accepting = CancellationToken::new();
        let mut loops = JoinSet::new();
        for listener in listeners {
            loops.spawn(accept(listener, router.clone(), Arc::clone(&app), accepting.clone()));
        }
        loops.spawn(add_up_metrics(Arc::clone(&app), accepting.clone()));
        shutdown.await;
        tracing::info!("stopping");
        let deadline = Instant::now() + grace;
        let end = async {
            accepting.cancel();
            while loops.join_next().await.is_some() {}
            app.stopping.cancel();
            app.connections.close();
            app.connections.wait().await;
        };
        let told = timeout_at(deadline, end).await.is_ok();
        if !told {
            tracing::warn!("some connections did not end within {} s and were cut", grace.as_secs());
        }
        // A disk that hangs may never come back.
        let written = timeout_at(deadline.max(Instant::now() + LAST_WRITES), app.hub.stop()).await.is_ok();
        if !written {
            tracing::warn!("the disk hangs; some documents were not closed");
        }
        told && written
    }
}

async fn add_up_metrics(app: Arc<App>, stop: CancellationToken) {
    while timeout(METRICS_PAUSE, stop.cancelled()).await.is_err() {
        app.hub.metrics().add_up();
    }
}

async fn accept(listener: TcpListener, router: Router, app: Arc<App>, stop: CancellationToken) {
    let kind = ListenerKind { loopback: listener.local_addr().is_ok_and(|address| address.ip().is_loopback()) };
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
                    serve(stream, peer, guest, kind, router.clone(), &app);
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
        Full::House => Refusal::TooManyConnections,
        Full::Address => Refusal::TooManyFromAddress,
    };
    app.hub.metrics().refuse(refusal);
    let goodbye = match app.guests.goodbye() {
        None if full == Full::House => {
            // Whoever comes next would hear the same: all wait, where the system lets them wait.
            let goodbye = app.guests.next_goodbye().await;
            if let Ok(seat) = app.guests.seat(peer) {
                return Some(Place::Seat(seat));
            }
            goodbye
        }
        // There is room for others: nobody waits for an address that has more than its share.
        goodbye => goodbye,
    };
    goodbye.map(|goodbye| Place::None(full, goodbye))
}

/// Done when nothing has moved on a connection for so long: its other side does not take our answer.
async fn stalled(meter: &Meter, patience: Duration) {
    let mut before = None;
    loop {
        let moved = Some((meter.read(), meter.written()));
        if std::mem::replace(&mut before, moved) == moved {
            return;
        }
        sleep(patience).await;
    }
}

fn serve(stream: TcpStream, peer: SocketAddr, guest: Arc<Guest>, kind: ListenerKind, router: Router, app: &App) {
    // Messages are small and must not wait for each other.
    let _ = stream.set_nodelay(true);
    let stream = Metered::new(stream);
    let meter = stream.meter();
    let surfaces = TowerToHyperService::new(router);
    let patience = match guest.refused() {
        None => app.limits.handshake,
        Some(_) => app.limits.handshake.min(HURRY),
    };
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(kind);
        request.extensions_mut().insert(Arc::clone(&guest));
        surfaces.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let (stopping, metrics, stall) = (app.stopping.clone(), Arc::clone(app.hub.metrics()), app.times.stall);
    app.connections.spawn(async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stalled(&meter, stall) => {
                metrics.refuse(Refusal::Stalled);
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
