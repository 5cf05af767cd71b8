//! `GET /sync/{documentId}`: plain Automerge sync, one message per binary frame, for bindings without automerge-repo.
//!
//! The server sends its first message immediately. A document that does not exist is created by its first change.

use primitives::DocumentId;
use repo_protocol::detach;
use runtime::hub::{
    CloseKind, CloseReason, ConnectionKey, Denied, Hub, MailboxQuota, Outbox, Outgoing, Refusals, Requester, SyncPeer,
};
use runtime::memory_budget::Reservation;
use runtime::metrics::{ConnectionKind, RefusalReason};
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
        requester: Requester,
        hub: Hub,
        outbox: Outbox,
        document: DocumentId,
    ) -> Result<Self, runtime::hub::Unavailable> {
        let (mailbox_quota, refusals) = (MailboxQuota::default(), Refusals::default());
        let peer = SyncPeer { requester, key, outbox, storage: None, mailbox_quota, refusals, relays: false };
        hub.start_sync(&document, peer.clone()).await?;
        Ok(Self { peer, hub, document })
    }
}

impl Protocol for PlainSocket {
    fn kind(&self) -> ConnectionKind {
        ConnectionKind::Plain
    }

    fn document(&self) -> Option<&DocumentId> {
        Some(&self.document)
    }

    async fn receive(
        &mut self,
        message: Frame,
        reservation: Reservation,
        _out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        let Frame::Binary(bytes) = message else {
            self.hub.metrics().record_refusal(RefusalReason::Undecodable);
            let message = "Automerge sync messages are binary frames; this was a text frame".to_owned();
            return Err(CloseReason { kind: CloseKind::BadMessage, message });
        };
        // Copied, because a small frame may share a large buffer with other frames.
        let bytes = detach(&bytes, &bytes);
        self.hub.sync(&self.document, self.peer.clone(), bytes, false, reservation).await
    }

    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), CloseReason> {
        match outgoing {
            Outgoing::Sync { data, .. } => {
                out.binary(&[], &data);
                Ok(())
            }
            // The connection has no other document, so it is closed.
            Outgoing::Refused { kind, message, .. } => Err(CloseReason { kind, message: message.to_string() }),
            Outgoing::Unavailable { document, reason } => {
                let message = match reason {
                    Some(reason) => reason.to_string(),
                    None => format!("document {document} is temporarily unavailable; try again later"),
                };
                Err(CloseReason { kind: CloseKind::TryAgainLater, message })
            }
            Outgoing::Missing(id) => {
                let message = Denied::Missing(id).to_string();
                Err(CloseReason { kind: CloseKind::Forbidden, message })
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
