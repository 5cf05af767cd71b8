//! What all rooms share: the names of documents, and the container format that Automerge uses for files and messages.
//!
//! Pure. Nothing here knows about sync, positions, sockets or disks.

pub mod chunk;
mod id;

pub use id::{DocumentId, InvalidDocumentId};
