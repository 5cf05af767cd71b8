//! The provenance of changes: which authenticated user contributed each change to this server.
//!
//! The author inside a change is what its maker wrote. The contributor is known from the authenticated connection on which the
//! change arrived. It is stored beside the document, as a line of JSON for each batch and user, and before the changes
//! themselves. So the provenance of every stored change is known, and a crash in between leaves at worst a line about changes
//! that were not stored.
//!
//! An actor belongs to the first user who contributed a change of it. Otherwise any user could forge the next change of another
//! user's actor, and the changes that the other user makes later would be rejected everywhere, forever.
//!
//! A change that all who make it make with the same bytes ([`ActorOwner::Everyone`](crate::ActorOwner::Everyone)) binds its actor to
//! nobody. It is attributed to the user who contributed it first.
//!
//! Another server relays the changes of its users. They are attributed to that server, and bind no actors. It may also continue
//! actors that are bound here: a user may write there after writing here.
//!
//! A plan and its scenarios share changes: see [`Relatives`]. A change that another document of the family has is copied with its
//! entry. Its line names the user who merged it, and binds no actor.

mod line;
mod relatives;
mod server_actor;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use automerge::{ActorId, Change, ChangeHash};
pub(crate) use line::lines;
pub use relatives::{Arrival, Relatives};
use serde::{Deserialize, Serialize};
pub use server_actor::is_written_as;

/// The protocol over which a change arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// automerge-repo's protocol.
    Sync,
    /// Plain Automerge sync.
    Plain,
    /// The legacy socket and the legacy REST endpoints.
    Legacy,
    /// The JSON API.
    Api,
    /// A connection to another server, which this server has dialled.
    Peer,
}

impl Surface {
    /// Whether changes of many users arrive here under one contributor. Such changes bind no actors: the users may also write
    /// directly, before and after.
    #[must_use]
    pub fn relays(self) -> bool {
        self == Self::Peer
    }
}

/// An authenticated user on a surface, who contributes changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Contributor {
    /// User name, as in the token.
    pub user: Arc<str>,
    /// The protocol that the user's client speaks.
    pub surface: Surface,
}

/// How a change arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The user who contributed it.
    pub user: Arc<str>,
    /// The protocol over which it arrived.
    pub surface: Surface,
    /// When it arrived, in milliseconds since 1970.
    pub time_ms: i64,
}

/// How a change came from another document of its family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The user who merged it.
    pub user: Arc<str>,
    /// When it was merged, in milliseconds since 1970.
    pub time_ms: i64,
}

/// What is recorded of a change that is about to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No document of the family had the change: this user contributes it.
    Contributed(Contributor),
    /// Another document of the family has the change.
    Copied {
        /// Its provenance there, if it is known.
        original: Option<Provenance>,
        /// The user who merged it; `None` if that is unknown, or if the whole document is a copy.
        merged_by: Option<Arc<str>>,
    },
    /// The contributor is unknown. Recorded in families only, where the other documents must learn that the change is known.
    Unknown,
}

impl Origin {
    /// Whether the change arrived in this document first.
    fn is_first_here(&self) -> bool {
        !matches!(self, Self::Copied { .. })
    }
}

/// The owner of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The server, which writes for all its users.
    Server,
    User(u32),
}

/// The binding of an actor to its owner.
#[derive(Debug, Clone, Copy)]
struct Binding {
    owner: Owner,
    /// The binding is stored. Bindings of changes that could not be stored are dropped.
    durable: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    user: u32,
    surface: Surface,
    time_ms: i64,
}

/// The provenance of all changes of one document, as stored in its authors file.
#[derive(Debug, Default)]
pub struct Authors {
    users: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    actors: HashMap<ActorId, Binding>,
    changes: HashMap<ChangeHash, Entry>,
    /// Changes that are known, and whose contributor is not.
    unattributed: HashSet<ChangeHash>,
    /// The users who merged changes from other documents of the family, each with the time.
    merges: HashMap<ChangeHash, (u32, i64)>,
}

/// The changes of one batch that have the same origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribution {
    pub(crate) origin: Origin,
    pub(crate) changes: Vec<ChangeHash>,
    /// Actors that are bound to this user by these changes.
    actors: Vec<ActorId>,
    /// The server's actors that it used for this user.
    server_actors: Vec<ActorId>,
}

impl Attribution {
    fn new(origin: Origin) -> Self {
        Self { origin, changes: Vec::new(), actors: Vec::new(), server_actors: Vec::new() }
    }

    /// Removes changes that are stored already, and actors that have no change left. Returns whether any change is left.
    pub(crate) fn remove_stored(&mut self, stored: &HashSet<ChangeHash>, left: &HashSet<&ActorId>) -> bool {
        self.changes.retain(|hash| !stored.contains(hash));
        self.actors.retain(|actor| left.contains(actor));
        self.server_actors.retain(|actor| left.contains(actor));
        !self.changes.is_empty()
    }
}

/// To whom a change binds its actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binds {
    /// To the user who contributed it.
    Contributor,
    /// To the server, which made it for the user.
    Server,
    /// To nobody: everyone makes the change with the same bytes.
    Nobody,
}

/// The actor of a change belongs to another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForeignActor;

impl Authors {
    /// Parses an authors file. Also returns the number of lines that do not parse, which are skipped.
    #[must_use]
    pub fn read(lines: &[u8]) -> (Self, usize) {
        let mut authors = Self::default();
        let unreadable = authors.append_lines(lines);
        (authors, unreadable)
    }

    /// Whether any of these attributions, which are not stored, binds an actor that belongs to another owner.
    pub(crate) fn contradicts(&self, attributions: &[Attribution]) -> bool {
        let is_foreign = |actor: &ActorId, owner: Owner| {
            self.actors.get(actor).is_some_and(|binding| binding.durable && binding.owner != owner)
        };
        attributions.iter().any(|Attribution { origin, actors, server_actors, .. }| {
            let user = match origin {
                Origin::Contributed(by) => self.numbers.get(&by.user),
                Origin::Copied { .. } | Origin::Unknown => None,
            };
            // A user without a number has no stored binding, so none of their actors can be bound to them.
            let user = Owner::User(user.copied().unwrap_or(u32::MAX));
            actors.iter().any(|actor| is_foreign(actor, user))
                || server_actors.iter().any(|actor| is_foreign(actor, Owner::Server))
        })
    }

    /// The provenance of a change, if it is known.
    #[must_use]
    pub fn of(&self, change: &ChangeHash) -> Option<Provenance> {
        let Entry { user, surface, time_ms } = *self.changes.get(change)?;
        Some(Provenance { user: Arc::clone(self.users.get(user as usize)?), surface, time_ms })
    }

    /// How a change came from another document of the family, if it did.
    #[must_use]
    pub fn merge_of(&self, change: &ChangeHash) -> Option<Merge> {
        let (user, time_ms) = *self.merges.get(change)?;
        Some(Merge { user: Arc::clone(self.users.get(user as usize)?), time_ms })
    }

    /// Notes that changes are known, although no line may name their contributor.
    pub fn add_unattributed(&mut self, changes: impl IntoIterator<Item = ChangeHash>) {
        self.unattributed.extend(changes);
    }

    /// Whether a change is known: a line names it, or it was added as [unattributed](Self::add_unattributed).
    #[must_use]
    pub fn knows(&self, change: &ChangeHash) -> bool {
        self.changes.contains_key(change) || self.unattributed.contains(change)
    }

    /// Whether an actor is bound to this user.
    #[must_use]
    pub fn is_bound_to(&self, actor: &ActorId, user: &Arc<str>) -> bool {
        let Some(Binding { owner: Owner::User(owner), .. }) = self.actors.get(actor) else { return false };
        self.numbers.get(user) == Some(owner)
    }

    /// Whether an actor is bound to any user.
    #[must_use]
    pub fn is_bound_to_a_user(&self, actor: &ActorId) -> bool {
        matches!(self.actors.get(actor), Some(Binding { owner: Owner::User(_), .. }))
    }

    /// Binds the actors of these changes to the user, if they are not bound yet. `own` is the server's current actor.
    ///
    /// A user may bring back changes that a server made and lost, under an earlier actor or one of another server. If a user continues
    /// the actor of another server, that server finds a contradiction, and goes on under a new actor.
    ///
    /// Changes that another server relays bind nothing, and may continue any actor but `own`. No other document of the family may
    /// have any of these changes.
    ///
    /// # Errors
    /// When an actor belongs to another user, or is `own`. No actor is bound then.
    pub(crate) fn claim<'a>(
        &mut self,
        by: &Contributor,
        changes: impl Iterator<Item = &'a Change> + Clone,
        own: &ActorId,
        relatives: &Relatives,
    ) -> Result<(), ForeignActor> {
        if by.surface.relays() {
            let is_own = |change: &Change| is_written_as(change.actor_id(), own);
            return if changes.clone().any(is_own) { Err(ForeignActor) } else { Ok(()) };
        }
        let user = self.number(&by.user);
        let theirs = Binding { owner: Owner::User(user), durable: false };
        let is_free = |change: &Change| match self.actors.get(change.actor_id()) {
            Some(Binding { owner: Owner::User(owner), .. }) => *owner == user,
            Some(Binding { owner: Owner::Server, .. }) => !is_written_as(change.actor_id(), own),
            None => !is_written_as(change.actor_id(), own) && relatives.allow(change.actor_id(), &by.user),
        };
        if !changes.clone().all(is_free) {
            return Err(ForeignActor);
        }
        for change in changes {
            // A document has few actors; most changes continue one.
            if !self.actors.contains_key(change.actor_id()) {
                self.actors.insert(change.actor_id().clone(), theirs);
            }
        }
        Ok(())
    }

    /// Groups changes, in the order in which they are stored, by origin.
    pub(crate) fn attribute<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a Change, &'a Origin, Binds)>,
    ) -> Vec<Attribution> {
        let mut attributions: Vec<Attribution> = Vec::new();
        for (change, origin, binds) in changes {
            let attribution = group(&mut attributions, |known| known.origin == *origin, || origin.clone());
            attribution.changes.push(change.hash());
            let actor = change.actor_id();
            let list = match (binds, origin) {
                (Binds::Contributor, Origin::Contributed(by)) if !by.surface.relays() => &mut attribution.actors,
                (Binds::Server, Origin::Contributed(_) | Origin::Unknown) => &mut attribution.server_actors,
                _ => continue,
            };
            let is_bound = self.actors.get(actor).is_some_and(|binding| binding.durable);
            if !is_bound && !list.contains(actor) {
                list.push(actor.clone());
            }
        }
        attributions
    }

    /// Records an attribution that is stored.
    pub(crate) fn record(&mut self, attribution: &Attribution, time_ms: i64) {
        let Attribution { origin, changes, actors, server_actors } = attribution;
        match origin {
            Origin::Contributed(Contributor { user, surface }) => {
                let entry = Entry { user: self.number(user), surface: *surface, time_ms };
                self.changes.extend(changes.iter().map(|change| (*change, entry)));
            }
            Origin::Copied { original, merged_by } => {
                match original {
                    Some(Provenance { user, surface, time_ms }) => {
                        let entry = Entry { user: self.number(user), surface: *surface, time_ms: *time_ms };
                        self.changes.extend(changes.iter().map(|change| (*change, entry)));
                    }
                    None => self.unattributed.extend(changes),
                }
                if let Some(user) = merged_by {
                    let merge = (self.number(user), time_ms);
                    self.merges.extend(changes.iter().map(|change| (*change, merge)));
                }
            }
            Origin::Unknown => self.unattributed.extend(changes),
        }
        if let Origin::Contributed(by) = origin {
            let owner = Owner::User(self.number(&by.user));
            actors.iter().for_each(|actor| self.bind(actor, owner));
        }
        if origin.is_first_here() {
            server_actors.iter().for_each(|actor| self.bind(actor, Owner::Server));
        }
    }

    /// Notes a stored line that binds an actor. The first one counts.
    fn bind(&mut self, actor: &ActorId, owner: Owner) {
        let stored = Binding { owner, durable: true };
        let known = self.actors.entry(actor.clone()).or_insert(stored);
        if !known.durable {
            *known = stored;
        }
    }

    /// The stored attributions of changes, in the order of the changes, each with its time. Changes whose provenance is unknown are
    /// left out.
    pub(crate) fn attributions_of(&self, changes: &[Change]) -> Vec<(Attribution, i64)> {
        let mut attributions: Vec<(Attribution, i64)> = Vec::new();
        for change in changes {
            let Some((origin, time_ms)) = self.origin_of(&change.hash()) else { continue };
            let known = attributions.iter().position(|(known, time)| known.origin == origin && *time == time_ms);
            let index = known.unwrap_or_else(|| {
                attributions.push((Attribution::new(origin.clone()), time_ms));
                attributions.len() - 1
            });
            let attribution = &mut attributions[index].0;
            attribution.changes.push(change.hash());
            let list = match self.actors.get(change.actor_id()).map(|binding| binding.owner) {
                Some(Owner::Server) if origin.is_first_here() => &mut attribution.server_actors,
                Some(Owner::User(user)) if matches!(&origin, Origin::Contributed(by) if self.users.get(user as usize) == Some(&by.user)) => {
                    &mut attribution.actors
                }
                _ => continue,
            };
            if !list.contains(change.actor_id()) {
                list.push(change.actor_id().clone());
            }
        }
        attributions
    }

    /// The recorded origin of a change, with the time of its line.
    fn origin_of(&self, change: &ChangeHash) -> Option<(Origin, i64)> {
        let original = self.of(change);
        if let Some(Merge { user, time_ms }) = self.merge_of(change) {
            return Some((Origin::Copied { original, merged_by: Some(user) }, time_ms));
        }
        match original {
            Some(Provenance { user, surface, time_ms }) => {
                Some((Origin::Contributed(Contributor { user, surface }), time_ms))
            }
            None => self.unattributed.contains(change).then_some((Origin::Unknown, 0)),
        }
    }

    /// Drops the bindings that are not stored, after the document was read again from its log.
    pub(crate) fn drop_unstored_bindings(&mut self) {
        self.actors.retain(|_, binding| binding.durable);
    }

    fn number(&mut self, user: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(user) {
            return *number;
        }
        // There cannot be 2^32 users: each has a line in the file.
        let number = u32::try_from(self.users.len()).unwrap_or(u32::MAX);
        self.users.push(Arc::clone(user));
        self.numbers.insert(Arc::clone(user), number);
        number
    }
}

/// The attribution that satisfies `is_known`, added with `origin` if there is none.
fn group(
    attributions: &mut Vec<Attribution>,
    is_known: impl Fn(&Attribution) -> bool,
    origin: impl FnOnce() -> Origin,
) -> &mut Attribution {
    let index = attributions.iter().position(is_known).unwrap_or_else(|| {
        attributions.push(Attribution::new(origin()));
        attributions.len() - 1
    });
    &mut attributions[index]
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Plain => "plain",
            Self::Legacy => "legacy",
            Self::Api => "api",
            Self::Peer => "peer",
        })
    }
}
