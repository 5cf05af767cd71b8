//! Bytes to messages and back. Pure: no clock, no socket, no disk.
//!
//! Every decoder here is total and bounded: whatever arrives, it answers with a message or with an error that says what
//! is wrong, never with a panic, and never with more memory than a small multiple of what arrived.
//!
//! - [`repo`]: automerge-repo's WebSocket protocol, version 1 (CBOR).
//! - [`legacy`]: the JSON frames of the Django backend that this server replaces.

mod detach;
pub mod legacy;
pub mod repo;

pub use detach::detach;
