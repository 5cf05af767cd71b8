//! Reads and edits of documents by HTTP handlers. An edit is answered when all readers see it.

use plan::{Author, Edit, SharedView};
use primitives::DocumentId;
use runtime::hub::{EditFailure, Requester};

use super::{App, Problem};

/// Applies an edit, and returns the view that contains it.
///
/// # Errors
/// If the edit is rejected or cannot be stored, or if the caller may not read the document.
pub async fn edit(
    app: &App,
    caller: &Requester,
    id: &DocumentId,
    edit: Edit,
    author: Author,
) -> Result<SharedView, EditFailure> {
    app.hub.edit(caller, id, edit, author).await?;
    // `None` if the caller has lost access meanwhile.
    app.hub.view(caller, id).await?.ok_or(EditFailure::Unknown)
}

/// Returns the published view of a document.
///
/// # Errors
/// If the document does not exist or cannot be opened, or if the caller may not read it.
pub async fn open(app: &App, caller: &Requester, id: &DocumentId) -> Result<SharedView, Problem> {
    app.hub.view(caller, id).await?.ok_or_else(|| Problem::no_document(id))
}
