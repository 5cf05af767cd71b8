//! The JSON frames of the Django backend that this server replaces, and of its Angular client.
//!
//! What a client sends is a JSON text that holds a JSON array once more (`"[\"add\",\"UI\",…]"`), or one of the forms
//! that this was seen to degenerate to; [`decode`] reads all of them. What a client gets is made by the functions of
//! [`encode`]: always JSON, always one of the shapes that were recorded from the original.

mod decode;
mod department;
pub mod encode;
mod error;
mod pieces;
mod request;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use department::shown_department;
pub use error::{Action, BadArgument, LegacyError};
pub use request::{AddRow, INITIAL_TOTAL, MAX_ELEMENT, ONE_CRORE, Request, TOTAL_BUDGET_ELEMENT, Tracking};

pub use super::{format_when, parse_when};

/// Bytes that a frame may have. A row with the longest texts that are taken has some thirty thousand.
pub const MAX_FRAME: usize = 64 << 10;
