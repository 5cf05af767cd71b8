//! Step 1 of a batch: applies its items in memory, and encodes the new changes for the log.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use automerge::{Change, ChangeHash};
use automerge_chunks::load;
use bytes::Bytes;

use crate::bad_message::BadMessage;
use crate::batch::{Applied, Item, Outcome, Prepared, Ready, Received};
use crate::engine::{Engine, Orphan};
use crate::incoming::{Incoming, decode_message};
use crate::peers::PeerKey;
use crate::provenance::{Binds, Contributor, Origin, Relatives, is_written_as};
use crate::quota::Quota;
use crate::receive::{has, has_without_orphans};
use crate::schema::{ActorOwner, EditRefused, Schema};
use crate::{causal_order, validation};

/// Fixed cost of the first change of a new actor, in units of a change of a known actor.
const NEW_ACTOR: u64 = 4;
/// The first change of a new actor costs one more unit for each of this many changes times actors of the document.
const CLOCKS_PER_CHANGE: u64 = 1_000_000;

/// The origins of the changes of a batch, as far as they are known.
type Origins = HashMap<ChangeHash, Origin>;

impl<S: Schema> Engine<S> {
    /// Decodes an item. This part of step 1 does not depend on the other items of the batch.
    #[must_use]
    pub fn prepare(&self, item: Item<S>) -> Prepared<S> {
        Prepared(match item {
            Item::Edit { edit, by } => Ready::Edit { edit, by },
            Item::Sync { peer, bytes } => {
                let incoming = self.decode(peer, &bytes);
                Ready::Sync { peer, bytes, incoming }
            }
            Item::Merge { changes, edit, by } => Ready::Merge { changes: changes.to_vec(), edit, by },
        })
    }

    /// Prepares a sync message that is decoded already.
    #[must_use]
    pub fn prepare_sync(&self, peer: PeerKey, bytes: Bytes, incoming: Incoming) -> Prepared<S> {
        Prepared(Ready::Sync { peer, bytes, incoming: Ok(Some(incoming)) })
    }

    /// Removes a portion of changes from the front of a sync message and prepares it: as many as cost no more than `cost` changes
    /// of known actors, but at least one. Returns `None` if all remaining changes fit into one portion.
    pub fn prepare_part(&self, peer: PeerKey, message: &mut Incoming, cost: usize) -> Option<Prepared<S>> {
        let Quota { changes, actors, .. } = self.quota();
        // A new actor is added to all clocks (see `load::apply`).
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

    /// Applies a batch in memory. The changes of all its messages go through one `apply_changes`.
    pub fn apply(&mut self, items: Vec<Item<S>>) -> Applied<S> {
        let prepared = items.into_iter().map(|item| self.prepare(item)).collect();
        self.apply_prepared(prepared)
    }

    /// Applies a batch of prepared items. The result may be [`poisoned`](Applied::poisoned).
    pub fn apply_prepared(&mut self, items: Vec<Prepared<S>>) -> Applied<S> {
        self.apply_in_family(items, &Relatives::default())
    }

    /// Applies a batch of prepared items to a document of a family. `relatives`: what the other documents know of the
    /// [changes](Prepared::changes) of these items.
    pub fn apply_in_family(&mut self, items: Vec<Prepared<S>>, relatives: &Relatives) -> Applied<S> {
        // A forged change can violate assertions of the library.
        catch_unwind(AssertUnwindSafe(|| self.try_to_apply(items, relatives)))
            .unwrap_or(Err(BadMessage::Panicked))
            .unwrap_or_else(Applied::poisoned_by)
    }

    /// Applies a batch. After an error the document in memory is unusable.
    fn try_to_apply(&mut self, items: Vec<Prepared<S>>, relatives: &Relatives) -> Result<Applied<S>, BadMessage> {
        let before = self.doc.get_heads();
        let mut outcomes: Vec<Option<Outcome<S>>> = Vec::with_capacity(items.len());
        let mut contributed_changes = vec![false; items.len()];
        let mut received = Vec::new();
        let mut edits = Vec::new();
        let mut arriving: Vec<(usize, Vec<Change>)> = Vec::new();
        let mut quota = self.quota();
        let mut origins = Origins::new();
        let mut proven: Arc<HashSet<ChangeHash>> = Arc::default();
        for (index, Prepared(item)) in items.into_iter().enumerate() {
            outcomes.push(None);
            match item {
                Ready::Edit { edit, by } => edits.push((index, edit, by)),
                Ready::Sync { peer, bytes, incoming } => match incoming {
                    Err(error) => outcomes[index] = Some(Outcome::Refused(error)),
                    Ok(None) => received.push((index, Received { peer, bytes, decoded: None })),
                    Ok(Some(incoming)) => {
                        join_proven(&mut proven, incoming.proven);
                        match self.admit(peer, incoming.changes, &mut quota, &mut origins, relatives) {
                            Err(error) => {
                                outcomes[index] = Some(Outcome::Refused(error));
                                continue;
                            }
                            Ok(fresh) if fresh.is_empty() => {}
                            Ok(fresh) => {
                                contributed_changes[index] = true;
                                arriving.push((index, fresh));
                            }
                        }
                        let decoded = Some((incoming.message, incoming.carried_changes));
                        received.push((index, Received { peer, bytes, decoded }));
                    }
                },
                Ready::Merge { changes, edit, by } => {
                    match self.admit_merged(by.as_ref(), changes, &mut quota, &mut origins, relatives) {
                        Err(error) => {
                            outcomes[index] = Some(Outcome::Refused(error));
                            continue;
                        }
                        Ok(fresh) if fresh.is_empty() => {}
                        Ok(fresh) => {
                            contributed_changes[index] = true;
                            arriving.push((index, fresh));
                        }
                    }
                    edits.extend(edit.map(|edit| (index, edit, by)));
                }
                Ready::Part { peer, part } => {
                    join_proven(&mut proven, part.proven);
                    match self.admit(peer, part.changes, &mut quota, &mut origins, relatives) {
                        Err(error) => outcomes[index] = Some(Outcome::Refused(error)),
                        Ok(fresh) if fresh.is_empty() => {}
                        Ok(fresh) => {
                            contributed_changes[index] = true;
                            arriving.push((index, fresh));
                        }
                    }
                }
            }
        }

        let mut changes = self.apply_arriving(arriving, &mut outcomes, &mut origins, &proven)?;
        let mut edited = HashMap::new();
        for (index, edit, by) in edits {
            // The merge that the edit belongs to was rejected.
            if outcomes[index].is_some() {
                continue;
            }
            let before = changes.len();
            let outcome = match quota.take_edit(S::operations(&edit)) {
                Err(full) if !S::is_made_when_full(&edit) => Err(EditRefused::Full(full)),
                _ => self.edit(&edit, &mut changes),
            };
            if let Some(by) = by {
                let origin = Origin::Contributed(by);
                edited.extend(changes[before..].iter().map(|change| (change.hash(), origin.clone())));
            }
            contributed_changes[index] |= changes.len() > before;
            outcomes[index] = Some(Outcome::Edited(outcome));
        }
        self.restore(&before, &mut changes, relatives);
        self.merge_heads(&mut changes, &mut quota);

        let mut changes = causal_order::sort(changes);
        let mut chunks = Vec::new();
        self.max_op = changes.iter().map(Change::max_op).fold(self.max_op, u64::max);
        for change in &mut changes {
            chunks.extend_from_slice(&change.bytes());
        }
        let unknown = relatives.is_family().then_some(&Origin::Unknown);
        let attributed = changes.iter().filter_map(|change| {
            let hash = change.hash();
            let arrived = origins.get(&hash).map(|origin| (origin, Binds::Contributor));
            let edited = || edited.get(&hash).map(|origin| (origin, Binds::Server));
            // Changes that the server makes for nobody, and those of unknown contributors.
            let is_own = is_written_as(change.actor_id(), self.doc.get_actor());
            let binds = if is_own { Binds::Server } else { Binds::Contributor };
            let (origin, binds) = arrived.or_else(edited).or_else(|| Some((unknown?, binds)))?;
            let is_shared = S::actor_owner(change) == ActorOwner::Everyone;
            Some((change, origin, if is_shared { Binds::Nobody } else { binds }))
        });
        let attributions = self.authors.attribute(attributed);
        self.has_unpublished = !changes.is_empty();
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
            contributed_changes,
            changes,
            received,
            attributions,
            ..Applied::empty()
        })
    }

    /// Returns the changes of a peer that the document lacks, after checking the quota and the owners of their actors.
    ///
    /// # Errors
    /// When the document is full, or an actor belongs to another user.
    fn admit(
        &mut self,
        peer: PeerKey,
        changes: Vec<Change>,
        quota: &mut Quota,
        origins: &mut Origins,
        relatives: &Relatives,
    ) -> Result<Vec<Change>, BadMessage> {
        let fresh = self.unknown(peer, changes);
        if fresh.iter().any(|change| S::actor_owner(change) == ActorOwner::Nobody) {
            return Err(BadMessage::ForeignActor);
        }
        quota.take(&fresh)?;
        self.claim(self.contributors.get(&peer).cloned().as_ref(), &fresh, origins, relatives)?;
        Ok(fresh)
    }

    /// Returns the changes of a merge that the document lacks: see [`admit`](Self::admit).
    fn admit_merged(
        &mut self,
        by: Option<&Contributor>,
        changes: Vec<Change>,
        quota: &mut Quota,
        origins: &mut Origins,
        relatives: &Relatives,
    ) -> Result<Vec<Change>, BadMessage> {
        let fresh: Vec<Change> = changes.into_iter().filter(|change| !self.has(&change.hash())).collect();
        // The changes of a file that is imported come from anywhere.
        if fresh.iter().any(|change| S::actor_owner(change) == ActorOwner::Nobody) {
            return Err(BadMessage::ForeignActor);
        }
        quota.take(&fresh)?;
        self.claim(by, &fresh, origins, relatives)?;
        Ok(fresh)
    }

    /// The changes of a peer that the document lacks. None if the peer is read-only.
    fn unknown(&self, peer: PeerKey, changes: Vec<Change>) -> Vec<Change> {
        if self.peers.is_read_only(peer) {
            return Vec::new();
        }
        changes.into_iter().filter(|change| !self.has(&change.hash())).collect()
    }

    /// Whether a change is part of the history.
    pub(crate) fn has(&self, hash: &ChangeHash) -> bool {
        if self.orphans.is_empty() { has_without_orphans(&self.doc, hash) } else { has(&self.doc, hash) }
    }

    /// Records the origins of these changes: what other documents of the family know of them, or the contributor, if it is known.
    ///
    /// # Errors
    /// When an actor belongs to another user, or another document of the family contradicts a change.
    fn claim(
        &mut self,
        by: Option<&Contributor>,
        changes: &[Change],
        origins: &mut Origins,
        relatives: &Relatives,
    ) -> Result<(), BadMessage> {
        // Any user may send a copy of an orphaned change, or of one that came earlier in this batch: its origin is recorded
        // already.
        let is_new = |hash: &ChangeHash| !self.orphans.contains_key(hash) && !origins.contains_key(hash);
        let new: Vec<&Change> = changes.iter().filter(|change| is_new(&change.hash())).collect();
        let (copied, new): (Vec<&Change>, Vec<&Change>) =
            new.into_iter().partition(|change| relatives.know(&change.hash()));
        if new.iter().any(|change| relatives.contradict(&change.hash())) {
            return Err(BadMessage::ReusedSequenceNumber);
        }
        if let Some(by) = by {
            let claimed = new.iter().copied().filter(|change| S::actor_owner(change) != ActorOwner::Everyone);
            if self.authors.claim(by, claimed, self.doc.get_actor(), relatives).is_err() {
                return Err(BadMessage::ForeignActor);
            }
            origins.extend(new.into_iter().map(|change| (change.hash(), Origin::Contributed(by.clone()))));
        }
        let copy = |change: &Change| Some((change.hash(), relatives.origin_of(&change.hash(), by)?));
        origins.extend(copied.into_iter().filter_map(copy));
        Ok(())
    }

    /// Attributes a batch that has created the document again, after the document has turned out to belong to a family: see
    /// [`apply_in_family`](Self::apply_in_family).
    ///
    /// # Errors
    /// When an actor belongs to another user of the family.
    pub fn attribute_again(&mut self, applied: &mut Applied<S>, relatives: &Relatives) -> Result<(), BadMessage> {
        let mut contributors = HashMap::new();
        for attribution in &applied.attributions {
            if let Origin::Contributed(by) = &attribution.origin {
                contributors.extend(attribution.changes.iter().map(|change| (*change, by.clone())));
            }
        }
        self.authors.drop_unstored_bindings();
        let mut origins = Origins::new();
        for change in &applied.changes {
            let by = contributors.get(&change.hash());
            self.claim(by, std::slice::from_ref(change), &mut origins, relatives)?;
        }
        let attributed = applied.changes.iter().map(|change| {
            let origin = origins.get(&change.hash()).unwrap_or(&Origin::Unknown);
            let binds = match S::actor_owner(change) {
                ActorOwner::Everyone => Binds::Nobody,
                _ if is_written_as(change.actor_id(), self.doc.get_actor()) => Binds::Server,
                _ => Binds::Contributor,
            };
            (change, origin, binds)
        });
        applied.attributions = self.authors.attribute(attributed);
        Ok(())
    }

    /// Decodes a sync message. `None` for an acknowledgement whose effect is cached.
    fn decode(&self, peer: PeerKey, bytes: &Bytes) -> Result<Option<Incoming>, BadMessage> {
        if self.peers.knows_acknowledgement(peer, bytes) {
            return Ok(None);
        }
        decode_message(bytes, &self.limits).map(Some)
    }

    /// Applies the received changes in one call, and if that fails, message by message to find the bad one. After an error the
    /// document in memory is unusable.
    fn apply_arriving(
        &mut self,
        arriving: Vec<(usize, Vec<Change>)>,
        outcomes: &mut [Option<Outcome<S>>],
        origins: &mut Origins,
        proven: &HashSet<ChangeHash>,
    ) -> Result<Vec<Change>, BadMessage> {
        let mut applied = Vec::new();
        if arriving.is_empty() {
            return Ok(applied);
        }
        let all = arriving.iter().flat_map(|(_, changes)| changes.iter().cloned()).collect();
        if let Err(error) = self.apply_changes(all, &mut applied, origins, proven)? {
            if let [(index, _)] = arriving.as_slice() {
                outcomes[*index] = Some(Outcome::Refused(error));
                return Ok(applied);
            }
            for (index, changes) in arriving {
                if let Err(error) = self.apply_changes(changes, &mut applied, origins, proven)? {
                    outcomes[index] = Some(Outcome::Refused(error));
                }
            }
        }
        Ok(applied)
    }

    /// Applies changes. After the inner error nothing was applied; after the outer error the document in memory is unusable.
    fn apply_changes(
        &mut self,
        mut changes: Vec<Change>,
        applied: &mut Vec<Change>,
        origins: &mut Origins,
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
            .and_then(|()| validation::check_operation_numbers(&self.doc, &changes, self.max_op))
            .and_then(|all_known| {
                let orphans = || self.orphans.values().map(|orphan| orphan.change.clone()).collect();
                load::apply(&mut self.doc, changes.clone(), orphans)?;
                Ok(all_known)
            });
        let all_known = match checked {
            Ok(all_known) => all_known,
            Err(error) => {
                self.requeue_orphans(&before)?;
                return Ok(Err(error));
            }
        };
        let mut fresh = Vec::with_capacity(changes.len());
        let mut adopted = Vec::new();
        // New orphans are in the library's queue, but not in `self.orphans` yet.
        let no_orphans = self.orphans.is_empty() && all_known;
        for change in changes {
            let hash = change.hash();
            if if no_orphans { has_without_orphans(&self.doc, &hash) } else { has(&self.doc, &hash) } {
                fresh.push(change);
            } else {
                self.orphan_bytes += change.raw_bytes().len();
                self.more_orphans = true;
                let origin = origins.get(&hash).cloned();
                self.orphans.insert(hash, Orphan { change, origin });
            }
        }
        // An orphan is applied together with the last of its missing dependencies.
        if !self.orphans.is_empty() && !fresh.is_empty() {
            let doc = &self.doc;
            for (hash, Orphan { change, origin }) in self.orphans.extract_if(|hash, _| has(doc, hash)) {
                adopted.push(change);
                origins.extend(origin.map(|origin| (hash, origin)));
            }
            self.orphan_bytes = self.orphans.values().map(|orphan| orphan.change.raw_bytes().len()).sum();
        }
        // The dependencies of former orphans were not known when they arrived, nor those of changes that came before their own.
        let unchecked = if all_known { &[][..] } else { fresh.as_slice() };
        if !adopted.iter().chain(unchecked).all(|change| validation::follows_dependencies(&self.doc, change)) {
            return Err(BadMessage::OperationNumbers);
        }
        fresh.append(&mut adopted);
        if !validation::have_predecessors(&self.doc, &before, &fresh, proven) {
            return Err(BadMessage::MissingPredecessor);
        }
        if !fresh.is_empty() && !validation::is_reproducible(&self.doc, &before, &fresh) {
            return Err(BadMessage::NotReproducible);
        }
        applied.append(&mut fresh);
        Ok(Ok(()))
    }
}

/// Adds the proven changes of another message of the batch. Rarely more than one message has any.
fn join_proven(proven: &mut Arc<HashSet<ChangeHash>>, more: Arc<HashSet<ChangeHash>>) {
    if proven.is_empty() {
        *proven = more;
    } else if !more.is_empty() {
        Arc::make_mut(proven).extend(more.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use automerge::{ActorId, Automerge};
    use automerge_chunks::chunk::Chunk;
    use automerge_chunks::testing::{empty_change, round_robin_changes};

    use super::*;
    use crate::{MessageLimits, NoEdits, test_messages};

    const PEER: PeerKey = PeerKey(66);

    fn engine(log: &[u8]) -> Engine<NoEdits> {
        let doc = Automerge::load(log).unwrap();
        let mut engine = Engine::new(doc, ActorId::from([1u8]), NoEdits, MessageLimits::default());
        engine.join(PEER, Vec::new());
        engine
    }

    /// A message with these changes.
    fn carrying(changes: &[Change]) -> Item<NoEdits> {
        Item::Sync { peer: PEER, bytes: test_messages::carrying(changes) }
    }

    #[test]
    fn every_prefix_of_an_append_loads() {
        let (changes, mut log) = (round_robin_changes(40, 40), Vec::new());
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
    fn many_heads_are_merged_by_one_change() {
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
        assert_eq!(Automerge::load(&log).unwrap().get_heads(), engine.heads(), "the log and the document are equal");
    }
}
