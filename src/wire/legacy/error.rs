//! What is wrong with a legacy client's frame, and the answer to it. The connection always goes on.

use super::{MAX_FRAME, frames};
use crate::format::BudgetError;

/// Why a frame is not a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LegacyError {
    /// Neither JSON nor comma-separated, or an action without an argument.
    #[error("Invalid JSON data")]
    Undecodable,
    /// Much longer than anything that a page sends. It may take many times its length to find out what it is.
    #[error("the message has {0} bytes; at most {MAX_FRAME} are taken")]
    TooLong(usize),
    /// An `add` that says what to make, but not well.
    #[error("Failed to add data: {reason}")]
    BadAdd {
        /// What is wrong with it.
        reason: BadAdd,
    },
    /// A `delete` that does not say which position.
    #[error("Failed to delete data: the id must be text")]
    BadDelete,
}

/// What is wrong with an `add`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadAdd {
    /// Not enough fields.
    #[error("designation, department, budget and location are needed, in this order, but there are {0} fields")]
    TooFewFields(usize),
    /// A form in which a comma inside of a field cannot be told from one between fields.
    #[error(
        "{0} fields separated by commas, where 4 are expected; if a field holds a comma, send the fields as a JSON array"
    )]
    TooManyFields(usize),
    /// A field that must be text and is not.
    #[error("the {0} must be text")]
    NotText(&'static str),
    /// A position without a designation.
    #[error("the designation is empty")]
    NoDesignation,
    /// A budget that is not a number.
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

impl LegacyError {
    /// What to answer to the sender, in order.
    #[must_use]
    pub fn frames(&self) -> Vec<String> {
        let error = frames::error(&self.to_string());
        match self {
            Self::Undecodable | Self::TooLong(_) => vec![error],
            Self::BadAdd { .. } | Self::BadDelete => vec![error, frames::processed()],
        }
    }
}
