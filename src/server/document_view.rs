//! Reads and edits of documents by HTTP handlers. An edit is answered when all readers see it.

use plan::{Author, Edit, SharedView};
use primitives::DocumentId;
use runtime::hub::{EditFailure, Requester};

use super::{App, Problem};

/// Applies an edit, and returns the view that contains it.
///
/// # Errors
/// If the edit is rejected or cannot be stored. [`EditFailure::Unknown`] if it is stored and cannot be shown: another failure would tell
/// the client to try again.
pub async fn edit(
    app: &App,
    requester: &Requester,
    id: &DocumentId,
    edit: Edit,
    author: Author,
) -> Result<SharedView, EditFailure> {
    app.hub.edit(requester, id, edit, author).await?;
    // `None` if the requester has lost access meanwhile.
    app.hub.view(requester, id).await.ok().flatten().ok_or(EditFailure::Unknown)
}

/// Returns the view of a document that has just been changed.
///
/// # Errors
/// If it cannot be shown. The answer must not be that nothing was stored.
pub async fn after_edit(app: &App, requester: &Requester, id: &DocumentId) -> Result<SharedView, Problem> {
    app.hub.view(requester, id).await.ok().flatten().ok_or_else(|| EditFailure::Unknown.into())
}

/// Returns the published view of a document.
///
/// # Errors
/// If the document does not exist or cannot be opened, or if the requester may not read it.
pub async fn open(app: &App, requester: &Requester, id: &DocumentId) -> Result<SharedView, Problem> {
    app.hub.view(requester, id).await?.ok_or_else(|| Problem::no_document(id))
}
