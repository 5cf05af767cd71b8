//! What all rooms share: the names of documents, and the container format that Automerge uses for files and messages.
//!
//! Pure. Nothing here knows about sync, positions, sockets or disks.

mod budget;
pub mod chunk;
mod id;

pub use budget::{Budget, BudgetError};
pub use id::{DocumentId, InvalidDocumentId};
