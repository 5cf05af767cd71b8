//! Who brought which change in.
//!
//! What a change says of its author is what its maker wrote. Who brought it here is known from the connection by which it
//! came, where connections are authenticated. That is kept beside the document, a line of JSON for each batch and user,
//! written before the changes themselves: no change is ever stored of which it is not known who brought it, and a crash in
//! between leaves at worst a line about changes that never came to be.
//!
//! An actor belongs to the first user who brought a change of it. Without that anybody could forge the next change of
//! somebody else's actor: what that one makes later would be refused everywhere, for good.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use automerge::{ActorId, Change, ChangeHash};
use primitives::strict_json;
use serde::{Deserialize, Serialize};

/// By which door something came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Surface {
    /// automerge-repo's protocol.
    Sync,
    /// Plain Automerge sync.
    Plain,
    /// The legacy socket, and the legacy REST paths.
    Legacy,
    /// The JSON API.
    Api,
}

/// An authenticated user who brings something in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bringer {
    /// The name in the token.
    pub user: Arc<str>,
    /// The door.
    pub surface: Surface,
}

/// How a change came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// By whom.
    pub user: Arc<str>,
    /// By which door.
    pub surface: Surface,
    /// When, in milliseconds since 1970.
    pub time_ms: i64,
}

/// Whose an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The server's own: it writes for all whom it serves.
    Server,
    User(u32),
}

#[derive(Debug, Clone, Copy)]
struct Bound {
    owner: Owner,
    /// Written down. (What was not is forgotten with the changes that were not stored.)
    durable: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    user: u32,
    surface: Surface,
    time_ms: i64,
}

/// What is known of who brought what in, of one document.
#[derive(Debug, Default)]
pub struct Authors {
    users: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    actors: HashMap<ActorId, Bound>,
    changes: HashMap<ChangeHash, Entry>,
}

/// Changes of one batch that one user brought by one door; to be written down before they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribution {
    pub(crate) by: Bringer,
    pub(crate) changes: Vec<ChangeHash>,
    /// Actors that become this user's by it.
    actors: Vec<ActorId>,
    /// Actors under which the server wrote for this user.
    server_actors: Vec<ActorId>,
}

/// The actor belongs to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForeignActor;

impl Authors {
    /// From what was written down. Lines that cannot be read are counted and skipped: what they said is not known any more,
    /// and is not guessed.
    #[must_use]
    pub fn read(lines: &[u8]) -> (Self, usize) {
        let (mut authors, mut unreadable) = (Self::default(), 0);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match strict_json::from_slice::<Line>(line).ok().and_then(Line::parse) {
                Some((attribution, time_ms)) => authors.note(&attribution, time_ms),
                None => unreadable += 1,
            }
        }
        (authors, unreadable)
    }

    /// How a change came in; None if that is not known.
    #[must_use]
    pub fn of(&self, change: &ChangeHash) -> Option<Brought> {
        let Entry { user, surface, time_ms } = *self.changes.get(change)?;
        Some(Brought { user: Arc::clone(self.users.get(user as usize)?), surface, time_ms })
    }

    /// Whether this user may bring these changes; the actors that were nobody's are this user's from now on. `own`: the actor
    /// that the server itself writes under at the moment.
    pub(crate) fn claim<'a>(
        &mut self,
        by: &Bringer,
        changes: impl Iterator<Item = &'a Change> + Clone,
        own: &ActorId,
    ) -> Result<(), ForeignActor> {
        let user = self.number(&by.user);
        let theirs = Bound { owner: Owner::User(user), durable: false };
        let is_free = |change: &Change| match self.actors.get(change.actor_id()) {
            Some(bound) => bound.owner == theirs.owner,
            None => change.actor_id() != own,
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

    /// What is to be written down of these changes, in the order in which they are stored. `made_here`: by the server, for
    /// this user.
    pub(crate) fn attribute<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a Change, &'a Bringer, bool)>,
    ) -> Vec<Attribution> {
        let mut attributions: Vec<Attribution> = Vec::new();
        for (change, by, made_here) in changes {
            let index = attributions.iter().position(|known| known.by == *by).unwrap_or_else(|| {
                let by = by.clone();
                let (changes, actors, server_actors) = (Vec::new(), Vec::new(), Vec::new());
                attributions.push(Attribution { by, changes, actors, server_actors });
                attributions.len() - 1
            });
            let attribution = &mut attributions[index];
            attribution.changes.push(change.hash());
            let actor = change.actor_id();
            if !self.actors.get(actor).is_some_and(|bound| bound.durable) {
                let list = if made_here { &mut attribution.server_actors } else { &mut attribution.actors };
                if !list.contains(actor) {
                    list.push(actor.clone());
                }
            }
        }
        attributions
    }

    /// It is written down.
    pub(crate) fn note(&mut self, attribution: &Attribution, time_ms: i64) {
        let Attribution { by, changes, actors, server_actors } = attribution;
        let user = self.number(&by.user);
        for change in changes {
            self.changes.insert(*change, Entry { user, surface: by.surface, time_ms });
        }
        let theirs = actors.iter().map(|actor| (actor, Owner::User(user)));
        for (actor, owner) in theirs.chain(server_actors.iter().map(|actor| (actor, Owner::Server))) {
            let known = self.actors.entry(actor.clone()).or_insert(Bound { owner, durable: true });
            // The first line that names an actor counts.
            if !known.durable {
                *known = Bound { owner, durable: true };
            }
        }
    }

    /// The document in memory was dropped: what was claimed for changes that were not stored is nobody's again.
    pub(crate) fn forget_claims(&mut self) {
        self.actors.retain(|_, bound| bound.durable);
    }

    fn number(&mut self, user: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(user) {
            return *number;
        }
        // Nobody gets to four thousand million names: each is in a line of its own.
        let number = u32::try_from(self.users.len()).unwrap_or(u32::MAX);
        self.users.push(Arc::clone(user));
        self.numbers.insert(Arc::clone(user), number);
        number
    }
}

/// A line of the file.
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
            by: Bringer { user, surface },
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

/// The lines of these attributions.
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
        })
    }
}
