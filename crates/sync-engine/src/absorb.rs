//! Takes over changes that another process has appended to the document's log.
//!
//! Several servers may write the log of one document. A server whose batch was not appended, because the log had moved on, reads
//! the batches that it lacks, absorbs them, and appends the rest of its own batch. The changes of both are then published
//! together.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{ActorId, Change, ChangeHash};
use automerge_chunks::chunk::Chunk;
use automerge_chunks::load;

use crate::batch::Applied;
use crate::engine::{Engine, load_log};
use crate::incoming::changes_of;
use crate::provenance::Authors;
use crate::schema::Schema;
use crate::validation;

/// A batch that another process has appended.
#[derive(Debug, Clone, Copy)]
pub struct LogEntry<'a> {
    /// Complete Automerge chunks.
    pub chunks: &'a [u8],
    /// The provenance of their changes, as lines of the authors file.
    pub authors: &'a [u8],
}

/// The batches cannot be absorbed into the document in memory: it must be rewound ([`Engine::rewind`]) or reloaded, and the pending
/// items must be applied again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MustReload {
    /// Orphaned changes wait in memory. Absorbing their dependencies would apply them without storing them.
    #[error("changes wait in memory for their dependencies")]
    Orphans,
    /// The library rejects the changes beside those in memory, for example because a pending change has the same actor and
    /// sequence number.
    #[error("the stored changes contradict the changes in memory")]
    Contradiction,
    /// A pending change continues an actor that the log binds to another user.
    #[error("a pending change continues an actor of another user")]
    ForeignActor,
    /// The chunks are not readable, or depend on changes that are not in the log before them.
    #[error("the stored changes are not readable or not complete")]
    Incomplete,
}

impl<S: Schema> Engine<S> {
    /// Applies batches that other processes have appended to the log, in the order of the log.
    ///
    /// `pending` is the batch that was applied in memory and could not be appended because the log had moved on; the default if
    /// there is none. Its changes that another process has meanwhile appended are removed from its chunks. It must be published
    /// once its chunks are durable. It includes the absorbed changes, so it must be published also if its chunks are empty.
    ///
    /// # Errors
    /// When the document in memory cannot take them. It must be rewound or reloaded then.
    pub fn absorb(&mut self, entries: &[LogEntry<'_>], pending: &mut Applied<S>) -> Result<(), MustReload> {
        catch_unwind(AssertUnwindSafe(|| self.try_to_absorb(entries, pending))).unwrap_or(Err(MustReload::Incomplete))
    }

    fn try_to_absorb(&mut self, entries: &[LogEntry<'_>], applied: &mut Applied<S>) -> Result<(), MustReload> {
        if !self.orphans.is_empty() {
            return Err(MustReload::Orphans);
        }
        let stored = changes_in(entries)?;
        let hashes: HashSet<ChangeHash> = stored.iter().map(Change::hash).collect();
        let mut fresh = Vec::with_capacity(stored.len());
        let mut seen = HashSet::with_capacity(stored.len());
        for change in stored {
            if seen.insert(change.hash()) && !self.has(&change.hash()) {
                fresh.push(change);
            }
        }
        if !fresh.is_empty() {
            load::apply(&mut self.doc, fresh.clone(), Vec::new).map_err(|_| MustReload::Contradiction)?;
            if !fresh.iter().all(|change| self.has(&change.hash())) {
                return Err(MustReload::Incomplete);
            }
            self.max_op = fresh.iter().map(Change::max_op).fold(self.max_op, u64::max);
        }
        for entry in entries {
            self.authors.append_lines(entry.authors);
        }
        applied.remove_stored(&hashes);
        if self.authors.contradicts(&applied.attributions) {
            return Err(MustReload::ForeignActor);
        }
        applied.absorbed.extend(fresh);
        self.has_unpublished = applied.has_changes();
        Ok(())
    }

    /// Whether the document has all changes of a batch that was applied before it was rewound or reloaded. The answer to the append
    /// of the batch was lost then.
    #[must_use]
    pub fn has_changes_of(&self, batch: &Applied<S>) -> bool {
        !batch.changes.is_empty() && batch.changes.iter().all(|change| self.has(&change.hash()))
    }

    /// Reads the document again from its log without resetting the peers, for a batch that was applied in memory and must be applied
    /// again because the log has moved on. Returns the changes since the last published state. They are durable, and must be
    /// published before the items are applied again.
    ///
    /// # Errors
    /// When there are orphaned changes, whose senders would not send them again, or the log cannot be loaded, or lacks published
    /// changes. The engine must be reloaded then.
    pub fn rewind(&mut self, log: &[u8], authors: Authors, actor: ActorId) -> Result<Applied<S>, MustReload> {
        if !self.orphans.is_empty() {
            return Err(MustReload::Orphans);
        }
        let doc = load_log(log).map_err(|_| MustReload::Incomplete)?.with_actor(actor);
        let published = self.published.as_slice();
        let fresh = catch_unwind(AssertUnwindSafe(|| {
            let lacks = |head: &ChangeHash| doc.get_change_meta_by_hash(head).is_none();
            (!published.iter().any(lacks)).then(|| doc.get_changes(published))
        }));
        let Ok(Some(fresh)) = fresh else { return Err(MustReload::Incomplete) };
        self.doc = doc;
        self.max_op = validation::max_op(&self.doc);
        self.schema.loaded(&self.doc);
        self.authors = authors;
        let applied = Applied { absorbed: fresh, ..Applied::empty() };
        self.has_unpublished = applied.has_changes();
        Ok(applied)
    }
}

/// The changes in a log. Ends at the first chunk that is not readable.
#[must_use]
pub fn changes_of_log(log: &[u8]) -> Vec<Change> {
    let mut all = Vec::new();
    let mut rest = log;
    while let Ok((chunk, after)) = Chunk::parse(rest, u64::MAX) {
        let Ok(changes) = changes_of(chunk) else { break };
        all.extend(changes);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    all
}

/// All changes of these batches, in the order of the log.
fn changes_in(entries: &[LogEntry<'_>]) -> Result<Vec<Change>, MustReload> {
    let mut changes = Vec::new();
    for entry in entries {
        let mut rest = entry.chunks;
        while !rest.is_empty() {
            // The process that stored the chunk has checked how large it becomes.
            let (chunk, after) = Chunk::parse(rest, u64::MAX).map_err(|_| MustReload::Incomplete)?;
            changes.extend(changes_of(chunk).map_err(|_| MustReload::Incomplete)?);
            rest = after;
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use automerge::Automerge;
    use automerge_chunks::testing::round_robin_changes;

    use super::*;
    use crate::provenance::{Contributor, Surface};
    use crate::test_messages::carrying;
    use crate::{Item, MessageLimits, NoEdits, Outcome, PeerKey, PeerRole};

    const PEER: PeerKey = PeerKey(7);

    /// A server of a shared log.
    struct Node {
        engine: Engine<NoEdits>,
        /// Bytes and batches of the log that it has read.
        read: usize,
    }

    #[derive(Default)]
    struct Log(Vec<(Vec<u8>, Vec<u8>)>);

    impl Log {
        fn chunks(&self) -> Vec<u8> {
            self.0.iter().flat_map(|(chunks, _)| chunks.clone()).collect()
        }
    }

    impl Node {
        fn new(actor: u8, user: &str) -> Self {
            let mut engine = Engine::new(Automerge::new(), ActorId::from([actor]), NoEdits, MessageLimits::default());
            engine.join(PEER, Vec::new());
            let by = Contributor { user: user.into(), surface: Surface::Sync };
            engine.introduce(PEER, PeerRole { by: Some(by), read_only: false });
            Self { engine, read: 0 }
        }

        fn apply(&mut self, changes: &[Change]) -> Applied<NoEdits> {
            self.engine.apply(vec![Item::Sync { peer: PEER, bytes: carrying(changes) }])
        }

        fn absorb(&mut self, log: &Log, mut pending: Applied<NoEdits>) -> Result<Applied<NoEdits>, MustReload> {
            let entries: Vec<LogEntry<'_>> =
                log.0[self.read..].iter().map(|(chunks, authors)| LogEntry { chunks, authors }).collect();
            self.read = log.0.len();
            self.engine.absorb(&entries, &mut pending).map(|()| pending)
        }

        /// Appends a batch and publishes it.
        fn store(&mut self, log: &mut Log, mut applied: Applied<NoEdits>) -> Vec<Change> {
            assert_eq!(self.read, log.0.len(), "the log has moved on");
            if !applied.chunks.is_empty() {
                log.0.push((std::mem::take(&mut applied.chunks), applied.authors(1)));
                self.read += 1;
                self.engine.note_authors(&applied, 1);
            }
            self.engine.publish(&mut applied, |_| true).changes
        }
    }

    #[test]
    fn pending_batch_is_stored_after_absorbed_one() {
        let (mut one, mut two, mut log) = (Node::new(1, "ceo"), Node::new(2, "cfo"), Log::default());
        let changes = round_robin_changes(6, 6);
        let applied = one.apply(&changes[..3]);
        assert_eq!(one.store(&mut log, applied).len(), 3);

        let pending = two.apply(&changes[..4]);
        let applied = two.absorb(&log, pending).unwrap();
        assert_eq!(applied.change_count, 1, "three are in the log already");
        assert!(matches!(applied.outcomes[..], [Outcome::Synced]));
        assert_eq!(two.store(&mut log, applied).len(), 4, "published together");
        assert_eq!(Automerge::load(&log.chunks()).unwrap().get_heads(), two.engine.heads());

        let absorbed = one.absorb(&log, Applied::default()).unwrap();
        assert!(absorbed.chunks.is_empty() && absorbed.has_changes());
        assert_eq!(one.store(&mut log, absorbed).len(), 1);
        assert_eq!(one.engine.heads(), two.engine.heads());
        for change in &changes[..4] {
            let [by, same] = [&one, &two].map(|node| node.engine.authors().of(&change.hash()));
            assert_eq!(by, same, "the first line counts at every node");
            assert!(by.is_some());
        }
    }

    #[test]
    fn changes_stored_by_another_node_are_not_appended_again() {
        let (mut one, mut two, mut log) = (Node::new(1, "ceo"), Node::new(2, "ceo"), Log::default());
        let changes = round_robin_changes(3, 1);
        let applied = one.apply(&changes);
        one.store(&mut log, applied);
        let pending = two.apply(&changes);
        let applied = two.absorb(&log, pending).unwrap();
        assert!(applied.chunks.is_empty() && applied.has_changes());
        assert_eq!(two.store(&mut log, applied).len(), 3);
        assert_eq!(log.0.len(), 1);
    }

    #[test]
    fn contradicting_change_requires_a_reload() {
        let (mut one, mut two, mut log) = (Node::new(1, "ceo"), Node::new(2, "ceo"), Log::default());
        let [ours, theirs] = ["one", "other"].map(|name| {
            let mut doc = automerge::AutoCommit::new().with_actor(ActorId::from([9u8]));
            automerge::transaction::Transactable::put(&mut doc, automerge::ROOT, "name", name).unwrap();
            doc.get_changes(&[])
        });
        let applied = one.apply(&ours);
        one.store(&mut log, applied);
        let pending = two.apply(&theirs);
        assert_eq!(two.absorb(&log, pending).map(|_| ()), Err(MustReload::Contradiction));
        let (authors, _) = Authors::read(&log.0[0].1);
        let rewound = two.engine.rewind(&log.chunks(), authors, ActorId::from([3u8])).unwrap();
        assert_eq!(two.store(&mut log, rewound).len(), 1);
        assert!(matches!(two.apply(&theirs).outcomes[..], [Outcome::Refused(_)]));
    }

    #[test]
    fn actor_of_another_user_requires_a_reload() {
        let (mut one, mut two, mut log) = (Node::new(1, "ceo"), Node::new(2, "cfo"), Log::default());
        let changes = round_robin_changes(2, 1);
        let applied = one.apply(&changes[..1]);
        one.store(&mut log, applied);
        let pending = two.apply(&changes);
        assert_eq!(two.absorb(&log, pending).map(|_| ()), Err(MustReload::ForeignActor));
    }

    #[test]
    fn orphans_and_unreadable_chunks_require_a_reload() {
        let (mut one, mut log) = (Node::new(1, "ceo"), Log::default());
        let changes = round_robin_changes(3, 1);
        assert!(one.apply(&changes[1..]).chunks.is_empty());
        log.0.push((changes[0].raw_bytes().to_vec(), Vec::new()));
        assert_eq!(one.absorb(&log, Applied::default()).map(|_| ()), Err(MustReload::Orphans));
        let mut two = Node::new(2, "cfo");
        let lacking = Log(vec![(changes[1].raw_bytes().to_vec(), Vec::new())]);
        assert_eq!(two.absorb(&lacking, Applied::default()).map(|_| ()), Err(MustReload::Incomplete));
        let mut three = Node::new(3, "cfo");
        let cut = Log(vec![(changes[0].raw_bytes()[..20].to_vec(), Vec::new())]);
        assert_eq!(three.absorb(&cut, Applied::default()).map(|_| ()), Err(MustReload::Incomplete));
    }
}
