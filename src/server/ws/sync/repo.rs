//! automerge-repo's WebSocket protocol, many documents on one socket.
//!
//! At `GET /sync` the peer is a client: the server sends nothing before `join`, and never announces a document that the peer has
//! not requested. A server that was [dialled](dialled) gets the `join`, and all documents that it may have.

pub mod dialled;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use dialled::Dialled;
use primitives::DocumentId;
use repo_protocol::{self, Message, PROTOCOL_VERSION, PeerId, PeerMetadata, StorageId};
use runtime::hub::{
    CloseKind, CloseReason, ConnectionKey, Ephemeral, Hub, MailboxQuota, Outbox, Outgoing, Refusals, RemoteHeads,
    Requester, SyncPeer,
};
use runtime::memory_budget::Reservation;
use runtime::metrics::{ConnectionKind, RefusalReason};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::peer_registry::{PeerRegistration, PeerRegistry};
use crate::server::App;
use crate::server::ws::ephemeral_rate::EphemeralRateLimit;
use crate::server::ws::outbound::Outbound;
use crate::server::ws::protocol::Protocol;
use crate::server::ws::server_identity::ServerIdentity;

/// Maximum number of characters of a peer's error message that are logged.
const MAX_LOGGED: usize = 200;

/// One automerge-repo peer.
pub struct RepoSocket {
    key: ConnectionKey,
    requester: Requester,
    hub: Hub,
    outbox: Outbox,
    mailbox_quota: MailboxQuota,
    refusals: Refusals,
    identity: Arc<ServerIdentity>,
    registry: PeerRegistry,
    joined: Option<Joined>,
    /// Set if this server has dialled the peer, which is another server.
    dialled: Option<Dialled>,
    documents: HashSet<DocumentId>,
    /// Number of documents that the peer was first to name.
    named_by_peer: usize,
    max_documents: usize,
    ephemerals: EphemeralRateLimit,
    max_ephemeral: usize,
    logged_unknown: bool,
    logged_foreign: bool,
    logged_documents: bool,
}

struct Joined {
    peer: PeerId,
    storage: Option<Arc<str>>,
    /// Whether the peer is a server, which relays messages of its own peers.
    relays: bool,
    /// Keeps the peer id registered. `None` for a peer that was dialled: it may have dialled this server, too.
    _registration: Option<PeerRegistration>,
}

impl RepoSocket {
    /// A peer that has not joined yet.
    #[must_use]
    pub fn new(key: ConnectionKey, requester: Requester, outbox: Outbox, app: &App) -> Self {
        let limits = &app.limits;
        let ephemerals = app.ephemeral_rate_limits.for_socket(&requester, Instant::now());
        Self {
            key,
            requester,
            hub: app.hub.clone(),
            outbox,
            mailbox_quota: MailboxQuota::default(),
            refusals: Refusals::default(),
            identity: Arc::clone(&app.identity),
            registry: app.peers.clone(),
            joined: None,
            dialled: None,
            named_by_peer: 0,
            documents: HashSet::new(),
            max_documents: limits.documents_per_connection,
            ephemerals,
            max_ephemeral: limits.ephemeral_bytes,
            logged_unknown: false,
            logged_foreign: false,
            logged_documents: false,
        }
    }

    /// This connection as a peer of documents.
    fn sync_peer(&self) -> SyncPeer {
        let joined = self.joined.as_ref();
        SyncPeer {
            requester: self.requester.clone(),
            key: self.key,
            outbox: self.outbox.clone(),
            storage: joined.and_then(|joined| joined.storage.clone()),
            mailbox_quota: self.mailbox_quota.clone(),
            refusals: self.refusals.clone(),
            relays: joined.is_some_and(|joined| joined.relays),
        }
    }

    async fn join(
        &mut self,
        sender: PeerId,
        metadata: PeerMetadata,
        versions: &[String],
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        if !versions.iter().any(|version| version == PROTOCOL_VERSION) {
            self.hub.metrics().record_refusal(RefusalReason::Handshake);
            let theirs = versions.join(", ");
            return Err(bad_message(format!(
                "unsupported protocol version: this server speaks 1, you offered {theirs:?}"
            )));
        }
        if sender == self.identity.peer {
            self.hub.metrics().record_refusal(RefusalReason::Handshake);
            return Err(bad_message("this peer id is the server's own; join with another one"));
        }
        match &self.joined {
            Some(joined) if joined.peer != sender => {
                self.hub.metrics().record_refusal(RefusalReason::Handshake);
                return Err(bad_message(format!("this connection has joined as {} already", joined.peer)));
            }
            Some(_) => {}
            None => {
                let registration = self.registry.register(self.requester.user(), &sender, self.key, &self.outbox).await;
                // The sync state of an ephemeral peer is not kept.
                let storage = metadata.storage_id.filter(|_| !metadata.is_ephemeral);
                let storage = storage.map(|storage| Arc::from(storage.as_str()));
                let relays = ServerIdentity::is_server(&sender);
                let _registration = Some(registration);
                self.joined = Some(Joined { peer: sender.clone(), storage, relays, _registration });
            }
        }
        let answer = Message::Peer {
            sender: self.identity.peer.clone(),
            target: sender,
            metadata: PeerMetadata { storage_id: Some(self.identity.storage.clone()), is_ephemeral: false },
            version: PROTOCOL_VERSION.to_owned(),
        };
        out.binary(&answer.encode(), &Bytes::new());
        Ok(())
    }

    async fn sync(
        &mut self,
        document: DocumentId,
        data: Bytes,
        request: bool,
        reservation: Reservation,
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        if !self.documents.contains(&document) && self.may_be_exchanged(&document) {
            if self.named_by_peer >= self.max_documents {
                self.reject_document(document, out);
                return Ok(());
            }
            self.named_by_peer += 1;
            self.documents.insert(document.clone());
            self.record_documents();
        }
        self.hub.sync(&document, self.sync_peer(), data, request, reservation).await
    }

    /// Rejects a document over the limit of the connection. The connection stays open: closing it would make the client reconnect
    /// with the same documents.
    fn reject_document(&mut self, document: DocumentId, out: &mut Outbound) {
        self.hub.metrics().record_refusal(RefusalReason::TooManyDocuments);
        if !std::mem::replace(&mut self.logged_documents, true) {
            let limit = self.max_documents;
            tracing::warn!(
                connection = self.key.0,
                limit,
                "this peer syncs too many documents; further ones are rejected"
            );
        }
        let Some(joined) = &self.joined else { return };
        let message = format!(
            "document {document} is not synced: a connection may sync at most {} documents; close documents that you do \
             not need, or ask the server's operator to raise the limit",
            self.max_documents
        );
        let (sender, target) = (self.identity.peer.clone(), joined.peer.clone());
        let message = Message::DocUnavailable { sender, target, document, message: Some(message) };
        out.binary(&message.encode(), &Bytes::new());
    }

    /// Whether the sender of a message is the peer that has joined. Other messages are dropped, as by the stock server. This also
    /// ends the echo of ephemeral messages, which stock clients send back to their origin.
    fn check_sender(&mut self, sender: &PeerId) -> bool {
        let Some(joined) = &self.joined else { return false };
        if joined.peer == *sender {
            return true;
        }
        self.hub.metrics().record_refusal(RefusalReason::ForeignSender);
        if !std::mem::replace(&mut self.logged_foreign, true) {
            tracing::info!(connection = self.key.0, peer = ?joined.peer, ?sender, "ignored a message of another sender");
        }
        false
    }

    /// Reports that a document accepts no changes from this peer. The connection stays open. A peer that waits for the document
    /// also gets `doc-unavailable`.
    fn report_refused(&self, document: DocumentId, kind: CloseKind, why: &str, out: &mut Outbound) {
        let Some(joined) = &self.joined else { return };
        let message = format!("document automerge:{document}: {why}");
        let (sender, target) = (self.identity.peer.clone(), joined.peer.clone());
        let error = Message::Error {
            sender: Some(sender.clone()),
            target: Some(target.clone()),
            document: Some(document.clone()),
            message,
        };
        out.binary(&error.encode(), &Bytes::new());
        if kind == CloseKind::BadMessage {
            let unavailable = Message::DocUnavailable { sender, target, document, message: None };
            out.binary(&unavailable.encode(), &Bytes::new());
        }
    }

    /// Whether the peer relays messages of its own peers.
    fn relays(&self) -> bool {
        self.joined.as_ref().is_some_and(|joined| joined.relays)
    }

    fn ignore(&mut self, kind: &str) {
        self.hub.metrics().record_unknown_message(kind);
        if !std::mem::replace(&mut self.logged_unknown, true) {
            tracing::info!(connection = self.key.0, kind, "ignored a message of an unexpected type");
        }
    }

    async fn dispatch(
        &mut self,
        message: Message,
        reservation: Reservation,
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        let message = match message {
            Message::Peer { sender, metadata, version, .. } if self.dialled.is_some() && self.joined.is_none() => {
                return self.answered(sender, metadata, &version);
            }
            Message::Error { document: None, message, .. } if self.dialled.is_some() => {
                self.record_error(&message);
                return Ok(());
            }
            Message::Join { .. } if self.dialled.is_some() => {
                self.ignore("join");
                return Ok(());
            }
            Message::Join { sender, metadata, versions } => return self.join(sender, metadata, &versions, out).await,
            message if self.joined.is_none() => {
                self.hub.metrics().record_refusal(RefusalReason::Handshake);
                let (first, kind) = (self.first_message(), kind_of(&message));
                return Err(bad_message(format!("the first message must be a {first}, not {kind}")));
            }
            message => message,
        };
        match message {
            Message::Sync { sender, document, data, .. } if self.check_sender(&sender) => {
                self.sync(document, data, false, reservation, out).await
            }
            Message::Request { sender, document, data, .. } if self.check_sender(&sender) => {
                self.sync(document, data, true, reservation, out).await
            }
            // A server may relay messages that it has received from this one.
            Message::Ephemeral(message) if self.relays() && message.sender == self.identity.peer => Ok(()),
            Message::Ephemeral(message) if self.relays() || self.check_sender(&message.sender) => {
                // Ephemeral messages are best effort.
                if message.data.len() > self.max_ephemeral || !self.ephemerals.allow() {
                    self.hub.metrics().record_refusal(RefusalReason::Ephemeral);
                    return Ok(());
                }
                let message = Ephemeral {
                    document: message.document,
                    sender: Arc::from(message.sender.as_str()),
                    session: message.session.into(),
                    count: message.count,
                    data: message.data,
                };
                self.hub.ephemeral(self.key, message);
                Ok(())
            }
            Message::RemoteSubscriptionChange { sender, add, remove, .. } if self.check_sender(&sender) => {
                let names = |ids: Vec<StorageId>| ids.iter().map(|id| Arc::from(id.as_str())).collect::<Vec<_>>();
                let documents: Vec<DocumentId> = self.documents.iter().cloned().collect();
                let refused = self.hub.watch_storages(self.key, names(add), &names(remove), &documents).await;
                if refused > 0 {
                    tracing::info!(connection = self.key.0, refused, "this peer watches too many storages");
                }
                Ok(())
            }
            Message::RemoteHeadsChanged { sender, document, heads, .. } if self.check_sender(&sender) => {
                // No peer can report the heads of this server's own storage.
                for (storage, heads) in heads.into_iter().filter(|(storage, _)| *storage != self.identity.storage) {
                    let heads = RemoteHeads {
                        document: document.clone(),
                        storage: Arc::from(storage.as_str()),
                        heads: heads.heads,
                        timestamp: heads.timestamp,
                    };
                    self.hub.remote_heads(self.key, heads);
                }
                Ok(())
            }
            Message::Leave { sender } if self.check_sender(&sender) => {
                Err(CloseReason { kind: CloseKind::Left, message: String::new() })
            }
            // Of a client it needs no action: the client would have sent the document if it had it.
            Message::DocUnavailable { sender, document, message, .. } if self.check_sender(&sender) => {
                self.record_lacking(&document, message.as_deref()).await;
                Ok(())
            }
            Message::Error { message, .. } => {
                // Logged with `?`, which quotes it, and not as `message`: it must not look like a log line of the server.
                let said: String = message.chars().take(MAX_LOGGED).collect();
                tracing::info!(connection = self.key.0, ?said, "the peer reports an error");
                Ok(())
            }
            Message::Unknown { kind, .. } => {
                self.ignore(&kind);
                Ok(())
            }
            Message::Peer { .. } | Message::Join { .. } => {
                self.ignore("peer");
                Ok(())
            }
            // From another sender, as logged by `check_sender`.
            _ => Ok(()),
        }
    }
}

impl Protocol for RepoSocket {
    fn kind(&self) -> ConnectionKind {
        if self.dialled.is_some() { ConnectionKind::Peering } else { ConnectionKind::Repo }
    }

    fn begin(&mut self, out: &mut Outbound) {
        if self.dialled.is_some() {
            self.write_join(out);
        }
    }

    fn on_drained(&mut self) {
        self.hub.notify_peering_drained(self.key);
    }

    fn first_message(&self) -> &'static str {
        if self.dialled.is_some() { "peer" } else { "join" }
    }

    async fn receive(
        &mut self,
        message: Frame,
        reservation: Reservation,
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        let bytes = match message {
            Frame::Binary(bytes) => bytes,
            _ => {
                self.hub.metrics().record_refusal(RefusalReason::Undecodable);
                return Err(bad_message("automerge-repo messages are binary frames of CBOR; this was a text frame"));
            }
        };
        let decoded = repo_protocol::decode_with_known(&bytes, &|id| self.documents.get(id).cloned());
        match decoded {
            Ok(message) => self.dispatch(message, reservation, out).await,
            Err(error) => {
                self.hub.metrics().record_refusal(RefusalReason::Undecodable);
                // Logged as a string, which is quoted: it may contain data of the peer.
                tracing::warn!(connection = self.key.0, error = error.to_string(), "refused a message");
                Err(bad_message(error.to_string()))
            }
        }
    }

    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), CloseReason> {
        let Some(joined) = &self.joined else { return Ok(()) };
        if self.dialled.is_some()
            && let Outgoing::Sync { document, data } = outgoing
        {
            self.send_to_server(document, data, out);
            return Ok(());
        }
        if let Outgoing::Sync { document, data } = &outgoing {
            out.binary(&repo_protocol::sync_head(&self.identity.peer, &joined.peer, document, data.len()), data);
            return Ok(());
        }
        let (sender, target) = (self.identity.peer.clone(), joined.peer.clone());
        if let Outgoing::Refused { document, kind, message } = outgoing {
            self.report_refused(document, kind, &message, out);
            return Ok(());
        }
        let message = match outgoing {
            Outgoing::Unavailable { document, reason } => {
                let message = reason.map(|reason| reason.to_string());
                Message::DocUnavailable { sender, target, document, message }
            }
            Outgoing::Missing(document) => Message::DocUnavailable { sender, target, document, message: None },
            Outgoing::Ephemeral(message) => {
                let Ok(sender) = PeerId::new(&message.sender) else { return Ok(()) };
                Message::Ephemeral(repo_protocol::Ephemeral {
                    sender,
                    target,
                    count: message.count,
                    session: message.session.to_string(),
                    document: message.document.clone(),
                    data: message.data.clone(),
                })
            }
            Outgoing::RemoteHeads(news) => {
                let Ok(storage) = StorageId::new(&news.storage) else { return Ok(()) };
                let heads = repo_protocol::RemoteHeads { heads: news.heads.clone(), timestamp: news.timestamp };
                let document = news.document.clone();
                Message::RemoteHeadsChanged { sender, target, document, heads: vec![(storage, heads)] }
            }
            Outgoing::Sync { .. } | Outgoing::Refused { .. } | Outgoing::Texts(_) | Outgoing::Presence(_) => {
                return Ok(());
            }
        };
        out.binary(&message.encode(), &Bytes::new());
        Ok(())
    }

    fn is_handshake_complete(&self) -> bool {
        self.joined.is_some()
    }

    fn write_close_message(&self, message: &str, out: &mut Outbound) {
        let target = self.joined.as_ref().map(|joined| &joined.peer);
        out.binary(&error_message(&self.identity, target, message), &Bytes::new());
    }

    async fn on_disconnected(&mut self) {
        match &self.dialled {
            Some(dialled) => {
                dialled.metrics.connected.set(0.0);
                self.hub.end_peering(self.key).await;
            }
            None => self.hub.leave(self.key, self.documents.drain()).await,
        }
        // Releases the peer id for another connection.
        self.joined = None;
    }
}

/// An automerge-repo `error` message, which stock clients log.
#[must_use]
pub fn error_message(identity: &ServerIdentity, target: Option<&PeerId>, message: &str) -> Vec<u8> {
    let sender = Some(identity.peer.clone());
    Message::Error { sender, target: target.cloned(), document: None, message: message.to_owned() }.encode()
}

fn bad_message(message: impl Into<String>) -> CloseReason {
    CloseReason { kind: CloseKind::BadMessage, message: message.into() }
}

fn kind_of(message: &Message) -> &str {
    match message {
        Message::Join { .. } => "join",
        Message::Peer { .. } => "peer",
        Message::Sync { .. } => "sync",
        Message::Request { .. } => "request",
        Message::DocUnavailable { .. } => "doc-unavailable",
        Message::Ephemeral(_) => "ephemeral",
        Message::RemoteSubscriptionChange { .. } => "remote-subscription-change",
        Message::RemoteHeadsChanged { .. } => "remote-heads-changed",
        Message::Leave { .. } => "leave",
        Message::Error { .. } => "error",
        Message::Unknown { kind, .. } => kind,
    }
}
