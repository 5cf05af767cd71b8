//! What makes a row of a legacy file odd, in words for the person who has to mend it.

use std::fmt;

use crate::format::AmountError;

/// The departments that the legacy client's form offers.
const DEPARTMENTS: [&str; 5] = ["Engineering", "HR", "Sales", "Product", "Other"];

/// All odd rows of a file, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct OddRows {
    /// How many rows the file has, odd or not.
    pub total: usize,
    /// The odd ones, in the file's order.
    pub rows: Vec<OddRow>,
}

/// One row that cannot be imported as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct OddRow {
    /// The line of the file in which the row begins, from 1.
    pub line: usize,
    /// The row's place in the list, from 1.
    pub row: usize,
    /// Everything that is odd about it.
    pub oddities: Vec<Oddity>,
}

/// Something that is odd about a row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Oddity {
    /// The row itself.
    #[error("it must be an object, but it is {0}")]
    NotAnObject(&'static str),
    /// The row holds something that JSON allows and nobody can read, such as a number of 400 digits.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The row was never made by the application.
    #[error("it has neither \"id\" nor \"lastUpdated\"")]
    NoOrigin,
    /// A key that every position has.
    #[error("{0:?} is missing")]
    Missing(&'static str),
    /// A key with another type of value.
    #[error("{key:?} must be {expected}, but it is {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A text without a letter.
    #[error("{0:?} is empty")]
    Empty(&'static str),
    /// An id that an earlier row has.
    #[error("\"id\" {id:?} is that of line {line} too")]
    DuplicateId {
        /// The id.
        id: String,
        /// The line in which the earlier row begins.
        line: usize,
    },
    /// What is no budget.
    #[error("\"budget\": {0}")]
    Budget(#[from] AmountError),
    /// A date in another form.
    #[error("\"lastUpdated\": {0:?} is not a date like \"Nov 22, 2026 02:21 PM\"")]
    Date(String),
    /// White space that nobody typed on purpose.
    #[error("{key:?} begins or ends with white space: {value:?}")]
    WhiteSpace {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// What the old server's decoder left of a field that held quotes, brackets or commas.
    #[error("{key:?} holds a stray quote, bracket or backslash: {value:?}")]
    Scar {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// One of the five departments, but not as it is written everywhere else.
    #[error("\"department\" is {value:?}: did you mean {meant:?}?")]
    DepartmentCase {
        /// What is there.
        value: String,
        /// What is written everywhere else.
        meant: &'static str,
    },
    /// A key that no position has, whose value would be lost.
    #[error("{0:?} is not known, and its value would be lost")]
    UnknownKey(String),
}

/// What is odd about the text of a field.
pub(super) fn oddity_of_text(key: &'static str, value: &str) -> Option<Oddity> {
    if value != value.trim() {
        return Some(Oddity::WhiteSpace { key, value: value.to_owned() });
    }
    has_scar(value).then(|| Oddity::Scar { key, value: value.to_owned() })
}

/// The old decoder cut at commas and took quotes and brackets off some ends only. So a scar is a quote or bracket at an
/// end whose partner is missing, or an escape that was never undone. `[A] UI [B]`, `"Chief"` and `24" monitor` are none.
fn has_scar(value: &str) -> bool {
    let count = |letter| value.matches(letter).count();
    let open_quote = value.trim_start_matches('[').starts_with('"') && count('"') % 2 == 1;
    let open_bracket = (value.starts_with('[') || value.ends_with(']')) && count('[') != count(']');
    open_quote || open_bracket || value.contains("\\\"") || value.ends_with('\\')
}

/// What is odd about a department. Departments other than the five are not: they are shown as they are.
pub(super) fn oddity_of_department(value: &str) -> Option<Oddity> {
    let meant = DEPARTMENTS.into_iter().find(|known| known.eq_ignore_ascii_case(value))?;
    (meant != value).then(|| Oddity::DepartmentCase { value: value.to_owned(), meant })
}

impl fmt::Display for OddRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.total == 1 { "row" } else { "rows" };
        write!(f, "{} of {} {of} cannot be imported as is, so nothing was imported:", self.rows.len(), self.total)?;
        self.rows.iter().try_for_each(|row| write!(f, "\n  {row}"))
    }
}

impl fmt::Display for OddRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} (row {}): ", self.line, self.row)?;
        for (index, oddity) in self.oddities.iter().enumerate() {
            write!(f, "{}{oddity}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
