//! What sync peers bring: it goes to the task of its document, unless it is none of theirs, or is not what it seems to be.

use std::sync::Arc;

use bytes::Bytes;

use super::access::{Denied, Right};
use super::command::{Command, SyncPeer, Unavailable};
use super::outbox::{ConnectionKey, Ephemeral, Farewell, FarewellKind, Outgoing, RemoteHeads, Waiter};
use super::{Hub, Inner};
use crate::document::{BadMessage, Incoming, answer_of_none, carries_chunks, take_apart};
use crate::format::DocumentId;
use crate::heavy::heavily;
use crate::memory::Share;
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
        self.send(id, Command::Greet(peer)).await
    }

    /// Passes on a sync message, as soon as not too much of this connection waits already. `request`: the peer has not got
    /// the document, and wants to know if we have not either. `share`: what the message takes of the memory.
    ///
    /// One of some size is taken apart here, by whoever brought it: what is not what it seems to be costs its sender time, and
    /// not the document.
    ///
    /// # Errors
    /// When the server stops, the message is bad, or there is no room for it.
    pub async fn sync(
        &self,
        id: &DocumentId,
        peer: SyncPeer,
        bytes: Bytes,
        request: bool,
        mut share: Share,
    ) -> Result<(), Farewell> {
        if self.is_nothing_to(&peer, id) {
            self.turn_down(id, &peer, request, Some(&bytes));
            return Ok(());
        }
        let incoming = if bytes.len() >= SIZEABLE && carries_chunks(&bytes) {
            Some(Box::new(self.take_apart(id, &peer, &bytes, &mut share).await?))
        } else {
            None
        };
        let allowed = peer.allowance.take(bytes.len(), share).await;
        Ok(self.send(id, Command::Sync { peer, bytes, incoming, request, allowed }).await?)
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
            if let (Some(data), Some(place)) = (answer_of_none(message), peer.outbox.place(&waiter)) {
                place.fill(Outgoing::Sync { document: id.clone(), data });
            }
            return;
        }
        self.inner.metrics.refuse(Refusal::Denied);
        peer.tell_unavailable(id, &Denied::Missing(id.clone()).into());
    }

    async fn take_apart(
        &self,
        id: &DocumentId,
        peer: &SyncPeer,
        bytes: &Bytes,
        share: &mut Share,
    ) -> Result<Incoming, Farewell> {
        let Inner { settings, metrics, .. } = &*self.inner;
        let incoming = if bytes.len() >= MAYBE_HEAVY {
            let _turn = self.turn().await;
            heavily(|| take_apart(bytes, &settings.limits))
        } else {
            take_apart(bytes, &settings.limits)
        };
        let incoming = incoming.map_err(|error| self.refused(id, peer.key, &error))?;
        share.hold(incoming.weight).map_err(|error| {
            metrics.refuse(Refusal::Memory);
            Farewell::from(Unavailable::from(error))
        })?;
        Ok(incoming)
    }

    /// A peer sent something bad: it is counted and logged. Returns what ends its connection.
    pub(super) fn refused(&self, id: &DocumentId, peer: ConnectionKey, error: &BadMessage) -> Farewell {
        let (refusal, kind) = match error {
            // Not the peer's fault, and not for ever.
            BadMessage::Full(_) => (Refusal::DocumentFull, FarewellKind::TryAgainLater),
            _ => (Refusal::BadSyncMessage, FarewellKind::BadMessage),
        };
        self.inner.metrics.refuse(refusal);
        // As a text, which the log quotes: parts of it may be the peer's.
        tracing::warn!(document = %id, connection = peer.0, error = error.to_string(), "refused a sync message");
        Farewell { kind, message: format!("document {id}: {error}") }
    }

    /// Passes on an ephemeral message to the document's other peers, if the document is not too busy.
    pub fn ephemeral(&self, from: ConnectionKey, message: Ephemeral) {
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
