//! Writing over HTTP: the answer to an edit comes when everybody can see it.

use super::{App, Problem};
use crate::document::{Author, Edit, SharedView};
use crate::format::DocumentId;
use crate::hub::{EditFailure, Unavailable};

/// Makes an edit, and returns the document with it: whoever writes and then reads finds what they wrote.
///
/// # Errors
/// When it is refused, or could not be made durable.
pub async fn write(app: &App, id: &DocumentId, edit: Edit, author: Author) -> Result<SharedView, EditFailure> {
    app.hub.edit(id, edit, author).await?;
    Ok(app.hub.view(id).await?.ok_or(Unavailable::Stopping)?)
}

/// The document, for whoever reads.
///
/// # Errors
/// When it does not exist, or cannot be opened.
pub async fn open(app: &App, id: &DocumentId) -> Result<SharedView, Problem> {
    app.hub.view(id).await?.ok_or_else(|| {
        Problem::not_found(format!("there is no document {id} here; GET /api/documents lists those that there are"))
    })
}
