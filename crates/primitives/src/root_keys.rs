//! Names of the root keys of a plan document.

/// Root key of the map of positions.
pub const POSITIONS: &str = "positions";
/// Root key of the document's own id.
pub const DOCUMENT_ID: &str = "documentId";
