//! The names that peers and their stores give themselves: opaque text of bounded length.

use std::fmt;
use std::sync::Arc;

/// Longer than anything that automerge-repo makes (`storage-server-<host>-<pid>`, UUIDs), and short enough to copy.
const LENGTH: std::ops::RangeInclusive<usize> = 1..=512;

/// Why a text cannot name a peer or a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must have 1 to 512 bytes, this one has {length}")]
pub struct InvalidPeerName {
    what: &'static str,
    length: usize,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name with this text, of 1 to 512 bytes.
            pub fn new(text: &str) -> Result<Self, InvalidPeerName> {
                if !LENGTH.contains(&text.len()) {
                    return Err(InvalidPeerName { what: $what, length: text.len() });
                }
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidPeerName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            // Quoted: the text is the peer's choice, and may hold line breaks.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name!(
    /// The name that a peer gave itself for this run of its program. Cloning is cheap.
    PeerId,
    "a peer id"
);
name!(
    /// The name of a peer's store, the same after a restart. Cloning is cheap.
    StorageId,
    "a storage id"
);
