//! `GET /sync`: automerge-repo's WebSocket protocol, many documents on one socket.
//!
//! The server speaks only after `join`, and never announces a document that the peer has not mentioned.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
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

use super::registry::{PeerRegistry, Registration};
use crate::server::App;
use crate::server::ephemerals::EphemeralRate;
use crate::server::identity::Identity;
use crate::server::outbound::Outbound;
use crate::server::protocol::Protocol;

/// Characters of what a peer says of an error that are written to the log.
const MAX_LOGGED: usize = 200;

/// One automerge-repo peer.
pub struct RepoSocket {
    key: ConnectionKey,
    caller: Requester,
    hub: Hub,
    outbox: Outbox,
    mailbox_quota: MailboxQuota,
    refusals: Refusals,
    identity: Arc<Identity>,
    registry: PeerRegistry,
    joined: Option<Joined>,
    documents: HashSet<DocumentId>,
    max_documents: usize,
    ephemerals: EphemeralRate,
    max_ephemeral: usize,
    logged_unknown: bool,
    logged_foreign: bool,
    logged_documents: bool,
}

struct Joined {
    peer: PeerId,
    storage: Option<Arc<str>>,
    /// Keeps the peer id taken.
    _registration: Registration,
}

impl RepoSocket {
    /// A peer that has not joined yet.
    #[must_use]
    pub fn new(key: ConnectionKey, caller: Requester, outbox: Outbox, app: &App) -> Self {
        let limits = &app.limits;
        let ephemerals = app.ephemerals.of_socket(&caller, Instant::now());
        Self {
            key,
            caller,
            hub: app.hub.clone(),
            outbox,
            mailbox_quota: MailboxQuota::default(),
            refusals: Refusals::default(),
            identity: Arc::clone(&app.identity),
            registry: app.peers.clone(),
            joined: None,
            documents: HashSet::new(),
            max_documents: limits.documents_per_connection,
            ephemerals,
            max_ephemeral: limits.ephemeral_bytes,
            logged_unknown: false,
            logged_foreign: false,
            logged_documents: false,
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
            return Err(bad(format!("unsupported protocol version: this server speaks 1, you offered {theirs:?}")));
        }
        if sender == self.identity.peer {
            self.hub.metrics().record_refusal(RefusalReason::Handshake);
            return Err(bad("this peer id is the server's own; join under another one"));
        }
        match &self.joined {
            Some(joined) if joined.peer != sender => {
                self.hub.metrics().record_refusal(RefusalReason::Handshake);
                return Err(bad(format!("this connection has joined as {} already", joined.peer)));
            }
            Some(_) => {}
            None => {
                let registration = self.registry.register(self.caller.user(), &sender, self.key, &self.outbox).await;
                // What a peer shares with us is only remembered for a storage that outlives it.
                let storage = metadata.storage_id.filter(|_| !metadata.is_ephemeral);
                let storage = storage.map(|storage| Arc::from(storage.as_str()));
                self.joined = Some(Joined { peer: sender.clone(), storage, _registration: registration });
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
        if !self.documents.contains(&document) {
            if self.documents.len() >= self.max_documents {
                self.refuse_document(document, out);
                return Ok(());
            }
            self.documents.insert(document.clone());
        }
        let storage = self.joined.as_ref().and_then(|joined| joined.storage.clone());
        let peer = SyncPeer {
            requester: self.caller.clone(),
            key: self.key,
            outbox: self.outbox.clone(),
            storage,
            mailbox_quota: self.mailbox_quota.clone(),
            refusals: self.refusals.clone(),
        };
        self.hub.sync(&document, peer, data, request, reservation).await
    }

    /// One document more than a connection may sync. The others go on: were the socket closed, the client would come back
    /// with the same documents for ever.
    fn refuse_document(&mut self, document: DocumentId, out: &mut Outbound) {
        self.hub.metrics().record_refusal(RefusalReason::TooManyDocuments);
        if !std::mem::replace(&mut self.logged_documents, true) {
            let limit = self.max_documents;
            tracing::warn!(
                connection = self.key.0,
                limit,
                "this peer syncs too many documents; further ones are refused"
            );
        }
        let Some(joined) = &self.joined else { return };
        let message = format!(
            "document {document} is not synced: one connection may sync at most {} documents; close documents that you \
             do not need, or ask the operator of the server to raise the limit",
            self.max_documents
        );
        let (sender, target) = (self.identity.peer.clone(), joined.peer.clone());
        let message = Message::DocUnavailable { sender, target, document, message: Some(message) };
        out.binary(&message.encode(), &Bytes::new());
    }

    /// True if the message is from the peer that has joined. Others are dropped, as the stock server does: that is also
    /// how the echo of an ephemeral message dies, which stock clients send back to where it came from.
    fn is_from_joined(&mut self, sender: &PeerId) -> bool {
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

    /// A document takes no changes from this peer: an `error` that names it, after which the socket stays open. A peer that
    /// has only asked for the document does not go on waiting for it.
    fn tell_refused(&self, document: DocumentId, kind: CloseKind, why: &str, out: &mut Outbound) {
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

    fn ignore(&mut self, kind: &str) {
        self.hub.metrics().record_refusal(RefusalReason::UnknownType);
        if !std::mem::replace(&mut self.logged_unknown, true) {
            tracing::info!(connection = self.key.0, kind, "ignored a message of a type that is not for a server");
        }
    }

    async fn dispatch(
        &mut self,
        message: Message,
        reservation: Reservation,
        out: &mut Outbound,
    ) -> Result<(), CloseReason> {
        let message = match message {
            Message::Join { sender, metadata, versions } => return self.join(sender, metadata, &versions, out).await,
            message if self.joined.is_none() => {
                self.hub.metrics().record_refusal(RefusalReason::Handshake);
                return Err(bad(format!("the first message must be a join, not {}", kind_of(&message))));
            }
            message => message,
        };
        match message {
            Message::Sync { sender, document, data, .. } if self.is_from_joined(&sender) => {
                self.sync(document, data, false, reservation, out).await
            }
            Message::Request { sender, document, data, .. } if self.is_from_joined(&sender) => {
                self.sync(document, data, true, reservation, out).await
            }
            Message::Ephemeral(message) if self.is_from_joined(&message.sender) => {
                // Ephemeral means that it may be lost.
                if message.data.len() > self.max_ephemeral || !self.ephemerals.take() {
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
            Message::RemoteSubscriptionChange { sender, add, remove, .. } if self.is_from_joined(&sender) => {
                let names = |ids: Vec<StorageId>| ids.iter().map(|id| Arc::from(id.as_str())).collect::<Vec<_>>();
                let documents: Vec<DocumentId> = self.documents.iter().cloned().collect();
                let refused = self.hub.watch_storages(self.key, names(add), &names(remove), &documents).await;
                if refused > 0 {
                    tracing::info!(connection = self.key.0, refused, "this peer watches too many storages");
                }
                Ok(())
            }
            Message::RemoteHeadsChanged { sender, document, heads, .. } if self.is_from_joined(&sender) => {
                // What is in the storage of this server is for nobody else to say.
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
            Message::Leave { sender } if self.is_from_joined(&sender) => {
                Err(CloseReason { kind: CloseKind::Left, message: String::new() })
            }
            // That a client has not got a document is no news: it would have sent it.
            Message::DocUnavailable { sender, .. } if self.is_from_joined(&sender) => Ok(()),
            Message::Error { message, .. } => {
                // Not under the name `message`, which the log shows as it is: what a peer says would look like a line of ours.
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
            // Of another sender: counted above.
            _ => Ok(()),
        }
    }
}

impl Protocol for RepoSocket {
    const KIND: ConnectionKind = ConnectionKind::Repo;

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
                return Err(bad("automerge-repo messages are binary frames of CBOR; this was a text frame"));
            }
        };
        let decoded = repo_protocol::decode_with_known(&bytes, &|id| self.documents.get(id).cloned());
        match decoded {
            Ok(message) => self.dispatch(message, reservation, out).await,
            Err(error) => {
                self.hub.metrics().record_refusal(RefusalReason::Undecodable);
                // As a text, which the log quotes: parts of it may be the peer's.
                tracing::warn!(connection = self.key.0, error = error.to_string(), "refused a message");
                Err(bad(error.to_string()))
            }
        }
    }

    fn send(&mut self, outgoing: Outgoing, out: &mut Outbound) -> Result<(), CloseReason> {
        let Some(joined) = &self.joined else { return Ok(()) };
        if let Outgoing::Sync { document, data } = &outgoing {
            out.binary(&repo_protocol::sync_head(&self.identity.peer, &joined.peer, document, data.len()), data);
            return Ok(());
        }
        let (sender, target) = (self.identity.peer.clone(), joined.peer.clone());
        if let Outgoing::Refused { document, kind, message } = outgoing {
            self.tell_refused(document, kind, &message, out);
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

    fn has_begun(&self) -> bool {
        self.joined.is_some()
    }

    fn last_words(&self, message: &str, out: &mut Outbound) {
        let target = self.joined.as_ref().map(|joined| &joined.peer);
        out.binary(&error_message(&self.identity, target, message), &Bytes::new());
    }

    async fn gone(&mut self) {
        self.hub.leave(self.key, self.documents.drain()).await;
        // Only now may the peer id be taken by another connection.
        self.joined = None;
    }
}

/// An `error` message: all that a stock client can be told before the socket closes.
#[must_use]
pub fn error_message(identity: &Identity, target: Option<&PeerId>, message: &str) -> Vec<u8> {
    let sender = Some(identity.peer.clone());
    Message::Error { sender, target: target.cloned(), document: None, message: message.to_owned() }.encode()
}

fn bad(message: impl Into<String>) -> CloseReason {
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
