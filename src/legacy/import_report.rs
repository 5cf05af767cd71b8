//! Why rows of a legacy file cannot be imported, in words for the person who corrects them.

use std::fmt;

use plan::{AmountError, InvalidPositionId};
use primitives::strict_json::shortened;
use primitives::{InvalidAuthorName, MAX_TEXT};

/// Rows that a report lists; the others are counted.
const LISTED_ROWS: usize = 20;
/// Problems of one row that a report lists; the others are counted.
const LISTED_PROBLEMS: usize = 10;

/// The rows of a file that cannot be imported, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportReport {
    /// Rows in the file, sound or not.
    pub total: usize,
    /// The rows that are refused, in the file's order.
    pub rows: Vec<RefusedRow>,
}

/// A row that cannot be imported as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedRow {
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
    /// The row's place in the list, from 1.
    pub row: usize,
    /// All problems of the row, at least one.
    pub problems: Vec<RowProblem>,
}

/// A reason why a row cannot be imported. It names the field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowProblem {
    /// The row is no object.
    #[error("it must be an object, but it is {0}")]
    NotAnObject(&'static str),
    /// The row holds something that JSON allows and that cannot be read, such as a number of 400 digits or a key that
    /// appears twice.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A key that every position has.
    #[error("{0:?} is missing")]
    Missing(&'static str),
    /// A key with another type of value.
    #[error("{key:?} must be {expected}, but it is {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// The type that the key has in a position.
        expected: &'static str,
        /// The type that it has in the file.
        found: &'static str,
    },
    /// A text without a visible character.
    #[error("{0:?} is empty")]
    Empty(&'static str),
    /// More than [`MAX_TEXT`] characters.
    #[error("{0:?} is longer than {MAX_TEXT} characters")]
    TooLong(&'static str),
    /// An id that an earlier row has.
    #[error("\"id\" {} is that of line {line} too", shortened(.id))]
    DuplicateId {
        /// The id.
        id: String,
        /// The line on which the earlier row begins.
        line: usize,
    },
    /// An id that positions cannot have.
    #[error("\"id\" {} {reason}", shortened(.id))]
    Id {
        /// The id.
        id: String,
        /// What is wrong with it.
        reason: InvalidPositionId,
    },
    /// Not an amount.
    #[error("\"budget\": {0}")]
    Budget(#[from] AmountError),
    /// A name that authors cannot have.
    #[error("\"lastUpdated\": the name {} {reason}", shortened(.name))]
    Author {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: InvalidAuthorName,
    },
    /// A date in another form.
    #[error("\"lastUpdated\": {} is not a date like \"Nov 22, 2026 02:21 PM\"", shortened(.0))]
    Date(String),
    /// White space at an end of a text: the old server cut fields at commas.
    #[error("{key:?} begins or ends with white space: {}", shortened(.value))]
    WhiteSpace {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// What the old server's decoder left of a field with quotes, brackets or commas.
    #[error("{key:?} holds a stray quote, bracket or backslash: {}", shortened(.value))]
    DecodingDamage {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A key that no position has, whose value would be lost.
    #[error("{} is not known, and its value would be lost", shortened(.0))]
    UnknownKey(String),
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.total == 1 { "row" } else { "rows" };
        write!(f, "{} of {} {of} cannot be imported as is:", self.rows.len(), self.total)?;
        self.rows.iter().take(LISTED_ROWS).try_for_each(|row| write!(f, "\n  {row}"))?;
        match self.rows.len().saturating_sub(LISTED_ROWS) {
            0 => Ok(()),
            others => write!(f, "\n  and {others} more"),
        }
    }
}

impl fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} (row {}): ", self.line, self.row)?;
        for (index, problem) in self.problems.iter().take(LISTED_PROBLEMS).enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        match self.problems.len().saturating_sub(LISTED_PROBLEMS) {
            0 => Ok(()),
            others => write!(f, "; and {others} more problems"),
        }
    }
}
