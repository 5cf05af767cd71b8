//! What all rooms share: the names of documents, the container format that Automerge uses for files and messages, and
//! how budgets and dates are written.
//!
//! Pure. Nothing here knows about sync, sockets or disks.

mod author_name;
mod budget;
pub mod chunk;
mod id;
mod iso;
pub mod json;
mod position_id;
pub(crate) mod reader;
mod text;
pub mod weight;
mod when;

pub use author_name::{InvalidAuthorName, MAX_NAME, check_author_name};
pub use budget::{Budget, BudgetError, MAX_BUDGET, parse_budget};
pub use id::{DocumentId, InvalidDocumentId};
pub use iso::iso_ms;
pub use position_id::{InvalidPositionId, MAX_ID, check_position_id};
pub use text::{MAX_TEXT, is_blank};
pub use when::{format_when, parse_when};
