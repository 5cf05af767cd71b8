//! What is wrong with a legacy client's frame, and the answer to it. The connection always goes on.

use plan::AmountError;

use super::{MAX_FRAME, encode};

/// Why a frame is not a request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LegacyError {
    /// Neither JSON nor comma-separated, or an action without an argument.
    #[error("Invalid JSON data")]
    Undecodable,
    /// Much longer than anything that a page sends. It may take many times its length to find out what it is.
    #[error("the message has {0} bytes; at most {MAX_FRAME} are taken")]
    TooLong(usize),
    /// An action that is known, with arguments that are not acceptable.
    #[error("Failed to {} data: {reason}", action.verb())]
    BadArgument {
        /// The action.
        action: Action,
        /// What is wrong with it.
        reason: BadArgument,
    },
}

/// An action that takes arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make a position.
    Add,
    /// Delete a position.
    Delete,
    /// Take a name.
    Login,
    /// Give the name up.
    Logout,
    /// Show a click.
    Tracking,
    /// Set the total budget: a `tracking` of the button that enters it.
    SetTotal,
}

impl Action {
    /// How errors name it. The original has these two words.
    #[must_use]
    pub fn verb(self) -> &'static str {
        if self == Self::Delete { "delete" } else { "add" }
    }

    /// How many arguments it takes at most.
    pub(super) fn arguments(self) -> usize {
        match self {
            Self::Add => 4,
            Self::Delete | Self::Login | Self::Logout => 1,
            Self::Tracking | Self::SetTotal => 2,
        }
    }
}

/// What is wrong with the arguments of an action.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadArgument {
    /// Not enough fields of an `add`.
    #[error("designation, department, budget and location are needed, in this order, but there are {0} fields")]
    TooFewFields(usize),
    /// A form in which a comma inside of a field cannot be told from one between fields.
    #[error(
        "{found} fields separated by commas, where {most} are expected; if a field holds a comma, send the fields as a JSON array"
    )]
    TooManyFields {
        /// How many there are.
        found: usize,
        /// How many the action takes.
        most: usize,
    },
    /// A field that must be text and is not.
    #[error("the {0} must be text")]
    NotText(&'static str),
    /// A text that is longer than any page makes it.
    #[error("the {field} must not be longer than {most} characters")]
    TooLong {
        /// The field.
        field: &'static str,
        /// How many characters it may have.
        most: usize,
    },
    /// A text that cannot be shown on one line.
    #[error("the {0} must not hold control characters")]
    ControlCharacters(&'static str),
    /// A position without a designation.
    #[error("the designation is empty")]
    NoDesignation,
    /// An object, which is the form of a login and a logout.
    #[error("this is sent as an array: {0}")]
    ObjectForm(&'static str),
    /// A budget that is not an amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

impl LegacyError {
    pub(super) fn bad(action: Action, reason: BadArgument) -> Self {
        Self::BadArgument { action, reason }
    }

    /// What to answer to the sender, in order.
    #[must_use]
    pub fn frames(&self) -> Vec<String> {
        let error = encode::error(&self.to_string());
        match self {
            Self::Undecodable | Self::TooLong(_) => vec![error],
            Self::BadArgument { .. } => vec![error, encode::processed()],
        }
    }
}
