//! CSV files: what `export.csv` gives, and other tables with the same names of columns.

use std::collections::HashSet;

use plan::formula_guard::unguard;
use plan::position::{CREATED_AT, UPDATED_AT, UPDATED_BY};
use plan::{Budget, FieldId, FieldKind, FieldValue, csv as table};
use serde_json::Value as Json;

use super::file::{FileError, ImportFile, MAX_ROWS};
use super::row::ImportedRow;
use super::times::parse_time;

/// Prefix of the column of an added field that has the name of a standard column.
const PREFIX: &str = "extra.";

/// A column of the file.
enum Column {
    Id,
    Field(FieldId),
    CreatedAt,
    UpdatedAt,
    UpdatedBy,
    /// A field beyond the schema.
    Extra(String),
}

/// Reads a file: UTF-8 with commas, and the names of the columns in the first line.
///
/// # Errors
/// When it is not such a table.
pub fn read(bytes: &[u8]) -> Result<ImportFile, FileError> {
    let text = std::str::from_utf8(bytes).map_err(|error| FileError::NotUtf8(error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_quotes(text)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let not_csv = |error: csv::Error| FileError::NotCsv(error.to_string());
    let headers: Vec<String> =
        reader.headers().map_err(not_csv)?.iter().map(|name| unguard(name.trim()).into_owned()).collect();
    let columns = columns(&headers)?;
    let mut file = ImportFile::default();
    let (mut line, mut counted) = (1, 0);
    for record in reader.records() {
        let record = record.map_err(not_csv)?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if file.rows.len() >= MAX_ROWS {
            return Err(FileError::TooManyRows(MAX_ROWS + 1));
        }
        // The reader counts a line that ends with CRLF only at its next record.
        let offset = record.position().map_or(0, |place| usize::try_from(place.byte()).unwrap_or(text.len()));
        let rest = text.as_bytes().get(offset..).unwrap_or_default();
        let start = offset + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        line += text.as_bytes().get(counted..start).map_or(0, line_feeds);
        counted = start;
        let mut problems = Vec::new();
        // A shorter row may be one that was cut off.
        if record.len() != columns.len() {
            problems.push(format!("it has {} cells, and the first line has {}", record.len(), columns.len()));
        }
        let mut row = ImportedRow { is_of_table: true, ..ImportedRow::default() };
        for (column, cell) in columns.iter().zip(record.iter()) {
            set(&mut row, column, &unguard(cell), &mut problems);
        }
        file.rows.push((line, row, problems));
    }
    Ok(file)
}

/// Refuses a quoted cell that does not end, or goes on after its end: the reader would take the following rows for a part of it.
fn check_quotes(text: &str) -> Result<(), FileError> {
    let bytes = text.as_bytes();
    let (mut line, mut at, mut is_start) = (1, 0, true);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        if *byte != b'"' || !is_start {
            is_start = matches!(byte, b',' | b'\n' | b'\r');
            line += usize::from(*byte == b'\n');
            continue;
        }
        let begun = line;
        // Two quotes are one of the text.
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(length) = rest.iter().position(|byte| *byte == b'"') else {
                return Err(FileError::NotCsv(format!("a quoted cell that begins in line {begun} does not end")));
            };
            line += line_feeds(&rest[..length]);
            at += length + 1;
            match bytes.get(at) {
                Some(b'"') => at += 1,
                None | Some(b',' | b'\n' | b'\r') => break,
                Some(_) => {
                    let reason = format!("line {line} has text between the end of a quoted cell and the next comma");
                    return Err(FileError::NotCsv(reason));
                }
            }
        }
        is_start = false;
    }
    Ok(())
}

fn line_feeds(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn columns(headers: &[String]) -> Result<Vec<Column>, FileError> {
    let names: HashSet<&str> = headers.iter().map(String::as_str).collect();
    if names.len() < headers.len() || names.contains("") {
        return Err(FileError::Columns("each column needs a name of its own".to_owned()));
    }
    if !names.contains("id") && !names.contains("designation") {
        return Err(FileError::Columns("the first line must name the columns, such as id and designation".to_owned()));
    }
    let column = |name: &String| match name.as_str() {
        "id" => Column::Id,
        CREATED_AT => Column::CreatedAt,
        UPDATED_AT => Column::UpdatedAt,
        UPDATED_BY => Column::UpdatedBy,
        name => FieldId::from_key(name).map_or_else(|| Column::Extra(field_name(name, &names)), Column::Field),
    };
    Ok(headers.iter().map(column).collect())
}

/// The name of the field in a column: the export puts a prefix before the name of a standard column, more than once if other fields have
/// the prefix themselves.
fn field_name(column: &str, names: &HashSet<&str>) -> String {
    let base = column.trim_start_matches(PREFIX);
    let is_longest = !names.contains(format!("{PREFIX}{column}").as_str());
    if table::is_column(base) && is_longest { base.to_owned() } else { column.to_owned() }
}

fn set(row: &mut ImportedRow, column: &Column, cell: &str, problems: &mut Vec<String>) {
    let time = |key: &str, problems: &mut Vec<String>| {
        let time = parse_time(cell);
        if time.is_none() && !cell.trim().is_empty() {
            problems.push(format!("{key}: must be a time such as 2026-11-22T14:21:00.000Z"));
        }
        time
    };
    match column {
        Column::Id if cell.is_empty() => {}
        Column::Id => row.set_id(cell, problems),
        Column::CreatedAt => row.created_at = time(CREATED_AT, problems),
        Column::UpdatedAt => row.updated_at = time(UPDATED_AT, problems),
        Column::UpdatedBy if cell.is_empty() => {}
        Column::UpdatedBy => row.set_editor(cell, problems),
        Column::Field(field) => {
            let value = match field.kind() {
                FieldKind::Amount if cell.trim().is_empty() => FieldValue::Unset,
                FieldKind::Amount => {
                    match serde_json::from_str(cell.trim()).map(|number: Json| Budget::from_json(&number)) {
                        Ok(Ok(amount)) => FieldValue::Amount(amount),
                        Ok(Err(error)) => return problems.push(format!("{field}: {error}")),
                        Err(_) => return problems.push(format!("{field}: must be a number")),
                    }
                }
                FieldKind::Choice(_) | FieldKind::Month if cell.is_empty() => FieldValue::Unset,
                FieldKind::Text { .. } | FieldKind::Choice(_) | FieldKind::Month => FieldValue::Text(cell.to_owned()),
            };
            row.fields[*field] = Some(value);
        }
        Column::Extra(_) if cell.is_empty() => {}
        Column::Extra(name) => drop(row.extra.insert(name.clone(), typed(cell))),
    }
}

/// A cell of a field beyond the schema: a number, a flag, a list or a map if it reads as the export writes those; else text.
fn typed(cell: &str) -> Json {
    match serde_json::from_str(cell) {
        Ok(value @ (Json::Number(_) | Json::Bool(_) | Json::Array(_) | Json::Object(_)))
            if table::cell_text(&value) == cell =>
        {
            value
        }
        _ => Json::String(cell.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use plan::fields::{BUDGET, DEPARTMENT, STATUS};
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_read_by_the_kind_of_their_column() {
        let text = "\u{feff}id,designation,department,budget,status,notes,headcount,zip,skills,extra.id\r\n\
            a,\"Cook, senior\",'=HR,12.5,,\"'=1\",3,007,\"[\"\"Rust\"\"]\",mine\r\n\r\n,Waiter,,,open,,,,,\r\n";
        let file = read(text.as_bytes()).unwrap();
        let (line, row, problems) = &file.rows[0];
        assert_eq!((*line, problems.len(), row.id.as_deref()), (2, 0, Some("a")));
        assert_eq!(row.fields[DEPARTMENT], Some(FieldValue::Text("=HR".to_owned())));
        assert_eq!(row.fields[BUDGET], Some(FieldValue::Amount(Budget::Float(12.5))));
        assert_eq!(row.fields[STATUS], Some(FieldValue::Unset));
        let extra = json!({ "notes": "=1", "headcount": 3, "zip": "007", "skills": ["Rust"], "id": "mine" });
        assert_eq!(json!(row.extra), extra);
        let (line, row, _) = &file.rows[1];
        assert_eq!((*line, &row.id, row.extra.is_empty()), (4, &None, true));
    }

    #[test]
    fn prefixed_names_are_those_of_the_export() {
        let text = "id,designation,extra.id,extra.extra.id\na,Cook,own,two\n";
        let file = read(text.as_bytes()).unwrap();
        assert_eq!(json!(file.rows[0].1.extra), json!({ "extra.id": "own", "id": "two" }));
    }

    #[test]
    fn broken_quotes_are_refused() {
        for (text, reason) in [
            ("id,designation\np1,\"Head,Product\np2,Cook\n", "in line 2 does not end"),
            ("id,designation\np1,Cook\np2,\"", "in line 3 does not end"),
            ("id,designation\np1,\"Head\nof\" Design\n", "line 3 has text"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let file = read(b"id,designation\np1,\"a \"\"b\"\"\nc\"\r\np2,5\" pipe\n\"p3\",\"\"").unwrap();
        let ids: Vec<_> = file.rows.iter().map(|(line, row, _)| (*line, row.id.as_deref())).collect();
        assert_eq!(ids, [(2, Some("p1")), (4, Some("p2")), (5, Some("p3"))]);
    }

    #[test]
    fn rows_that_are_cut_off_are_refused() {
        let file = read(b"designation,department,budget\nCook,Kitchen,5\nWaiter,Ki").unwrap();
        let problems: Vec<usize> = file.rows.iter().map(|(_, _, problems)| problems.len()).collect();
        assert_eq!(problems, [0, 1]);
    }

    #[test]
    fn invalid_cells_and_tables_are_refused() {
        let file = read(b"designation,budget,createdAt\nCook,twelve,yesterday\nCook,-1,\nCook,1,,more\n").unwrap();
        let problems: Vec<usize> = file.rows.iter().map(|(_, _, problems)| problems.len()).collect();
        assert_eq!(problems, [2, 1, 1]);
        for text in ["", "a,b\n1,2\n", "id,id\n1,2\n", "id,\n1,2\n"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
