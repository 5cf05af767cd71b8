//! The schema of plans: edits of positions, and the protected document id.

use automerge::{Automerge, Change, ChangeHash};
use plan::shared_map::SharedMap;
use plan::{Author, Done, Edit, EditError, document_id, edit};
use primitives::DocumentId;
use sync_engine::{ActorOwner, Schema};

/// Number of operations from which an edit takes long to apply.
const LARGE_EDIT: u64 = 5_000;

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
    /// The plan that this document is a scenario of. The document contains the id of its plan then.
    plan: Option<DocumentId>,
    /// Whether the document contains the id under the root key. Peers cannot change it then.
    carries_id: bool,
}

impl PlanSchema {
    /// The schema of the document with this id.
    #[must_use]
    pub fn new(id: DocumentId) -> Self {
        Self { id, plan: None, carries_id: false }
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// Makes the document a scenario of a plan, or no scenario. `doc` is the document.
    pub fn set_plan(&mut self, plan: Option<DocumentId>, doc: &Automerge) {
        if self.plan != plan {
            self.plan = plan;
            self.carries_id = self.finds_id(doc);
        }
    }

    /// The id that the document contains: its own, or that of its plan.
    fn contained_id(&self) -> &DocumentId {
        self.plan.as_ref().unwrap_or(&self.id)
    }

    /// Whether the document contains its id, or that of its plan.
    #[must_use]
    pub fn carries_id(&self) -> bool {
        self.carries_id
    }

    fn finds_id(&self, doc: &Automerge) -> bool {
        document_id::read_document_id(doc).as_deref() == Some(self.contained_id().as_str())
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
            self.carries_id = id == self.contained_id();
        }
        Ok(done)
    }

    /// Restores the id that the document was opened with after a peer has overwritten it, and the name of a plan that a scenario
    /// was merged into.
    fn restore(&mut self, doc: &mut Automerge, time: i64, without_merge: Option<&[ChangeHash]>) {
        let author = Author { name: "server".to_owned(), now: time.saturating_mul(1_000) };
        if let Some(heads) = without_merge.filter(|_| self.plan.is_none())
            && let Err(error) = edit::keep_name(doc, heads, &author)
        {
            tracing::error!(document = %self.id, %error, "cannot restore the name of the plan");
        }
        if self.finds_id(doc) {
            self.carries_id = true;
            return;
        }
        if !self.carries_id {
            return;
        }
        if let Err(error) = edit::run(doc, &Edit::CarryId(self.contained_id().clone()), &author) {
            tracing::error!(document = %self.id, %error, "cannot restore the document id");
        }
    }

    fn operations(AuthoredEdit { edit, .. }: &AuthoredEdit) -> u64 {
        edit.operations()
    }

    fn is_large(AuthoredEdit { edit, .. }: &AuthoredEdit) -> bool {
        edit.rows() > 20 || edit.operations() > LARGE_EDIT
    }

    /// A full document can be continued in another one.
    fn is_made_when_full(AuthoredEdit { edit, .. }: &AuthoredEdit) -> bool {
        match edit {
            Edit::NameSuccessor(_) => true,
            Edit::OnlyIf { edit, .. } => matches!(**edit, Edit::NameSuccessor(_)),
            _ => false,
        }
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
