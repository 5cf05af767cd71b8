//! One function per kind of bytes that come from elsewhere. It must neither panic nor hang on any bytes; what it
//! accepts must be sound.
//!
//! Where random bytes get nowhere, as their checksum is wrong, the bytes are taken for a list of changes to something
//! that is valid, of which the checksum is set right afterwards; or for a recipe of something that is formed well, and
//! says what is not so. Where the cost is what may go wrong, they stand for a structure ([`structure`]): how many actors,
//! how many heads, how long, in which order; a few bytes say much then.

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
