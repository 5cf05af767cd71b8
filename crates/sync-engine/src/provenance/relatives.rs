//! What the other documents of a family know of changes.
//!
//! A plan and its scenarios are a family: clones of one document, which exchange changes by merging. The provenance of a change is
//! that of its first arrival in the family. Otherwise the user who merges would become the contributor of everybody's changes,
//! and would own their actors, so that no other user could merge afterwards.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::{ActorId, Change, ChangeHash};

use super::{Authors, Contributor, Origin, Owner, Provenance};

/// What the other documents of a family know of the changes of a batch. The default is that of a document without a family.
#[derive(Debug, Clone, Default)]
pub struct Relatives {
    is_family: bool,
    is_clone: bool,
    changes: HashMap<ChangeHash, Option<Provenance>>,
    /// The owners of their actors; `None` stands for the server.
    actors: HashMap<ActorId, Option<Arc<str>>>,
}

impl Authors {
    /// What these authors, those of a whole family, know of changes. The flag tells that the change counts as unknown.
    #[must_use]
    pub fn relatives<'a>(&self, changes: impl IntoIterator<Item = (&'a Change, bool)>) -> Relatives {
        let mut relatives = Relatives { is_family: true, ..Relatives::default() };
        for (change, is_unknown) in changes {
            let (hash, actor) = (change.hash(), change.actor_id());
            if !is_unknown && self.knows(&hash) {
                relatives.changes.insert(hash, self.of(&hash));
            }
            if let Some(binding) = self.actors.get(actor).filter(|_| !relatives.actors.contains_key(actor)) {
                let owner = match binding.owner {
                    Owner::Server => None,
                    Owner::User(user) => self.users.get(user as usize).cloned(),
                };
                relatives.actors.insert(actor.clone(), owner);
            }
        }
        relatives
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

    /// The origin of a change that arrives from this contributor; `None` if no other document has the change.
    pub(crate) fn origin_of(&self, change: &ChangeHash, by: Option<&Contributor>) -> Option<Origin> {
        let original = self.changes.get(change)?.clone();
        let merged_by = by.filter(|_| !self.is_clone).map(|by| Arc::clone(&by.user));
        Some(match (original, merged_by) {
            (None, None) => Origin::Unknown,
            (original, merged_by) => Origin::Copied { original, merged_by },
        })
    }

    /// Whether a user may write under an actor, as far as the other documents know its owner.
    pub(crate) fn allow(&self, actor: &ActorId, user: &Arc<str>) -> bool {
        match self.actors.get(actor) {
            Some(Some(owner)) => owner == user,
            // The server's earlier actors: see `Authors::claim`.
            Some(None) | None => true,
        }
    }
}
