//! Names of the root keys that tell whose document it is and what it holds.

/// Root key of the map of positions.
pub const POSITIONS: &str = "positions";
/// Root key under which a document carries its own id.
pub const DOCUMENT_ID: &str = "documentId";
