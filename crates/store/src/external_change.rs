//! Changes that other programs make to files that the store has open.

use std::fmt;

use super::Location;

/// Another program deleted, moved, replaced or modified a file or folder that the store has open.
///
/// The store writes nothing to such a file: the content would be lost when the process ends, or would overwrite that of the
/// other program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location} {kind}")]
pub struct ExternalChange {
    /// Where the file or folder was opened.
    pub location: Location,
    /// The kind of change.
    pub kind: ExternalChangeKind,
}

/// A change by another program to a file that the store has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalChangeKind {
    /// Nothing is at the path any more.
    Removed,
    /// Another file or folder is at the path.
    Replaced,
    /// The same file is at the path, with another length: another program has written to it or truncated it.
    Modified {
        /// Length in bytes that was found.
        found: u64,
        /// Length in bytes after the last write of the store.
        expected: u64,
    },
}

impl fmt::Display for ExternalChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str(
                "was deleted or moved away while the server has it open; it takes no changes. Move it back, \
                 or export the document from the server (export.automerge) before you stop it, and put that file in its place",
            ),
            Self::Replaced => f.write_str(
                "is not the one that the server has open: something else was put in its place; it takes no changes. \
                 Put the first one back, or restart the server to use the new one (export the document first: what only the \
                 server has is lost)",
            ),
            Self::Modified { found, expected } => write!(
                f,
                "was changed by another program while the server has it open (it has {found} bytes instead of {expected}); \
                 it takes no changes. Export the document from the server, stop it, and run `happierwork check`",
            ),
        }
    }
}
