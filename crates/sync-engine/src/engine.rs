//! [`Engine`]: one document in memory with the sync states of its peers.

use std::collections::HashMap;

use automerge::{ActorId, Automerge, Change, ChangeHash, ReadDoc, sync};
use automerge_chunks::load::{self, LogLoadError};
use bytes::Bytes;

use crate::batch::{Applied, Published, Received};
use crate::message_limits::MessageLimits;
use crate::peers::{Delivery, PeerKey, Peers};
use crate::provenance::{Authors, Contributor, Merge, Origin, Provenance};
use crate::quota::Quota;
use crate::receive::has;
use crate::schema::Schema;
use crate::{generate, validation};

/// Operations up to which a document counts as small: it is then copied after loading, to save memory.
const SMALL_DOCUMENT: u64 = 50_000;

/// One document in memory, with the sync states of its peers.
pub struct Engine<S> {
    pub(crate) doc: Automerge,
    pub(crate) schema: S,
    pub(crate) peers: Peers,
    /// Changes were applied and are not published yet.
    pub(crate) has_unpublished: bool,
    /// The heads of the last published state.
    pub(crate) published: Vec<ChangeHash>,
    pub(crate) limits: MessageLimits,
    /// The last operation number.
    pub(crate) max_op: u64,
    /// Orphaned changes, whose dependencies are missing. The library queues them as well; they are kept here to be stored once
    /// they are applied.
    pub(crate) orphans: HashMap<ChangeHash, Orphan>,
    pub(crate) orphan_bytes: usize,
    /// Changes were orphaned since the last publication.
    pub(crate) more_orphans: bool,
    /// Size of the document in the store, in bytes.
    pub(crate) stored_bytes: u64,
    /// The provenance of the changes.
    pub(crate) authors: Authors,
    /// The authenticated peers.
    pub(crate) contributors: HashMap<PeerKey, Contributor>,
}

/// A change whose dependencies are missing.
pub(crate) struct Orphan {
    pub(crate) change: Change,
    pub(crate) origin: Option<Origin>,
}

/// The user of a peer, and its right to write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerRole {
    /// The authenticated user, to whom the peer's changes are attributed. `None` if the connection is not authenticated.
    pub by: Option<Contributor>,
    /// The peer may only read. It is told so, and its changes are ignored.
    pub read_only: bool,
}

/// Why a document cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The log is corrupt, or loading it would take too much memory.
    #[error("the document cannot be read: {0}")]
    Log(#[from] LogLoadError),
    /// The library panicked.
    #[error("the document cannot be read: the Automerge library failed on it")]
    Panicked,
}

impl<S: Schema> Engine<S> {
    /// Makes an engine for a document that was read from its log, without peers.
    ///
    /// `actor` must be new: two copies of a document that write under one actor make conflicting changes.
    #[must_use]
    pub fn new(doc: Automerge, actor: ActorId, mut schema: S, limits: MessageLimits) -> Self {
        let doc = without_spare_capacity(doc).with_actor(actor);
        let max_op = validation::max_op(&doc);
        schema.loaded(&doc);
        let published = doc.get_heads();
        Self {
            doc,
            schema,
            peers: Peers::default(),
            has_unpublished: false,
            published,
            limits,
            max_op,
            orphans: HashMap::new(),
            orphan_bytes: 0,
            more_orphans: false,
            stored_bytes: 0,
            authors: Authors::default(),
            contributors: HashMap::new(),
        }
    }

    /// The document. It includes changes that are not durable yet: see [`Engine::has_unpublished`].
    #[must_use]
    pub fn automerge(&self) -> &Automerge {
        &self.doc
    }

    /// Whether the document includes a batch that was applied and not published yet. Readers must not see it.
    #[must_use]
    pub fn has_unpublished(&self) -> bool {
        self.has_unpublished
    }

    /// The schema of the document.
    #[must_use]
    pub fn schema(&self) -> &S {
        &self.schema
    }

    /// Changes the schema.
    pub fn update_schema(&mut self, update: impl FnOnce(&mut S, &Automerge)) {
        update(&mut self.schema, &self.doc);
    }

    /// Goes on under another actor, which must be new. Everything in memory must be published.
    pub fn use_actor(&mut self, actor: ActorId) {
        debug_assert!(!self.has_unpublished, "the batch is attributed to the actor that wrote it");
        self.doc.set_actor(actor);
    }

    /// The last operation number of the document.
    #[must_use]
    pub fn max_op(&self) -> u64 {
        self.max_op
    }

    /// Number of orphaned changes: changes in memory whose dependencies are missing. They are not stored.
    #[must_use]
    pub fn orphaned_changes(&self) -> usize {
        self.orphans.len()
    }

    /// The orphaned changes.
    pub fn orphans(&self) -> impl Iterator<Item = &ChangeHash> {
        self.orphans.keys()
    }

    /// The sync states of the peers.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Sets the provenance of the changes, as read from the store.
    pub fn set_authors(&mut self, authors: Authors) {
        self.authors = authors;
    }

    /// The provenance of the changes.
    #[must_use]
    pub fn authors(&self) -> &Authors {
        &self.authors
    }

    /// Records the provenance of a batch, after the lines of [`Applied::authors`] for the same `time_ms` were stored.
    pub fn note_authors(&mut self, applied: &Applied<S>, time_ms: i64) {
        for attribution in &applied.attributions {
            self.authors.record(attribution, time_ms);
        }
    }

    /// The provenance of these changes. Changes that are unknown, or whose provenance is unknown, are left out.
    #[must_use]
    pub fn attribution(&self, changes: &[ChangeHash]) -> Vec<(ChangeHash, Option<Provenance>, Option<Merge>)> {
        let known = changes.iter().filter(|change| has(&self.doc, change));
        let known = known.map(|change| (*change, self.authors.of(change), self.authors.merge_of(change)));
        known.filter(|(_, provenance, merge)| provenance.is_some() || merge.is_some()).collect()
    }

    /// Whether the document has a change. A document exists from its first change.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.doc.get_heads().is_empty()
    }

    /// The heads, including changes that are not durable yet.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.doc.get_heads()
    }

    /// The number of changes in the history, and the number of operations.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        let stats = self.doc.stats();
        (stats.num_changes, stats.num_ops)
    }

    /// Sets the size of the document in the store, which is limited by [`MessageLimits::document_bytes`].
    pub fn set_stored(&mut self, bytes: u64) {
        self.stored_bytes = bytes;
    }

    /// The whole document as one snapshot chunk.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        generate::save(&self.doc)
    }

    /// Adds a peer. `shared_heads` are the heads that both sides had when it was last connected; empty for a new peer.
    pub fn join(&mut self, peer: PeerKey, mut shared_heads: Vec<ChangeHash>) {
        // A restored backup may lack changes that the peer has received from us.
        shared_heads.retain(|head| has(&self.doc, head));
        self.peers.join(peer, shared_heads);
    }

    /// Sets the user of a peer and its right to write. If the right changes, the next message to the peer says so, and is due.
    pub fn introduce(&mut self, peer: PeerKey, standing: PeerRole) {
        match standing.by {
            Some(by) => self.contributors.insert(peer, by),
            None => self.contributors.remove(&peer),
        };
        self.peers.set_read_only(peer, standing.read_only);
    }

    /// Generates the next message for a peer, even if the peer has sent nothing yet.
    pub fn greet(&mut self, peer: PeerKey) -> Option<Delivery> {
        self.peers.generate_one(&self.doc, peer)
    }

    /// Marks the next message for a peer as due, for a peer that is not ready now. [`Engine::drained`] generates it.
    pub fn greet_later(&mut self, peer: PeerKey) {
        self.peers.mark_behind(peer);
    }

    /// Removes a peer. Returns the heads that both sides were known to have.
    pub fn leave(&mut self, peer: PeerKey) -> Option<Vec<ChangeHash>> {
        self.contributors.remove(&peer);
        self.peers.leave(peer)
    }

    /// The heads in a peer's last message.
    #[must_use]
    pub fn their_heads(&self, peer: PeerKey) -> Option<&[ChangeHash]> {
        self.peers.their_heads(peer)
    }

    /// Whether the peer's last message said that it accepts no changes: it is read-only, or cannot store any now.
    #[must_use]
    pub fn refuses_changes(&self, peer: PeerKey) -> bool {
        self.peers.refuses_changes(peer)
    }

    /// Whether the exchange with a peer makes no progress even after resets, so that the peer is not answered any more.
    #[must_use]
    pub fn is_stalled(&self, peer: PeerKey) -> bool {
        self.peers.is_given_up(peer)
    }

    /// Marks a peer that asked for this document, which does not exist. It gets no message until the document exists.
    pub fn wait_for_document(&mut self, peer: PeerKey) {
        self.peers.wait_for_document(peer);
    }

    /// Unmarks a peer that asked for this document, because it has received the document meanwhile.
    pub fn stop_waiting(&mut self, peer: PeerKey) {
        self.peers.stop_waiting(peer);
    }

    /// Applies the messages without changes of a batch whose append failed, after [`Engine::reload`].
    pub fn receive_acknowledgements(
        &mut self,
        applied: Applied<S>,
        ready: impl FnMut(PeerKey) -> bool,
    ) -> Vec<Delivery> {
        let Applied { received, .. } = applied;
        for Received { peer, bytes, decoded } in received {
            if decoded.as_ref().is_none_or(|(_, carried)| !carried) {
                self.receive(peer, &bytes, decoded);
            }
        }
        self.peers.generate(&self.doc, ready)
    }

    /// Makes a message due to the peers whose exchange is stalled. Call this rarely. Returns whether there are any; then call
    /// [`Engine::generate_due`].
    pub fn retry_stalled(&mut self) -> bool {
        self.peers.retry_stalled()
    }

    /// Generates the messages that are due without a batch, for example after [`Engine::reload`]. The document must be published.
    pub fn generate_due(&mut self, ready: impl FnMut(PeerKey) -> bool) -> Vec<Delivery> {
        debug_assert!(!self.has_unpublished, "peers must not see changes that are not durable");
        self.peers.generate(&self.doc, ready)
    }

    /// Generates the message that is due to a peer, if there is one, when its socket accepts messages again.
    pub fn drained(&mut self, peer: PeerKey) -> Option<Delivery> {
        if self.peers.is_due(peer) { self.peers.generate_one(&self.doc, peer) } else { None }
    }

    /// Whether cached messages take more than a little memory.
    #[must_use]
    pub fn holds_cache(&self) -> bool {
        self.peers.holds_cache()
    }

    /// Drops cached messages, unless one was used since the last call. Generating them again costs only time.
    pub fn evict_unused_cache(&mut self) {
        self.peers.evict_unused_cache();
    }

    /// Whether a message may be due to a peer.
    #[must_use]
    pub fn is_behind(&self, peer: PeerKey) -> bool {
        self.peers.is_due(peer)
    }

    /// Used part of the document limit that is nearest to being reached, in percent.
    #[must_use]
    pub fn used_percent(&self) -> u64 {
        self.quota().used_percent()
    }

    /// The size of the document, including orphaned changes, and its limits.
    pub(crate) fn quota(&self) -> Quota {
        let MessageLimits { document_changes, document_bytes, document_operations, document_actor_changes, .. } =
            self.limits;
        let stats = self.doc.stats();
        let (changes, operations) = (stats.num_changes, stats.num_ops);
        let orphaned_operations: usize = self.orphans.values().map(|orphan| orphan.change.len()).sum();
        Quota {
            changes: changes + self.orphans.len() as u64,
            bytes: self.stored_bytes,
            operations: operations + orphaned_operations as u64,
            actors: stats.num_actors + self.orphans.values().filter(|orphan| orphan.change.seq() == 1).count() as u64,
            document_changes,
            document_bytes,
            document_operations,
            document_actor_changes,
        }
    }

    /// Applies a message to the state of its sender.
    fn receive(&mut self, peer: PeerKey, bytes: &Bytes, decoded: Option<(sync::Message, bool)>) {
        let (message, carried_changes) = match decoded {
            Some(decoded) => decoded,
            None if self.peers.acknowledge(peer, bytes) => return,
            // The cache was cleared meanwhile, because the document has changed.
            None => match sync::Message::decode(bytes) {
                Ok(message) => (message, false),
                Err(_) => return,
            },
        };
        if !carried_changes && self.peers.acknowledge(peer, bytes) {
            return;
        }
        let keep = (!carried_changes).then_some(bytes);
        self.peers.receive(&self.doc, peer, message, keep);
    }

    /// Publishes a batch that is durable: updates the states of its senders, and generates the messages that are due to peers for
    /// which `ready` returns true. For the others call [`Engine::drained`] later.
    pub fn publish(&mut self, applied: &mut Applied<S>, ready: impl FnMut(PeerKey) -> bool) -> Published {
        let changed = applied.has_changes();
        self.has_unpublished = false;
        let more_orphans = std::mem::take(&mut self.more_orphans);
        if changed {
            self.published = self.doc.get_heads();
            self.peers.document_changed(&self.doc);
        } else if more_orphans {
            self.peers.needs_changed();
        }
        for Received { peer, bytes, decoded } in std::mem::take(&mut applied.received) {
            self.receive(peer, &bytes, decoded);
        }
        let deliveries = self.peers.generate(&self.doc, ready);
        Published { deliveries, changes: applied.take_changes() }
    }

    /// Reads the document again from its durable log, and drops the document in memory. Peers are asked for all changes that the
    /// log lacks.
    ///
    /// # Errors
    /// When the log cannot be loaded. The engine must not be used any more then.
    pub fn reload(&mut self, log: &[u8], actor: ActorId) -> Result<(), LoadError> {
        self.doc = load_log(log)?.with_actor(actor);
        self.max_op = validation::max_op(&self.doc);
        self.has_unpublished = false;
        self.published = self.doc.get_heads();
        self.schema.loaded(&self.doc);
        self.orphans.clear();
        self.orphan_bytes = 0;
        self.authors.drop_unstored_bindings();
        self.peers.reset();
        Ok(())
    }
}

/// Copies a small document, because the library reserves spare capacity in every column that it loads, and none in a copy. That
/// saves an eighth of the memory of a document of a hundred positions. In a large document the saving is small, and the copy is
/// expensive.
fn without_spare_capacity(doc: Automerge) -> Automerge {
    if doc.stats().num_ops <= SMALL_DOCUMENT { doc.clone() } else { doc }
}

/// Loads a document from its log. An empty log gives an empty document.
///
/// # Errors
/// When the bytes are not a chain of complete Automerge chunks, or loading them would take too much memory.
pub fn load_log(log: &[u8]) -> Result<Automerge, LoadError> {
    Ok(load::load(log)?)
}
