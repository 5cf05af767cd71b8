//! Errors in frames of legacy clients, and the answers to them. The connection stays open.

use plan::AmountError;

use super::{MAX_FRAME, encode};

/// Why a frame is not a valid request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LegacyError {
    /// The frame is neither JSON nor comma-separated text, or its action has no argument.
    #[error("Invalid JSON data")]
    Undecodable,
    /// The frame is longer than [`MAX_FRAME`]. Parsing it could take many times its size of memory.
    #[error("the message has {0} bytes; at most {MAX_FRAME} are accepted")]
    TooLong(usize),
    /// The arguments of a known action are invalid.
    #[error("Failed to {} data: {reason}", action.verb())]
    BadArgument {
        /// The action.
        action: Action,
        /// Why its arguments are invalid.
        reason: BadArgument,
    },
}

/// An action that takes arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Add a position.
    Add,
    /// Delete a position.
    Delete,
    /// Set the name of the user.
    Login,
    /// Remove the name of the user.
    Logout,
    /// Broadcast a click.
    Tracking,
    /// Set the total budget: a `tracking` of the button that enters it.
    SetTotal,
}

impl Action {
    /// The verb in error messages. The legacy backend used these two.
    #[must_use]
    pub fn verb(self) -> &'static str {
        if self == Self::Delete { "delete" } else { "add" }
    }

    /// Maximum number of arguments.
    pub(super) fn arguments(self) -> usize {
        match self {
            Self::Add => 4,
            Self::Delete | Self::Login | Self::Logout => 1,
            Self::Tracking | Self::SetTotal => 2,
        }
    }
}

/// Why the arguments of an action are invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadArgument {
    /// An `add` has too few fields.
    #[error("designation, department, budget and location are needed, in this order, but there are {0} fields")]
    TooFewFields(usize),
    /// Comma-separated text has too many fields, so one of them probably contains a comma.
    #[error(
        "{found} fields separated by commas, where {most} are expected; if a field holds a comma, send the fields as a JSON array"
    )]
    TooManyFields {
        /// Number of fields in the frame.
        found: usize,
        /// Maximum number of fields of the action.
        most: usize,
    },
    /// A field is not text.
    #[error("the {0} must be text")]
    NotText(&'static str),
    /// A text is too long.
    #[error("the {field} must not be longer than {most} characters")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Maximum number of characters.
        most: usize,
    },
    /// A text has control characters.
    #[error("the {0} must not hold control characters")]
    ControlCharacters(&'static str),
    /// The designation is blank.
    #[error("the designation is empty")]
    NoDesignation,
    /// The action was sent as an object, which is the form of login and logout.
    #[error("this is sent as an array: {0}")]
    ObjectForm(&'static str),
    /// The budget is not an amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

impl LegacyError {
    pub(super) fn bad(action: Action, reason: BadArgument) -> Self {
        Self::BadArgument { action, reason }
    }

    /// The answers to the sender, in order.
    #[must_use]
    pub fn frames(&self) -> Vec<String> {
        let error = encode::error(&self.to_string());
        match self {
            Self::Undecodable | Self::TooLong(_) => vec![error],
            Self::BadArgument { .. } => vec![error, encode::processed()],
        }
    }
}
