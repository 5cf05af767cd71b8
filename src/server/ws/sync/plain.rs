//! `GET /sync/{documentId}`: plain Automerge sync, one message per binary frame, for bindings without automerge-repo.
//!
//! The server sends its first message immediately. A document that does not exist is created by its first change.

use primitives::DocumentId;
use repo_protocol::detach;
use runtime::hub::{
    Allowance, Caller, ConnectionKey, Denied, Farewell, FarewellKind, Hub, Outbox, Outgoing, Refusals, SyncPeer,
};
use runtime::memory_budget::Share;
use runtime::metrics::{ConnectionKind, Refusal};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::server::ws::outbound::Outbound;
use crate::server::ws::protocol::Protocol;

/// One peer that syncs one document.
pub struct PlainSocket {
    peer: SyncPeer,
    hub: Hub,
    document: DocumentId,
}

impl PlainSocket {
    /// Subscribes the peer to the document.
    ///
    /// # Errors
    /// If the document is not available.
    pub async fn begin(
        key: ConnectionKey,
        caller: Caller,
        hub: Hub,
        outbox: Outbox,
        document: DocumentId,
    ) -> Result<Self, runtime::hub::Unavailable> {
        let (allowance, refusals) = (Allowance::default(), Refusals::default());
        let peer = SyncPeer { caller, key, outbox, storage: None, allowance, refusals };
        hub.greet(&document, peer.clone()).await?;
        Ok(Self { peer, hub, document })
    }
}

impl Protocol for PlainSocket {
    const KIND: ConnectionKind = ConnectionKind::Plain;

    async fn receive(&mut self, message: Frame, share: Share, _out: &mut Outbound) -> Result<(), Farewell> {
        let Frame::Binary(bytes) = message else {
            self.hub.metrics().refuse(Refusal::Undecodable);
            let message = "Automerge sync messages are binary frames; this was a text frame".to_owned();
            return Err(Farewell { kind: FarewellKind::BadMessage, message });
        };
        // Copied, because a small frame may share a large buffer with other frames.
        let bytes = detach(&bytes, &bytes);
        self.hub.sync(&self.document, self.peer.clone(), bytes, false, share).await
    }

    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), Farewell> {
        match outgoing {
            Outgoing::Sync { data, .. } => {
                out.binary(&[], &data);
                Ok(())
            }
            // The connection has no other document, so it is closed.
            Outgoing::Refused { kind, message, .. } => Err(Farewell { kind, message: message.to_string() }),
            Outgoing::Unavailable { document, reason } => {
                let message = match reason {
                    Some(reason) => reason.to_string(),
                    None => format!("document {document} is temporarily unavailable; try again later"),
                };
                Err(Farewell { kind: FarewellKind::TryAgainLater, message })
            }
            Outgoing::Missing(id) => {
                let message = Denied::Missing(id).to_string();
                Err(Farewell { kind: FarewellKind::Forbidden, message })
            }
            Outgoing::Ephemeral(_) | Outgoing::RemoteHeads(_) | Outgoing::Texts(_) | Outgoing::Presence(_) => Ok(()),
        }
    }

    /// Does nothing: plain sync has no error messages. The close frame holds the reason.
    fn write_close_message(&self, _message: &str, _out: &mut Outbound) {}

    async fn on_disconnected(&mut self) {
        self.hub.leave(self.peer.key, [self.document.clone()]).await;
    }
}
