//! The core: changes in, sync messages and events out.
//!
//! Pure. No clock, no socket, no disk, no task, no randomness: moments, ids and actors are arguments (`clippy.toml`
//! enforces it). Whoever runs a document ([`crate::hub`], [`crate::client`]) does so in three steps:
//!
//! 1. [`Document::apply`] takes a batch of sync messages and edits, and returns the chunks to be made durable;
//! 2. the caller appends them to the log and waits for the disk;
//! 3. [`Document::publish`] moves the peers' states, generates what is due to them, and tells what changed in the view.
//!
//! Nothing of a batch can be seen by anybody before step 3. When step 2 fails, the document is dropped and read again
//! from what is durable ([`Document::reload`]).

mod apply;
mod authors;
mod batch;
mod causal_order;
mod condition;
mod edit;
mod envelope;
mod extra;
mod generate;
mod headroom;
pub mod history;
mod incoming;
mod json;
mod past;
mod peers;
pub mod position;
mod receive;
mod snapshot;
mod soundness;
mod view;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use automerge::{ActorId, Automerge, Change, ChangeHash, ReadDoc, sync};
use bytes::Bytes;

pub use authors::{Authors, Bringer, Brought, Surface};
use batch::Received;
pub use batch::{Applied, Item, Outcome, Prepared, Published};
pub use condition::Condition;
pub use edit::{Author, BudgetPatch, Done, Edit, EditError, NewPosition, PlanPatch, PositionPatch, without_noise};
pub use envelope::{carries_chunks, listed, names_heads, without_chunks};
pub use extra::Extra;
pub use incoming::{
    BadMessage, DOCUMENT_ACTOR_CHANGES, DOCUMENT_BYTES, DOCUMENT_CHANGES, DOCUMENT_OPERATIONS, DocumentFull, Incoming,
    MessageLimits, Part,
};
pub use past::Past;
pub use peers::{Delivery, PeerKey, Peers};
pub use position::{DEFAULT_UNIT, EDITABLE, Plan, Position};
pub use view::{Form, Renderings, Row, RowEvent, SharedView, View, ViewChange, read_view, snapshot};

use automerge_chunks::load::{self, NotLoaded};
use headroom::Headroom;
use history::{History, NoPage, Page, Query};
use primitives::DocumentId;
use receive::has;

/// Changes that may wait in memory for others that they depend on.
const MAX_ORPHANS: usize = 10_000;
/// Bytes that they may hold.
const MAX_ORPHAN_BYTES: usize = 32 << 20;

/// Operations of a document that is small: some hundred positions.
const SMALL_DOCUMENT: u64 = 50_000;

/// One document in memory, with its view and the sync states of its peers.
pub struct Document {
    id: DocumentId,
    doc: Automerge,
    peers: Peers,
    /// Changes were applied and are not published yet.
    applied: bool,
    /// Made when somebody looks, and kept current from then on.
    view: Option<SharedView>,
    /// Made by whoever asks for it, and kept current from then on.
    history: Option<Box<History>>,
    copy: past::Copy,
    renderings: Renderings,
    limits: MessageLimits,
    /// The number of the last operation.
    max_op: u64,
    /// Whether the document carries its id under its root key, which nobody may change then.
    carries_id: bool,
    /// Changes that wait for others. They are in the library's queue too; here to be written when they are applied.
    orphans: HashMap<ChangeHash, Orphan>,
    orphan_bytes: usize,
    /// More changes wait for others than when something was last published.
    more_orphans: bool,
    /// Bytes that it takes in the store.
    stored: u64,
    /// Who brought which change in.
    authors: Authors,
    /// Who the peers are, as far as that is known.
    bringers: HashMap<PeerKey, Bringer>,
}

/// A change that waits for others.
struct Orphan {
    change: Change,
    by: Option<Bringer>,
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

impl Document {
    /// Opens a document from its log (empty: a document that does not exist yet).
    ///
    /// `actor` must be fresh: two documents that write under one actor make changes that exclude each other.
    ///
    /// # Errors
    /// When the bytes are not a chain of whole Automerge chunks.
    pub fn load(
        id: DocumentId,
        log: &[u8],
        actor: ActorId,
        renderings: Renderings,
        limits: MessageLimits,
    ) -> Result<Self, LoadError> {
        Ok(Self::of(id, load_log(log)?, actor, renderings, limits))
    }

    /// The same for a document that was read from its log already.
    #[must_use]
    pub fn of(id: DocumentId, doc: Automerge, actor: ActorId, renderings: Renderings, limits: MessageLimits) -> Self {
        let doc = without_spare_room(doc).with_actor(actor);
        let carries_id = position::read_document_id(&doc).as_deref() == Some(id.as_str());
        let max_op = soundness::max_op(&doc);
        Self {
            id,
            doc,
            peers: Peers::default(),
            applied: false,
            view: None,
            history: None,
            copy: past::Copy::default(),
            renderings,
            limits,
            max_op,
            carries_id,
            orphans: HashMap::new(),
            orphan_bytes: 0,
            more_orphans: false,
            stored: 0,
            authors: Authors::default(),
            bringers: HashMap::new(),
        }
    }

    /// What was written down of who brought which change in.
    #[must_use]
    pub fn with_authors(self, authors: Authors) -> Self {
        Self { authors, ..self }
    }

    /// Who brought which change in.
    #[must_use]
    pub fn authors(&self) -> &Authors {
        &self.authors
    }

    /// What [`Applied::authors`] said at this time is written down.
    pub fn note_authors(&mut self, applied: &Applied, time_ms: i64) {
        for attribution in &applied.attributions {
            self.authors.note(attribution, time_ms);
        }
    }

    /// The id that a document carries, if it carries a valid one.
    #[must_use]
    pub fn carried_id(doc: &Automerge) -> Option<DocumentId> {
        position::read_document_id(doc).and_then(|text| text.parse().ok())
    }

    /// The document's name.
    #[must_use]
    pub fn id(&self) -> &DocumentId {
        &self.id
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

    /// Whether the document carries its own id.
    #[must_use]
    pub fn carries_id(&self) -> bool {
        self.carries_id
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

    /// The view, for readers. It takes several times the document's own memory and is kept current at every edit, so there
    /// is one only once somebody has asked for it. What is in memory must be what was published.
    pub fn view(&mut self) -> SharedView {
        debug_assert!(self.view.is_some() || !self.applied, "what is not durable yet must not be shown");
        let Self { view, doc, renderings, .. } = self;
        Arc::clone(view.get_or_insert_with(|| Arc::new(RwLock::new(View::new(doc, *renderings)))))
    }

    /// The view, if there is one.
    #[must_use]
    pub fn shown(&self) -> Option<&SharedView> {
        self.view.as_ref()
    }

    /// Lets go of the view. Whoever has it still sees what it showed last.
    pub fn hide(&mut self) {
        self.view = None;
    }

    /// The document as it was with these heads; None if it has never had them. What is in memory must be what was
    /// published.
    pub fn past(&mut self, heads: Vec<ChangeHash>) -> Option<Past> {
        debug_assert!(!self.applied, "what is not durable yet must not be shown");
        self.copy.at(&self.doc, heads)
    }

    /// A copy, for [`History::of`]. What is in memory must be what was published.
    pub fn copy(&mut self) -> Arc<Automerge> {
        debug_assert!(!self.applied, "what is not durable yet must not be shown");
        let heads = self.doc.get_heads();
        self.copy.with(&self.doc, &heads).unwrap_or_else(|| Arc::new(self.doc.clone()))
    }

    /// Keeps a history of this document, which was made from a copy of it, and brings it to where the document is now. What
    /// is in memory must be what was published. False: it is not of this document.
    pub fn keep_history(&mut self, history: Box<History>) -> bool {
        debug_assert!(!self.applied, "what is not durable yet must not be shown");
        let heads = history.heads();
        if !heads.iter().all(|head| has(&self.doc, head)) {
            return false;
        }
        self.history = Some(history);
        if heads != self.doc.get_heads() {
            self.note_history(&self.doc.get_changes(&heads));
        }
        self.history.is_some()
    }

    /// The history, if there is one.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// A page of the history; None if there is no history at the moment.
    #[must_use]
    pub fn history_page(&self, query: &Query) -> Option<Result<Page, NoPage>> {
        let history = self.history.as_ref()?;
        let page = catch_unwind(AssertUnwindSafe(|| history.page(&self.doc, query, &|change| self.authors.of(change))));
        Some(page.unwrap_or(Err(NoPage::Failed)))
    }

    /// Who brought these changes in: of those that are here, and of which that is known.
    #[must_use]
    pub fn attribution(&self, changes: &[ChangeHash]) -> Vec<(ChangeHash, Brought)> {
        let here = changes.iter().filter(|change| has(&self.doc, change));
        here.filter_map(|change| Some((*change, self.authors.of(change)?))).collect()
    }

    /// Lets go of the history.
    pub fn forget_history(&mut self) {
        self.history = None;
    }

    /// Notes what was published. A history that cannot be kept current is let go of: it is made again when somebody asks.
    fn note_history(&mut self, changes: &[Change]) {
        let Some(mut history) = self.history.take() else { return };
        let added = catch_unwind(AssertUnwindSafe(|| history.add(&self.doc, changes)));
        match added {
            Ok(Ok(())) => self.history = Some(history),
            Ok(Err(error)) => tracing::error!(document = %self.id, %error, "the history is let go of"),
            Err(_) => tracing::error!(document = %self.id, "the history is let go of: the library failed on a change"),
        }
    }

    /// The whole document as one snapshot chunk.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        generate::save(&self.doc)
    }

    /// A peer begins to sync; see [`Document::publish`] for what it gets. `shared_heads`: what it is remembered to have.
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

    /// The same for a peer who has no room for it now: it is generated by [`Document::drained`].
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

    /// Step 3: the batch is durable. Moves the peers who sent something, generates what is due to whoever is `ready`
    /// (the others are asked for again by [`Document::drained`]), and brings the view up to date.
    pub fn publish(&mut self, applied: &mut Applied, ready: impl FnMut(PeerKey) -> bool) -> Published {
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
        let changes = std::mem::take(&mut applied.changes);
        // If making messages fails, the view has not moved on, and what it lacks is told after the reload.
        let deliveries = self.peers.generate(&self.doc, ready);
        let view = match &self.view {
            Some(view) if changed => View::update(view, &self.doc, &changes),
            _ => ViewChange::default(),
        };
        self.note_history(&changes);
        Published { deliveries, view, changed }
    }

    /// After the append failed and [`Document::reload`]: what the batch said besides its changes is not lost.
    pub fn settle_acknowledgements(&mut self, applied: Applied, ready: impl FnMut(PeerKey) -> bool) -> Published {
        let Applied { received, .. } = applied;
        for Received { peer, bytes, decoded } in received {
            if decoded.as_ref().is_none_or(|(_, carried)| !carried) {
                self.settle(peer, &bytes, decoded);
            }
        }
        Published { deliveries: self.peers.generate(&self.doc, ready), ..Published::default() }
    }

    /// Peers that are not answered any more, as they went on saying the same, are answered once more. To be called at times
    /// far apart. Returns whether there are any; [`Document::generate_due`] has the answers.
    pub fn retry_stalled(&mut self) -> bool {
        self.peers.retry_stalled()
    }

    /// What is due to peers, without anything new: after [`Document::reload`]. What is in memory must be what was published.
    pub fn generate_due(&mut self, ready: impl FnMut(PeerKey) -> bool) -> Published {
        debug_assert!(!self.applied, "what is not durable yet must not be shown");
        Published { deliveries: self.peers.generate(&self.doc, ready), ..Published::default() }
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

    /// Drops what is in memory and reads what is durable. Peers are asked for everything that they have and the log has
    /// not. The view never showed more than what is durable, but may have shown less: what it shows now and did not
    /// before is told.
    ///
    /// # Errors
    /// When the log cannot be read; the document must not be used then.
    pub fn reload(&mut self, log: &[u8], actor: ActorId) -> Result<ViewChange, LoadError> {
        self.doc = load_log(log)?.with_actor(actor);
        self.max_op = soundness::max_op(&self.doc);
        self.applied = false;
        self.carries_id = position::read_document_id(&self.doc).as_deref() == Some(self.id.as_str());
        self.orphans.clear();
        self.orphan_bytes = 0;
        self.authors.forget_claims();
        self.history = None;
        self.copy = past::Copy::default();
        let change = match &self.view {
            Some(view) => View::reload(view, &self.doc),
            None => ViewChange::default(),
        };
        self.peers.reset();
        Ok(change)
    }

    /// How much of its limits the document has used, in percent: of the limit that it is nearest to.
    #[must_use]
    pub fn used_percent(&self) -> u64 {
        self.headroom().used_percent()
    }

    fn headroom(&self) -> Headroom {
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
}

/// The library leaves room to grow in every column that it reads; a copy has what it needs. For a document of a hundred
/// positions that is an eighth of its memory; in one that is large it is little, and a second copy would not be.
fn without_spare_room(doc: Automerge) -> Automerge {
    if doc.stats().num_ops <= SMALL_DOCUMENT { doc.clone() } else { doc }
}

/// What a document that does not exist answers to a sync message, or says first. None: nothing, or the message is none.
#[must_use]
pub fn answer_of_none(message: Option<&[u8]>) -> Option<Bytes> {
    let (none, mut state) = (Automerge::new(), sync::State::new());
    if let Some(message) = message {
        let message = catch_unwind(|| sync::Message::decode(message)).ok()?.ok()?;
        state = receive::receive(&none, &state, message);
    }
    generate::generate(&none, &state, &mut generate::Saved::default()).0
}

/// Takes a sync message apart. It does not matter to which document it goes: this can be done before it is that document's
/// turn.
///
/// # Errors
/// When the message or anything in it is malformed, corrupt or over a limit.
pub fn take_apart(bytes: &[u8], limits: &MessageLimits) -> Result<Incoming, BadMessage> {
    // The library's parsers are strict but not proven: a panic in them is the sender's fault, and costs only it.
    catch_unwind(|| Incoming::decode(bytes, limits)).unwrap_or(Err(BadMessage::Panicked))
}

fn load_log(log: &[u8]) -> Result<Automerge, LoadError> {
    Ok(load::load(log)?)
}

#[cfg(test)]
mod authors_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod lost_tests;
#[cfg(test)]
mod tests;
