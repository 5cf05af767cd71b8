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

mod condition;
mod edit;
mod envelope;
mod generate;
mod headroom;
mod incoming;
mod peers;
pub mod position;
mod receive;
mod soundness;
mod view;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use automerge::{ActorId, Automerge, Change, ChangeHash, ReadDoc, sync};
use bytes::Bytes;

pub use condition::Condition;
pub use edit::{Author, Done, Edit, EditError, MAX_ID, MAX_TEXT, NewPosition, PlanPatch, PositionPatch, without_noise};
pub use envelope::carries_chunks;
pub use incoming::{BadMessage, DocumentFull, Incoming, MessageLimits};
pub use peers::{Delivery, PeerKey, Peers};
pub use position::{DEFAULT_UNIT, EDITABLE, Plan, Position};
pub use view::{Form, Renderings, Row, RowEvent, SharedView, View, ViewChange, read_view, snapshot};

use crate::format::DocumentId;
use headroom::Headroom;
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
    renderings: Renderings,
    limits: MessageLimits,
    /// The number of the last operation.
    max_op: u64,
    /// Whether the document carries its id under its root key, which nobody may change then.
    carries_id: bool,
    /// Changes that wait for others. They are in the library's queue too; here to be written when they are applied.
    orphans: HashMap<ChangeHash, Change>,
    orphan_bytes: usize,
    /// More changes wait for others than when something was last published.
    more_orphans: bool,
    /// Bytes that it takes in the store.
    stored: u64,
}

/// One thing to be done in a batch. Cloning is cheap: message bytes are shared.
#[derive(Debug, Clone)]
pub enum Item {
    /// A sync message as it came.
    Sync {
        /// From whom.
        peer: PeerKey,
        /// The encoded message.
        bytes: Bytes,
    },
    /// An edit.
    Edit {
        /// What.
        edit: Edit,
        /// By whom, and when.
        author: Author,
    },
}

impl Item {
    /// Whether this one alone takes long to apply.
    #[must_use]
    pub fn is_large(&self) -> bool {
        match self {
            Self::Sync { .. } => false,
            Self::Edit { edit, .. } => edit.rows() > 20,
        }
    }
}

/// An item that was taken apart, which is most of the work where it is large.
#[derive(Debug)]
pub struct Prepared(Ready);

impl Prepared {
    /// About how many bytes it takes while it is applied, if that is much.
    #[must_use]
    pub fn weight(&self) -> u64 {
        match &self.0 {
            Ready::Sync { incoming: Ok(Some(incoming)), .. } => incoming.weight,
            _ => 0,
        }
    }
}

#[derive(Debug)]
enum Ready {
    /// None: an acknowledgement whose bytes are known.
    Sync {
        peer: PeerKey,
        bytes: Bytes,
        incoming: Result<Option<Incoming>, BadMessage>,
    },
    Edit {
        edit: Edit,
        author: Author,
    },
}

/// What became of an item, in the batch's order.
#[derive(Debug)]
pub enum Outcome {
    /// The sync message was taken.
    Synced,
    /// The sync message is refused; the peer that sent it has to go.
    Refused(BadMessage),
    /// The edit was made, or refused.
    Edited(Result<Done, EditError>),
}

/// A batch that was applied in memory and is not durable yet.
#[derive(Debug)]
#[must_use = "the changes must be made durable, and then published"]
pub struct Applied {
    /// Whole Automerge chunks to append to the log: the new changes in causal order. Empty: nothing changed.
    pub chunks: Vec<u8>,
    /// How many changes these are.
    pub change_count: usize,
    /// What became of each item. To be told only after the append.
    pub outcomes: Vec<Outcome>,
    /// For each item whether it brought changes: these are the ones that fail when the append does.
    pub brought_changes: Vec<bool>,
    changes: Vec<Change>,
    received: Vec<Received>,
    spoiled: Option<BadMessage>,
}

impl Applied {
    /// The document in memory is ruined: a change was applied that would make it unreadable, or the library failed
    /// halfway. Nothing was made durable. It has to be read again ([`Document::reload`]), and the items to be tried one by
    /// one to find whose fault it is; here is what to tell the one who sent the last that is left.
    #[must_use]
    pub fn spoiled(&self) -> Option<&BadMessage> {
        self.spoiled.as_ref()
    }

    fn ruined(error: BadMessage) -> Self {
        Self {
            chunks: Vec::new(),
            change_count: 0,
            outcomes: Vec::new(),
            brought_changes: Vec::new(),
            changes: Vec::new(),
            received: Vec::new(),
            spoiled: Some(error),
        }
    }

    /// The peers whose messages were taken.
    pub fn senders(&self) -> impl Iterator<Item = PeerKey> + '_ {
        self.received.iter().map(|received| received.peer)
    }
}

#[derive(Debug)]
struct Received {
    peer: PeerKey,
    bytes: Bytes,
    /// None: an acknowledgement that was looked up by its bytes, if the document did not change.
    decoded: Option<(sync::Message, bool)>,
}

/// What is to be sent after a batch.
#[derive(Debug, Default)]
pub struct Published {
    /// Sync messages. They must be delivered.
    pub deliveries: Vec<Delivery>,
    /// What changed for those who look at rows.
    pub view: ViewChange,
    /// Whether the document changed at all.
    pub changed: bool,
}

/// Why a document cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The library does not read it.
    #[error("the document cannot be read: {0}")]
    Automerge(#[from] automerge::AutomergeError),
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
            renderings,
            limits,
            max_op,
            carries_id,
            orphans: HashMap::new(),
            orphan_bytes: 0,
            more_orphans: false,
            stored: 0,
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

    /// The whole document as one snapshot chunk.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.doc.save()
    }

    /// A peer begins to sync; see [`Document::publish`] for what it gets. `shared_heads`: what it is remembered to have.
    pub fn join(&mut self, peer: PeerKey, mut shared_heads: Vec<ChangeHash>) {
        // A restored backup may lack what a peer once had from us.
        shared_heads.retain(|head| has(&self.doc, head));
        self.peers.join(peer, shared_heads);
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
        self.peers.leave(peer)
    }

    /// The heads that a peer last said it has.
    #[must_use]
    pub fn their_heads(&self, peer: PeerKey) -> Option<&[ChangeHash]> {
        self.peers.their_heads(peer)
    }

    /// A peer asked for this document, which does not exist: it gets nothing until it does.
    pub fn wait_for_document(&mut self, peer: PeerKey) {
        self.peers.wait_for_document(peer);
    }

    /// A peer who asked for this document has got it meanwhile, and is asked for it.
    pub fn stop_waiting(&mut self, peer: PeerKey) {
        self.peers.stop_waiting(peer);
    }

    /// What of step 1 can be done before it is known what else belongs to the batch.
    #[must_use]
    pub fn prepare(&self, item: Item) -> Prepared {
        Prepared(match item {
            Item::Edit { edit, author } => Ready::Edit { edit, author },
            Item::Sync { peer, bytes } => {
                let incoming = self.decode(peer, &bytes);
                Ready::Sync { peer, bytes, incoming }
            }
        })
    }

    /// The same for a sync message that was taken apart already.
    #[must_use]
    pub fn prepare_sync(&self, peer: PeerKey, bytes: Bytes, incoming: Incoming) -> Prepared {
        Prepared(Ready::Sync { peer, bytes, incoming: Ok(Some(incoming)) })
    }

    /// Step 1: applies a batch in memory. The changes of all its messages go through one `apply_changes`.
    pub fn apply(&mut self, items: Vec<Item>) -> Applied {
        let prepared = items.into_iter().map(|item| self.prepare(item)).collect();
        self.apply_prepared(prepared)
    }

    /// The same for items that are prepared. What comes of it may be [`spoiled`](Applied::spoiled).
    pub fn apply_prepared(&mut self, items: Vec<Prepared>) -> Applied {
        // The library asserts in places what a forged change breaks.
        catch_unwind(AssertUnwindSafe(|| self.try_to_apply(items)))
            .unwrap_or(Err(BadMessage::Panicked))
            .unwrap_or_else(Applied::ruined)
    }

    /// An error: the document in memory is ruined.
    fn try_to_apply(&mut self, items: Vec<Prepared>) -> Result<Applied, BadMessage> {
        let before = self.doc.get_heads();
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(items.len());
        let mut brought_changes = vec![false; items.len()];
        let mut received = Vec::new();
        let mut edits = Vec::new();
        let mut arriving: Vec<(usize, PeerKey, Vec<Change>)> = Vec::new();
        let mut headroom = self.headroom();
        for (index, Prepared(item)) in items.into_iter().enumerate() {
            outcomes.push(None);
            match item {
                Ready::Edit { edit, author } => edits.push((index, edit, author)),
                Ready::Sync { peer, bytes, incoming } => match incoming {
                    Err(error) => outcomes[index] = Some(Outcome::Refused(error)),
                    Ok(None) => received.push((index, Received { peer, bytes, decoded: None })),
                    Ok(Some(incoming)) => {
                        let fresh: Vec<Change> =
                            incoming.changes.into_iter().filter(|change| !has(&self.doc, &change.hash())).collect();
                        if let Err(full) = headroom.take(&fresh) {
                            outcomes[index] = Some(Outcome::Refused(full.into()));
                            continue;
                        }
                        if !fresh.is_empty() {
                            brought_changes[index] = true;
                            arriving.push((index, peer, fresh));
                        }
                        let decoded = Some((incoming.message, incoming.carried_changes));
                        received.push((index, Received { peer, bytes, decoded }));
                    }
                },
            }
        }

        let mut changes = self.apply_arriving(arriving, &mut outcomes)?;
        for (index, edit, author) in edits {
            let outcome = match headroom.take_edit() {
                Ok(()) => self.edit(&edit, &author, &mut changes),
                Err(full) => Err(full.into()),
            };
            brought_changes[index] = matches!(outcome, Ok(Done { changed: true }));
            outcomes[index] = Some(Outcome::Edited(outcome));
        }
        self.restore_id(&mut changes);

        // In causal order every prefix of the log is a whole document.
        changes.sort_by_key(|change| (change.start_op(), change.hash()));
        let mut chunks = Vec::new();
        self.max_op = changes.iter().map(Change::max_op).fold(self.max_op, u64::max);
        for change in &mut changes {
            chunks.extend_from_slice(&change.bytes());
        }
        self.applied = !changes.is_empty();
        debug_assert_eq!(changes.is_empty(), before == self.doc.get_heads());
        let received = received
            .into_iter()
            .filter(|(index, _)| outcomes[*index].is_none())
            .map(|(_, received)| received)
            .collect();
        let outcomes = outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Synced)).collect();
        let change_count = changes.len();
        Ok(Applied { chunks, change_count, outcomes, brought_changes, changes, received, spoiled: None })
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
        let change = match &self.view {
            Some(view) => View::reload(view, &self.doc),
            None => ViewChange::default(),
        };
        self.peers.reset();
        Ok(change)
    }

    fn headroom(&self) -> Headroom {
        let MessageLimits { document_changes, document_bytes, document_operations, .. } = self.limits;
        let (changes, operations) = self.size();
        let waiting: usize = self.orphans.values().map(Change::len).sum();
        Headroom {
            changes: changes + self.orphans.len() as u64,
            bytes: self.stored,
            operations: operations + waiting as u64,
            document_changes,
            document_bytes,
            document_operations,
        }
    }

    /// None: an acknowledgement whose bytes are known.
    fn decode(&self, peer: PeerKey, bytes: &Bytes) -> Result<Option<Incoming>, BadMessage> {
        if self.peers.knows_acknowledgement(peer, bytes) {
            return Ok(None);
        }
        take_apart(bytes, &self.limits).map(Some)
    }

    /// Applies what arrived in one call; when that fails, message by message, to find whose fault it is. An error: the
    /// document is ruined.
    fn apply_arriving(
        &mut self,
        arriving: Vec<(usize, PeerKey, Vec<Change>)>,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<Vec<Change>, BadMessage> {
        let mut applied = Vec::new();
        if arriving.is_empty() {
            return Ok(applied);
        }
        let all = arriving.iter().flat_map(|(_, _, changes)| changes.iter().cloned()).collect();
        if let Err(error) = self.apply_changes(all, &mut applied)? {
            if let [(index, _, _)] = arriving.as_slice() {
                outcomes[*index] = Some(Outcome::Refused(error));
                return Ok(applied);
            }
            for (index, _, changes) in arriving {
                if let Err(error) = self.apply_changes(changes, &mut applied)? {
                    outcomes[index] = Some(Outcome::Refused(error));
                }
            }
        }
        Ok(applied)
    }

    /// The inner error: nothing was applied. The outer one: the document is ruined.
    fn apply_changes(
        &mut self,
        mut changes: Vec<Change>,
        applied: &mut Vec<Change>,
    ) -> Result<Result<(), BadMessage>, BadMessage> {
        let mut seen = HashSet::with_capacity(changes.len());
        changes.retain(|change| seen.insert(change.hash()) && !self.orphans.contains_key(&change.hash()));
        if changes.is_empty() {
            return Ok(Ok(()));
        }
        let before = self.doc.get_heads();
        let checked = self
            .check_orphans(&changes)
            .and_then(|()| soundness::check_counting(&self.doc, &changes, self.max_op))
            .and_then(|all_known| Ok(self.doc.apply_changes(changes.clone()).map(|()| all_known)?));
        let all_known = match checked {
            Ok(all_known) => all_known,
            Err(error) => return Ok(Err(error)),
        };
        let mut fresh = Vec::with_capacity(changes.len());
        let mut waited = Vec::new();
        for change in changes {
            if has(&self.doc, &change.hash()) {
                fresh.push(change);
            } else {
                self.orphan_bytes += change.raw_bytes().len();
                self.more_orphans = true;
                self.orphans.insert(change.hash(), change);
            }
        }
        if !self.orphans.is_empty() {
            let doc = &self.doc;
            waited.extend(self.orphans.extract_if(|hash, _| has(doc, hash)).map(|(_, change)| change));
            self.orphan_bytes = self.orphans.values().map(|change| change.raw_bytes().len()).sum();
        }
        // What those that waited count on from was not known when they came; nor was it for any that came before its own.
        let uncounted = if all_known { &[][..] } else { fresh.as_slice() };
        if !waited.iter().chain(uncounted).all(|change| soundness::follows(&self.doc, change)) {
            return Err(BadMessage::Counting);
        }
        fresh.append(&mut waited);
        if !fresh.is_empty() && !soundness::makes_again(&self.doc, &before, &fresh) {
            return Err(BadMessage::NotMadeAgain);
        }
        applied.append(&mut fresh);
        Ok(Ok(()))
    }

    /// Refuses changes that would make too many wait for others, before the library has queued any of them.
    fn check_orphans(&self, changes: &[Change]) -> Result<(), BadMessage> {
        let mut known: HashSet<ChangeHash> = HashSet::new();
        let (mut count, mut bytes) = (self.orphans.len(), self.orphan_bytes);
        // Dependencies come first in what a peer sends; a change that comes before its own is counted as an orphan.
        for change in changes {
            if change.deps().iter().all(|dep| known.contains(dep) || has(&self.doc, dep)) {
                known.insert(change.hash());
            } else {
                count += 1;
                bytes += change.raw_bytes().len();
            }
        }
        let waits_for_more = count > self.orphans.len();
        if waits_for_more && (count > MAX_ORPHANS || bytes > MAX_ORPHAN_BYTES) {
            return Err(BadMessage::TooManyOrphans(MAX_ORPHANS));
        }
        Ok(())
    }

    fn edit(&mut self, edit: &Edit, author: &Author, changes: &mut Vec<Change>) -> Result<Done, EditError> {
        let done = edit::run(&mut self.doc, edit, author)?;
        if done.changed {
            changes.extend(self.doc.get_last_local_change());
            if let Edit::Create { id, .. } | Edit::CarryId(id) = edit {
                self.carries_id = *id == self.id;
            }
        }
        Ok(done)
    }

    /// The id that a document was opened with is fixed: whoever overwrites it finds it restored by the same append.
    fn restore_id(&mut self, changes: &mut Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        if position::read_document_id(&self.doc).as_deref() == Some(self.id.as_str()) {
            self.carries_id = true;
            return;
        }
        if !self.carries_id {
            return;
        }
        let now = changes.iter().map(Change::timestamp).max().unwrap_or_default().saturating_mul(1_000);
        let author = Author { name: "server".to_owned(), now };
        if let Err(error) = self.edit(&Edit::CarryId(self.id.clone()), &author, changes) {
            tracing::error!(document = %self.id, %error, "the document id could not be restored");
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
    Ok(catch_unwind(|| Automerge::load(log)).map_err(|_| LoadError::Panicked)??)
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
