//! The schema of plans: edits of positions, and the protected document id.

use automerge::{Automerge, Change};
use plan::shared_map::SharedMap;
use plan::{Author, Done, Edit, EditError, edit, position};
use primitives::DocumentId;
use sync_engine::{ActorOwner, Schema};

/// An edit and its author.
#[derive(Debug, Clone)]
pub struct AuthoredEdit {
    /// The edit.
    pub edit: Edit,
    /// The author and time that the change records.
    pub author: Author,
}

/// The schema of plans.
#[derive(Debug)]
pub struct PlanSchema {
    id: DocumentId,
    /// Whether the document contains its id under the root key. Peers cannot change it then.
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

    /// Whether the document contains its own id.
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

    /// Restores the id that the document was opened with after a peer has overwritten it.
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
            tracing::error!(document = %self.id, %error, "cannot restore the document id");
        }
    }

    fn is_large(AuthoredEdit { edit, .. }: &AuthoredEdit) -> bool {
        edit.rows() > 20
    }

    /// Everyone creates a shared map by the same change. Another change of its actor would exclude that one.
    fn actor_owner(change: &Change) -> ActorOwner {
        match SharedMap::of_actor(change.actor_id().to_bytes()) {
            None => ActorOwner::FirstContributor,
            Some(map) if map.is_created_by(change) => ActorOwner::Everyone,
            Some(_) => ActorOwner::Nobody,
        }
    }
}
