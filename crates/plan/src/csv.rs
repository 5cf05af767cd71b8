//! The export of positions as CSV that opens cleanly in a spreadsheet.
//!
//! UTF-8 with a byte order mark (or spreadsheets on Windows guess another encoding), commas, CRLF, and quotes where they
//! are needed (RFC 4180). Texts that a spreadsheet would run as a formula are guarded.

use primitives::iso_ms;

use super::Budget;
use super::formula_guard::{guard, needs_quotes};

const COLUMNS: &str = "id,designation,department,budget,location,updatedBy,updatedAt,createdAt";
/// What every line ends with.
pub const LINE_END: &[u8] = b"\r\n";
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A position as a line of the table. What the document lacks stays an empty cell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CsvRow<'a> {
    /// The id.
    pub id: &'a str,
    /// What the person does.
    pub designation: &'a str,
    /// The department.
    pub department: &'a str,
    /// The budget; `None`: an empty cell, or `other_budget`.
    pub budget: Option<Budget>,
    /// What stands in the budget's place, if that is no amount.
    pub other_budget: &'a str,
    /// The place.
    pub location: &'a str,
    /// Who last changed the position.
    pub updated_by: &'a str,
    /// When that was, in milliseconds since 1970.
    pub updated_at_ms: Option<i64>,
    /// When the position was made, in milliseconds since 1970.
    pub created_at_ms: Option<i64>,
}

/// What a file begins with: the byte order mark, the names of the columns that every table has, and these.
#[must_use]
pub fn header<'a>(further_columns: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut out = format!("{BYTE_ORDER_MARK}{COLUMNS}").into_bytes();
    for column in further_columns {
        out.push(b',');
        write_cell(&mut out, column);
    }
    out.extend_from_slice(LINE_END);
    out
}

/// Whether every table has a column of this name.
#[must_use]
pub fn is_column(name: &str) -> bool {
    COLUMNS.split(',').any(|column| column == name)
}

/// Adds one line.
pub fn write_row(out: &mut Vec<u8>, row: &CsvRow<'_>) {
    for text in [row.id, row.designation, row.department] {
        write_cell(out, text);
        out.push(b',');
    }
    // Numbers and times are ours: nothing in them needs quotes or could be a formula.
    if let Some(budget) = row.budget {
        out.extend_from_slice(budget.to_string().as_bytes());
    } else {
        write_cell(out, row.other_budget);
    }
    out.push(b',');
    for text in [row.location, row.updated_by] {
        write_cell(out, text);
        out.push(b',');
    }
    write_time(out, row.updated_at_ms);
    out.push(b',');
    write_time(out, row.created_at_ms);
    out.extend_from_slice(LINE_END);
}

/// Adds a text as one cell.
pub fn write_cell(out: &mut Vec<u8>, text: &str) {
    let text = guard(text);
    if needs_quotes(&text) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// ISO 8601 in UTC. A time without such a form, as a document may hold any number, is its number of milliseconds.
fn write_time(out: &mut Vec<u8>, ms: Option<i64>) {
    if let Some(ms) = ms {
        out.extend_from_slice(iso_ms(ms).unwrap_or_else(|| ms.to_string()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formula_guard::unguard;

    fn file(rows: &[CsvRow<'_>]) -> Vec<u8> {
        let mut out = header([]);
        rows.iter().for_each(|row| write_row(&mut out, row));
        out
    }

    /// The cells as another implementation of the format reads them.
    fn cells(file: &[u8]) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file);
        reader.records().map(|record| record.expect("CSV").iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn a_file_for_spreadsheets() {
        let row = CsvRow {
            id: "a1",
            designation: "Engineer, Senior",
            department: "the \"best\"",
            budget: Some(Budget::Float(12.5)),
            other_budget: "not shown",
            location: "line 1\nline 2",
            updated_by: "=HYPERLINK(\"http://x\")",
            updated_at_ms: Some(1_795_357_260_000),
            created_at_ms: Some(1_654_342_380_123),
        };
        let empty = CsvRow { id: "-1", created_at_ms: Some(i64::MAX), ..CsvRow::default() };
        let expected = "\u{feff}id,designation,department,budget,location,updatedBy,updatedAt,createdAt\r\n\
            a1,\"Engineer, Senior\",\"the \"\"best\"\"\",12.5,\"line 1\nline 2\",\"'=HYPERLINK(\"\"http://x\"\")\",\
            2026-11-22T14:21:00.000Z,2022-06-04T11:33:00.123Z\r\n\
            '-1,,,,,,,9223372036854775807\r\n";
        assert_eq!(String::from_utf8(file(&[row, empty])).expect("UTF-8"), expected);
    }

    /// All cells as a reader that splits at this separator sees them.
    fn cells_split_at(file: &[u8], separator: u8, quoting: bool) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(separator).quoting(quoting);
        let mut reader = reader.from_reader(file);
        reader.records().flat_map(|record| record.expect("CSV").iter().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn runs(cell: &str) -> bool {
        let cell = cell.trim_start_matches(|letter: char| letter == '"' || letter.is_whitespace());
        cell.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
    }

    #[test]
    fn no_separator_makes_a_formula() {
        for text in ["=1+1", "x;=1+1", "x;=1+1;y", "x;\"=1&\";y", "\"=1", " =1", "x\t＝1", "x|@y", "x\n-1", "x\r\n;;+1"]
        {
            let row = CsvRow { id: "a", designation: text, location: text, updated_by: text, ..CsvRow::default() };
            let written = file(&[row]);
            for separator in *b",;\t|" {
                let cells = cells_split_at(&written, separator, true);
                assert!(!cells.iter().any(|cell| runs(cell)), "{text:?} split at {separator}: {cells:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn other_separators_find_no_formula(text in "[=+@＝\t;|\r\n\" 'a-]{0,10}") {
            let row = CsvRow { id: "a", designation: &text, location: &text, ..CsvRow::default() };
            let written = file(&[row]);
            for separator in *b",;\t|" {
                prop_assert!(!cells_split_at(&written, separator, true).iter().any(|cell| runs(cell)));
            }
            for separator in *b";\t|" {
                prop_assert!(!cells_split_at(&written, separator, false).iter().any(|cell| runs(cell)));
            }
        }

        #[test]
        fn another_reader_reads_the_same(designation in "(?s).*", location in "[,\"\r\n' a]{0,8}") {
            let row = CsvRow { id: "a", designation: &designation, location: &location, ..CsvRow::default() };
            let cells = cells(&file(&[row, row]));
            prop_assert_eq!(cells.len(), 3);
            prop_assert_eq!(unguard(&cells[2][1]), &*designation);
            prop_assert_eq!(unguard(&cells[2][4]), &*location);
        }
    }
}
