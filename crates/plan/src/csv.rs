//! CSV export of positions that opens cleanly in a spreadsheet.
//!
//! UTF-8 with a byte order mark (without it, spreadsheets on Windows guess another encoding), commas, CRLF, and quotes where
//! RFC 4180 needs them. Texts that a spreadsheet would evaluate as a formula are escaped.

use std::borrow::Cow;
use std::io::Write;

use primitives::iso_ms;
use serde_json::Value as Json;

use super::formula_guard::{guard, needs_quotes};
use super::position::{CREATED_AT, UPDATED_AT, UPDATED_BY};
use super::{FieldId, FieldKind, Position};

const ID: &str = "id";
/// Number of fields before the [`EDIT_COLUMNS`]. The other fields come after them, so that no column has changed its place since the
/// first version.
const FIRST_FIELDS: usize = 4;
/// The columns of the last edit and of the creation.
const EDIT_COLUMNS: [&str; 3] = [UPDATED_BY, UPDATED_AT, CREATED_AT];
/// The end of every line.
pub const LINE_END: &[u8] = b"\r\n";
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The names of the standard columns.
pub fn columns() -> impl Iterator<Item = &'static str> {
    let keys = || FieldId::all().map(FieldId::key);
    [ID].into_iter().chain(keys().take(FIRST_FIELDS)).chain(EDIT_COLUMNS).chain(keys().skip(FIRST_FIELDS))
}

/// The start of a file: the byte order mark and a line with the names of the standard columns, then of `further_columns`.
#[must_use]
pub fn header<'a>(further_columns: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut out = BYTE_ORDER_MARK.as_bytes().to_vec();
    for (index, column) in columns().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(column.as_bytes());
    }
    for column in further_columns {
        out.push(b',');
        write_cell(&mut out, column);
    }
    out.extend_from_slice(LINE_END);
    out
}

/// Whether `name` is the name of a standard column.
#[must_use]
pub fn is_column(name: &str) -> bool {
    columns().any(|column| column == name)
}

/// Appends the line of a position. Fields without a value are empty cells.
pub fn write_position(out: &mut Vec<u8>, position: &Position) {
    write_cell(out, &position.id);
    for field in FieldId::all().take(FIRST_FIELDS) {
        write_field(out, position, field);
    }
    out.push(b',');
    write_cell(out, position.updated_by.as_deref().unwrap_or_default());
    out.push(b',');
    write_time(out, position.updated_at);
    out.push(b',');
    write_time(out, position.created_at);
    for field in FieldId::all().skip(FIRST_FIELDS) {
        write_field(out, position, field);
    }
    out.extend_from_slice(LINE_END);
}

/// Appends a separator and the cell of a field.
fn write_field(out: &mut Vec<u8>, position: &Position, field: FieldId) {
    out.push(b',');
    let amount = if field.kind() == FieldKind::Amount { position.amount(field) } else { None };
    match (amount, &position.fields[field]) {
        // Writing to memory cannot fail. A number needs no quotes and is no formula.
        (Some(amount), _) => drop(write!(out, "{amount}")),
        // A value of another type than the field's is exported as it is.
        (None, Some(value)) => write_cell(out, &cell_text(value)),
        (None, None) => {}
    }
}

/// A value as the text of a cell: text as it is, `null` as an empty cell, lists and maps as JSON.
#[must_use]
pub fn cell_text(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        Json::Null => Cow::Borrowed(""),
        value => Cow::Owned(value.to_string()),
    }
}

/// Appends a text as one cell, escaped and quoted as needed.
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

/// Appends a time as ISO 8601 in UTC. A time without an ISO form (a document may hold any number) is written as its number
/// of milliseconds.
fn write_time(out: &mut Vec<u8>, ms: Option<i64>) {
    if let Some(ms) = ms {
        out.extend_from_slice(iso_ms(ms).unwrap_or_else(|| ms.to_string()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fields::{BUDGET, DEPARTMENT, DESIGNATION, END, LOCATION, START, STATUS};
    use crate::formula_guard::unguard;

    fn file(positions: &[Position]) -> Vec<u8> {
        let mut out = header([]);
        positions.iter().for_each(|position| write_position(&mut out, position));
        out
    }

    fn position(id: &str, fields: &[(FieldId, &str)]) -> Position {
        let mut position = Position::new(id);
        for (field, value) in fields {
            position.fields[*field] = Some(Json::from(*value));
        }
        position
    }

    /// The cells as another implementation of the format reads them.
    fn cells(file: &[u8]) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file);
        reader.records().map(|record| record.expect("CSV").iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn later_fields_are_exported_as_they_are() {
        let row = position("a1", &[(STATUS, "frozen"), (START, "2027-06"), (END, "=1")]);
        assert!(
            String::from_utf8(file(&[row]))
                .unwrap()
                .ends_with("createdAt,status,start,end\r\na1,,,,,,,,frozen,2027-06,'=1\r\n")
        );
    }

    #[test]
    fn file_is_byte_exact_for_spreadsheets() {
        let mut row = position(
            "a1",
            &[
                (DESIGNATION, "Engineer, Senior"),
                (DEPARTMENT, "the \"best\""),
                (BUDGET, " 12.50"),
                (LOCATION, "line 1\nline 2"),
            ],
        );
        row.updated_by = Some("=HYPERLINK(\"http://x\")".to_owned());
        (row.updated_at, row.created_at) = (Some(1_795_357_260_000), Some(1_654_342_380_123));
        let mut empty = position("-1", &[]);
        empty.created_at = Some(i64::MAX);
        // Fields that are added to the table later are columns after these.
        let added = FieldId::all().skip(FIRST_FIELDS);
        let heads: String = added.clone().map(|field| format!(",{field}")).collect();
        let cells = ",".repeat(added.len());
        let expected = format!(
            "\u{feff}id,designation,department,budget,location,updatedBy,updatedAt,createdAt{heads}\r\n\
            a1,\"Engineer, Senior\",\"the \"\"best\"\"\",12.5,\"line 1\nline 2\",\"'=HYPERLINK(\"\"http://x\"\")\",\
            2026-11-22T14:21:00.000Z,2022-06-04T11:33:00.123Z{cells}\r\n\
            '-1,,,,,,,9223372036854775807{cells}\r\n"
        );
        assert_eq!(String::from_utf8(file(&[row, empty])).expect("UTF-8"), expected);
    }

    /// All cells as a reader that splits at this separator sees them.
    fn cells_split_at(file: &[u8], separator: u8, quoting: bool) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(separator).quoting(quoting);
        let mut reader = reader.from_reader(file);
        reader.records().flat_map(|record| record.expect("CSV").iter().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn is_formula(cell: &str) -> bool {
        let cell = cell.trim_start_matches(|letter: char| letter == '"' || letter.is_whitespace());
        cell.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
    }

    #[test]
    fn no_separator_yields_a_formula() {
        for text in ["=1+1", "x;=1+1", "x;=1+1;y", "x;\"=1&\";y", "\"=1", " =1", "x\t＝1", "x|@y", "x\n-1", "x\r\n;;+1"]
        {
            let mut row = position("a", &[(DESIGNATION, text), (LOCATION, text)]);
            row.updated_by = Some(text.to_owned());
            let written = file(&[row]);
            for separator in *b",;\t|" {
                let cells = cells_split_at(&written, separator, true);
                assert!(!cells.iter().any(|cell| is_formula(cell)), "{text:?} split at {separator}: {cells:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn other_separators_yield_no_formula(text in "[=+@＝\t;|\r\n\" 'a-]{0,10}") {
            let row = position("a", &[(DESIGNATION, &text), (LOCATION, &text)]);
            let written = file(&[row]);
            for separator in *b",;\t|" {
                prop_assert!(!cells_split_at(&written, separator, true).iter().any(|cell| is_formula(cell)));
            }
            for separator in *b";\t|" {
                prop_assert!(!cells_split_at(&written, separator, false).iter().any(|cell| is_formula(cell)));
            }
        }

        #[test]
        fn other_readers_read_the_same(designation in "(?s).*", location in "[,\"\r\n' a]{0,8}") {
            let row = position("a", &[(DESIGNATION, &designation), (LOCATION, &location)]);
            let cells = cells(&file(&[row.clone(), row]));
            prop_assert_eq!(cells.len(), 3);
            prop_assert_eq!(unguard(&cells[2][1]), &*designation);
            prop_assert_eq!(unguard(&cells[2][4]), &*location);
        }
    }
}
