//! The protocols that WebSocket paths use.

use primitives::{DocumentId, InvalidDocumentId};

/// The protocol of a WebSocket, as determined by its path.
#[derive(Debug, Clone)]
pub enum ProtocolKind {
    /// automerge-repo.
    Repo,
    /// Plain Automerge sync of one document. The path may hold an invalid id.
    Plain(Result<DocumentId, InvalidDocumentId>),
    /// The text protocol of an [`AdditionalSurface`](crate::server::AdditionalSurface).
    Text,
    /// The first message decides between [`Repo`](Self::Repo) and [`Text`](Self::Text).
    FirstMessage,
    /// The path has no WebSocket.
    Unknown,
}
