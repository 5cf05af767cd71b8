//! What sync peers bring: it goes to the task of its document, unless it is none of theirs, or is not what it seems to be.

use std::sync::Arc;

use bytes::Bytes;
use offload::run_cpu_bound;
use primitives::DocumentId;
use sync_engine::{
    BadMessage, Incoming, MessageLimits, carries_chunks, decode_message, reply_without_document, without_chunks,
};

use super::Hub;
use super::access::{Denied, Right};
use super::command::{Command, SyncPeer, Unavailable};
use super::outbox::{ConnectionKey, Ephemeral, Farewell, Outgoing, RemoteHeads, Waiter};
use super::refusals::{Lasting, lasting};
use super::turns::Turn;
use crate::memory_budget::Share;
use crate::metrics::Refusal;

/// Bytes of a sync message from which on it is taken apart before it comes to its document.
const SIZEABLE: usize = 1 << 10;
/// The same, from which on that waits for its turn: what is compressed is a thousandth of what it holds at the least.
const MAYBE_HEAVY: usize = 8 << 10;

impl Hub {
    /// Begins to sync a document with a peer who has said nothing about it yet: it gets the first message.
    ///
    /// # Errors
    /// When the server stops.
    pub async fn greet(&self, id: &DocumentId, peer: SyncPeer) -> Result<(), Unavailable> {
        if self.is_nothing_to(&peer, id) {
            self.turn_down(id, &peer, false, None);
            return Ok(());
        }
        if self.inner.access.is_anothers(&peer.caller, id) {
            self.look_for_none(id, &peer).await;
            self.turn_down(id, &peer, false, None);
            return Ok(());
        }
        self.send(id, Command::Greet(peer)).await
    }

    /// Does once for each connection what is done to find that a document does not exist. So the answer about a document
    /// that is another user's, which is not looked at, takes as long as one about none.
    async fn look_for_none(&self, id: &DocumentId, peer: &SyncPeer) {
        if !peer.refusals.is_first_denial(id) {
            return;
        }
        let (store, none) = (&self.inner.store, DocumentId::from_random(rand::random()));
        // There is nothing, and nothing to tell if that cannot be seen.
        let _ = store.load(&none).await;
        let _ = store.load_authors(&none).await;
        let _ = store.load_peers(&none).await;
        store.close(&none).await;
    }

    /// Passes on a sync message, as soon as not too much of this connection waits already. `request`: the peer has not got
    /// the document, and wants to know if we have not either. `share`: what the message takes of the memory.
    ///
    /// A message of some size is taken apart here, in the task of its connection: a bad one costs its sender time, and not
    /// the document. What is refused is told to the peer; its connection goes on, for the sake of its other documents.
    ///
    /// # Errors
    /// When the server stops.
    pub async fn sync(
        &self,
        id: &DocumentId,
        peer: SyncPeer,
        mut bytes: Bytes,
        request: bool,
        mut share: Share,
    ) -> Result<(), Farewell> {
        if self.is_nothing_to(&peer, id) {
            self.turn_down(id, &peer, request, Some(&bytes));
            return Ok(());
        }
        let mut brings_changes = carries_chunks(&bytes);
        if brings_changes && self.only_reads(&peer, id) {
            // The document would leave the changes out. What the peer says besides is heard.
            if let Some(bare) = without_chunks(&bytes) {
                self.inner.metrics.refuse(Refusal::Denied);
                (bytes, brings_changes) = (bare.into(), false);
            }
        }
        if peer.refusals.drops(id, brings_changes) {
            self.inner.metrics.refuse(Refusal::RefusedDocument);
            if request {
                peer.tell_unavailable(id, &Unavailable::Refused);
            }
            return Ok(());
        }
        // A connection that ends does not wait for its turn: nothing of its message was acknowledged.
        let closing = peer.outbox.closing();
        // Where a peer may create the document, its message is taken apart before the document is looked for: malformed
        // messages get the same answer whether it exists or not.
        let may_be_anothers = self.right(&peer.caller, id) < Right::Read;
        let mut turn = None;
        let incoming = if may_be_anothers || (bytes.len() >= SIZEABLE && brings_changes) {
            let taken_apart = tokio::select! {
                biased;
                taken_apart = self.decode_message(&peer, &bytes, &mut share, &mut turn) => taken_apart,
                () = closing.cancelled() => return Ok(()),
            };
            match taken_apart {
                Ok(Some(incoming)) => Some(Box::new(incoming)),
                Ok(None) => {
                    self.inner.metrics.refuse(Refusal::Memory);
                    return Ok(self.send(id, Command::Postpone(peer)).await?);
                }
                Err(error) => {
                    self.refuse(id, &peer, &error);
                    self.send_if_open(id, Command::Leave(peer.key)).await;
                    return Ok(());
                }
            }
        } else {
            None
        };
        if may_be_anothers && self.inner.access.is_anothers(&peer.caller, id) {
            self.look_for_none(id, &peer).await;
            self.turn_down(id, &peer, request, Some(&bytes));
            return Ok(());
        }
        if share.hold_at_least(bytes.len()).is_err() {
            self.inner.metrics.refuse(Refusal::Memory);
            return Ok(self.send(id, Command::Postpone(peer)).await?);
        }
        let allowed = tokio::select! {
            biased;
            allowed = peer.allowance.take(bytes.len(), share, turn) => allowed,
            () = closing.cancelled() => return Ok(()),
        };
        Ok(self.send(id, Command::Sync { peer, bytes, incoming, request, allowed }).await?)
    }

    /// Whether a peer may not change a document, be it there or not.
    fn only_reads(&self, peer: &SyncPeer, id: &DocumentId) -> bool {
        let access = &self.inner.access;
        access.right(&peer.caller, id) < Right::Write && access.right_before(&peer.caller, id) < Right::Write
    }

    /// Whether somebody may not even read a document, be it there or not. It is not looked for then: how long that takes, and
    /// whether it can be opened, would tell them.
    fn is_nothing_to(&self, peer: &SyncPeer, id: &DocumentId) -> bool {
        let access = &self.inner.access;
        access.right(&peer.caller, id) < Right::Read && access.right_before(&peer.caller, id) < Right::Read
    }

    /// Answers who may not even know of a document as if it did not exist, until they bring something: that is not taken,
    /// and they are told so.
    pub(super) fn turn_down(&self, id: &DocumentId, peer: &SyncPeer, request: bool, message: Option<&[u8]>) {
        let brings = message.is_some_and(carries_chunks);
        if !request && !brings && !self.inner.access.is_deleted(id) {
            let waiter = Waiter::Document(id.clone());
            if let (Some(data), Some(place)) = (reply_without_document(message), peer.outbox.place(&waiter)) {
                place.fill(Outgoing::Sync { document: id.clone(), data });
            }
            return;
        }
        self.inner.metrics.refuse(Refusal::Denied);
        peer.tell_unavailable(id, &Denied::Missing(id.clone()).into());
    }

    /// None: there is no room for it at the moment.
    async fn decode_message(
        &self,
        peer: &SyncPeer,
        bytes: &Bytes,
        share: &mut Share,
        turn: &mut Option<Turn>,
    ) -> Result<Option<Incoming>, BadMessage> {
        let limits = &self.inner.settings.limits;
        let ordinary = limits.ordinary();
        match self.take_apart_in_turn(peer, bytes, &ordinary).await {
            Ok(incoming) => Ok(share.hold(incoming.memory_estimate).is_ok().then_some(incoming)),
            // A message may hold a whole document. One that does is taken apart and applied while no other one is, and may
            // take more than there is.
            Err(error) if error.is_over_a_limit() && ordinary != *limits => {
                *turn = Some(self.inner.whole_documents.take(peer.caller.principal(peer.key)).await);
                self.take_apart_in_turn(peer, bytes, limits).await.map(Some)
            }
            Err(error) => Err(error),
        }
    }

    async fn take_apart_in_turn(
        &self,
        peer: &SyncPeer,
        bytes: &Bytes,
        limits: &MessageLimits,
    ) -> Result<Incoming, BadMessage> {
        if bytes.len() < MAYBE_HEAVY {
            return decode_message(bytes, limits);
        }
        let _turn = self.inner.turns.take(peer.caller.principal(peer.key)).await;
        run_cpu_bound(|| decode_message(bytes, limits))
    }

    /// A peer sent something bad: it is counted, logged, and told to the peer, once. The document takes nothing more from its
    /// connection.
    pub(super) fn refuse(&self, id: &DocumentId, peer: &SyncPeer, error: &BadMessage) -> Lasting {
        let lasting = lasting(error);
        if peer.refuse(id, lasting, &error.to_string()) {
            let refusal =
                if matches!(error, BadMessage::Full(_)) { Refusal::DocumentFull } else { Refusal::BadSyncMessage };
            self.inner.metrics.refuse(refusal);
            // As a text, which the log quotes: parts of it may be the peer's.
            tracing::warn!(document = %id, connection = peer.key.0, error = error.to_string(), "refused a sync message");
        }
        lasting
    }

    /// Passes on an ephemeral message to the document's other peers, if the document is not too busy.
    ///
    /// Its bytes count as held memory until the last socket has let go of them.
    pub fn ephemeral(&self, from: ConnectionKey, mut message: Ephemeral) {
        let Ok(data) = self.inner.memory.counted(message.data) else {
            return self.inner.metrics.refuse(Refusal::Ephemeral);
        };
        message.data = data;
        let id = message.document.clone();
        self.offer_if_open(&id, Command::Ephemeral { from, message: Arc::new(message) });
    }

    /// Passes on what a peer knows of another storage's heads, if anybody wants to know and the document is not too busy.
    pub fn remote_heads(&self, from: ConnectionKey, heads: RemoteHeads) {
        if !self.inner.storages.is_watched(&heads.storage) {
            return;
        }
        let id = heads.document.clone();
        self.offer_if_open(&id, Command::RemoteHeads { from, heads: Arc::new(heads) });
    }

    /// A peer wants to know (or no longer) what these storages have of the documents that it syncs. Returns how many
    /// it may not watch as there are too many.
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
