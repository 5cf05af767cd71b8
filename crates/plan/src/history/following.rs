//! The changes after known heads, the oldest first: what a follower of the document has not seen yet.
//!
//! The cost of a portion depends on the number of changes that the follower lacks, which is bounded, and not on the size of the
//! document.

use std::collections::{BTreeSet, HashSet};

use automerge::{Automerge, ChangeHash};

use super::History;
use super::order::MAX_HEADS;
use super::page::{Entry, Reader};

/// Most changes of a portion.
pub const MAX_PORTION: usize = 100;
/// Most changes that a follower may lack.
pub const MAX_BEHIND: usize = 20_000;
/// Approximate size of a full portion in bytes. A single large change may exceed it.
const MAX_BYTES: usize = 64 << 10;

/// Selects changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// The heads that the follower knows.
    pub heads: Vec<ChangeHash>,
    /// Only changes that the document had at these heads; `None` for all.
    pub until: Option<Vec<ChangeHash>>,
    /// Most changes: 1 to [`MAX_PORTION`].
    pub limit: usize,
}

/// A portion of the changes after known heads.
#[derive(Debug, Default)]
pub struct Following {
    /// The changes, the oldest first: a change never precedes one that it depends on. The heads of an entry are those of what the
    /// follower knows with this change: known changes and the ones before it in this portion.
    pub entries: Vec<Entry>,
    /// What the follower knows after this portion.
    pub heads: Vec<ChangeHash>,
    /// Whether further changes follow.
    pub has_more: bool,
}

/// Why changes cannot be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The document does not have these heads.
    #[error("the document does not have these heads")]
    UnknownHeads,
    /// The follower lacks more than [`MAX_BEHIND`] changes.
    #[error("more than {MAX_BEHIND} changes were made since these heads")]
    TooFar,
    /// The Automerge library failed to read a value from the document.
    #[error("the changes could not be read; the reason is in the server's log")]
    Failed,
}

impl History {
    /// The changes after known heads. `doc` must be the indexed document.
    ///
    /// # Errors
    /// When the document does not have the heads, or too many changes follow them.
    pub fn following(&self, doc: &Automerge, since: &Since) -> Result<Following, FollowError> {
        let until = since.until.as_deref();
        if since.heads.iter().chain(until.unwrap_or_default()).any(|head| self.number(doc, head).is_none()) {
            return Err(FollowError::UnknownHeads);
        }
        let mut missing = self.after(doc, &since.heads)?;
        if let Some(until) = until {
            let later: HashSet<u32> = self.after(doc, until)?.into_iter().collect();
            missing.retain(|change| !later.contains(change));
        }
        if missing.len() > MAX_BEHIND {
            return Err(FollowError::TooFar);
        }
        missing.sort_unstable_by_key(|change| self.order.cursor(*change));
        let mut heads: BTreeSet<ChangeHash> = since.heads.iter().copied().collect();
        let mut following = Following::default();
        let mut reader = Reader::new(self, doc, MAX_BYTES);
        for change in missing {
            if following.entries.len() >= since.limit.clamp(1, MAX_PORTION) || reader.is_full() {
                following.has_more = true;
                break;
            }
            let hash = self.order.hash(change);
            let Some(known) = doc.get_change_meta_by_hash(&hash) else { continue };
            known.deps.iter().for_each(|parent| {
                heads.remove(parent);
            });
            heads.insert(hash);
            let shown = (heads.len() <= MAX_HEADS).then(|| heads.iter().copied().collect());
            following.entries.extend(reader.entry(change, self.ledger.writes(change), (None, None), shown));
        }
        following.heads = heads.into_iter().collect();
        Ok(following)
    }

    /// The changes of the history that are no ancestors of these heads, in any order.
    fn after(&self, doc: &Automerge, heads: &[ChangeHash]) -> Result<Vec<u32>, FollowError> {
        // Ancestors precede a change in the order, so all changes after the last of the heads are missing.
        let last = heads.iter().filter_map(|head| self.number(doc, head)).map(|change| self.order.cursor(change)).max();
        let known = last.map_or(0, |last| self.order.below(&last) + 1);
        if self.len() - known > MAX_BEHIND {
            return Err(FollowError::TooFar);
        }
        let missing = doc.get_changes_meta(heads);
        Ok(missing.iter().filter_map(|change| self.ledger.change(&change.actor, change.seq)).collect())
    }
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{ActorId, AutoCommit};
    use proptest::prelude::*;

    use super::super::tests::{add, commit, map, plan};
    use super::*;

    const NOTHING: [ChangeHash; 0] = [];

    fn since(heads: &[ChangeHash], limit: usize) -> Since {
        Since { heads: heads.to_vec(), until: None, limit }
    }

    fn saved(doc: &mut AutoCommit) -> (Automerge, History) {
        let doc = Automerge::load(&doc.save()).unwrap();
        let history = History::of(&doc).unwrap();
        (doc, history)
    }

    /// Reads all portions. Returns the hashes in their order.
    fn all(doc: &Automerge, history: &History, mut known: Vec<ChangeHash>, limit: usize) -> Vec<ChangeHash> {
        let mut hashes = Vec::new();
        loop {
            let Following { entries, heads, has_more } = history.following(doc, &since(&known, limit)).unwrap();
            assert!(entries.len() <= limit);
            if let Some(last) = entries.last() {
                assert_eq!(last.heads.as_ref(), Some(&heads));
            }
            hashes.extend(entries.iter().map(|entry| entry.hash));
            known = heads;
            if !has_more {
                assert_eq!(known, doc.get_heads());
                return hashes;
            }
        }
    }

    /// Three authors edit, and merge each other's document now and then.
    fn merged(steps: &[(usize, Option<usize>)]) -> AutoCommit {
        let mut first = plan();
        let mut docs: Vec<AutoCommit> =
            (1..=3u8).map(|actor| first.fork().with_actor(ActorId::from([actor]))).collect();
        for (time, (author, other)) in steps.iter().enumerate() {
            if let Some(other) = other.filter(|other| other != author) {
                let mut other = docs[other].clone();
                docs[*author].merge(&mut other).unwrap();
            }
            add(&mut docs[*author], &format!("p{time}"), "UI");
            // Clocks differ.
            commit(&mut docs[*author], i64::try_from(time % 5).unwrap(), "");
        }
        let mut whole = docs.remove(0);
        docs.iter_mut().for_each(|doc| {
            whole.merge(doc).unwrap();
        });
        whole
    }

    proptest! {
        /// From every place, the rest follows exactly once, in an order in which no change precedes its dependencies.
        #[test]
        fn follower_gets_each_change_once_after_its_dependencies(
            steps in proptest::collection::vec((0usize..3, proptest::option::of(0usize..3)), 1..25),
            limit in 1usize..7,
        ) {
            let (doc, history) = saved(&mut merged(&steps));
            let every: BTreeSet<ChangeHash> = doc.get_changes(&[]).iter().map(automerge::Change::hash).collect();
            let whole = history.following(&doc, &since(&NOTHING, MAX_PORTION)).unwrap();
            for (index, entry) in whole.entries.iter().enumerate() {
                let seen: BTreeSet<ChangeHash> = whole.entries[..=index].iter().map(|entry| entry.hash).collect();
                let deps = doc.get_change_meta_by_hash(&entry.hash).unwrap().deps.clone();
                prop_assert!(deps.iter().all(|parent| seen.contains(parent)));
                let rest: BTreeSet<ChangeHash> =
                    all(&doc, &history, entry.heads.clone().unwrap(), limit).into_iter().collect();
                prop_assert_eq!(rest, every.difference(&seen).copied().collect());
                let until = Since { until: entry.heads.clone(), ..since(&NOTHING, MAX_PORTION) };
                let before: BTreeSet<ChangeHash> =
                    history.following(&doc, &until).unwrap().entries.iter().map(|entry| entry.hash).collect();
                prop_assert_eq!(before, seen);
            }
        }
    }

    #[test]
    fn effects_are_those_of_the_history() {
        let mut doc = plan();
        let start = doc.get_heads();
        let ui = add(&mut doc, "ui", "UI");
        commit(&mut doc, 10, "");
        doc.put(&ui, "budget", 2).unwrap();
        commit(&mut doc, 20, "cfo: UI: budget 2");
        let rows = map(&doc).unwrap();
        doc.delete(&rows, "ui").unwrap();
        commit(&mut doc, 30, "");
        add(&mut doc, "ui", "UI");
        commit(&mut doc, 40, "");
        let (doc, history) = saved(&mut doc);
        let Following { entries, heads, has_more } = history.following(&doc, &since(&start, 100)).unwrap();
        assert_eq!((heads, has_more), (doc.get_heads(), false));
        let [added, changed, deleted, restored] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!((&*added.added[0].position, &*restored.restored[0].position), ("ui", "ui"));
        assert_eq!(&*deleted.deleted[0].position, "ui");
        assert_eq!((&changed.fields[0].old, &changed.fields[0].new), (&1.into(), &2.into()));
        assert_eq!((changed.time, changed.message.as_deref()), (Some(20), Some("cfo: UI: budget 2")));
    }

    #[test]
    fn unknown_heads_and_distant_heads_are_refused() {
        let mut doc = plan();
        let start = doc.get_heads();
        let (old, old_history) = saved(&mut doc);
        add(&mut doc, "ui", "UI");
        commit(&mut doc, 10, "");
        let newer = doc.get_heads();
        assert_eq!(old_history.following(&old, &since(&newer, 1)).unwrap_err(), FollowError::UnknownHeads);
        for number in 0..MAX_BEHIND {
            doc.put(automerge::ROOT, "totalBudget", u64::try_from(number).unwrap()).unwrap();
            commit(&mut doc, 20, "");
        }
        let (doc, history) = saved(&mut doc);
        assert_eq!(history.following(&doc, &since(&start, 1)).unwrap_err(), FollowError::TooFar);
        assert_eq!(history.following(&doc, &since(&newer, 1)).unwrap().entries.len(), 1);
    }

    #[test]
    fn large_changes_end_a_portion() {
        let mut doc = plan();
        let start = doc.get_heads();
        for number in 0..3 {
            let row = add(&mut doc, &format!("p{number}"), "UI");
            for field in 0..100 {
                super::super::tests::text(&mut doc, &row, &format!("note{field}"), &"x".repeat(900));
            }
            commit(&mut doc, number, "");
        }
        let (doc, history) = saved(&mut doc);
        let following = history.following(&doc, &since(&start, 100)).unwrap();
        assert_eq!((following.entries.len(), following.has_more), (1, true));
        assert_eq!(all(&doc, &history, start, 100).len(), 3);
    }
}
