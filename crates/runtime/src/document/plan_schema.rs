//! The plan as the engine's schema: edits of positions, and the id that a document carries.

use automerge::Automerge;
use plan::{Author, Done, Edit, EditError, edit, position};
use primitives::DocumentId;
use sync_engine::Schema;

/// An edit and its author.
#[derive(Debug, Clone)]
pub struct AuthoredEdit {
    /// What is edited.
    pub edit: Edit,
    /// Who is named in the change, and its time.
    pub author: Author,
}

/// The schema of plans.
#[derive(Debug)]
pub struct PlanSchema {
    id: DocumentId,
    /// Whether the document carries its id under its root key. Nobody may change it then.
    carries_id: bool,
}

impl PlanSchema {
    /// The schema of the document with this id.
    #[must_use]
    pub fn new(id: DocumentId) -> Self {
        Self { id, carries_id: false }
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// Whether the document carries its own id.
    #[must_use]
    pub fn carries_id(&self) -> bool {
        self.carries_id
    }

    fn finds_id(&self, doc: &Automerge) -> bool {
        position::read_document_id(doc).as_deref() == Some(self.id.as_str())
    }
}

impl Schema for PlanSchema {
    type Edit = AuthoredEdit;
    type Done = Done;
    type Error = EditError;

    fn loaded(&mut self, doc: &Automerge) {
        self.carries_id = self.finds_id(doc);
    }

    fn edit(&mut self, doc: &mut Automerge, AuthoredEdit { edit, author }: &AuthoredEdit) -> Result<Done, EditError> {
        let done = edit::run(doc, edit, author)?;
        if let (true, Edit::Create { id, .. } | Edit::CarryId(id)) = (done.changed, edit) {
            self.carries_id = *id == self.id;
        }
        Ok(done)
    }

    /// The id that a document was opened with is fixed: a peer that overwrites it finds it restored.
    fn restore(&mut self, doc: &mut Automerge, time: i64) {
        if self.finds_id(doc) {
            self.carries_id = true;
            return;
        }
        if !self.carries_id {
            return;
        }
        let author = Author { name: "server".to_owned(), now: time.saturating_mul(1_000) };
        if let Err(error) = edit::run(doc, &Edit::CarryId(self.id.clone()), &author) {
            tracing::error!(document = %self.id, %error, "the document id could not be restored");
        }
    }

    fn is_large(AuthoredEdit { edit, .. }: &AuthoredEdit) -> bool {
        edit.rows() > 20
    }
}
