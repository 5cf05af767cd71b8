//! Imports of files: their changes are merged into a document, or create one.

use automerge::{Automerge, Change};
use offload::run_cpu_bound;
use plan::{Author, Edit, EditError, NewContent};
use primitives::DocumentId;
use sync_engine::{DocumentFull, decode_file};

use super::Hub;
use super::access::{Denied, Right};
use super::command::EditFailure;
use super::fair_permits::Permit;
use super::requester::Requester;

impl Hub {
    /// Merges the changes of an Automerge file into a document, which must exist. Durable and published when this returns.
    ///
    /// # Errors
    /// When the file is malformed or over a limit, `requester` may not write, or the changes could not be stored.
    pub async fn import_into(
        &self,
        requester: &Requester,
        id: &DocumentId,
        file: &[u8],
        author: Author,
    ) -> Result<(), EditFailure> {
        self.check_write(requester, id)?;
        self.merge_file(requester, id, file, None, author).await
    }

    /// Creates a document with the content of an Automerge file. The document carries its own id, whichever document the file is a
    /// copy of. Durable and published when this returns.
    ///
    /// # Errors
    /// When the file is malformed or over a limit, `requester` may not create documents, or the changes could not be stored.
    pub async fn import_new(
        &self,
        requester: &Requester,
        id: &DocumentId,
        file: &[u8],
        author: Author,
    ) -> Result<(), EditFailure> {
        self.check_creation(requester)?;
        self.merge_file(requester, id, file, Some(Edit::CarryId(id.clone())), author).await
    }

    /// Creates a document with this content. Durable and published when this returns.
    ///
    /// # Errors
    /// When something in it is invalid, it exceeds a limit of documents, `requester` may not create documents, or the changes could not be
    /// stored.
    pub async fn create_with(
        &self,
        requester: &Requester,
        id: &DocumentId,
        content: NewContent,
        author: Author,
    ) -> Result<(), EditFailure> {
        self.check_creation(requester)?;
        let limit = self.inner.settings.limits.document_operations;
        if content.operations() > limit {
            return Err(EditFailure::Full(DocumentFull::Operations(limit)));
        }
        // Like a file that holds a whole document: one at a time.
        let key = requester.permit_key(self.new_connection());
        let _permit = self.inner.whole_document_permits.acquire(key).await;
        let actor = self.inner.settings.actors.fresh();
        let changes = run_cpu_bound(|| -> Result<_, EditError> {
            let mut document = Automerge::new().with_actor(actor);
            content.write(&mut document, id.clone(), &author)?;
            Ok(document.get_changes(&[]))
        });
        self.create_from(requester, id, changes?, author).await
    }

    /// Creates a document from changes that this server has made.
    ///
    /// # Errors
    /// When `requester` may not create documents, or the changes could not be stored.
    pub async fn create_from(
        &self,
        requester: &Requester,
        id: &DocumentId,
        changes: Vec<Change>,
        author: Author,
    ) -> Result<(), EditFailure> {
        self.check_creation(requester)?;
        self.merge(requester, id, changes, None, None, author).await.map(drop)
    }

    /// Whether `requester` may write a document: for requests that are costly before the edit itself is checked.
    ///
    /// # Errors
    /// When they may not.
    pub fn check_write(&self, requester: &Requester, id: &DocumentId) -> Result<(), Denied> {
        match self.right(requester, id) {
            Right::None => Err(Denied::Missing(id.clone())),
            Right::Read => Err(Denied::ReadOnly),
            Right::Write | Right::Own => Ok(()),
        }
    }

    /// Whether `requester` may create documents.
    ///
    /// # Errors
    /// When they may not.
    pub fn check_creation(&self, requester: &Requester) -> Result<(), Denied> {
        if self.inner.access.may_create(requester) { Ok(()) } else { Err(Denied::Create) }
    }

    /// Waits for the turn of an edit with more operations than an ordinary message may have: one at a time, like messages that hold a
    /// whole document.
    pub(super) async fn turn_of(&self, requester: &Requester, edit: &Edit) -> Option<Permit> {
        if edit.operations() <= self.inner.settings.limits.ordinary().operations {
            return None;
        }
        let key = requester.permit_key(self.new_connection());
        Some(self.inner.whole_document_permits.acquire(key).await)
    }

    async fn merge_file(
        &self,
        requester: &Requester,
        id: &DocumentId,
        file: &[u8],
        edit: Option<Edit>,
        author: Author,
    ) -> Result<(), EditFailure> {
        // A file may hold a whole document, so it is decoded and applied like such a message: one at a time.
        let key = requester.permit_key(self.new_connection());
        let _permit = self.inner.whole_document_permits.acquire(key).await;
        let changes = run_cpu_bound(|| decode_file(file, &self.inner.settings.limits)).map_err(EditFailure::Merge)?;
        self.merge(requester, id, changes, edit, None, author).await.map(drop)
    }
}
