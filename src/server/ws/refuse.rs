//! Refuses a WebSocket after the upgrade: sends the reason in the client's protocol, and closes the socket.
//!
//! The upgrade is accepted first, because browsers do not show why a handshake failed, and a stock automerge-repo client on
//! Node.js crashes on it.

use auth::Refused;
use bytes::Bytes;
use tokio::time::timeout;

use super::client_info::ClientInfo;
use super::close_codes;
use super::closing::{close, close_immediately, flush_and_pause};
use super::outbound::Outbound;
use super::protocol_kind::ProtocolKind;
use super::sync::repo::error_message;
use super::upgrade::WebSocket;
use crate::server::App;

/// Why a WebSocket is refused. As an extension of a request, it refuses the socket that the request upgrades to.
#[derive(Debug, Clone)]
pub struct RefusedUpgrade {
    /// The close code.
    pub code: u16,
    /// The cause and the remedy.
    pub reason: String,
}

impl From<Refused> for RefusedUpgrade {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Unavailable => close_codes::TRY_AGAIN,
            Refused::Missing
            | Refused::Invalid
            | Refused::Expired
            | Refused::NotYet
            | Refused::Disabled
            | Refused::LoggedOut => close_codes::UNAUTHORIZED,
        };
        Self { code, reason: refused.to_string() }
    }
}

/// Refuses a socket. If close permits are available, waits until the client has received the reason; otherwise closes at once.
/// Stock clients reconnect every 5 seconds, so a refusal must be cheap.
pub async fn refuse(
    app: &App,
    socket: WebSocket,
    protocol: &ProtocolKind,
    code: u16,
    reason: &str,
    client: &ClientInfo,
) {
    let close_permit = app.connection_limiter.try_close_permit();
    refuse_with(app, socket, protocol, code, reason, close_permit.is_some(), client).await;
}

/// Refuses a socket. `graceful`: waits until the client has received the reason.
pub async fn refuse_with(
    app: &App,
    mut socket: WebSocket,
    protocol: &ProtocolKind,
    code: u16,
    reason: &str,
    graceful: bool,
    client: &ClientInfo,
) {
    let document = match protocol {
        ProtocolKind::Plain(document) => document.as_ref().ok(),
        ProtocolKind::Repo | ProtocolKind::Text | ProtocolKind::FirstMessage | ProtocolKind::Unknown => None,
    };
    client.log_refusal(code, reason, None, document);
    let mut out = Outbound::default();
    match protocol {
        ProtocolKind::Repo => out.binary(&error_message(&app.identity, None, reason), &Bytes::new()),
        ProtocolKind::Text => {
            if let Some(surface) = &app.additional {
                out.text(surface.refusal(reason).bytes());
            }
        }
        // Plain sync has no error messages, and the others are not known yet: the close frame holds the reason.
        ProtocolKind::Plain(_) | ProtocolKind::FirstMessage | ProtocolKind::Unknown => {}
    }
    if graceful && matches!(protocol, ProtocolKind::Repo) {
        let _ = timeout(app.timeouts.close, flush_and_pause(&mut socket, &mut out)).await;
    }
    out.close(Some(code), reason);
    if graceful {
        close(socket, out, app.timeouts.close).await;
    } else {
        close_immediately(socket, out).await;
    }
}
