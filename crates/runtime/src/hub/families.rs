//! The provenance of the changes of whole families, for documents into which scenarios are merged.
//!
//! A family is a plan and its scenarios. Before a document of it takes changes of a peer, its task looks them up here: a change that
//! another document has keeps its provenance. The authors of all documents of a family are held in memory once, while one of them
//! is open. Documents of this process add what they store. What other processes store is read when a change is not known.
//!
//! The documents also share the owners of actors, and no two of them take different changes with the same actor and sequence number:
//! they could not be merged. Two processes that take such changes at the same moment do not notice.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use automerge::{ActorId, Change, ChangeHash};
use offload::run_cpu_bound;
use parking_lot::Mutex;
use primitives::DocumentId;
use store::{After, BatchKind, Position, Store, StoreError};
use sync_engine::{Arrival, Authors, Contributor, Relatives, changes_of_log, is_written_as};
use tokio::sync::Mutex as AsyncMutex;

use super::Hub;
use super::access::Access;
use crate::document::Document;

/// The families of which a document is open, by plan.
#[derive(Default)]
pub(super) struct Families(Mutex<HashMap<DocumentId, Weak<Family>>>);

/// The changes of one family.
pub(super) struct Family {
    plan: DocumentId,
    known: AsyncMutex<Known>,
}

/// What is known of the changes of a family.
#[derive(Default)]
struct Known {
    authors: Authors,
    /// The documents that were read, and those of which only single batches are known.
    members: HashMap<DocumentId, Member>,
    /// For each document, the changes of its current batch, and orphaned ones, that no document has.
    pending: HashMap<DocumentId, HashMap<(ActorId, u64), ChangeHash>>,
    /// The actors under which this process writes in the documents.
    servers: HashMap<DocumentId, ActorId>,
}

/// A document of a family, as far as it was read.
#[derive(Default)]
struct Member {
    /// Whether its lines were read up to `end`.
    is_read: bool,
    /// The end of its log.
    end: Position,
    /// The actors of changes that arrived in this document first.
    actors: HashSet<ActorId>,
    /// The last sequence number of each actor. `None` until it is needed, because it takes reading the log.
    sequences: Option<HashMap<ActorId, u64>>,
}

impl Member {
    /// Notes changes that the document has.
    fn note(&mut self, changes: &[Change]) {
        let Some(sequences) = &mut self.sequences else { return };
        for change in changes {
            let last = sequences.entry(change.actor_id().clone()).or_default();
            *last = change.seq().max(*last);
        }
    }
}

impl Families {
    /// The family of a plan.
    fn get(&self, plan: &DocumentId) -> Arc<Family> {
        let mut families = self.0.lock();
        if let Some(family) = families.get(plan).and_then(Weak::upgrade) {
            return family;
        }
        families.retain(|_, family| family.strong_count() > 0);
        let family = Arc::new(Family { plan: plan.clone(), known: AsyncMutex::default() });
        families.insert(plan.clone(), Arc::downgrade(&family));
        family
    }

    fn existing(&self, plan: &DocumentId) -> Option<Arc<Family>> {
        self.0.lock().get(plan).and_then(Weak::upgrade)
    }
}

impl Hub {
    /// The family of a plan. Keep it while a document of the family is open.
    pub(super) fn family(&self, plan: &DocumentId) -> Arc<Family> {
        self.inner.families.get(plan)
    }

    /// Adds changes that a document of a family has stored, with their lines of the authors file.
    pub(super) async fn note_in_family(&self, plan: &DocumentId, id: &DocumentId, lines: &[u8], changes: &[Change]) {
        if let Some(family) = self.inner.families.existing(plan) {
            let mut known = family.known.lock().await;
            known.note(id, lines, changes);
        }
    }
}

/// A document of a family that takes a batch.
pub(super) struct Recipient<'a> {
    /// Its id.
    pub(super) id: &'a DocumentId,
    /// The authors of its changes.
    pub(super) authors: &'a Authors,
    /// The actor under which this process writes in it.
    pub(super) server: &'a ActorId,
    /// The changes that wait in it for their dependencies.
    pub(super) orphans: HashSet<ChangeHash>,
}

impl<'a> Recipient<'a> {
    /// A document in memory. `authors`: those of its stored changes.
    pub(super) fn new(id: &'a DocumentId, document: &'a Document, authors: &'a Authors) -> Self {
        let server = document.engine.automerge().get_actor();
        Self { id, authors, server, orphans: document.engine.orphans().copied().collect() }
    }
}

impl Family {
    /// Whether a document of the family has a change.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn knows(&self, hub: &Hub, change: &ChangeHash) -> Result<bool, StoreError> {
        let mut known = self.known.lock().await;
        known.read_members(&self.plan, &hub.inner.access, &*hub.inner.store).await?;
        if !known.authors.knows(change) && hub.inner.store.is_shared() {
            known.read_news(&*hub.inner.store).await?;
        }
        Ok(known.authors.knows(change))
    }

    /// Whether a user writes in another document of the family under an actor of this process. It must not be used any more: the two
    /// documents could not be merged.
    pub(super) async fn has_lost_actor(&self, actor: &ActorId) -> bool {
        self.known.lock().await.authors.is_bound_to_a_user(actor)
    }

    /// What the family knows of these changes, each with its contributor here. A change that its contributor brings to the recipient
    /// again was not stored there, and is not merged. Until the recipient's next batch, other documents take no other changes with the
    /// actors and sequence numbers of these.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn relatives(
        &self,
        hub: &Hub,
        changes: &[(&Change, Option<Contributor>)],
        recipient: Recipient<'_>,
    ) -> Result<Relatives, StoreError> {
        let Recipient { id, authors: own, server, orphans } = recipient;
        let mut known = self.known.lock().await;
        let store = &*hub.inner.store;
        known.read_members(&self.plan, &hub.inner.access, store).await?;
        known.servers.insert(id.clone(), server.clone());
        // Orphaned changes may be stored later.
        let mut pending = known.pending.remove(id).unwrap_or_default();
        pending.retain(|_, hash| orphans.contains(hash));
        // A change that continues an actor of its contributor in this document is attributed to the same user in any case.
        let is_new = |(change, by): &(&Change, Option<Contributor>)| {
            let actor = change.actor_id();
            !known.authors.knows(&change.hash())
                && by.as_ref().is_none_or(|by| {
                    !known.authors.is_bound_to(actor, &by.user) || known.others_with(actor, id).next().is_some()
                })
        };
        if store.is_shared() && changes.iter().any(is_new) {
            known.read_news(store).await?;
        }
        let comes_again = |change: &Change, by: &Option<Contributor>| {
            let hash = change.hash();
            let before = own.of(&hash).filter(|_| own.merge_of(&hash).is_none());
            before.is_some_and(|before| by.as_ref().is_some_and(|by| by.user == before.user))
        };
        let mut arrivals = Vec::with_capacity(changes.len());
        for (change, by) in changes {
            let is_contradicted = known.is_contradicted(change, by.as_ref(), id, store).await?;
            if !is_contradicted && let Some(claimed) = known.claimed_by(change, by.as_ref()) {
                pending.insert(claimed, change.hash());
            }
            arrivals.push(Arrival {
                change,
                comes_again: comes_again(change, by),
                is_contradicted,
                is_of_other_server: !known.is_first_in(id, change.actor_id()),
            });
        }
        if !pending.is_empty() {
            known.pending.insert(id.clone(), pending);
        }
        Ok(known.authors.relatives(arrivals))
    }
}

impl Known {
    /// Notes lines and changes that a document has stored.
    fn note(&mut self, id: &DocumentId, lines: &[u8], changes: &[Change]) {
        let Self { authors, members, .. } = self;
        let member = members.entry(id.clone()).or_default();
        authors.append_lines_with(lines, |actor| {
            member.actors.insert(actor.clone());
        });
        authors.add_unattributed(changes.iter().map(Change::hash));
        member.note(changes);
    }

    /// Whether a change of this actor arrived in this document first.
    fn is_first_in(&self, id: &DocumentId, actor: &ActorId) -> bool {
        self.members.get(id).is_some_and(|member| member.actors.contains(actor))
    }

    /// The other documents in which a change of this actor arrived first.
    fn others_with(&self, actor: &ActorId, id: &DocumentId) -> impl Iterator<Item = &DocumentId> {
        let others = self.members.iter().filter(move |(other, member)| *other != id && member.actors.contains(actor));
        others.map(|(other, _)| other)
    }

    /// The actor and sequence number that a change claims for its contributor; `None` if the family has the change, if the actor
    /// belongs to somebody else, or if another server relays it.
    fn claimed_by(&self, change: &Change, by: Option<&Contributor>) -> Option<(ActorId, u64)> {
        let by = by.filter(|by| !by.surface.relays())?;
        let is_free = !self.authors.knows(&change.hash()) && self.authors.allow(change.actor_id(), &by.user);
        is_free.then(|| (change.actor_id().clone(), change.seq()))
    }

    /// Whether the family does not have a change, and another document has, or is about to store, another change with its actor and
    /// sequence number. Also if that is still to come, because the server writes under the actor there. Servers that this one has
    /// dialled are trusted.
    async fn is_contradicted(
        &mut self,
        change: &Change,
        by: Option<&Contributor>,
        id: &DocumentId,
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        let hash = change.hash();
        if by.is_none_or(|by| by.surface.relays()) || self.authors.knows(&hash) {
            return Ok(false);
        }
        let actor = change.actor_id();
        let is_server = self.servers.iter().any(|(other, server)| other != id && is_written_as(actor, server));
        let has_other = |pending: &HashMap<(ActorId, u64), ChangeHash>| {
            pending.get(&(actor.clone(), change.seq())).is_some_and(|other| *other != hash)
        };
        if is_server || self.pending.iter().any(|(other, pending)| other != id && has_other(pending)) {
            return Ok(true);
        }
        let others: Vec<DocumentId> = self.others_with(actor, id).cloned().collect();
        for other in others {
            if self.last_sequence(&other, actor, store).await? >= change.seq() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The last sequence number of an actor in a document; 0 if there is none.
    async fn last_sequence(&mut self, id: &DocumentId, actor: &ActorId, store: &dyn Store) -> Result<u64, StoreError> {
        let Some(member) = self.members.get_mut(id) else { return Ok(0) };
        if member.sequences.is_none() {
            let log = store.load(id).await?.map(|loaded| loaded.bytes).unwrap_or_default();
            member.sequences = Some(HashMap::new());
            member.note(&run_cpu_bound(|| changes_of_log(&log)));
        }
        Ok(member.sequences.as_ref().and_then(|sequences| sequences.get(actor)).copied().unwrap_or_default())
    }

    /// Reads the documents that were not read yet.
    async fn read_members(&mut self, plan: &DocumentId, access: &Access, store: &dyn Store) -> Result<(), StoreError> {
        let is_read = |members: &HashMap<DocumentId, Member>, id: &DocumentId| {
            members.get(id).is_some_and(|member| member.is_read)
        };
        if !is_read(&self.members, plan) {
            self.read_whole(plan, store).await?;
        }
        for id in access.scenarios_of(plan) {
            if !is_read(&self.members, &id) {
                self.read_lines(&id, store).await?;
            }
        }
        Ok(())
    }

    /// Reads a document with its log, because the authors file of a plan may lack changes: those from before it had scenarios.
    async fn read_whole(&mut self, id: &DocumentId, store: &dyn Store) -> Result<(), StoreError> {
        // One read: a failover between two could lose lines whose changes were read.
        let Some(loaded) = store.load(id).await? else {
            return self.read_lines(id, store).await;
        };
        let changes = run_cpu_bound(|| changes_of_log(&loaded.bytes));
        let member = self.members.entry(id.clone()).or_default();
        (member.is_read, member.end, member.sequences) = (true, loaded.position, Some(HashMap::new()));
        self.note(id, &loaded.authors, &changes);
        Ok(())
    }

    /// Reads the authors of a document without its log. Those of a scenario name all of its changes that the plan may lack.
    async fn read_lines(&mut self, id: &DocumentId, store: &dyn Store) -> Result<(), StoreError> {
        let end = store.positions(vec![id.clone()]).await?.pop().map(|(_, at)| at).unwrap_or_default();
        let lines = store.load_authors(id).await?;
        self.note(id, &lines, &[]);
        let member = self.members.entry(id.clone()).or_default();
        (member.is_read, member.end) = (true, end);
        Ok(())
    }

    /// Reads what other processes have stored in the documents that were read before.
    async fn read_news(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        for (id, end) in store.positions(self.members.keys().cloned().collect()).await? {
            let at = self.members.get(&id).map(|member| member.end).unwrap_or_default();
            if at == end {
                continue;
            }
            match store.after(&id, at).await? {
                After::Same => {}
                After::Reload => self.read_whole(&id, store).await?,
                After::Batches(batches) => {
                    for (at, batch) in batches {
                        if batch.kind == BatchKind::Changes {
                            self.note(&id, &batch.authors, &changes_of_log(&batch.chunks));
                        }
                        self.members.entry(id.clone()).or_default().end = at;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
