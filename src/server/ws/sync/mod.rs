//! The sync protocols: automerge-repo ([`repo`]), in both roles ([`repo::dialled`]), and plain Automerge sync ([`plain`]).

mod peer_registry;
pub mod plain;
pub mod repo;

pub use peer_registry::PeerRegistry;
