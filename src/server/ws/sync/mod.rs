//! The sync protocols: automerge-repo ([`repo`]) and plain Automerge sync ([`plain`]).

mod peer_registry;
pub mod plain;
pub mod repo;

pub use peer_registry::PeerRegistry;
