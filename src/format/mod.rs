//! What all rooms share: the names of documents, the container format that Automerge uses for files and messages, and
//! how budgets and dates are written.
//!
//! Pure. Nothing here knows about sync, sockets or disks.

mod budget;
pub mod chunk;
mod id;
pub(crate) mod reader;
mod root;
pub mod weight;
mod when;

pub use budget::{Budget, BudgetError, MAX_BUDGET, parse_budget};
pub use id::{DocumentId, InvalidDocumentId};
pub use root::{DOCUMENT_ID, POSITIONS};
pub use when::{format_when, parse_when};
