//! The report of invalid rows, for the user who corrects them.

use std::fmt;

use plan::{AmountError, InvalidPositionId};
use primitives::strict_json::shortened;
use primitives::{InvalidAuthorName, MAX_TEXT};

/// Maximum number of rows that a report lists. The others are counted.
const LISTED_ROWS: usize = 20;
/// Maximum number of problems that a report lists per row. The others are counted.
const LISTED_PROBLEMS: usize = 10;

/// The invalid rows of a file: at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportReport {
    /// Number of rows in the file, including the valid ones.
    pub total: usize,
    /// The invalid rows, in the order of the file.
    pub rows: Vec<InvalidRow>,
}

/// A row that cannot be imported.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidRow {
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
    /// The number of the row in the array, from 1.
    pub row: usize,
    /// All problems of the row, at least one.
    pub problems: Vec<RowProblem>,
}

/// Why a row cannot be imported. Messages name the field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowProblem {
    /// The row is not an object.
    #[error("it must be an object, but it is {0}")]
    NotAnObject(&'static str),
    /// The row is valid JSON but cannot be read: it has a number of 400 digits, or a key that appears twice.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A required key is missing.
    #[error("{0:?} is missing")]
    Missing(&'static str),
    /// The value of a key has the wrong type.
    #[error("{key:?} must be {expected}, but it is {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// The required type.
        expected: &'static str,
        /// The type in the file.
        found: &'static str,
    },
    /// A text has no visible characters.
    #[error("{0:?} is empty")]
    Empty(&'static str),
    /// A text has more than [`MAX_TEXT`] characters.
    #[error("{0:?} is longer than {MAX_TEXT} characters")]
    TooLong(&'static str),
    /// An earlier row has the same id.
    #[error("\"id\" {} is also that of line {line}", shortened(.id))]
    DuplicateId {
        /// The id.
        id: String,
        /// The line on which the earlier row begins.
        line: usize,
    },
    /// The id is not valid for a position.
    #[error("\"id\" {} {reason}", shortened(.id))]
    Id {
        /// The id.
        id: String,
        /// Why it is invalid.
        reason: InvalidPositionId,
    },
    /// The budget is not an amount.
    #[error("\"budget\": {0}")]
    Budget(#[from] AmountError),
    /// The author's name is invalid.
    #[error("\"lastUpdated\": the name {} {reason}", shortened(.name))]
    Author {
        /// The name.
        name: String,
        /// Why it is invalid.
        reason: InvalidAuthorName,
    },
    /// The date has another format.
    #[error("\"lastUpdated\": {} is not a date like \"Nov 22, 2026 02:21 PM\"", shortened(.0))]
    Date(String),
    /// A text has white space at an end: the legacy backend split fields at commas.
    #[error("{key:?} begins or ends with white space: {}", shortened(.value))]
    WhiteSpace {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A text that the decoder of the legacy backend damaged: it had quotes, brackets or commas.
    #[error("{key:?} holds a stray quote, bracket or backslash: {}", shortened(.value))]
    DecodingDamage {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A key is unknown. Its value would be lost.
    #[error("{} is unknown, and its value would be lost", shortened(.0))]
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

impl fmt::Display for InvalidRow {
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
