//! Successors: copies of documents without their history, which take their place.

use auth::Role;
use offload::run_cpu_bound;
use plan::{Author, Condition, Edit, EditError, LeftOut, Successor};
use primitives::DocumentId;

use super::Hub;
use super::access::{AccessRecord, Denied};
use super::command::EditFailure;
use super::requester::Requester;

impl Hub {
    /// Creates the successor `id` of a document, in which the users of the document have their roles, and names it in the document.
    /// The document becomes an archived plan. Returns what the successor lacks.
    ///
    /// # Errors
    /// When `requester` is no owner of the document or may not create documents, when the document has changed meanwhile
    /// ([`EditError::Changed`]), or when the successor could not be stored. There is no successor then.
    pub async fn create_successor(
        &self,
        requester: &Requester,
        source: &DocumentId,
        id: &DocumentId,
        author: Author,
    ) -> Result<LeftOut, EditFailure> {
        self.inner.access.check_owner(requester, source)?;
        self.check_creation(requester)?;
        let (hub, requester, source, id) = (self.clone(), requester.clone(), source.clone(), id.clone());
        // A client that disconnects in between would leave two plans that do not know each other.
        self.run_detached(async move { hub.make_successor(&requester, &source, &id, author).await }).await
    }

    async fn make_successor(
        &self,
        requester: &Requester,
        source: &DocumentId,
        id: &DocumentId,
        author: Author,
    ) -> Result<LeftOut, EditFailure> {
        // Like a file that holds a whole document: one at a time.
        let key = requester.permit_key(self.new_connection());
        let permit = self.inner.whole_document_permits.acquire(key).await;
        let copy = self.copy(source).await?.ok_or_else(|| Denied::Missing(source.clone()))?;
        let made = run_cpu_bound(|| -> Result<_, EditError> {
            let actor = self.inner.settings.actors.fresh();
            let Successor { document, left_out } = plan::successor(&copy, id, source, actor, &author)?;
            Ok((copy.get_heads(), document.get_changes(&[]), left_out))
        });
        drop(copy);
        let (heads, changes, left_out) = made?;
        self.inherit_users(source, id).await?;
        self.create_from(requester, id, changes, author.clone()).await?;
        drop(permit);
        // The successor lacks later changes, so there must be none.
        let name = Box::new(Edit::NameSuccessor(id.clone()));
        let name = Edit::OnlyIf { condition: Condition::Heads(heads), edit: name };
        let now = author.now;
        if let Err(failure) = self.edit(requester, source, name, author).await {
            // The edit may have been stored. The source would name a deleted document then.
            if matches!(failure, EditFailure::Unknown) {
                return Err(failure);
            }
            if let Err(error) = self.delete(&Requester::server(), id, now).await {
                tracing::warn!(document = %source, successor = %id, %error, "a successor that is not in use could not be deleted");
            }
            return Err(failure);
        }
        // Somebody may have lost access to the source meanwhile. The successor is stored and named, so this is no failure of the request.
        if let Err(error) = self.inherit_users(source, id).await {
            tracing::warn!(document = %source, successor = %id, %error, "roles that changed meanwhile were not copied to the successor");
        }
        Ok(left_out)
    }

    /// Gives the users of a document their roles in its successor.
    async fn inherit_users(&self, source: &DocumentId, id: &DocumentId) -> Result<(), EditFailure> {
        let now = self.inner.access.record(source).unwrap_or_default();
        let inherit = |record: &mut AccessRecord| {
            record.users.clone_from(&now.users);
            record.users.extend(now.owner.iter().map(|owner| (owner.clone(), Role::Owner)));
            record.successor_of = Some(source.clone());
        };
        self.inner.access.change(id, inherit).await.map_err(|error| EditFailure::from(&error))?;
        Ok(())
    }
}
