//! The WebSocket routes: from a request to a running connection.

use std::sync::Arc;

use auth::Refused;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use primitives::{DocumentId, InvalidDocumentId};
use runtime::hub::{Caller, Outbox, Unavailable, outbox};
use runtime::metrics::Refusal;
use sync_engine::Surface;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::authentication::{Identified, picked};
use super::guests::Guest;
use super::legacy_socket::LegacySocket;
use super::middleware::RefusedUpgrade;
use super::origin::SocketOrigin;
use super::outbound::Outbound;
use super::pace::Pace;
use super::socket::{Connection, say_briefly, say_goodbye, write_and_pause};
use super::sync::plain::PlainSocket;
use super::sync::repo::{RepoSocket, error_message};
use super::upgrade::{Socket, Upgrade};
use super::{App, Problem, page, root_socket, unknown_path};
use crate::legacy::frames::encode;

/// Nobody who could be told, or whose token has ceased to count.
pub const CLOSE_UNAUTHORIZED: u16 = 4401;
/// A page of another origin, or something that this user may not do.
pub const CLOSE_FORBIDDEN: u16 = 4403;
/// Try again later.
pub const CLOSE_AGAIN: u16 = 1013;
/// A document id that is none.
const CLOSE_BAD_ID: u16 = 4400;

/// Which language a path speaks.
#[derive(Debug, Clone)]
pub enum Spoken {
    /// automerge-repo.
    Repo,
    /// Plain sync of this document.
    Plain(Result<DocumentId, InvalidDocumentId>),
    /// Legacy JSON.
    Legacy,
    /// The first frame decides.
    FirstFrame,
    /// Not known: there is no WebSocket at this path.
    Unknown,
}

/// The WebSocket paths. (`/` is shared with the page: see [`super::page`].)
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/sync", get(|State(app), request| upgrade(app, request, Spoken::Repo)))
        .route("/sync/", get(|State(app), request| upgrade(app, request, Spoken::Repo)))
        .route("/sync/{document}", get(plain))
        .route("/ws/dashboard", get(|State(app), request| upgrade(app, request, Spoken::Legacy)))
        .route("/ws/dashboard/", get(|State(app), request| upgrade(app, request, Spoken::Legacy)))
}

/// Whether this path has a WebSocket. (A handshake on any other is accepted as well, and refused on the socket.)
pub fn is_path(path: &str) -> bool {
    path == "/" || path == "/sync" || path.starts_with("/sync/") || is_legacy(path)
}

fn is_legacy(path: &str) -> bool {
    path == "/ws/dashboard" || path.contains("ws/dashboard/")
}

/// What no route takes: a legacy client if the path contains the legacy one, as the original's did
/// (`/x/ws/dashboard/y`); any other socket, to be told the right paths; a file of the dashboard; nothing otherwise.
pub async fn elsewhere(State(app): State<Arc<App>>, uri: Uri, request: Request) -> Response {
    if is_legacy(uri.path()) && Upgrade::is_asked_for(request.headers()) {
        return upgrade(app, request, Spoken::Legacy).await;
    }
    if Upgrade::is_well_asked_for(&request) {
        return upgrade(app, request, Spoken::Unknown).await;
    }
    if let Some(file) = app.dashboard.file(&request) {
        return file;
    }
    page::not_found(uri).await.into_response()
}

async fn plain(State(app): State<Arc<App>>, Path(document): Path<String>, request: Request) -> Response {
    let document = if document == "default" { Ok(app.default_id.clone()) } else { document.parse() };
    upgrade(app, request, Spoken::Plain(document)).await
}

/// Answers a request for a WebSocket.
pub async fn upgrade(app: Arc<App>, mut request: Request, spoken: Spoken) -> Response {
    let mut refused = request.extensions_mut().remove::<RefusedUpgrade>();
    let guest = request.extensions().get::<Arc<Guest>>().cloned();
    let behind_proxy =
        guest.as_ref().map_or(Ok(None), |guest| app.guests.seat_behind_proxy(guest.peer, request.headers()));
    let Some(upgrade) = Upgrade::of(&mut request) else {
        let detail = "this path speaks WebSocket: connect with ws:// or wss://";
        return match spoken {
            // As recorded.
            Spoken::Legacy => Problem::not_found(detail).into_response(),
            _ => {
                let problem =
                    Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "A WebSocket is needed", detail);
                ([(axum::http::header::UPGRADE, "websocket")], problem).into_response()
            }
        };
    };
    let seat = match behind_proxy {
        Ok(seat) => seat,
        Err(full) => {
            app.hub.metrics().refuse(Refusal::TooManyFromAddress);
            refused.get_or_insert(RefusedUpgrade { code: CLOSE_AGAIN, reason: full.to_string() });
            None
        }
    };
    // Refused above, if it is nobody.
    let identified = request.extensions_mut().remove::<Identified>().unwrap_or(Identified::Nobody(Refused::Missing));
    let origin = Arc::new(SocketOrigin::of(&app, &request));
    let (response, socket) = upgrade.accept(app.max_message, picked(request.headers()));
    let connections = app.connections.clone();
    connections.spawn(async move {
        // What it takes is given back when the socket is closed, not when the request was answered.
        let places = (guest, seat);
        let Some(socket) = socket.await else { return };
        if let Some(RefusedUpgrade { code, reason }) = refused {
            // Whoever has no seat has the right to a goodbye instead.
            let standing = places.0.as_ref().is_some_and(|guest| guest.refused().is_some());
            let goodbye = if standing { None } else { app.guests.goodbye() };
            dismiss(&app, socket, &spoken, code, &reason, standing || goodbye.is_some(), &origin).await;
            return;
        }
        match spoken {
            Spoken::Repo => run_repo(app, socket, &identified, None, origin).await,
            Spoken::Plain(Ok(document)) => run_plain(app, socket, &identified, document, origin).await,
            Spoken::Plain(Err(error)) => {
                let reason = error.to_string();
                refuse(&app, socket, &Spoken::Plain(Err(error)), CLOSE_BAD_ID, &reason, &origin).await;
            }
            Spoken::Legacy => run_legacy(app, socket, &identified, None, origin).await,
            Spoken::FirstFrame => root_socket::run(app, socket, &identified, origin).await,
            Spoken::Unknown => unknown_path::run(&app, socket, &origin).await,
        }
    });
    response.into_response()
}

/// Says why, and closes. Cheap, as a stock client that is refused comes back every 5 seconds for ever.
async fn refuse(app: &App, socket: Socket, spoken: &Spoken, code: u16, reason: &str, origin: &SocketOrigin) {
    let goodbye = app.guests.goodbye();
    dismiss(app, socket, spoken, code, reason, goodbye.is_some(), origin).await;
}

/// The same. `at_length`: it may take a moment, so that the words arrive.
pub async fn dismiss(
    app: &App,
    mut socket: Socket,
    spoken: &Spoken,
    code: u16,
    reason: &str,
    at_length: bool,
    origin: &SocketOrigin,
) {
    origin.log_refusal(code, reason);
    let mut out = Outbound::default();
    match spoken {
        Spoken::Repo => out.binary(&error_message(&app.identity, None, reason), &Bytes::new()),
        Spoken::Legacy => out.text(&encode::error(reason).into()),
        // The one has no words; and what the other speaks is not known.
        Spoken::Plain(_) | Spoken::FirstFrame | Spoken::Unknown => {}
    }
    if at_length && matches!(spoken, Spoken::Repo) {
        let _ = timeout(app.times.goodbye, write_and_pause(&mut socket, &mut out)).await;
    }
    out.close(Some(code), reason);
    if at_length {
        say_goodbye(socket, out, app.times.goodbye).await;
    } else {
        say_briefly(socket, out).await;
    }
}

/// A connection of whoever asks.
///
/// # Errors
/// When nobody is let in by this token (any more), or the user has too many connections.
fn connection(
    app: &App,
    identified: &Identified,
    surface: Surface,
    origin: &Arc<SocketOrigin>,
) -> Result<(Connection, Outbox, Caller), RefusedUpgrade> {
    let unauthorized = |refused: Refused| RefusedUpgrade { code: CLOSE_UNAUTHORIZED, reason: refused.to_string() };
    let caller = identified.caller(surface).map_err(unauthorized)?;
    let seat = caller.user().map(|user| app.guests.seat_of_user(&user)).transpose().map_err(|full| {
        app.hub.metrics().refuse(Refusal::TooManyFromUser);
        RefusedUpgrade { code: CLOSE_AGAIN, reason: full.to_string() }
    })?;
    let (sender, receiver) = outbox(app.stopping.child_token());
    let key = app.hub.new_connection();
    let session = match &app.sessions {
        Some(sessions) => sessions.enter(key, &caller, &sender).map_err(unauthorized)?,
        None => None,
    };
    let connection = Connection {
        key,
        hub: app.hub.clone(),
        outbox: receiver,
        times: app.times,
        max_message: app.max_message,
        pace: Pace::new(&app.limits, caller.payer().map(|payer| (Arc::clone(&app.paces), payer)), Instant::now()),
        handshake: app.limits.handshake,
        origin: Arc::clone(origin),
        _session: session,
        _seat: seat,
    };
    Ok((connection, sender, caller))
}

/// Runs an automerge-repo connection to its end.
pub async fn run_repo(
    app: Arc<App>,
    socket: Socket,
    identified: &Identified,
    first: Option<Message>,
    origin: Arc<SocketOrigin>,
) {
    match connection(&app, identified, Surface::Sync, &origin) {
        Ok((connection, outbox, caller)) => {
            let surface = RepoSocket::new(connection.key, caller, outbox, &app);
            connection.run(socket, surface, first).await;
        }
        Err(RefusedUpgrade { code, reason }) => refuse(&app, socket, &Spoken::Repo, code, &reason, &origin).await,
    }
}

async fn run_plain(
    app: Arc<App>,
    socket: Socket,
    identified: &Identified,
    document: DocumentId,
    origin: Arc<SocketOrigin>,
) {
    let spoken = Spoken::Plain(Ok(document.clone()));
    let (connection, outbox, caller) = match connection(&app, identified, Surface::Plain, &origin) {
        Ok(connection) => connection,
        Err(RefusedUpgrade { code, reason }) => return refuse(&app, socket, &spoken, code, &reason, &origin).await,
    };
    match PlainSocket::begin(connection.key, caller, app.hub.clone(), outbox, document).await {
        Ok(surface) => connection.run(socket, surface, None).await,
        Err(error) => refuse(&app, socket, &spoken, CLOSE_AGAIN, &error.to_string(), &origin).await,
    }
}

/// Runs a legacy connection to its end.
pub async fn run_legacy(
    app: Arc<App>,
    socket: Socket,
    identified: &Identified,
    first: Option<Message>,
    origin: Arc<SocketOrigin>,
) {
    let (connection, outbox, caller) = match connection(&app, identified, Surface::Legacy, &origin) {
        Ok(connection) => connection,
        Err(RefusedUpgrade { code, reason }) => {
            return refuse(&app, socket, &Spoken::Legacy, code, &reason, &origin).await;
        }
    };
    match LegacySocket::begin(connection.key, caller, outbox, &app).await {
        Ok(surface) => connection.run(socket, surface, first).await,
        Err(error) => {
            let code = if matches!(error, Unavailable::Denied(_)) { CLOSE_FORBIDDEN } else { CLOSE_AGAIN };
            refuse(&app, socket, &Spoken::Legacy, code, &error.to_string(), &origin).await;
        }
    }
}
