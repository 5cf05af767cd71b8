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

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use automerge::{ActorId, Change, ChangeHash};
use primitives::strict_json;
use serde::{Deserialize, Serialize};

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
    fn relays(self) -> bool {
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
}

/// The changes of one batch that one user contributed over one surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribution {
    pub(crate) by: Contributor,
    pub(crate) changes: Vec<ChangeHash>,
    /// Actors that are bound to this user by these changes.
    actors: Vec<ActorId>,
    /// The server's actors that it used for this user.
    server_actors: Vec<ActorId>,
}

impl Attribution {
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

    /// Records the attributions of further lines. Returns the number of lines that do not parse, which are skipped.
    pub(crate) fn append_lines(&mut self, lines: &[u8]) -> usize {
        let mut unreadable = 0;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match strict_json::from_slice::<Line>(line).ok().and_then(Line::parse) {
                Some((attribution, time_ms)) => self.record(&attribution, time_ms),
                None => unreadable += 1,
            }
        }
        unreadable
    }

    /// Whether any of these attributions, which are not stored, binds an actor that belongs to another owner.
    pub(crate) fn contradicts(&self, attributions: &[Attribution]) -> bool {
        let is_foreign = |actor: &ActorId, owner: Owner| {
            self.actors.get(actor).is_some_and(|binding| binding.durable && binding.owner != owner)
        };
        attributions.iter().any(|Attribution { by, actors, server_actors, .. }| {
            // A user without a number has no stored binding, so none of their actors can be bound to them.
            let user = self.numbers.get(&by.user).map_or(Owner::User(u32::MAX), |user| Owner::User(*user));
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

    /// Binds the actors of these changes to the user, if they are not bound yet. `own` is the server's current actor.
    ///
    /// A user may bring back changes that a server made and lost, under an earlier actor or one of another server. If a user continues
    /// the actor of another server, that server finds a contradiction, and goes on under a new actor.
    ///
    /// Changes that another server relays bind nothing, and may continue any actor but `own`.
    ///
    /// # Errors
    /// When an actor belongs to another user, or is `own`. No actor is bound then.
    pub(crate) fn claim<'a>(
        &mut self,
        by: &Contributor,
        changes: impl Iterator<Item = &'a Change> + Clone,
        own: &ActorId,
    ) -> Result<(), ForeignActor> {
        if by.surface.relays() {
            return if changes.clone().any(|change| change.actor_id() == own) { Err(ForeignActor) } else { Ok(()) };
        }
        let user = self.number(&by.user);
        let theirs = Binding { owner: Owner::User(user), durable: false };
        let is_free = |change: &Change| match self.actors.get(change.actor_id()) {
            Some(Binding { owner: Owner::User(owner), .. }) => *owner == user,
            Some(Binding { owner: Owner::Server, .. }) | None => change.actor_id() != own,
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

    /// Groups changes, in the order in which they are stored, by contributor.
    pub(crate) fn attribute<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a Change, &'a Contributor, Binds)>,
    ) -> Vec<Attribution> {
        let mut attributions: Vec<Attribution> = Vec::new();
        for (change, by, binds) in changes {
            let index = attributions.iter().position(|known| known.by == *by).unwrap_or_else(|| {
                let by = by.clone();
                let (changes, actors, server_actors) = (Vec::new(), Vec::new(), Vec::new());
                attributions.push(Attribution { by, changes, actors, server_actors });
                attributions.len() - 1
            });
            let attribution = &mut attributions[index];
            attribution.changes.push(change.hash());
            let actor = change.actor_id();
            let list = match binds {
                Binds::Contributor => &mut attribution.actors,
                Binds::Server => &mut attribution.server_actors,
                Binds::Nobody => continue,
            };
            let is_bound = self.actors.get(actor).is_some_and(|binding| binding.durable);
            if !by.surface.relays() && !is_bound && !list.contains(actor) {
                list.push(actor.clone());
            }
        }
        attributions
    }

    /// Records an attribution that is stored.
    pub(crate) fn record(&mut self, attribution: &Attribution, time_ms: i64) {
        let Attribution { by, changes, actors, server_actors } = attribution;
        let user = self.number(&by.user);
        for change in changes {
            self.changes.insert(*change, Entry { user, surface: by.surface, time_ms });
        }
        let theirs = actors.iter().map(|actor| (actor, Owner::User(user)));
        for (actor, owner) in theirs.chain(server_actors.iter().map(|actor| (actor, Owner::Server))) {
            let known = self.actors.entry(actor.clone()).or_insert(Binding { owner, durable: true });
            // The first line that names an actor counts.
            if !known.durable {
                *known = Binding { owner, durable: true };
            }
        }
    }

    /// The stored attributions of changes, in the order of the changes, each with its time. Changes whose provenance is unknown are
    /// left out.
    pub(crate) fn attributions_of(&self, changes: &[Change]) -> Vec<(Attribution, i64)> {
        let mut attributions: Vec<(Attribution, i64)> = Vec::new();
        for change in changes {
            let Some(Provenance { user, surface, time_ms }) = self.of(&change.hash()) else { continue };
            let by = Contributor { user, surface };
            let known = attributions.iter().position(|(known, time)| known.by == by && *time == time_ms);
            let index = known.unwrap_or_else(|| {
                let (changes, actors, server_actors) = (Vec::new(), Vec::new(), Vec::new());
                attributions.push((Attribution { by: by.clone(), changes, actors, server_actors }, time_ms));
                attributions.len() - 1
            });
            let attribution = &mut attributions[index].0;
            attribution.changes.push(change.hash());
            let list = match self.actors.get(change.actor_id()).map(|binding| binding.owner) {
                Some(Owner::Server) => &mut attribution.server_actors,
                Some(Owner::User(user)) if self.users.get(user as usize) == Some(&by.user) => &mut attribution.actors,
                _ => continue,
            };
            if !list.contains(change.actor_id()) {
                list.push(change.actor_id().clone());
            }
        }
        attributions
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

/// A line of the authors file.
#[derive(Serialize, Deserialize)]
struct Line {
    user: Arc<str>,
    surface: Surface,
    time: i64,
    changes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    actors: Vec<String>,
    #[serde(default, rename = "serverActors", skip_serializing_if = "Vec::is_empty")]
    server_actors: Vec<String>,
}

impl Line {
    fn parse(self) -> Option<(Attribution, i64)> {
        let Self { user, surface, time, changes, actors, server_actors } = self;
        let attribution = Attribution {
            by: Contributor { user, surface },
            changes: changes.iter().map(|hash| ChangeHash::from_str(hash).ok()).collect::<Option<_>>()?,
            actors: parse_actors(&actors)?,
            server_actors: parse_actors(&server_actors)?,
        };
        Some((attribution, time))
    }
}

fn parse_actors(actors: &[String]) -> Option<Vec<ActorId>> {
    actors.iter().map(|actor| ActorId::try_from(actor.as_str()).ok()).collect()
}

/// Encodes attributions as lines of the authors file.
pub(crate) fn lines(attributions: &[Attribution], time_ms: i64) -> Vec<u8> {
    let mut lines = Vec::new();
    for Attribution { by, changes, actors, server_actors } in attributions {
        let line = Line {
            user: Arc::clone(&by.user),
            surface: by.surface,
            time: time_ms,
            changes: changes.iter().map(ChangeHash::to_string).collect(),
            actors: actors.iter().map(ActorId::to_hex_string).collect(),
            server_actors: server_actors.iter().map(ActorId::to_hex_string).collect(),
        };
        // Writing strings and numbers to a vector cannot fail.
        let _ = serde_json::to_writer(&mut lines, &line);
        lines.push(b'\n');
    }
    lines
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
