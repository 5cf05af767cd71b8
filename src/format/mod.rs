//! What all rooms share: the ids of documents and positions, the container format that Automerge uses for files and messages, and
//! how budgets and dates are written.
//!
//! Pure. Nothing here knows about sync, sockets or disks.

pub mod amount;
mod author_name;
mod budget;
pub mod chunk;
mod id;
mod iso;
pub mod json;
pub mod load;
mod position_id;
pub(crate) mod reader;
mod root;
mod text;
pub mod weight;
mod when;

pub use amount::{AmountError, Marks, Scale, amount_of_json, is_blank_amount, parse_amount};
pub use author_name::{InvalidAuthorName, MAX_NAME, check_author_name};
pub use budget::{Budget, BudgetError, MAX_BUDGET};
pub use id::{DocumentId, InvalidDocumentId};
pub use iso::iso_ms;
pub use position_id::{InvalidPositionId, MAX_ID, check_position_id};
pub use root::{DOCUMENT_ID, POSITIONS};
pub use text::{MAX_TEXT, is_blank};
pub use when::{format_when, parse_when};
