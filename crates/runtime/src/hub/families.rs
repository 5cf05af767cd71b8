//! The provenance of the changes of whole families, for documents into which scenarios are merged.
//!
//! A family is a plan and its scenarios. Before a document of it takes changes of a peer, its task looks them up here: a change that
//! another document has keeps its provenance. The authors of all documents of a family are held in memory once, while one of them
//! is open. Documents of this process add what they store. What other processes store is read when a change is not known.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use automerge::{Change, ChangeHash};
use offload::run_cpu_bound;
use parking_lot::Mutex;
use primitives::DocumentId;
use store::{After, BatchKind, Position, Store, StoreError};
use sync_engine::{Authors, Contributor, Relatives, changes_of_log};
use tokio::sync::Mutex as AsyncMutex;

use super::Hub;
use super::access::Access;

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
    /// The documents that were read, each with the end of its log.
    read: HashMap<DocumentId, Position>,
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
    pub(super) async fn note_in_family(&self, plan: &DocumentId, lines: &[u8], changes: &[ChangeHash]) {
        if let Some(family) = self.inner.families.existing(plan) {
            let mut known = family.known.lock().await;
            known.authors.append_lines(lines);
            known.authors.add_unattributed(changes.iter().copied());
        }
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

    /// What the family knows of these changes, each with its contributor here. `own`: the authors of the document that they
    /// arrive in. A change that its contributor brings to that document again was not stored there, and is not merged.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn relatives(
        &self,
        hub: &Hub,
        changes: &[(&Change, Option<Contributor>)],
        own: &Authors,
    ) -> Result<Relatives, StoreError> {
        let mut known = self.known.lock().await;
        let store = &*hub.inner.store;
        known.read_members(&self.plan, &hub.inner.access, store).await?;
        // A change that continues an actor of its contributor is attributed to the same user in any case.
        let is_new = |(change, by): &(&Change, Option<Contributor>)| {
            !known.authors.knows(&change.hash())
                && by.as_ref().is_none_or(|by| !known.authors.is_bound_to(change.actor_id(), &by.user))
        };
        if store.is_shared() && changes.iter().any(is_new) {
            known.read_news(store).await?;
        }
        let comes_again = |change: &Change, by: &Option<Contributor>| {
            let hash = change.hash();
            let before = own.of(&hash).filter(|_| own.merge_of(&hash).is_none());
            before.is_some_and(|before| by.as_ref().is_some_and(|by| by.user == before.user))
        };
        Ok(known.authors.relatives(changes.iter().map(|(change, by)| (*change, comes_again(change, by)))))
    }
}

impl Known {
    /// Reads the documents that were not read yet.
    async fn read_members(&mut self, plan: &DocumentId, access: &Access, store: &dyn Store) -> Result<(), StoreError> {
        if !self.read.contains_key(plan) {
            self.read_plan(plan, store).await?;
        }
        for id in access.scenarios_of(plan) {
            if !self.read.contains_key(&id) {
                self.read_scenario(&id, store).await?;
            }
        }
        Ok(())
    }

    /// Reads the plan, whose authors file may lack changes: those from before it had scenarios.
    async fn read_plan(&mut self, id: &DocumentId, store: &dyn Store) -> Result<(), StoreError> {
        // One read: a failover between two could lose lines whose changes were read.
        let Some(loaded) = store.load(id).await? else {
            self.authors.append_lines(&store.load_authors(id).await?);
            self.read.insert(id.clone(), Position::default());
            return Ok(());
        };
        self.authors.append_lines(&loaded.authors);
        self.authors.add_unattributed(run_cpu_bound(|| changes_of_log(&loaded.bytes)));
        self.read.insert(id.clone(), loaded.position);
        Ok(())
    }

    /// Reads the authors of a scenario. They name all of its changes that the plan may lack.
    async fn read_scenario(&mut self, id: &DocumentId, store: &dyn Store) -> Result<(), StoreError> {
        let at = store.positions(vec![id.clone()]).await?.pop().map(|(_, at)| at).unwrap_or_default();
        self.authors.append_lines(&store.load_authors(id).await?);
        self.read.insert(id.clone(), at);
        Ok(())
    }

    /// Reads what other processes have stored in the documents that were read before.
    async fn read_news(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        for (id, end) in store.positions(self.read.keys().cloned().collect()).await? {
            let at = self.read.get(&id).copied().unwrap_or_default();
            if at == end {
                continue;
            }
            match store.after(&id, at).await? {
                After::Same => {}
                After::Reload => self.read_plan(&id, store).await?,
                After::Batches(batches) => {
                    for (at, batch) in batches {
                        if batch.kind == BatchKind::Changes {
                            self.authors.append_lines(&batch.authors);
                            self.authors.add_unattributed(changes_of_log(&batch.chunks));
                        }
                        self.read.insert(id.clone(), at);
                    }
                }
            }
        }
        Ok(())
    }
}
