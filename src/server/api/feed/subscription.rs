//! A request that waits for events counts as a connection, and ends like one: when the token expires, or the server stops.

use std::sync::Arc;

use axum::http::request::Parts;
use metrics::Gauge;
use runtime::hub::{OutboxReceiver, Requester, outbox};
use runtime::metrics::{ConnectionKind, RefusalReason};
use tokio_util::sync::CancellationToken;

use crate::server::security::session_monitor::SessionRegistration;
use crate::server::transport::client_connection::ClientConnection;
use crate::server::transport::connection_limits::{ConnectionPermit, UserPermit};
use crate::server::{App, Problem};

/// The permits and the session of a request that waits for events.
pub struct Subscription {
    /// Closed by the session monitor. Nothing is sent to it.
    outbox: OutboxReceiver,
    closing: CancellationToken,
    gauge: Gauge,
    _session: Option<SessionRegistration>,
    _permit: Option<UserPermit>,
    _proxied: Option<ConnectionPermit>,
}

impl Subscription {
    /// Counts a request of this client.
    ///
    /// # Errors
    /// When the client has too many connections, or the token is no longer valid.
    pub fn open(app: &App, requester: &Requester, proxied: Option<ConnectionPermit>) -> Result<Self, Problem> {
        let permit = requester.user().map(|user| app.connection_limiter.acquire_for_user(&user)).transpose();
        let permit = permit.inspect_err(|_| app.hub.metrics().record_refusal(RefusalReason::TooManyFromUser))?;
        let (sender, receiver) = outbox(app.stopping.child_token());
        let session = match &app.session_monitor {
            Some(monitor) => monitor.register(app.hub.new_connection(), requester, &sender)?,
            None => None,
        };
        let gauge = app.hub.metrics().connections(ConnectionKind::Feed).clone();
        gauge.increment(1.0);
        let closing = receiver.closing();
        Ok(Self { outbox: receiver, closing, gauge, _session: session, _permit: permit, _proxied: proxied })
    }

    /// The permit of a client behind a trusted proxy; `None` without a proxy.
    ///
    /// # Errors
    /// When the client's address has too many connections.
    pub fn proxied_permit(app: &App, parts: &Parts) -> Result<Option<ConnectionPermit>, Problem> {
        let Some(connection) = parts.extensions.get::<Arc<ClientConnection>>() else { return Ok(None) };
        let permit = app.connection_limiter.acquire_behind_proxy(connection.peer, &parts.headers);
        Ok(permit.inspect_err(|_| app.hub.metrics().record_refusal(RefusalReason::TooManyFromAddress))?)
    }

    /// Waits until the request has to end.
    pub async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// Whether the request has to end.
    pub fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Why it has to end.
    pub fn close_reason(&self) -> String {
        self.outbox.close_reason().message
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
    }
}
