//! The rows of a file that cannot be imported, in the form of the command-line import.

use axum::http::StatusCode;

use crate::server::{InvalidRow, Problem};

/// Most rows that the text of a problem lists. The others are counted.
const TOLD_ROWS: usize = 20;
/// Most rows that an answer lists.
const LISTED_ROWS: usize = 1_000;
/// Most problems that are listed per row.
const LISTED_PROBLEMS: usize = 10;

/// The invalid rows of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Number of rows of the file.
    pub total: usize,
    /// Number of invalid rows.
    pub invalid: usize,
    /// The first of them.
    pub rows: Vec<InvalidRow>,
}

impl ImportReport {
    /// Notes a row with its problems, if it has any. Returns whether it is valid.
    pub fn note(&mut self, line: usize, mut problems: Vec<String>) -> bool {
        self.total += 1;
        if problems.is_empty() {
            return true;
        }
        self.invalid += 1;
        if self.rows.len() < LISTED_ROWS {
            let more = problems.len().saturating_sub(LISTED_PROBLEMS);
            problems.truncate(LISTED_PROBLEMS);
            if more > 0 {
                problems.push(format!("and {more} more problems"));
            }
            self.rows.push(InvalidRow { line, row: self.total, problems });
        }
        false
    }

    /// The answer to a request whose file has invalid rows.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        let said: Vec<String> = self.rows.iter().take(TOLD_ROWS).map(ToString::to_string).collect();
        let others = match self.invalid.saturating_sub(said.len()) {
            0 => String::new(),
            others => format!("; and {others} more"),
        };
        let of = if self.total == 1 { "row" } else { "rows" };
        let detail = format!(
            "{} of {} {of} cannot be imported as is: {}{others}. Nothing was imported. Correct the rows, or import the other {} with \
             skipInvalid=true",
            self.invalid,
            self.total,
            said.join("; "),
            self.total - self.invalid
        );
        let problem =
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-rows", "Some rows cannot be imported", detail);
        Problem { invalid_rows: Some(self.rows.into_boxed_slice()), ..problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_lists_rows_with_their_lines() {
        let mut report = ImportReport::default();
        assert!(report.note(2, Vec::new()));
        assert!(!report.note(3, vec!["budget: must be a number".to_owned(), "designation: is missing".to_owned()]));
        let problem = report.into_problem();
        assert_eq!(problem.status, 422);
        let start =
            "1 of 2 rows cannot be imported as is: line 3 (row 2): budget: must be a number; designation: is missing.";
        assert!(problem.detail.starts_with(start), "{}", problem.detail);
        assert_eq!(problem.invalid_rows.unwrap()[0].row, 2);
    }

    #[test]
    fn long_reports_are_bounded() {
        let mut report = ImportReport::default();
        for line in 0..5_000 {
            report.note(line, vec!["budget: must be a number".to_owned(); 50]);
        }
        let problem = report.into_problem();
        assert!(problem.detail.contains("and 4980 more") && problem.detail.len() < 20_000);
        let rows = problem.invalid_rows.unwrap();
        assert_eq!((rows.len(), rows[0].problems.len()), (LISTED_ROWS, LISTED_PROBLEMS + 1));
    }
}
