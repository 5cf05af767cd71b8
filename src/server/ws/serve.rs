//! Serves upgraded sockets: checks the limits of the user, creates the connection, and runs a protocol on it.

use std::sync::Arc;

use dialer::Problem;
use primitives::DocumentId;
use runtime::hub::{CloseKind, CloseReason, ConnectionKey, Outbox, OutboxReceiver, Requester, Unavailable, outbox};
use runtime::metrics::RefusalReason;
use sync_engine::Surface;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::client_info::ClientInfo;
use super::close_codes;
use super::connection::{Connection, Disconnect};
use super::protocol_kind::ProtocolKind;
use super::rate_limit::RateLimit;
use super::refuse::{RefusedUpgrade, refuse};
use super::sync::plain::PlainSocket;
use super::sync::repo::RepoSocket;
use super::sync::repo::dialled::Dialled;
use super::upgrade::WebSocket;
use crate::server::App;
use crate::server::security::authentication::{Authentication, requester_of};

/// Creates the connection of an authenticated client.
///
/// # Errors
/// If the request is not authenticated, the token is no longer valid, or the user has too many connections.
pub fn open_connection(
    app: &App,
    authentication: &Authentication,
    surface: Surface,
    client: &Arc<ClientInfo>,
) -> Result<(Connection, Outbox, Requester), RefusedUpgrade> {
    let requester = requester_of(authentication, surface)?;
    let permit = requester.user().map(|user| app.connection_limiter.acquire_for_user(&user)).transpose();
    let permit = permit.map_err(|limit| {
        app.hub.metrics().record_refusal(RefusalReason::TooManyFromUser);
        RefusedUpgrade { code: close_codes::TRY_AGAIN, reason: limit.to_string() }
    })?;
    let (sender, receiver) = outbox(app.stopping.child_token());
    let key = app.hub.new_connection();
    let session = match &app.session_monitor {
        Some(monitor) => monitor.register(key, &requester, &sender)?,
        None => None,
    };
    let connection =
        Connection { _session: session, _permit: permit, ..connection(app, key, receiver, &requester, client) };
    Ok((connection, sender, requester))
}

/// A connection with the limits of the server, without a session and a permit.
fn connection(
    app: &App,
    key: ConnectionKey,
    outbox: OutboxReceiver,
    requester: &Requester,
    client: &Arc<ClientInfo>,
) -> Connection {
    let user_limit = requester.payer().map(|payer| (Arc::clone(&app.user_rate_limits), payer));
    Connection {
        key,
        hub: app.hub.clone(),
        outbox,
        timeouts: app.timeouts,
        max_message: app.max_message,
        rate_limit: Some(RateLimit::new(&app.limits, user_limit, Instant::now())),
        handshake: app.limits.handshake,
        client: Arc::clone(client),
        user: requester.user(),
        _session: None,
        _permit: None,
    }
}

/// Exchanges messages with a server that was dialled, until the connection is closed. Returns why it ended.
pub async fn run_dialled(app: &App, socket: WebSocket, requester: Requester, dialled: Dialled) -> Problem {
    let client = Arc::new(ClientInfo::dialled(&dialled.name));
    let (sender, receiver) = outbox(app.stopping.child_token());
    let connection = connection(app, app.hub.new_connection(), receiver, &requester, &client);
    let mut protocol = RepoSocket::dialled(connection.key, requester, sender, app, dialled);
    let cause = connection.run(socket, &mut protocol, None).await;
    problem(cause, protocol.reported_error())
}

/// The reason for the end of a connection to a server. `reported`: the server's last error message about the whole connection.
fn problem(cause: Disconnect, reported: Option<String>) -> Problem {
    match cause {
        Disconnect::ByPeer(frame) => {
            let (code, reason) = frame.map(|frame| (u16::from(frame.code), frame.reason)).unzip();
            Problem::from_close(code, reason.as_deref().unwrap_or_default(), reported)
        }
        Disconnect::ByServer(CloseReason { kind: CloseKind::BadMessage, message }) => Problem::BadServer(message),
        Disconnect::ByServer(CloseReason { kind: CloseKind::TryAgainLater, message }) => Problem::Busy(message),
        Disconnect::ByServer(CloseReason { message, .. }) => Problem::Lost(message),
        Disconnect::TooLarge { limit } => Problem::BadServer(format!("a message of more than {limit} bytes")),
        Disconnect::Stalled => Problem::Silent,
    }
}

/// Serves an automerge-repo client until the connection is closed. `first`: a message that was already read.
pub async fn serve_repo(
    app: Arc<App>,
    socket: WebSocket,
    authentication: &Authentication,
    first: Option<Message>,
    client: Arc<ClientInfo>,
) {
    match open_connection(&app, authentication, Surface::Sync, &client) {
        Ok((connection, outbox, requester)) => {
            let mut protocol = RepoSocket::new(connection.key, requester, outbox, &app);
            connection.run(socket, &mut protocol, first).await;
        }
        Err(RefusedUpgrade { code, reason }) => {
            refuse(&app, socket, &ProtocolKind::Repo, code, &reason, &client).await;
        }
    }
}

/// Serves a client of plain Automerge sync until the connection is closed.
pub async fn serve_plain(
    app: Arc<App>,
    socket: WebSocket,
    authentication: &Authentication,
    document: DocumentId,
    client: Arc<ClientInfo>,
) {
    let kind = ProtocolKind::Plain(Ok(document.clone()));
    let (connection, outbox, requester) = match open_connection(&app, authentication, Surface::Plain, &client) {
        Ok(connection) => connection,
        Err(RefusedUpgrade { code, reason }) => return refuse(&app, socket, &kind, code, &reason, &client).await,
    };
    match PlainSocket::begin(connection.key, requester, app.hub.clone(), outbox, document).await {
        Ok(mut protocol) => {
            connection.run(socket, &mut protocol, None).await;
        }
        Err(error) => {
            let is_stopping = matches!(error, Unavailable::Stopping);
            let code = if is_stopping { close_codes::GOING_AWAY } else { close_codes::TRY_AGAIN };
            refuse(&app, socket, &kind, code, &error.to_string(), &client).await;
        }
    }
}

/// Serves a client of the [`AdditionalSurface`](crate::server::AdditionalSurface) until the connection is closed. `first`: a
/// message that was already read.
pub async fn serve_text(
    app: Arc<App>,
    socket: WebSocket,
    authentication: Authentication,
    first: Option<Message>,
    client: Arc<ClientInfo>,
) {
    if let Some(surface) = app.additional.clone() {
        surface.run(app, socket, authentication, first, client).await;
    }
}
