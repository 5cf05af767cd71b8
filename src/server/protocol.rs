//! What a protocol does with what comes and goes on a WebSocket.

use runtime::hub::{CloseKind, CloseReason, Outgoing};
use runtime::memory_budget::Reservation;
use runtime::metrics::ConnectionKind;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::close_codes;
use super::outbound::Outbound;

/// A protocol spoken over a socket.
pub trait Protocol: Send {
    /// For the metrics.
    const KIND: ConnectionKind;

    /// What the other side sent. `reservation`: what it takes of the memory, until it is dealt with. Answers go into `out`.
    fn receive(
        &mut self,
        message: Message,
        reservation: Reservation,
        out: &mut Outbound,
    ) -> impl Future<Output = Result<(), CloseReason>> + Send;

    /// A message of a document, or of the protocol itself, for the other side.
    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), CloseReason>;

    /// The socket takes messages again that found no place in its outbox.
    fn drained(&mut self) {}

    /// Last words before the close frame, if the language has any.
    fn last_words(&self, message: &str, out: &mut Outbound);

    /// Whether the other side has said what has to come first.
    fn has_begun(&self) -> bool {
        true
    }

    /// The close code for this end.
    fn close_code(&self, kind: CloseKind) -> u16 {
        match kind {
            CloseKind::BadMessage => CloseCode::Policy.into(),
            CloseKind::Left => CloseCode::Normal.into(),
            CloseKind::Replaced => close_codes::REPLACED,
            CloseKind::Forbidden => close_codes::FORBIDDEN,
            CloseKind::Unauthorized => close_codes::UNAUTHORIZED,
            CloseKind::TryAgainLater => CloseCode::Again.into(),
            CloseKind::GoingAway => CloseCode::Away.into(),
        }
    }

    /// The connection is over: documents and rooms are told, before the other side hears its last words.
    fn gone(&mut self) -> impl Future<Output = ()> + Send;
}
