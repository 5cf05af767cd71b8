//! Published changes that a log has lost.
//!
//! A failover of a database can lose the last batches of a log, although servers have published them. A server that still has
//! the changes in memory appends them again.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Change, ChangeHash};
use automerge_chunks::load;

use crate::absorb::MustReload;
use crate::engine::{Engine, load_log};
use crate::provenance;
use crate::schema::Schema;

/// Published changes that a log lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostChanges {
    /// Complete Automerge chunks, in causal order.
    pub chunks: Vec<u8>,
    /// Number of changes in `chunks`.
    pub count: usize,
    /// The provenance of the changes, as lines of the authors file.
    pub authors: Vec<u8>,
}

impl<S: Schema> Engine<S> {
    /// The published changes that a log lacks. `None` if it has them all. Changes in memory that are not published are left out.
    ///
    /// # Errors
    /// When the log cannot be loaded, or the changes in memory do not fit to it.
    pub fn lost_changes(&self, log: &[u8]) -> Result<Option<LostChanges>, MustReload> {
        catch_unwind(AssertUnwindSafe(|| self.find_lost_changes(log))).unwrap_or(Err(MustReload::Incomplete))
    }

    fn find_lost_changes(&self, log: &[u8]) -> Result<Option<LostChanges>, MustReload> {
        let mut stored = load_log(log).map_err(|_| MustReload::Incomplete)?;
        let is_stored = |hash: &ChangeHash| stored.get_change_meta_by_hash(hash).is_some();
        if self.published.iter().all(is_stored) {
            return Ok(None);
        }
        let pending: HashSet<ChangeHash> =
            self.doc.get_changes_meta(&self.published).into_iter().map(|change| change.hash).collect();
        let is_lost = |change: &Change| !pending.contains(&change.hash()) && !is_stored(&change.hash());
        let mut lost: Vec<Change> = self.doc.get_changes(&[]).into_iter().filter(is_lost).collect();
        // The document in memory may be damaged: only what the log can take is stored.
        let fits = load::apply(&mut stored, lost.clone(), Vec::new).is_ok()
            && self.published.iter().all(|hash| stored.get_change_meta_by_hash(hash).is_some());
        if !fits {
            return Err(MustReload::Contradiction);
        }
        let authors = self.authors.attributions_of(&lost);
        let authors = authors
            .iter()
            .flat_map(|(attribution, time_ms)| provenance::lines(std::slice::from_ref(attribution), *time_ms));
        let (authors, count) = (authors.collect(), lost.len());
        let chunks = lost.iter_mut().flat_map(|change| change.bytes().into_owned()).collect();
        Ok(Some(LostChanges { chunks, count, authors }))
    }
}

#[cfg(test)]
mod tests {
    use automerge::{ActorId, Automerge};
    use automerge_chunks::testing::round_robin_changes;

    use super::*;
    use crate::provenance::{Authors, Contributor, Relatives, Surface};
    use crate::test_messages::carrying;
    use crate::{Item, MessageLimits, NoEdits, PeerKey, PeerRole};

    const PEER: PeerKey = PeerKey(7);

    fn engine() -> Engine<NoEdits> {
        let mut engine = Engine::new(Automerge::new(), ActorId::from([1u8]), NoEdits, MessageLimits::default());
        engine.join(PEER, Vec::new());
        let by = Contributor { user: "ceo".into(), surface: Surface::Sync };
        engine.introduce(PEER, PeerRole { by: Some(by), read_only: false });
        engine
    }

    #[test]
    fn published_changes_come_back_with_their_authors() {
        let (mut engine, changes) = (engine(), round_robin_changes(6, 2));
        let mut log = Vec::new();
        for number in [0..2, 2..4] {
            let mut applied = engine.apply(vec![Item::Sync { peer: PEER, bytes: carrying(&changes[number]) }]);
            log.push((std::mem::take(&mut applied.chunks), applied.authors(7)));
            engine.note_authors(&applied, 7);
            let _ = engine.publish(&mut applied, |_| true);
        }
        // This batch is not published.
        let pending = engine.apply(vec![Item::Sync { peer: PEER, bytes: carrying(&changes[4..]) }]);
        assert_eq!(pending.change_count, 2);

        assert_eq!(
            engine.lost_changes(&log.iter().flat_map(|(chunks, _)| chunks.clone()).collect::<Vec<_>>()).unwrap(),
            None
        );
        let lost = engine.lost_changes(&log[0].0).unwrap().unwrap();
        assert_eq!(lost.count, 2);
        assert_eq!(lost.chunks, log[1].0);
        let all = engine.lost_changes(&[]).unwrap().unwrap();
        assert_eq!(Automerge::load(&all.chunks).unwrap().get_heads(), [changes[3].hash()]);
        let (healed, unreadable) = Authors::read(&all.authors);
        assert_eq!(unreadable, 0);
        for change in &changes[..4] {
            assert_eq!(healed.of(&change.hash()), engine.authors().of(&change.hash()));
        }
        // The actors still belong to their user.
        let by = Contributor { user: "cfo".into(), surface: Surface::Sync };
        let mut healed = healed;
        assert!(healed.claim(&by, changes[4..].iter(), &ActorId::from([1u8]), &Relatives::default()).is_err());
    }

    #[test]
    fn log_that_cannot_take_the_changes_is_left_alone() {
        let (mut engine, changes) = (engine(), round_robin_changes(2, 1));
        let mut applied = engine.apply(vec![Item::Sync { peer: PEER, bytes: carrying(&changes) }]);
        let _ = engine.publish(&mut applied, |_| true);
        let mut other = automerge::AutoCommit::new().with_actor(changes[0].actor_id().clone());
        automerge::transaction::Transactable::put(&mut other, automerge::ROOT, "other", "history").unwrap();
        assert!(engine.lost_changes(&other.save()).is_err());
    }
}
