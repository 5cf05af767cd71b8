//! What owners do with their documents: they let others in, and delete. It is done to the end, and counts at once.

use std::sync::Arc;

use auth::Role;
use primitives::DocumentId;
use store::StoreError;

use super::Hub;
use super::access::{AccessRecord, Deletion, Denied};
use super::caller::Caller;
use super::command::{Command, EditFailure};

impl Hub {
    /// Who may do what with a document, beside what tokens say.
    ///
    /// # Errors
    /// When that is not for this caller to know, or there is no such document.
    pub async fn access_record(&self, caller: &Caller, id: &DocumentId) -> Result<Arc<AccessRecord>, EditFailure> {
        self.inner.access.check_owner(caller, id)?;
        self.must_exist(caller, id).await?;
        Ok(self.inner.access.record(id).unwrap_or_default())
    }

    /// Lets a user do something with a document; None: only what their token says. It counts at once.
    ///
    /// # Errors
    /// When that is not for this caller to say, or could not be made durable.
    pub async fn set_role(
        &self,
        caller: &Caller,
        id: &DocumentId,
        user: &Arc<str>,
        role: Option<Role>,
    ) -> Result<(), EditFailure> {
        self.inner.access.check_owner(caller, id)?;
        self.must_exist(caller, id).await?;
        let (hub, caller, id, user) = (self.clone(), caller.clone(), id.clone(), Arc::clone(user));
        self.to_the_end(async move {
            let set = hub.inner.access.set_role(&caller, &id, &user, role).await;
            set.map_err(|error| EditFailure::from(&error))??;
            hub.recheck_document(&id);
            Ok(())
        })
        .await
    }

    /// Deletes a document: nobody reaches it any more, and nobody brings it back. Its content stays on the disk until
    /// [`Hub::remove_deleted`]. `now`: milliseconds since 1970.
    ///
    /// # Errors
    /// When this caller may not, or it could not be made durable.
    pub async fn delete(&self, caller: &Caller, id: &DocumentId, now: i64) -> Result<(), EditFailure> {
        self.inner.access.check_owner(caller, id)?;
        self.inner.access.check_deletable(id)?;
        self.must_exist(caller, id).await?;
        let deletion = Deletion { by: caller.user(), at: now, removed: false };
        let (hub, id) = (self.clone(), id.clone());
        self.to_the_end(async move {
            let by = deletion.by.clone();
            let delete = |record: &mut AccessRecord| record.deleted = Some(deletion.clone());
            hub.inner.access.change(&id, delete).await.map_err(|error| EditFailure::from(&error))?;
            tracing::info!(document = %id, by = by.as_deref(), "deleted");
            hub.recheck_document(&id);
            Ok(())
        })
        .await
    }

    /// Runs work that must complete even if its caller goes away.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EditFailure>> + Send + 'static,
    ) -> Result<T, EditFailure> {
        self.inner.tasks.spawn(work).await.unwrap_or(Err(EditFailure::Unknown))
    }

    /// Removes the content of documents that were deleted before a moment (milliseconds since 1970). That they were, and who
    /// may do what, is kept. Returns which.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn remove_deleted(&self, before: i64) -> Result<Vec<DocumentId>, StoreError> {
        let ids = self.inner.access.deleted_before(before);
        for id in &ids {
            // Nobody uses it; somebody may have asked in vain a moment ago.
            self.close(id).await;
            self.inner.store.remove(id).await?;
            let removed = |record: &mut AccessRecord| {
                if let Some(deletion) = &mut record.deleted {
                    deletion.removed = true;
                }
            };
            self.inner.access.change(id, removed).await?;
            tracing::info!(document = %id, "removed: it was deleted long enough ago");
        }
        Ok(ids)
    }

    /// Ends the task of a document, if there is one, and lets go of its file.
    async fn close(&self, id: &DocumentId) {
        let slot = self.documents().get(id).cloned();
        if let Some(slot) = slot {
            let _ = slot.commands.send(Command::Stop).await;
            slot.commands.closed().await;
            self.forget(id, &slot);
        }
        self.inner.store.close(id).await;
    }

    async fn must_exist(&self, caller: &Caller, id: &DocumentId) -> Result<(), EditFailure> {
        match self.view(caller, id).await? {
            Some(_) => Ok(()),
            None => Err(Denied::Missing(id.clone()).into()),
        }
    }
}
