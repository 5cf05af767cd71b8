//! The trait that every WebSocket protocol implements.

use primitives::DocumentId;
use runtime::hub::{CloseKind, CloseReason, Outgoing};
use runtime::memory_budget::Reservation;
use runtime::metrics::ConnectionKind;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::close_codes;
use super::outbound::Outbound;

/// A protocol on a WebSocket. [`Connection`](super::connection::Connection) calls it for one socket, from one task.
pub trait Protocol: Send {
    /// Label of this connection in the metrics.
    fn kind(&self) -> ConnectionKind;

    /// The document of this connection, for the log. `None` if the connection may have several.
    fn document(&self) -> Option<&DocumentId> {
        None
    }

    /// Queues the message that this side sends first, if it has one.
    fn begin(&mut self, _out: &mut Outbound) {}

    /// Handles a message from the peer, and queues answers in `out`. `reservation` is that of the message's memory; it is
    /// released when the message has been processed.
    ///
    /// # Errors
    /// If the connection must be closed.
    fn receive(
        &mut self,
        message: Message,
        reservation: Reservation,
        out: &mut Outbound,
    ) -> impl Future<Output = Result<(), CloseReason>> + Send;

    /// Encodes a message from the connection's outbox into `out`.
    ///
    /// # Errors
    /// If the connection must be closed.
    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), CloseReason>;

    /// Called when the outbox has room again after the protocol found it full.
    fn on_drained(&mut self) {}

    /// Queues the reason for closing as a message of this protocol, if it has one. A close frame follows.
    fn write_close_message(&self, message: &str, out: &mut Outbound);

    /// Whether the peer has sent the message that must come first. If it does not in time, the connection is closed.
    fn is_handshake_complete(&self) -> bool {
        true
    }

    /// The message that the peer must send first.
    fn first_message(&self) -> &'static str {
        "join"
    }

    /// The close code for this kind of reason.
    fn close_code(&self, kind: CloseKind) -> u16 {
        match kind {
            CloseKind::BadMessage => CloseCode::Policy.into(),
            CloseKind::Left => CloseCode::Normal.into(),
            CloseKind::Replaced => close_codes::REPLACED,
            CloseKind::Forbidden => close_codes::FORBIDDEN,
            CloseKind::Unauthorized => close_codes::UNAUTHORIZED,
            CloseKind::TryAgainLater => close_codes::TRY_AGAIN,
            CloseKind::GoingAway => close_codes::GOING_AWAY,
        }
    }

    /// Unsubscribes from all documents. Called once at the end of the connection, before the peer gets the reason.
    fn on_disconnected(&mut self) -> impl Future<Output = ()> + Send;
}
