//! Values that every crate of the workspace shares: document ids, names of people, rules for text, strict JSON, and timestamps.
//!
//! Pure: no clock, no disk, no socket.
//!
//! ```
//! use primitives::DocumentId;
//!
//! let id = DocumentId::from_random([7; 16]);
//! assert_eq!(id.as_str().parse::<DocumentId>(), Ok(id));
//! ```
#![deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]

mod author_name;
mod document_id;
mod iso_time;
mod root_keys;
pub mod strict_json;
mod text;

pub use author_name::{InvalidAuthorName, MAX_NAME, check_author_name};
pub use document_id::{DocumentId, InvalidDocumentId};
pub use iso_time::iso_ms;
pub use root_keys::{DOCUMENT_ID, POSITIONS};
pub use text::{MAX_TEXT, fold_text, is_blank, trim_text};
