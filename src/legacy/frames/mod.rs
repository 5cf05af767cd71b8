//! The JSON frames of the Django backend that this server replaces, and of its Angular client.
//!
//! A client sends a JSON string that contains a JSON array (`"[\"add\",\"UI\",…]"`), or one of several degenerate forms of it, all of
//! which [`decode`] accepts. The functions of [`encode`] create the server's frames, which have the shapes that were recorded from the
//! legacy backend.

mod comma_separated;
mod decode;
mod department;
pub mod encode;
mod error;
mod request;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use department::shown_department;
pub use error::{Action, BadArgument, LegacyError};
pub use request::{AddRow, INITIAL_TOTAL, MAX_ELEMENT, ONE_CRORE, Request, TOTAL_BUDGET_ELEMENT, Tracking};

pub use super::{format_date, parse_date};

/// Maximum size of a frame, in bytes. A row with texts of maximum length has about 30,000.
pub const MAX_FRAME: usize = 64 << 10;
