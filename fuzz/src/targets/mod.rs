//! One function per kind of foreign bytes. It must neither panic nor hang on any input, and anything that it accepts must
//! be valid.
//!
//! Random bytes with wrong checksums would not get far. So some targets read the input as a list of modifications of a
//! valid file, whose checksums are corrected afterwards, or as a recipe of well-formed but invalid content. Where the
//! cost is at risk, the input describes a structure ([`structure`]): the number of actors and heads, their length and
//! order. A few bytes are enough for that.

mod actors;
mod files;
mod forged;
mod frames;
mod inflating;
mod mutations;
mod plan;
mod requests;
mod structure;
mod sync_messages;
mod unknown_keys;

pub use actors::{many_actors, many_heads};
pub use files::{document_file, document_mutations, import_json};
pub use forged::forged_changes;
pub use frames::{legacy_frame, repo_frame};
pub use inflating::inflating_columns;
pub use requests::http_request;
pub use sync_messages::{sync_message, sync_mutations};
pub use unknown_keys::unknown_keys;
