//! What the other documents of a family know of changes.
//!
//! A plan and its scenarios are a family: clones of one document, which exchange changes by merging. The provenance of a change is
//! that of its first arrival in the family. Otherwise the user who merges would become the contributor of everybody's changes,
//! and would own their actors, so that no other user could merge afterwards.
//!
//! The documents share the owners of actors, and each pair of actor and sequence number stands for one change in all of them.
//! Otherwise a user could write a change in one document that makes it impossible to merge, for ever.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use automerge::{ActorId, Change, ChangeHash};

use super::{Authors, Contributor, Origin, Owner, Provenance};

/// A change that arrives in a document of a family, and what the other documents have of its actor.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The change.
    pub change: &'a Change,
    /// Its contributor brings it to the document again, where it was not stored. It counts as unknown in the family.
    pub comes_again: bool,
    /// No document has it, and another one has another change with its actor and sequence number.
    pub is_contradicted: bool,
    /// The server has used its actor in another document, and not in this one.
    pub is_of_other_server: bool,
}

/// What the other documents of a family know of the changes of a batch. The default is that of a document without a family.
#[derive(Debug, Clone, Default)]
pub struct Relatives {
    is_family: bool,
    is_clone: bool,
    changes: HashMap<ChangeHash, Option<Provenance>>,
    /// The owners of their actors; `None` stands for the server in another document.
    actors: HashMap<ActorId, Option<Arc<str>>>,
    /// Changes whose actor and sequence number belong to another change.
    contradicted: HashSet<ChangeHash>,
}

impl Authors {
    /// What these authors, those of a whole family, know of changes.
    #[must_use]
    pub fn relatives<'a>(&self, arrivals: impl IntoIterator<Item = Arrival<'a>>) -> Relatives {
        let mut relatives = Relatives { is_family: true, ..Relatives::default() };
        for Arrival { change, comes_again, is_contradicted, is_of_other_server } in arrivals {
            let (hash, actor) = (change.hash(), change.actor_id());
            if !comes_again && self.knows(&hash) {
                relatives.changes.insert(hash, self.of(&hash));
            } else if is_contradicted {
                relatives.contradicted.insert(hash);
            }
            if let Some(binding) = self.actors.get(actor).filter(|_| !relatives.actors.contains_key(actor)) {
                let owner = match binding.owner {
                    Owner::Server if !is_of_other_server => continue,
                    Owner::Server => None,
                    Owner::User(user) => self.users.get(user as usize).cloned(),
                };
                relatives.actors.insert(actor.clone(), owner);
            }
        }
        relatives
    }

    /// Whether a user may write under an actor: it is bound to the user or to nobody.
    #[must_use]
    pub fn allow(&self, actor: &ActorId, user: &Arc<str>) -> bool {
        !self.actors.contains_key(actor) || self.is_bound_to(actor, user)
    }
}

impl Relatives {
    /// The same for a batch that creates a clone: its changes are copied, and not merged.
    #[must_use]
    pub fn for_clone(self) -> Self {
        Self { is_clone: true, ..self }
    }

    /// Whether the document belongs to a family.
    pub(crate) fn is_family(&self) -> bool {
        self.is_family
    }

    /// Whether another document of the family has a change.
    #[must_use]
    pub fn know(&self, change: &ChangeHash) -> bool {
        self.changes.contains_key(change)
    }

    /// Whether another document of the family has another change with the actor and sequence number of this one. The two documents
    /// could never be merged.
    #[must_use]
    pub fn contradict(&self, change: &ChangeHash) -> bool {
        self.contradicted.contains(change)
    }

    /// The origin of a change that arrives from this contributor; `None` if no other document has the change.
    pub(crate) fn origin_of(&self, change: &ChangeHash, by: Option<&Contributor>) -> Option<Origin> {
        let original = self.changes.get(change)?.clone();
        let merged_by = by.filter(|_| !self.is_clone).map(|by| Arc::clone(&by.user));
        Some(match (original, merged_by) {
            (None, None) => Origin::Unknown,
            (original, merged_by) => Origin::Copied { original, merged_by },
        })
    }

    /// Whether a user may write under an actor, as far as the other documents know its owner. The server's actors in other documents
    /// belong to them: it may go on to write there.
    pub(crate) fn allow(&self, actor: &ActorId, user: &Arc<str>) -> bool {
        self.actors.get(actor).is_none_or(|owner| owner.as_ref() == Some(user))
    }
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, Automerge, ROOT};

    use super::*;
    use crate::provenance::{Binds, Surface, lines};
    use crate::test_messages::carrying;
    use crate::{BadMessage, Engine, Item, MessageLimits, NoEdits, Outcome, PeerKey, PeerRole};

    const PEER: PeerKey = PeerKey(7);

    fn by(user: &str, surface: Surface) -> Contributor {
        Contributor { user: user.into(), surface }
    }

    fn changes(actor: &str, count: i64) -> Vec<Change> {
        let mut doc = AutoCommit::new().with_actor(ActorId::from(actor.as_bytes()));
        for value in 0..count {
            doc.put(ROOT, "value", value).unwrap();
            doc.commit();
        }
        doc.get_changes(&[])
    }

    fn arrival(change: &Change) -> Arrival<'_> {
        Arrival { change, comes_again: false, is_contradicted: false, is_of_other_server: false }
    }

    /// The authors of a document to which a user has contributed a change.
    fn contributed(change: &Change, by: &Contributor) -> Authors {
        let mut authors = Authors::default();
        let origin = Origin::Contributed(by.clone());
        for attribution in Authors::default().attribute([(change, &origin, Binds::Contributor)]) {
            authors.record(&attribution, 1);
        }
        authors
    }

    #[test]
    fn copy_binds_no_actor_and_its_owner_is_respected() {
        let both = changes("ceo's device", 2);
        let family = contributed(&both[0], &by("ceo", Surface::Sync));
        let relatives = family.relatives(both.iter().map(arrival));
        let origin = relatives.origin_of(&both[0].hash(), Some(&by("cfo", Surface::Api))).unwrap();
        let attributions = Authors::default().attribute([(&both[0], &origin, Binds::Contributor)]);
        let mut first_here = 0;
        let mut read = Authors::default();
        assert_eq!(read.append_lines_with(&lines(&attributions, 2), |_| first_here += 1), 0);
        assert_eq!(first_here, 0, "the change was in another document before");
        assert!(!read.is_bound_to_a_user(both[0].actor_id()));
        let merge = read.merge_of(&both[0].hash()).unwrap();
        assert_eq!((read.of(&both[0].hash()).unwrap().user.as_ref(), merge.user.as_ref()), ("ceo", "cfo"));
        let own = ActorId::from(&b"server"[..]);
        for (user, expected) in [("cfo", false), ("ceo", true)] {
            let claimed = read.claim(&by(user, Surface::Sync), [&both[1]].into_iter(), &own, &relatives);
            assert_eq!(claimed.is_ok(), expected, "{user}");
        }
    }

    #[test]
    fn change_of_the_server_in_another_document_is_refused() {
        let both = changes("the server", 2);
        let origin = Origin::Contributed(by("ceo", Surface::Api));
        let mut family = Authors::default();
        for attribution in Authors::default().attribute([(&both[0], &origin, Binds::Server)]) {
            family.record(&attribution, 1);
        }
        let own = ActorId::from(&b"another server"[..]);
        for (is_of_other_server, expected) in [(true, false), (false, true)] {
            let relatives = family.relatives([Arrival { is_of_other_server, ..arrival(&both[1]) }]);
            let mut authors = Authors::default();
            let claimed = authors.claim(&by("cfo", Surface::Sync), [&both[1]].into_iter(), &own, &relatives);
            assert_eq!(claimed.is_ok(), expected);
        }
    }

    #[test]
    fn change_of_the_server_for_nobody_binds_its_actor() {
        let change = &changes("the server", 1)[0];
        let attributions = Authors::default().attribute([(change, &Origin::Unknown, Binds::Server)]);
        let mut first_here = Vec::new();
        let mut read = Authors::default();
        read.append_lines_with(&lines(&attributions, 2), |actor| first_here.push(actor.clone()));
        assert_eq!(first_here, [change.actor_id().clone()]);
        assert!(read.knows(&change.hash()) && read.of(&change.hash()).is_none());
        assert!(!read.allow(change.actor_id(), &"cfo".into()));
    }

    #[test]
    fn contradicted_change_is_refused_and_its_copy_taken() {
        let change = &changes("cfo's device", 1)[0];
        for comes_from_family in [false, true] {
            let mut engine = Engine::new(Automerge::new(), ActorId::from([9]), NoEdits, MessageLimits::default());
            engine.join(PEER, Vec::new());
            engine.introduce(PEER, PeerRole { by: Some(by("cfo", Surface::Sync)), read_only: false });
            let family =
                if comes_from_family { contributed(change, &by("ceo", Surface::Sync)) } else { Authors::default() };
            let relatives = family.relatives([Arrival { is_contradicted: true, ..arrival(change) }]);
            let item = Item::Sync { peer: PEER, bytes: carrying(std::slice::from_ref(change)) };
            let prepared = vec![engine.prepare(item)];
            let applied = engine.apply_in_family(prepared, &relatives);
            match &applied.outcomes[..] {
                [Outcome::Synced] => assert!(comes_from_family),
                [Outcome::Refused(BadMessage::ReusedSequenceNumber)] => assert!(!comes_from_family),
                other => panic!("{other:?}"),
            }
            assert_eq!(applied.change_count, usize::from(comes_from_family));
        }
    }
}
