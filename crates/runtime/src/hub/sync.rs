//! Messages of sync peers, on their way to the document's task: checked against rights, quotas and limits, and
//! decoded.

use std::sync::Arc;

use bytes::Bytes;
use offload::run_cpu_bound;
use primitives::DocumentId;
use sync_engine::{
    BadMessage, Incoming, MessageLimits, carries_chunks, decode_message, names_heads, reply_without_document,
    without_chunks,
};

use super::Hub;
use super::access::{Denied, Right};
use super::command::{Command, SyncPeer, Unavailable};
use super::fair_permits::Permit;
use super::outbox::{CloseReason, ConnectionKey, DrainListener, Ephemeral, Outgoing, RemoteHeads};
use super::refusals::{RefusalDuration, refusal_duration};
use crate::memory_budget::Reservation;
use crate::metrics::RefusalReason;

/// Size in bytes from which on a message is decoded before it is sent to its document.
const EARLY_DECODE_SIZE: usize = 1 << 10;
/// Size in bytes from which on decoding needs a permit. Compressed content is at most a thousand times larger.
const PERMIT_SIZE: usize = 8 << 10;

impl Hub {
    /// Starts to sync a document with a peer that has sent nothing about it yet. The peer gets the first message.
    ///
    /// # Errors
    /// When the server is shutting down.
    pub async fn start_sync(&self, id: &DocumentId, peer: SyncPeer) -> Result<(), Unavailable> {
        if self.is_hidden_from(&peer, id) {
            self.deny(id, &peer, false, None);
            return Ok(());
        }
        if self.inner.access.exists_for_others(&peer.requester, id) {
            self.simulate_lookup(id, &peer).await;
            self.deny(id, &peer, false, None);
            return Ok(());
        }
        self.send(id, Command::StartSync(peer)).await
    }

    /// Performs the same disk operations as for a missing document, once per connection. So the answer about a hidden
    /// document takes as long as the answer about a missing one.
    async fn simulate_lookup(&self, id: &DocumentId, peer: &SyncPeer) {
        if !peer.refusals.record_denial(id) {
            return;
        }
        let (store, none) = (&self.inner.store, DocumentId::from_random(rand::random()));
        // The file does not exist, so the results are irrelevant.
        let _ = store.load(&none).await;
        let _ = store.load_authors(&none).await;
        let _ = store.load_peers(&none).await;
        store.close(&none).await;
    }

    /// Sends a sync message to its document, once there is room in the connection's quota. `request`: the peer does
    /// not have the document, and is told if the server does not have it either. `reservation`: the memory of the
    /// message.
    ///
    /// Larger messages are decoded here, in the task of their connection, so that an invalid one costs its sender
    /// time and not the document. Refusals are sent to the peer; the connection stays open for its other documents.
    ///
    /// # Errors
    /// When the server is shutting down.
    pub async fn sync(
        &self,
        id: &DocumentId,
        peer: SyncPeer,
        mut bytes: Bytes,
        request: bool,
        mut reservation: Reservation,
    ) -> Result<(), CloseReason> {
        if self.is_hidden_from(&peer, id) {
            self.deny(id, &peer, request, Some(&bytes));
            return Ok(());
        }
        let mut has_changes = carries_chunks(&bytes);
        if has_changes && self.is_read_only(&peer, id) {
            // The document would ignore the changes. It still processes the rest of the message.
            if let Some(envelope) = without_chunks(&bytes) {
                self.inner.metrics.record_refusal(RefusalReason::Denied);
                (bytes, has_changes) = (envelope.into(), false);
            }
        }
        if peer.refusals.drops(id, has_changes) {
            self.inner.metrics.record_refusal(RefusalReason::RefusedDocument);
            if request {
                peer.send_unavailable(id, &Unavailable::Refused);
            }
            return Ok(());
        }
        // A closing connection does not wait for a permit: its message was not acknowledged.
        let closing = peer.outbox.closing();
        // Where a peer may create the document, the message is decoded before the look-up. So an invalid message gets
        // the same answer whether the document exists or not.
        let may_be_hidden = self.right(&peer.requester, id) < Right::Read;
        let mut permit = None;
        let incoming = if may_be_hidden || (bytes.len() >= EARLY_DECODE_SIZE && has_changes) {
            let decoded = tokio::select! {
                biased;
                decoded = self.decode_message(&peer, &bytes, &mut reservation, &mut permit) => decoded,
                () = closing.cancelled() => return Ok(()),
            };
            match decoded {
                Ok(Some(incoming)) => Some(Box::new(incoming)),
                Ok(None) => {
                    self.inner.metrics.record_refusal(RefusalReason::Memory);
                    return Ok(self.send(id, Command::Postpone(peer)).await?);
                }
                Err(error) => {
                    self.refuse_message(id, &peer, &error);
                    self.send_if_open(id, Command::Leave(peer.key)).await;
                    return Ok(());
                }
            }
        } else {
            None
        };
        if may_be_hidden && self.inner.access.exists_for_others(&peer.requester, id) {
            self.simulate_lookup(id, &peer).await;
            self.deny(id, &peer, request, Some(&bytes));
            return Ok(());
        }
        if reservation.grow_queued(bytes.len()).is_err() {
            self.inner.metrics.record_refusal(RefusalReason::Memory);
            return Ok(self.send(id, Command::Postpone(peer)).await?);
        }
        let mailbox_permit = tokio::select! {
            biased;
            mailbox_permit = peer.mailbox_quota.acquire(bytes.len(), reservation, permit) => mailbox_permit,
            () = closing.cancelled() => return Ok(()),
        };
        Ok(self.send(id, Command::Sync { peer, bytes, incoming, request, mailbox_permit }).await?)
    }

    /// Whether a peer may not change a document, whether it exists or not.
    fn is_read_only(&self, peer: &SyncPeer, id: &DocumentId) -> bool {
        let access = &self.inner.access;
        access.right(&peer.requester, id) < Right::Write && access.right_before(&peer.requester, id) < Right::Write
    }

    /// Whether a peer may not read a document, whether it exists or not. Such a document is not looked up, since the
    /// time of the look-up, or a failure to open it, would reveal that it exists.
    pub(super) fn is_hidden_from(&self, peer: &SyncPeer, id: &DocumentId) -> bool {
        let access = &self.inner.access;
        access.right(&peer.requester, id) < Right::Read && access.right_before(&peer.requester, id) < Right::Read
    }

    /// Answers a peer that may not know of a document as if the document did not exist. If the peer sends changes or
    /// a request, it is told that the document is missing.
    pub(super) fn deny(&self, id: &DocumentId, peer: &SyncPeer, request: bool, message: Option<&[u8]>) {
        let has_changes = message.is_some_and(carries_chunks);
        if has_changes || message.is_some_and(names_heads) {
            self.tell_if_not_created(id, peer);
        }
        // A server would answer an empty message with the whole document.
        if !request && !has_changes && !self.inner.access.is_deleted(id) && !peer.requester.is_peering() {
            let drain_listener = DrainListener::Document(id.clone());
            if let (Some(data), Some(permit)) =
                (reply_without_document(message), peer.outbox.try_reserve(&drain_listener))
            {
                permit.send(Outgoing::Sync { document: id.clone(), data });
            }
            return;
        }
        self.inner.metrics.record_refusal(RefusalReason::Denied);
        if request {
            self.inner.denied_requests.add(id, peer);
        }
        peer.send_unavailable(id, &Denied::Missing(id.clone()).into());
    }

    /// Tells a peer once why the document that it brings is not stored, if it may create none. The answer is the same if the document
    /// exists and the peer may not know of it.
    pub(super) fn tell_if_not_created(&self, id: &DocumentId, peer: &SyncPeer) {
        let access = &self.inner.access;
        // Plain Automerge sync has no messages for people.
        let is_client = peer.requester.speaks_repo() && !peer.requester.is_peering();
        if is_client && !access.is_deleted(id) && !access.may_create(&peer.requester) {
            peer.tell_once(id, &Denied::Create.to_string());
        }
    }

    /// Decodes a message. `None` means that it does not fit into the memory budget.
    async fn decode_message(
        &self,
        peer: &SyncPeer,
        bytes: &Bytes,
        reservation: &mut Reservation,
        permit: &mut Option<Permit>,
    ) -> Result<Option<Incoming>, BadMessage> {
        let limits = &self.inner.settings.limits;
        let ordinary = limits.ordinary();
        match self.decode_with_permit(peer, bytes, &ordinary).await {
            Ok(incoming) => Ok(reservation.resize(incoming.memory_estimate).is_ok().then_some(incoming)),
            // The message may hold a whole document. One such message at a time is decoded and applied, and may
            // exceed the memory budget.
            Err(error) if error.is_over_a_limit() && ordinary != *limits => {
                *permit = Some(self.inner.whole_document_permits.acquire(peer.requester.permit_key(peer.key)).await);
                self.decode_with_permit(peer, bytes, limits).await.map(Some)
            }
            Err(error) => Err(error),
        }
    }

    async fn decode_with_permit(
        &self,
        peer: &SyncPeer,
        bytes: &Bytes,
        limits: &MessageLimits,
    ) -> Result<Incoming, BadMessage> {
        if bytes.len() < PERMIT_SIZE {
            return decode_message(bytes, limits);
        }
        let _permit = self.inner.decode_permits.acquire(peer.requester.permit_key(peer.key)).await;
        run_cpu_bound(|| decode_message(bytes, limits))
    }

    /// Counts, logs and reports an invalid message, once. The document ignores further messages of its connection.
    pub(super) fn refuse_message(&self, id: &DocumentId, peer: &SyncPeer, error: &BadMessage) -> RefusalDuration {
        let duration = refusal_duration(error);
        if peer.refuse(id, duration, &error.to_string()) {
            let refusal = if matches!(error, BadMessage::Full(_)) {
                RefusalReason::DocumentFull
            } else {
                RefusalReason::BadSyncMessage
            };
            self.inner.metrics.record_refusal(refusal);
            // Formatted as a value, which the log quotes: the text may contain bytes of the peer.
            let user = peer.requester.user();
            let user = user.as_deref();
            tracing::warn!(document = %id, connection = peer.key.0, user, error = error.to_string(), "refused a sync message");
        }
        duration
    }

    /// Forwards an ephemeral message to the document's other peers, unless the document is busy.
    ///
    /// Its bytes count in the memory budget until the last socket has written them.
    pub fn ephemeral(&self, from: ConnectionKey, mut message: Ephemeral) {
        let Ok(data) = self.inner.memory_budget.track(message.data) else {
            return self.inner.metrics.record_refusal(RefusalReason::Ephemeral);
        };
        message.data = data;
        let id = message.document.clone();
        self.try_send_if_open(&id, Command::Ephemeral { from, message: Arc::new(message) });
    }

    /// Forwards a peer's report of another storage's heads, if another peer watches that storage and the document is
    /// not busy.
    pub fn remote_heads(&self, from: ConnectionKey, heads: RemoteHeads) {
        if !self.inner.storages.is_watched(&heads.storage) {
            return;
        }
        let id = heads.document.clone();
        self.try_send_if_open(&id, Command::RemoteHeads { from, heads: Arc::new(heads) });
    }

    /// Changes the storages whose heads a peer watches, in the documents that it syncs. Returns the number of
    /// storages over the limit.
    pub async fn watch_storages(
        &self,
        peer: ConnectionKey,
        add: Vec<Arc<str>>,
        remove: &[Arc<str>],
        documents: &[DocumentId],
    ) -> usize {
        self.inner.storages.unwatch(peer, remove);
        let (added, refused) = self.inner.storages.watch(peer, add);
        if !added.is_empty() {
            for id in documents {
                self.send_if_open(id, Command::WatchStorages { peer, storages: added.clone() }).await;
            }
        }
        refused
    }
}
