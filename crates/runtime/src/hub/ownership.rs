//! Operations of owners: roles and deletion. They complete once started, and take effect at once.

use std::sync::Arc;

use auth::Role;
use primitives::DocumentId;
use store::StoreError;

use super::Hub;
use super::access::{AccessRecord, Deletion, Denied};
use super::command::{Command, EditFailure};
use super::requester::Requester;

impl Hub {
    /// Returns the access record of a document.
    ///
    /// # Errors
    /// When `requester` is not an owner, or the document does not exist.
    pub async fn access_record(
        &self,
        requester: &Requester,
        id: &DocumentId,
    ) -> Result<Arc<AccessRecord>, EditFailure> {
        self.inner.access.check_owner(requester, id)?;
        self.check_exists(requester, id).await?;
        // The rights in a scenario are those in its plan.
        let plan = self.scenario_of(id);
        Ok(self.inner.access.record(plan.as_ref().unwrap_or(id)).unwrap_or_default())
    }

    /// Sets the role of a user on a document, effective at once. `None` removes it, and leaves the rights of the user's
    /// token.
    ///
    /// # Errors
    /// When `requester` is not an owner, or the record could not be stored.
    pub async fn set_role(
        &self,
        requester: &Requester,
        id: &DocumentId,
        user: &Arc<str>,
        role: Option<Role>,
    ) -> Result<(), EditFailure> {
        self.inner.access.check_owner(requester, id)?;
        self.check_exists(requester, id).await?;
        if let Some(plan) = self.scenario_of(id) {
            return Err(Denied::Scenario(plan).into());
        }
        let (hub, requester, id, user) = (self.clone(), requester.clone(), id.clone(), Arc::clone(user));
        self.run_detached(async move {
            let set = hub.inner.access.set_role(&requester, &id, &user, role).await;
            set.map_err(|error| EditFailure::from(&error))??;
            hub.recheck_document(&id);
            Ok(())
        })
        .await
    }

    /// Deletes a document permanently: clients cannot reach it, and cannot create it again. The content stays on disk
    /// until [`Hub::remove_deleted`]. The scenarios of a plan are deleted with it. `now`: milliseconds since 1970.
    ///
    /// # Errors
    /// When `requester` is neither an owner nor the user who made this scenario, or the record could not be stored.
    pub async fn delete(&self, requester: &Requester, id: &DocumentId, now: i64) -> Result<(), EditFailure> {
        self.inner.access.check_may_delete(requester, id)?;
        self.inner.access.check_deletable(id)?;
        self.check_exists(requester, id).await?;
        let deletion = Deletion { by: requester.user(), at: now, removed: false };
        let (hub, id) = (self.clone(), id.clone());
        self.run_detached(async move {
            let by = deletion.by.clone();
            let delete = |record: &mut AccessRecord| record.deleted = Some(deletion.clone());
            hub.inner.access.change(&id, delete).await.map_err(|error| EditFailure::from(&error))?;
            tracing::info!(document = %id, by = by.as_deref(), "deleted");
            hub.recheck_document(&id);
            Ok(())
        })
        .await
    }

    /// Runs work that must complete even if its caller is dropped.
    pub(super) async fn run_detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EditFailure>> + Send + 'static,
    ) -> Result<T, EditFailure> {
        self.inner.tasks.spawn(work).await.unwrap_or(Err(EditFailure::Unknown))
    }

    /// Removes the content of documents that were deleted before a time (milliseconds since 1970). The access records
    /// stay. Returns the ids.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove_deleted(&self, before: i64) -> Result<Vec<DocumentId>, StoreError> {
        let ids = self.inner.access.deleted_before(before);
        for id in &ids {
            // A client may have requested it just before, without success.
            self.close(id).await;
            self.inner.store.remove(id).await?;
            // A scenario is removed by the deletion of its plan.
            let plan = self.scenario_of(id).and_then(|plan| self.inner.access.record(&plan));
            let plan = plan.and_then(|plan| plan.deleted.clone());
            let removed = |record: &mut AccessRecord| {
                if record.deleted.is_none() {
                    record.deleted.clone_from(&plan);
                }
                if let Some(deletion) = &mut record.deleted {
                    deletion.removed = true;
                }
            };
            self.inner.access.change(id, removed).await?;
            tracing::info!(document = %id, "removed the content of a deleted document");
        }
        Ok(ids)
    }

    /// Ends the document's task, if there is one, and closes the file.
    async fn close(&self, id: &DocumentId) {
        let handle = self.registry().get(id).cloned();
        if let Some(handle) = handle {
            let _ = handle.commands.send(Command::Stop).await;
            handle.commands.closed().await;
            self.unregister(id, &handle);
        }
        self.inner.store.close(id).await;
    }

    async fn check_exists(&self, requester: &Requester, id: &DocumentId) -> Result<(), EditFailure> {
        match self.view(requester, id).await? {
            Some(_) => Ok(()),
            None => Err(Denied::Missing(id.clone()).into()),
        }
    }
}
