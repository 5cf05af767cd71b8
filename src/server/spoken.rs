//! The protocols that a WebSocket may speak.

use primitives::{DocumentId, InvalidDocumentId};

/// Which protocol a path speaks.
#[derive(Debug, Clone)]
pub enum Spoken {
    /// automerge-repo.
    Repo,
    /// Plain sync of this document.
    Plain(Result<DocumentId, InvalidDocumentId>),
    /// The text protocol of an [`AdditionalSurface`](super::AdditionalSurface).
    Text,
    /// The first frame decides.
    FirstFrame,
    /// Not known: there is no WebSocket at this path.
    Unknown,
}
