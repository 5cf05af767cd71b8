//! Step 1 of a batch: everything in it is applied in memory, and becomes chunks to be stored.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use automerge::transaction::CommitOptions;
use automerge::{Change, ChangeHash, ReadDoc};
use automerge_chunks::load;
use bytes::Bytes;

use crate::bad_message::BadMessage;
use crate::batch::{Applied, Item, Outcome, Prepared, Ready, Received};
use crate::engine::{Engine, Orphan};
use crate::incoming::{Incoming, take_apart};
use crate::peers::PeerKey;
use crate::provenance::Bringer;
use crate::quota::Headroom;
use crate::receive::{has, has_at_once};
use crate::schema::{EditRefused, Schema};
use crate::{causal_order, validation};

/// Changes that may wait in memory for others that they depend on.
pub const MAX_ORPHANS: usize = 10_000;
/// Bytes that they may hold.
const MAX_ORPHAN_BYTES: usize = 32 << 20;

/// Heads that a document may have after a batch.
const MAX_HEADS: usize = 256;

/// What the first change of a new actor costs in any document, in changes of known actors.
const NEW_ACTOR: u64 = 4;
/// It costs one more for each of so many changes times actors of the document.
const CLOCKS_PER_CHANGE: u64 = 1_000_000;

/// Who brought the changes of a batch, as far as that is known.
type Bringers = HashMap<ChangeHash, Bringer>;

impl<S: Schema> Engine<S> {
    /// What of step 1 can be done before it is known what else belongs to the batch.
    #[must_use]
    pub fn prepare(&self, item: Item<S>) -> Prepared<S> {
        Prepared(match item {
            Item::Edit { edit, by } => Ready::Edit { edit, by },
            Item::Sync { peer, bytes } => {
                let incoming = self.decode(peer, &bytes);
                Ready::Sync { peer, bytes, incoming }
            }
        })
    }

    /// The same for a sync message that was taken apart already.
    #[must_use]
    pub fn prepare_sync(&self, peer: PeerKey, bytes: Bytes, incoming: Incoming) -> Prepared<S> {
        Prepared(Ready::Sync { peer, bytes, incoming: Ok(Some(incoming)) })
    }

    /// Takes a portion of changes from the front of a sync message and prepares it: as many as cost no more than `cost` changes
    /// of known actors, but at least one. Returns `None` if all that is left fits into one portion.
    pub fn prepare_part(&self, peer: PeerKey, message: &mut Incoming, cost: usize) -> Option<Prepared<S>> {
        let Headroom { changes, actors, .. } = self.headroom();
        // A new actor goes into all clocks (see `load::apply`).
        let new_actor = NEW_ACTOR + changes.saturating_mul(actors) / CLOCKS_PER_CHANGE;
        let new_actor = usize::try_from(new_actor).unwrap_or(usize::MAX);
        let cost_of = |change: &Change| if change.seq() == 1 { new_actor } else { 1 };
        let costs = message.changes.iter().scan(0_usize, |sum, change| {
            *sum = sum.saturating_add(cost_of(change));
            Some(*sum)
        });
        let fitting = costs.take_while(|sum| *sum <= cost).count().max(1);
        let part = (fitting < message.changes.len()).then(|| message.take_part(fitting))?;
        Some(Prepared(Ready::Part { peer, part }))
    }

    /// Step 1: applies a batch in memory. The changes of all its messages go through one `apply_changes`.
    pub fn apply(&mut self, items: Vec<Item<S>>) -> Applied<S> {
        let prepared = items.into_iter().map(|item| self.prepare(item)).collect();
        self.apply_prepared(prepared)
    }

    /// The same for items that are prepared. What comes of it may be [`spoiled`](Applied::spoiled).
    pub fn apply_prepared(&mut self, items: Vec<Prepared<S>>) -> Applied<S> {
        // The library asserts in places what a forged change breaks.
        catch_unwind(AssertUnwindSafe(|| self.try_to_apply(items)))
            .unwrap_or(Err(BadMessage::Panicked))
            .unwrap_or_else(Applied::ruined)
    }

    /// An error: the document in memory is ruined.
    fn try_to_apply(&mut self, items: Vec<Prepared<S>>) -> Result<Applied<S>, BadMessage> {
        let before = self.doc.get_heads();
        let mut outcomes: Vec<Option<Outcome<S>>> = Vec::with_capacity(items.len());
        let mut brought_changes = vec![false; items.len()];
        let mut received = Vec::new();
        let mut edits = Vec::new();
        let mut arriving: Vec<(usize, PeerKey, Vec<Change>)> = Vec::new();
        let mut headroom = self.headroom();
        let mut bringers = Bringers::new();
        let mut proven: Arc<HashSet<ChangeHash>> = Arc::default();
        for (index, Prepared(item)) in items.into_iter().enumerate() {
            outcomes.push(None);
            match item {
                Ready::Edit { edit, by } => edits.push((index, edit, by)),
                Ready::Sync { peer, bytes, incoming } => match incoming {
                    Err(error) => outcomes[index] = Some(Outcome::Refused(error)),
                    Ok(None) => received.push((index, Received { peer, bytes, decoded: None })),
                    Ok(Some(incoming)) => {
                        join_proven(&mut proven, incoming.continuing);
                        match self.admit(peer, incoming.changes, &mut headroom, &mut bringers) {
                            Err(error) => {
                                outcomes[index] = Some(Outcome::Refused(error));
                                continue;
                            }
                            Ok(fresh) if fresh.is_empty() => {}
                            Ok(fresh) => {
                                brought_changes[index] = true;
                                arriving.push((index, peer, fresh));
                            }
                        }
                        let decoded = Some((incoming.message, incoming.carried_changes));
                        received.push((index, Received { peer, bytes, decoded }));
                    }
                },
                Ready::Part { peer, part } => {
                    join_proven(&mut proven, part.continuing);
                    match self.admit(peer, part.changes, &mut headroom, &mut bringers) {
                        Err(error) => outcomes[index] = Some(Outcome::Refused(error)),
                        Ok(fresh) if fresh.is_empty() => {}
                        Ok(fresh) => {
                            brought_changes[index] = true;
                            arriving.push((index, peer, fresh));
                        }
                    }
                }
            }
        }

        let mut changes = self.apply_arriving(arriving, &mut outcomes, &mut bringers, &proven)?;
        let mut edited = HashMap::new();
        for (index, edit, by) in edits {
            let before = changes.len();
            let outcome = match headroom.take_edit() {
                Ok(()) => self.edit(&edit, &mut changes),
                Err(full) => Err(EditRefused::Full(full)),
            };
            if let Some(by) = by {
                edited.extend(changes[before..].iter().map(|change| (change.hash(), by.clone())));
            }
            brought_changes[index] = changes.len() > before;
            outcomes[index] = Some(Outcome::Edited(outcome));
        }
        self.restore(&mut changes);
        self.merge_heads(&mut changes, &mut headroom);

        let mut changes = causal_order::sort(changes);
        let mut chunks = Vec::new();
        self.max_op = changes.iter().map(Change::max_op).fold(self.max_op, u64::max);
        for change in &mut changes {
            chunks.extend_from_slice(&change.bytes());
        }
        let attributions = self.authors.attribute(changes.iter().filter_map(|change| {
            let hash = change.hash();
            let here = edited.get(&hash).map(|by| (change, by, true));
            here.or_else(|| bringers.get(&hash).map(|by| (change, by, false)))
        }));
        self.applied = !changes.is_empty();
        debug_assert_eq!(changes.is_empty(), before == self.doc.get_heads());
        let received = received
            .into_iter()
            .filter(|(index, _)| outcomes[*index].is_none())
            .map(|(_, received)| received)
            .collect();
        let outcomes = outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Synced)).collect();
        let change_count = changes.len();
        Ok(Applied {
            chunks,
            change_count,
            outcomes,
            brought_changes,
            changes,
            received,
            attributions,
            ..Applied::empty()
        })
    }

    /// Those of a peer's changes that are not here yet, if there is room for them and they may come from it.
    fn admit(
        &mut self,
        peer: PeerKey,
        changes: Vec<Change>,
        headroom: &mut Headroom,
        bringers: &mut Bringers,
    ) -> Result<Vec<Change>, BadMessage> {
        let fresh = self.unknown(peer, changes);
        headroom.take(&fresh)?;
        self.claim(peer, &fresh, bringers)?;
        Ok(fresh)
    }

    /// Those of a peer's changes that are not here yet. What somebody may only read they cannot change.
    fn unknown(&self, peer: PeerKey, changes: Vec<Change>) -> Vec<Change> {
        if self.peers.is_read_only(peer) {
            return Vec::new();
        }
        changes.into_iter().filter(|change| !self.has(&change.hash())).collect()
    }

    /// Whether a change is part of the history.
    fn has(&self, hash: &ChangeHash) -> bool {
        if self.orphans.is_empty() { has_at_once(&self.doc, hash) } else { has(&self.doc, hash) }
    }

    /// Notes who brings these changes, if that is known, unless some of them continue what somebody else has begun.
    fn claim(&mut self, peer: PeerKey, changes: &[Change], bringers: &mut Bringers) -> Result<(), BadMessage> {
        let Some(by) = self.bringers.get(&peer) else { return Ok(()) };
        // What waits already, or came earlier in this batch, may be brought by anybody: it is a copy, and was noted when it
        // came first.
        let is_new = |hash: &ChangeHash| !self.orphans.contains_key(hash) && !bringers.contains_key(hash);
        let new: Vec<&Change> = changes.iter().filter(|change| is_new(&change.hash())).collect();
        if self.authors.claim(by, new.iter().copied(), self.doc.get_actor()).is_err() {
            return Err(BadMessage::ForeignActor);
        }
        bringers.extend(new.into_iter().map(|change| (change.hash(), by.clone())));
        Ok(())
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
        outcomes: &mut [Option<Outcome<S>>],
        bringers: &mut Bringers,
        proven: &HashSet<ChangeHash>,
    ) -> Result<Vec<Change>, BadMessage> {
        let mut applied = Vec::new();
        if arriving.is_empty() {
            return Ok(applied);
        }
        let all = arriving.iter().flat_map(|(_, _, changes)| changes.iter().cloned()).collect();
        if let Err(error) = self.apply_changes(all, &mut applied, bringers, proven)? {
            if let [(index, _, _)] = arriving.as_slice() {
                outcomes[*index] = Some(Outcome::Refused(error));
                return Ok(applied);
            }
            for (index, _, changes) in arriving {
                if let Err(error) = self.apply_changes(changes, &mut applied, bringers, proven)? {
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
        bringers: &mut Bringers,
        proven: &HashSet<ChangeHash>,
    ) -> Result<Result<(), BadMessage>, BadMessage> {
        let mut seen = HashSet::with_capacity(changes.len());
        changes.retain(|change| seen.insert(change.hash()) && !self.orphans.contains_key(&change.hash()));
        if changes.is_empty() {
            return Ok(Ok(()));
        }
        let before = self.doc.get_heads();
        let checked = self
            .check_orphans(&changes)
            .and_then(|()| validation::check_counting(&self.doc, &changes, self.max_op))
            .and_then(|all_known| {
                let waiting = || self.orphans.values().map(|orphan| orphan.change.clone()).collect();
                load::apply(&mut self.doc, changes.clone(), waiting)?;
                Ok(all_known)
            });
        let all_known = match checked {
            Ok(all_known) => all_known,
            Err(error) => {
                self.queue_orphans_again(&before)?;
                return Ok(Err(error));
            }
        };
        let mut fresh = Vec::with_capacity(changes.len());
        let mut waited = Vec::new();
        // Those of these that wait are in the library's queue, and not yet among the orphans.
        let all_wait_for_nothing = self.orphans.is_empty() && all_known;
        for change in changes {
            let hash = change.hash();
            if if all_wait_for_nothing { has_at_once(&self.doc, &hash) } else { has(&self.doc, &hash) } {
                fresh.push(change);
            } else {
                self.orphan_bytes += change.raw_bytes().len();
                self.more_orphans = true;
                let by = bringers.get(&hash).cloned();
                self.orphans.insert(hash, Orphan { change, by });
            }
        }
        // One that waited goes in with a change that it waited for.
        if !self.orphans.is_empty() && !fresh.is_empty() {
            let doc = &self.doc;
            for (hash, Orphan { change, by }) in self.orphans.extract_if(|hash, _| has(doc, hash)) {
                waited.push(change);
                bringers.extend(by.map(|by| (hash, by)));
            }
            self.orphan_bytes = self.orphans.values().map(|orphan| orphan.change.raw_bytes().len()).sum();
        }
        // What those that waited count on from was not known when they came; nor was it for any that came before its own.
        let uncounted = if all_known { &[][..] } else { fresh.as_slice() };
        if !waited.iter().chain(uncounted).all(|change| validation::follows(&self.doc, change)) {
            return Err(BadMessage::Counting);
        }
        fresh.append(&mut waited);
        if !validation::continue_their_actors(&self.doc, &before, &fresh, proven) {
            return Err(BadMessage::Discontinuous);
        }
        if !fresh.is_empty() && !validation::makes_again(&self.doc, &before, &fresh) {
            return Err(BadMessage::NotMadeAgain);
        }
        applied.append(&mut fresh);
        Ok(Ok(()))
    }

    /// When the library refuses changes it may let go of others that wait, such as those of the same actor. Whoever has sent them
    /// thinks that they are here, and we would not take them again.
    fn queue_orphans_again(&mut self, before: &[ChangeHash]) -> Result<(), BadMessage> {
        if !self.orphans.is_empty() {
            let waiting: Vec<Change> = self.orphans.values().map(|orphan| orphan.change.clone()).collect();
            self.doc.apply_changes(waiting)?;
        }
        // Nothing of what was refused may be here, nor anything that was not looked at.
        if self.doc.get_heads() == before { Ok(()) } else { Err(BadMessage::NotMadeAgain) }
    }

    /// Refuses changes that would make too many wait for others, before the library has queued any of them.
    fn check_orphans(&self, changes: &[Change]) -> Result<(), BadMessage> {
        let mut known: HashSet<ChangeHash> = HashSet::new();
        let (mut count, mut bytes) = (self.orphans.len(), self.orphan_bytes);
        // Dependencies come first in what a peer sends; a change that comes before its own is counted as an orphan.
        for change in changes {
            if change.deps().iter().all(|dep| known.contains(dep) || self.has(dep)) {
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

    fn edit(&mut self, edit: &S::Edit, changes: &mut Vec<Change>) -> Result<S::Done, EditRefused<S::Error>> {
        let before = self.doc.get_heads();
        let done = self.schema.edit(&mut self.doc, edit).map_err(EditRefused::Schema)?;
        self.collect_local_change(&before, changes);
        Ok(done)
    }

    /// Adds the change that was made here since the document had these heads, if there is one.
    fn collect_local_change(&self, before: &[ChangeHash], changes: &mut Vec<Change>) {
        if self.doc.get_heads() != before {
            changes.extend(self.doc.get_last_local_change());
        }
    }

    /// Makes one head of many: peers name all of them in every message, and nobody needs to know them apart. The document gets
    /// at most one more change for every [`MAX_HEADS`] that others make.
    fn merge_heads(&mut self, changes: &mut Vec<Change>, headroom: &mut Headroom) {
        if changes.is_empty() || self.doc.get_heads().len() <= MAX_HEADS || headroom.take_edit().is_err() {
            return;
        }
        let time = changes.iter().map(Change::timestamp).max().unwrap_or_default();
        let message = format!("merge {} heads", self.doc.get_heads().len());
        let merged = self.doc.empty_commit(CommitOptions::default().with_message(message).with_time(time));
        changes.extend(self.doc.get_change_by_hash(&merged));
    }

    /// What peers must not alter is restored by the same append.
    fn restore(&mut self, changes: &mut Vec<Change>) {
        if let Some(time) = changes.iter().map(Change::timestamp).max() {
            let before = self.doc.get_heads();
            self.schema.restore(&mut self.doc, time);
            self.collect_local_change(&before, changes);
        }
    }
}

/// Merges the proven changes of another message of the batch. Rarely more than one message has any.
fn join_proven(proven: &mut Arc<HashSet<ChangeHash>>, more: Arc<HashSet<ChangeHash>>) {
    if proven.is_empty() {
        *proven = more;
    } else if !more.is_empty() {
        Arc::make_mut(proven).extend(more.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use automerge::{ActorId, Automerge, sync};
    use automerge_chunks::chunk::Chunk;
    use automerge_chunks::testing::{empty_change, in_turn};

    use super::*;
    use crate::{MessageLimits, NoEdits};

    const PEER: PeerKey = PeerKey(66);

    fn engine(log: &[u8]) -> Engine<NoEdits> {
        let doc = Automerge::load(log).unwrap();
        let mut engine = Engine::new(doc, ActorId::from([1u8]), NoEdits, MessageLimits::default());
        engine.join(PEER, Vec::new());
        engine
    }

    /// A message that carries just these changes.
    fn carrying(changes: &[Change]) -> Item<NoEdits> {
        let message = sync::Message {
            heads: changes.last().map(Change::hash).into_iter().collect(),
            need: Vec::new(),
            have: Vec::new(),
            changes: changes.iter().map(|change| change.raw_bytes().to_vec()).collect::<Vec<_>>().into(),
            flags: None,
            version: sync::MessageVersion::V1,
        };
        Item::Sync { peer: PEER, bytes: message.encode().into() }
    }

    #[test]
    fn every_prefix_of_an_append_loads() {
        let (changes, mut log) = (in_turn(40, 40), Vec::new());
        let applied = engine(&[]).apply(vec![carrying(&changes)]);
        let mut rest = &applied.chunks[..];
        let mut stored = 0;
        while !rest.is_empty() {
            let (chunk, after) = Chunk::parse(rest, 1 << 20).expect("a chunk");
            log.extend_from_slice(chunk.bytes);
            assert!(Automerge::load(&log).is_ok(), "the log ends after {stored} changes");
            rest = after;
            stored += 1;
        }
        assert_eq!(stored, changes.len());
    }

    #[test]
    fn document_of_many_heads_is_merged_by_one_change() {
        let (mut engine, mut log) = (engine(&[]), Vec::new());
        for round in 0..3 {
            let changes: Vec<Change> =
                (0..300).map(|actor| empty_change(1_000 * round + actor, 1, Vec::new())).collect();
            let mut applied = engine.apply(vec![carrying(&changes)]);
            assert!(matches!(applied.outcomes[..], [Outcome::Synced]));
            log.extend(std::mem::take(&mut applied.chunks));
            let message = applied.changes.last().and_then(|change| change.message());
            assert!(message.is_some_and(|message| message.starts_with("merge 30")));
            let _ = engine.publish(&mut applied, |_| true);
            assert_eq!((engine.heads().len(), engine.size().0), (1, 301 * (round + 1)));
        }
        assert_eq!(Automerge::load(&log).unwrap().get_heads(), engine.heads(), "what is stored is what is shown");
    }
}
