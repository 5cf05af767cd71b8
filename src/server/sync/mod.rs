//! Sync over WebSocket: automerge-repo's protocol, and plain Automerge sync.

pub mod plain;
mod registry;
pub mod repo;

pub use registry::PeerRegistry;
