//! The role of the client in automerge-repo's protocol: this server has dialled another one.

use std::sync::Arc;

use bytes::Bytes;
use primitives::DocumentId;
use repo_protocol::{Message, PROTOCOL_VERSION, PeerId, PeerMetadata};
use runtime::hub::{CloseReason, ConnectionKey, Outbox, Requester, Right};
use runtime::metrics::PeeringMetrics;
use sync_engine::names_heads;

use super::{Joined, MAX_LOGGED, RepoSocket, bad_message};
use crate::server::App;
use crate::server::ws::outbound::Outbound;

/// The additional state of a connection to another server.
pub struct Dialled {
    /// Name of the other server, for the log.
    pub name: Arc<str>,
    /// The metrics of this peering.
    pub metrics: PeeringMetrics,
    /// The last error message of the other server about the whole connection.
    error: Option<String>,
}

impl Dialled {
    /// A connection to the server of this name.
    #[must_use]
    pub fn new(name: Arc<str>, metrics: PeeringMetrics) -> Self {
        Self { name, metrics, error: None }
    }
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.metrics.connected.set(0.0);
        self.metrics.documents.set(0.0);
    }
}

impl RepoSocket {
    /// Another server, which gets the `join` and has not answered yet.
    #[must_use]
    pub fn dialled(key: ConnectionKey, requester: Requester, outbox: Outbox, app: &App, dialled: Dialled) -> Self {
        Self { dialled: Some(dialled), ..Self::new(key, requester, outbox, app) }
    }

    /// The last error message of a dialled server about the whole connection.
    #[must_use]
    pub fn reported_error(&self) -> Option<String> {
        self.dialled.as_ref()?.error.clone()
    }

    /// Queues the message that a client sends first.
    pub(super) fn write_join(&self, out: &mut Outbound) {
        let message = Message::Join {
            sender: self.identity.peer.clone(),
            metadata: PeerMetadata { storage_id: Some(self.identity.storage.clone()), is_ephemeral: false },
            versions: vec![PROTOCOL_VERSION.to_owned()],
        };
        out.binary(&message.encode(), &Bytes::new());
    }

    /// Handles the answer of a dialled server to the `join`.
    pub(super) fn answered(
        &mut self,
        sender: PeerId,
        metadata: PeerMetadata,
        version: &str,
    ) -> Result<(), CloseReason> {
        if version != PROTOCOL_VERSION {
            return Err(bad_message(format!(
                "unsupported protocol version: this server speaks 1, you chose {version:?}"
            )));
        }
        if sender == self.identity.peer || metadata.storage_id.as_ref() == Some(&self.identity.storage) {
            return Err(bad_message(
                "this is the same server, or one on the same database; give another URL with --peer",
            ));
        }
        let storage = metadata.storage_id.filter(|_| !metadata.is_ephemeral);
        let storage = storage.map(|storage| Arc::from(storage.as_str()));
        self.joined = Some(Joined { peer: sender, storage, relays: true, _registration: None });
        if let Some(Dialled { name, metrics, .. }) = &self.dialled {
            metrics.connected.set(1.0);
            tracing::info!(peer = %name, connection = self.key.0, "connected to a peer");
        }
        self.hub.begin_peering(self.sync_peer());
        Ok(())
    }

    /// Records an error message about the whole connection. The other server closes the connection after it.
    pub(super) fn record_error(&mut self, message: &str) {
        if let Some(dialled) = &mut self.dialled {
            dialled.error = Some(message.chars().filter(|letter| !letter.is_control()).take(MAX_LOGGED).collect());
        }
    }

    /// Counts the documents of a peering.
    pub(super) fn record_documents(&self) {
        if let Some(Dialled { metrics, .. }) = &self.dialled {
            metrics.documents.set(f64::from(u32::try_from(self.documents.len()).unwrap_or(u32::MAX)));
        }
    }

    /// The sync message of a document to a server that was dialled. A document that does not exist here is requested.
    pub(super) fn send_to_server(&mut self, document: DocumentId, data: Bytes, out: &mut Outbound) {
        let Some(joined) = &self.joined else { return };
        let (sender, target) = (self.identity.peer.clone(), joined.peer.clone());
        if names_heads(&data) {
            out.binary(&repo_protocol::sync_head(&sender, &target, &document, data.len()), &data);
        } else {
            let message = Message::Request { sender, target, document: document.clone(), data };
            out.binary(&message.encode(), &Bytes::new());
        }
        if self.documents.insert(document) {
            self.record_documents();
        }
    }

    /// Whether a document is exchanged with this peer. A dialled server may announce others, which are refused.
    pub(super) fn may_be_exchanged(&self, document: &DocumentId) -> bool {
        self.dialled.is_none() || self.hub.right(&self.requester, document) > Right::None
    }

    /// Records that a dialled server does not have a document, or does not take it for this reason.
    pub(super) async fn record_lacking(&mut self, document: &DocumentId, reason: Option<&str>) {
        if let Some(Dialled { name, .. }) = &self.dialled {
            if let Some(reason) = reason {
                let said: String = reason.chars().take(MAX_LOGGED).collect();
                tracing::info!(peer = %name, %document, ?said, "a peer does not take a document");
            }
            if self.documents.remove(document) {
                self.record_documents();
            }
            self.hub.record_lacking(document, self.key).await;
        }
    }
}
