//! One Automerge document and its peers: changes in, sync messages out.

use std::collections::HashMap;

use automerge::{ActorId, Automerge, Change, ChangeHash, ReadDoc, sync};
use automerge_chunks::load::{self, NotLoaded};
use bytes::Bytes;

use crate::batch::{Applied, Published, Received};
use crate::message_limits::MessageLimits;
use crate::peers::{Delivery, PeerKey, Peers};
use crate::provenance::{Authors, Bringer, Brought};
use crate::quota::Headroom;
use crate::receive::has;
use crate::schema::Schema;
use crate::{generate, validation};

/// Operations of a document that is small: some hundred positions.
const SMALL_DOCUMENT: u64 = 50_000;

/// One document in memory, with the sync states of its peers.
pub struct Engine<S> {
    pub(crate) doc: Automerge,
    pub(crate) schema: S,
    pub(crate) peers: Peers,
    /// Changes were applied and are not published yet.
    pub(crate) applied: bool,
    pub(crate) limits: MessageLimits,
    /// The number of the last operation.
    pub(crate) max_op: u64,
    /// Changes that wait for others. They are in the library's queue too; here to be written when they are applied.
    pub(crate) orphans: HashMap<ChangeHash, Orphan>,
    pub(crate) orphan_bytes: usize,
    /// More changes wait for others than when something was last published.
    pub(crate) more_orphans: bool,
    /// Bytes that the document takes in the store.
    pub(crate) stored: u64,
    /// Who brought which change in.
    pub(crate) authors: Authors,
    /// Who the peers are, as far as that is known.
    pub(crate) bringers: HashMap<PeerKey, Bringer>,
}

/// A change that waits for others.
pub(crate) struct Orphan {
    pub(crate) change: Change,
    pub(crate) by: Option<Bringer>,
}

/// How a peer stands to a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Who it is, if that is known.
    pub by: Option<Bringer>,
    /// It may read and not write: it is told so, and changes that it sends all the same are not taken.
    pub read_only: bool,
}

/// Why a document cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The library does not read it, or would take too much memory for it.
    #[error("the document cannot be read: {0}")]
    NotLoaded(#[from] NotLoaded),
    /// The library panicked on it.
    #[error("the document cannot be read: the Automerge library failed on it")]
    Panicked,
}

impl<S: Schema> Engine<S> {
    /// Takes over a document that was read from its log.
    ///
    /// `actor` must be fresh: two documents that write under one actor make changes that exclude each other.
    #[must_use]
    pub fn new(doc: Automerge, actor: ActorId, mut schema: S, limits: MessageLimits) -> Self {
        let doc = without_spare_room(doc).with_actor(actor);
        let max_op = validation::max_op(&doc);
        schema.loaded(&doc);
        Self {
            doc,
            schema,
            peers: Peers::default(),
            applied: false,
            limits,
            max_op,
            orphans: HashMap::new(),
            orphan_bytes: 0,
            more_orphans: false,
            stored: 0,
            authors: Authors::default(),
            bringers: HashMap::new(),
        }
    }

    /// The document. It includes a batch that is not durable yet: see [`Engine::has_unpublished`].
    #[must_use]
    pub fn automerge(&self) -> &Automerge {
        &self.doc
    }

    /// Whether a batch was applied and not published yet: readers must not see it.
    #[must_use]
    pub fn has_unpublished(&self) -> bool {
        self.applied
    }

    /// The schema of the document.
    #[must_use]
    pub fn schema(&self) -> &S {
        &self.schema
    }

    /// The number of the last operation.
    #[must_use]
    pub fn max_op(&self) -> u64 {
        self.max_op
    }

    /// Changes that wait in memory for others that they depend on. They are not stored.
    #[must_use]
    pub fn waiting_changes(&self) -> usize {
        self.orphans.len()
    }

    /// The sync states of the peers.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Sets who brought which change in, as read from the store.
    pub fn set_authors(&mut self, authors: Authors) {
        self.authors = authors;
    }

    /// Who brought which change in.
    #[must_use]
    pub fn authors(&self) -> &Authors {
        &self.authors
    }

    /// Records that what [`Applied::authors`] returned for `time_ms` is stored.
    pub fn note_authors(&mut self, applied: &Applied<S>, time_ms: i64) {
        for attribution in &applied.attributions {
            self.authors.note(attribution, time_ms);
        }
    }

    /// Who brought these changes in: of those that are here, and of which that is known.
    #[must_use]
    pub fn attribution(&self, changes: &[ChangeHash]) -> Vec<(ChangeHash, Brought)> {
        let here = changes.iter().filter(|change| has(&self.doc, change));
        here.filter_map(|change| Some((*change, self.authors.of(change)?))).collect()
    }

    /// Whether anything was ever written: a document exists from its first change.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.doc.get_heads().is_empty()
    }

    /// The heads, those of a batch that is not durable yet included.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.doc.get_heads()
    }

    /// How many changes the history has, and how many operations.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        let stats = self.doc.stats();
        (stats.num_changes, stats.num_ops)
    }

    /// How much room it takes in the store: what is added is bounded by it (see [`MessageLimits`]).
    pub fn set_stored(&mut self, bytes: u64) {
        self.stored = bytes;
    }

    /// The whole document as one snapshot chunk.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        generate::save(&self.doc)
    }

    /// A peer begins to sync; see [`Engine::publish`] for what it gets. `shared_heads`: what it is remembered to have.
    pub fn join(&mut self, peer: PeerKey, mut shared_heads: Vec<ChangeHash>) {
        // A restored backup may lack what a peer once had from us.
        shared_heads.retain(|head| has(&self.doc, head));
        self.peers.join(peer, shared_heads);
    }

    /// Says who a peer is, and what it may do. Once that changes, it is told with its next message, which is due then.
    pub fn introduce(&mut self, peer: PeerKey, standing: Standing) {
        match standing.by {
            Some(by) => self.bringers.insert(peer, by),
            None => self.bringers.remove(&peer),
        };
        self.peers.set_read_only(peer, standing.read_only);
    }

    /// The peer's next message is due to it even if it has said nothing yet.
    pub fn greet(&mut self, peer: PeerKey) -> Option<Delivery> {
        self.peers.generate_one(&self.doc, peer)
    }

    /// The same for a peer who has no room for it now: it is generated by [`Engine::drained`].
    pub fn greet_later(&mut self, peer: PeerKey) {
        self.peers.owe(peer);
    }

    /// A peer is gone. Returns the heads that it and the document were known to share.
    pub fn leave(&mut self, peer: PeerKey) -> Option<Vec<ChangeHash>> {
        self.bringers.remove(&peer);
        self.peers.leave(peer)
    }

    /// The heads that a peer last said it has.
    #[must_use]
    pub fn their_heads(&self, peer: PeerKey) -> Option<&[ChangeHash]> {
        self.peers.their_heads(peer)
    }

    /// Whether a peer has said that it accepts no changes: a read-only one, or one that cannot store any now.
    #[must_use]
    pub fn refuses_changes(&self, peer: PeerKey) -> bool {
        self.peers.refuses_changes(peer)
    }

    /// Whether the exchange with a peer makes no progress, although it was begun anew.
    #[must_use]
    pub fn is_stalled(&self, peer: PeerKey) -> bool {
        self.peers.is_given_up(peer)
    }

    /// A peer asked for this document, which does not exist: it gets nothing until it does.
    pub fn wait_for_document(&mut self, peer: PeerKey) {
        self.peers.wait_for_document(peer);
    }

    /// A peer who asked for this document has got it meanwhile, and is asked for it.
    pub fn stop_waiting(&mut self, peer: PeerKey) {
        self.peers.stop_waiting(peer);
    }

    /// After the append failed and [`Engine::reload`]: what the batch said besides its changes is not lost.
    pub fn settle_acknowledgements(
        &mut self,
        applied: Applied<S>,
        ready: impl FnMut(PeerKey) -> bool,
    ) -> Vec<Delivery> {
        let Applied { received, .. } = applied;
        for Received { peer, bytes, decoded } in received {
            if decoded.as_ref().is_none_or(|(_, carried)| !carried) {
                self.settle(peer, &bytes, decoded);
            }
        }
        self.peers.generate(&self.doc, ready)
    }

    /// Peers that are not answered any more, as they went on saying the same, are answered once more. To be called at times
    /// far apart. Returns whether there are any; [`Engine::generate_due`] has the answers.
    pub fn retry_stalled(&mut self) -> bool {
        self.peers.retry_stalled()
    }

    /// What is due to peers, without anything new: after [`Engine::reload`]. What is in memory must be what was published.
    pub fn generate_due(&mut self, ready: impl FnMut(PeerKey) -> bool) -> Vec<Delivery> {
        debug_assert!(!self.applied, "what is not durable yet must not be shown");
        self.peers.generate(&self.doc, ready)
    }

    /// The socket of a peer takes messages again: one that covers all that happened since, if anything did.
    pub fn drained(&mut self, peer: PeerKey) -> Option<Delivery> {
        if self.peers.is_due(peer) { self.peers.generate_one(&self.doc, peer) } else { None }
    }

    /// Whether messages of some size are kept for peers who may come yet.
    #[must_use]
    pub fn keeps_copies(&self) -> bool {
        self.peers.keeps_copies()
    }

    /// Lets go of them, unless somebody has come since this was last called. They cost time to make again, nothing else.
    pub fn forget_unused_copies(&mut self) {
        self.peers.forget_unused_copies();
    }

    /// Whether a peer is owed a message that it was not ready for.
    #[must_use]
    pub fn is_behind(&self, peer: PeerKey) -> bool {
        self.peers.is_due(peer)
    }

    /// How much of its limits the document has used, in percent: of the limit that it is nearest to.
    #[must_use]
    pub fn used_percent(&self) -> u64 {
        self.headroom().used_percent()
    }

    pub(crate) fn headroom(&self) -> Headroom {
        let MessageLimits { document_changes, document_bytes, document_operations, document_actor_changes, .. } =
            self.limits;
        let stats = self.doc.stats();
        let (changes, operations) = (stats.num_changes, stats.num_ops);
        let waiting: usize = self.orphans.values().map(|orphan| orphan.change.len()).sum();
        Headroom {
            changes: changes + self.orphans.len() as u64,
            bytes: self.stored,
            operations: operations + waiting as u64,
            actors: stats.num_actors + self.orphans.values().filter(|orphan| orphan.change.seq() == 1).count() as u64,
            document_changes,
            document_bytes,
            document_operations,
            document_actor_changes,
        }
    }

    fn settle(&mut self, peer: PeerKey, bytes: &Bytes, decoded: Option<(sync::Message, bool)>) {
        let (message, carried_changes) = match decoded {
            Some(decoded) => decoded,
            None if self.peers.acknowledge(peer, bytes) => return,
            // Its lookup was dropped meanwhile, as the document has moved on.
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

    /// Step 3: the batch is durable. Moves the peers who sent something, and generates what is due to those that are `ready`
    /// (the others are asked for again by [`Engine::drained`]).
    pub fn publish(&mut self, applied: &mut Applied<S>, ready: impl FnMut(PeerKey) -> bool) -> Published {
        let changed = !applied.changes.is_empty();
        self.applied = false;
        let more_orphans = std::mem::take(&mut self.more_orphans);
        if changed {
            self.peers.document_changed(&self.doc);
        } else if more_orphans {
            self.peers.needs_changed();
        }
        for Received { peer, bytes, decoded } in std::mem::take(&mut applied.received) {
            self.settle(peer, &bytes, decoded);
        }
        let deliveries = self.peers.generate(&self.doc, ready);
        Published { deliveries, changes: std::mem::take(&mut applied.changes) }
    }

    /// Drops what is in memory and reads what is durable. Peers are asked for everything that they have and the log has not.
    ///
    /// # Errors
    /// When the log cannot be read; the engine must not be used then.
    pub fn reload(&mut self, log: &[u8], actor: ActorId) -> Result<(), LoadError> {
        self.doc = load_log(log)?.with_actor(actor);
        self.max_op = validation::max_op(&self.doc);
        self.applied = false;
        self.schema.loaded(&self.doc);
        self.orphans.clear();
        self.orphan_bytes = 0;
        self.authors.forget_claims();
        self.peers.reset();
        Ok(())
    }
}

/// The library leaves room to grow in every column that it reads; a copy has what it needs. For a document of a hundred
/// positions that is an eighth of its memory; in one that is large it is little, and a second copy would not be.
fn without_spare_room(doc: Automerge) -> Automerge {
    if doc.stats().num_ops <= SMALL_DOCUMENT { doc.clone() } else { doc }
}

/// Reads a document from its log; an empty log is a document that does not exist yet.
///
/// # Errors
/// When the bytes are not a chain of whole Automerge chunks, or take more memory than a document may.
pub fn load_log(log: &[u8]) -> Result<Automerge, LoadError> {
    Ok(load::load(log)?)
}
