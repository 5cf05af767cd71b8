//! What can happen to a file behind the back of the process that has it open.

use std::fmt;

use super::Place;

/// A file or folder that was open is no longer what stands at its path. What was written to it now would be gone with the
/// process, so nothing is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {how}")]
pub struct Displaced {
    /// Where it was opened.
    pub place: Place,
    /// What happened to it.
    pub how: Displacement,
}

/// What happened to a file that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Displacement {
    /// Nothing stands at its path.
    Gone,
    /// Another file (or folder) stands there.
    Replaced,
    /// It is the same file, and another program has written to it or cut it.
    Changed {
        /// How long it is.
        found: u64,
        /// How long it was left, in bytes.
        left: u64,
    },
}

impl fmt::Display for Displacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str(
                "was deleted or moved away while the server has it open; it takes no changes. Move it back, \
                 or export the document from the server (export.automerge) before you stop it, and put that in its place",
            ),
            Self::Replaced => f.write_str(
                "is not what the server has open: something else was put in its place; it takes no changes. Put the first one back, \
                 or restart the server to use the one that is there now (what is only in the server is lost then: export it before)",
            ),
            Self::Changed { found, left } => write!(
                f,
                "was changed by another program while the server has it open (it has {found} bytes, and was left with {left}); \
                 it takes no changes. Export the document from the server, stop it, and run `happierwork check`",
            ),
        }
    }
}
