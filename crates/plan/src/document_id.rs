//! The ids of documents in the root of a document.

use automerge::{Automerge, ChangeHash, ROOT};
use primitives::{DOCUMENT_ID, DocumentId};

use super::snapshot::Snapshot;

/// The document that an `automerge:` URL names.
pub(super) fn document_of_url(url: &str) -> Option<DocumentId> {
    url.strip_prefix("automerge:")?.parse().ok()
}

/// The text under the root key of the document id, if there is one. It need not be a valid id.
#[must_use]
pub fn read_document_id(doc: &Automerge) -> Option<String> {
    let now = Snapshot::now(doc);
    let (value, object) = now.all(&ROOT, DOCUMENT_ID).pop()?;
    now.show(&value, &object)?.as_str().map(str::to_owned)
}

/// The document that the root key of the document id names, and the change that set it.
#[must_use]
pub fn read_named_document(doc: &Automerge) -> Option<(DocumentId, ChangeHash)> {
    let now = Snapshot::now(doc);
    let (value, object) = now.all(&ROOT, DOCUMENT_ID).pop()?;
    let id = now.show(&value, &object)?.as_str()?.parse().ok()?;
    Some((id, doc.hash_for_opid(&object)?))
}
