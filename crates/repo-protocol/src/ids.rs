//! Ids that peers and their stores choose: opaque text of bounded length.

use std::fmt;
use std::sync::Arc;

/// Accepted lengths in bytes. automerge-repo's ids are shorter (`storage-server-<host>-<pid>`, UUIDs).
const LENGTH: std::ops::RangeInclusive<usize> = 1..=512;

/// Why a text is not a valid id of a peer or a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must have 1 to 512 bytes, this one has {length}")]
pub struct InvalidPeerName {
    what: &'static str,
    length: usize,
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks an id: 1 to 512 bytes.
            ///
            /// # Errors
            /// When the text is empty or too long.
            pub fn new(text: &str) -> Result<Self, InvalidPeerName> {
                if !LENGTH.contains(&text.len()) {
                    return Err(InvalidPeerName { what: $what, length: text.len() });
                }
                Ok(Self(text.into()))
            }

            /// The id as text.
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
            // Quoted: the peer chooses the text, which may contain line breaks.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

id_type!(
    /// Id of a peer for one run of its program. Cloning is cheap.
    PeerId,
    "a peer id"
);
id_type!(
    /// Id of a peer's store, which survives restarts. Cloning is cheap.
    StorageId,
    "a storage id"
);
