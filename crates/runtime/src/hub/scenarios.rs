//! Scenarios: clones of a plan that this server makes, and merges between the documents of a family.

use std::collections::HashSet;
use std::sync::Arc;

use automerge::{Automerge, Change, ChangeHash};
use offload::run_cpu_bound;
use plan::{Author, Done, Edit};
use primitives::DocumentId;
use store::StoreError;
use tokio::sync::oneshot;
use tracing::Span;

use super::Hub;
use super::access::{Denied, Right};
use super::command::{Command, EditFailure, ReadFailure, Unavailable};
use super::history::ReadPermit;
use super::requester::Requester;

/// Copies of two documents, with the permit to read them. Other requests wait until it is dropped.
pub struct Copies {
    /// The copies, in the order of the request.
    pub documents: [Arc<Automerge>; 2],
    _permit: ReadPermit,
}

impl Hub {
    /// The plan that a document is a scenario of.
    #[must_use]
    pub fn scenario_of(&self, id: &DocumentId) -> Option<DocumentId> {
        self.inner.access.scenario_of(id)
    }

    /// The scenarios of a plan that `requester` may read, sorted by id.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn scenarios(&self, requester: &Requester, plan: &DocumentId) -> Result<Vec<DocumentId>, StoreError> {
        let mut scenarios = self.inner.access.scenarios_of(plan);
        scenarios.retain(|id| self.right(requester, id) >= Right::Read);
        if !scenarios.is_empty() {
            // A record may be that of a document that was not stored after all.
            let stored: HashSet<DocumentId> = self.inner.store.list().await?.into_iter().collect();
            scenarios.retain(|id| stored.contains(id));
        }
        Ok(scenarios)
    }

    /// The user who made a document, as far as that is known.
    #[must_use]
    pub fn maker(&self, id: &DocumentId) -> Option<Arc<str>> {
        self.inner.access.record(id)?.owner.clone()
    }

    /// Whether two documents belong to the same family.
    #[must_use]
    pub fn are_relatives(&self, one: &DocumentId, other: &DocumentId) -> bool {
        let plan_of = |id: &DocumentId| self.scenario_of(id).unwrap_or_else(|| id.clone());
        plan_of(one) == plan_of(other)
    }

    /// Copies a document to a new one, which becomes a scenario of the document's plan. Returns the heads of both.
    ///
    /// # Errors
    /// When `requester` may not edit the plan or create documents, or the scenario could not be stored.
    pub async fn create_scenario(
        &self,
        requester: &Requester,
        source: &DocumentId,
        id: &DocumentId,
        author: Author,
    ) -> Result<Vec<ChangeHash>, EditFailure> {
        self.inner.access.check_scenario(requester, source)?;
        let copy = self.copy(source).await?.ok_or_else(|| Denied::Missing(source.clone()))?;
        let (heads, changes) = run_cpu_bound(|| (copy.get_heads(), copy.get_changes(&[])));
        drop(copy);
        self.merge(requester, id, changes, None, None, author).await?;
        Ok(heads)
    }

    /// Merges changes of another document of the family into a document, and makes an edit in the same batch. `heads`: the
    /// document must have these. Durable and published when this returns.
    ///
    /// # Errors
    /// When the changes or the edit are rejected, or could not be stored.
    pub async fn merge(
        &self,
        requester: &Requester,
        id: &DocumentId,
        changes: Vec<Change>,
        edit: Option<Edit>,
        heads: Option<Vec<ChangeHash>>,
        author: Author,
    ) -> Result<Done, EditFailure> {
        let (reply, answer) = oneshot::channel();
        let (changes, edit, requester) = (changes.into(), edit.map(Box::new), requester.clone());
        self.send(id, Command::Merge { changes, edit, author, requester, heads, request: Span::current().id(), reply })
            .await?;
        answer.await.map_err(|_| EditFailure::Unknown)?
    }

    /// Copies of two documents. `None` if one does not exist, or `requester` may not read it.
    ///
    /// # Errors
    /// When a document cannot be opened, or too many requests wait.
    pub async fn copies(&self, requester: &Requester, ids: [&DocumentId; 2]) -> Result<Option<Copies>, ReadFailure> {
        let may_read = || ids.iter().all(|id| self.right(requester, id) >= Right::Read);
        if !may_read() {
            return Ok(None);
        }
        let permit = self.acquire_read_permit(requester).await?;
        let (one, other) = (self.copy(ids[0]).await?, self.copy(ids[1]).await?);
        let documents = one.zip(other).filter(|_| may_read());
        Ok(documents.map(|(one, other)| Copies { documents: [one, other], _permit: permit }))
    }

    pub(super) async fn copy(&self, id: &DocumentId) -> Result<Option<Arc<Automerge>>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(id, Command::Copy { reply }).await?;
        answer.await.map_err(|_| Unavailable::Stopping)?
    }
}
