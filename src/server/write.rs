//! Writing over HTTP: the answer to an edit comes when everybody can see it.

use plan::{Author, Edit, SharedView};
use primitives::DocumentId;
use runtime::hub::{EditFailure, Requester};

use super::{App, Problem};

/// Makes an edit, and returns the document with it: clients read their own writes.
///
/// # Errors
/// When it is refused, or could not be made durable.
pub async fn write(
    app: &App,
    caller: &Requester,
    id: &DocumentId,
    edit: Edit,
    author: Author,
) -> Result<SharedView, EditFailure> {
    app.hub.edit(caller, id, edit, author).await?;
    // It is made, and yet not for this caller to see any more.
    app.hub.view(caller, id).await?.ok_or(EditFailure::Unknown)
}

/// The document, for readers.
///
/// # Errors
/// When it does not exist, or cannot be opened.
pub async fn open(app: &App, caller: &Requester, id: &DocumentId) -> Result<SharedView, Problem> {
    app.hub.view(caller, id).await?.ok_or_else(|| Problem::no_document(id))
}
