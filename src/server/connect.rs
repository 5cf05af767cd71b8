//! From an upgraded socket to a running connection.

use std::sync::Arc;

use auth::Refused;
use primitives::DocumentId;
use runtime::hub::{Outbox, Requester, outbox};
use runtime::metrics::RefusalReason;
use sync_engine::Surface;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::authentication::{Authentication, caller_of};
use super::dismiss::refuse;
use super::origin::SocketOrigin;
use super::pace::Pace;
use super::refused_upgrade::RefusedUpgrade;
use super::socket::Connection;
use super::spoken::Spoken;
use super::sync::plain::PlainSocket;
use super::sync::repo::RepoSocket;
use super::upgrade::Socket;
use super::{App, close_codes};

/// A connection of an authenticated client.
///
/// # Errors
/// When nobody is let in by this token (any more), or the user has too many connections.
pub fn connection(
    app: &App,
    authentication: &Authentication,
    surface: Surface,
    origin: &Arc<SocketOrigin>,
) -> Result<(Connection, Outbox, Requester), RefusedUpgrade> {
    let unauthorized =
        |refused: Refused| RefusedUpgrade { code: close_codes::UNAUTHORIZED, reason: refused.to_string() };
    let caller = caller_of(authentication, surface).map_err(unauthorized)?;
    let seat = caller.user().map(|user| app.guests.seat_of_user(&user)).transpose().map_err(|full| {
        app.hub.metrics().record_refusal(RefusalReason::TooManyFromUser);
        RefusedUpgrade { code: close_codes::TRY_AGAIN, reason: full.to_string() }
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
        pace: Some(Pace::new(&app.limits, caller.payer().map(|payer| (Arc::clone(&app.paces), payer)), Instant::now())),
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
    authentication: &Authentication,
    first: Option<Message>,
    origin: Arc<SocketOrigin>,
) {
    match connection(&app, authentication, Surface::Sync, &origin) {
        Ok((connection, outbox, caller)) => {
            let surface = RepoSocket::new(connection.key, caller, outbox, &app);
            connection.run(socket, surface, first).await;
        }
        Err(RefusedUpgrade { code, reason }) => refuse(&app, socket, &Spoken::Repo, code, &reason, &origin).await,
    }
}

/// Runs a plain sync connection to its end.
pub async fn run_plain(
    app: Arc<App>,
    socket: Socket,
    authentication: &Authentication,
    document: DocumentId,
    origin: Arc<SocketOrigin>,
) {
    let spoken = Spoken::Plain(Ok(document.clone()));
    let (connection, outbox, caller) = match connection(&app, authentication, Surface::Plain, &origin) {
        Ok(connection) => connection,
        Err(RefusedUpgrade { code, reason }) => return refuse(&app, socket, &spoken, code, &reason, &origin).await,
    };
    match PlainSocket::begin(connection.key, caller, app.hub.clone(), outbox, document).await {
        Ok(surface) => connection.run(socket, surface, None).await,
        Err(error) => refuse(&app, socket, &spoken, close_codes::TRY_AGAIN, &error.to_string(), &origin).await,
    }
}

/// Runs a text socket to its end.
pub async fn run_text(
    app: Arc<App>,
    socket: Socket,
    authentication: Authentication,
    first: Option<Message>,
    origin: Arc<SocketOrigin>,
) {
    if let Some(surface) = app.additional.clone() {
        surface.run(app, socket, authentication, first, origin).await;
    }
}
