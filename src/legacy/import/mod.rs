//! Reads the `data.json` of the legacy backend: the valid rows as positions, and a report of the invalid ones.

mod report;

use std::collections::HashMap;

use plan::{Budget, Scale, amount_of_json, check_position_id, is_blank_amount};
use primitives::{InvalidAuthorName, MAX_TEXT, check_author_name, is_blank, strict_json};
pub use report::{ImportReport, InvalidRow, RowProblem};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::parse_date;

/// The keys of a row.
const KEYS: [&str; 6] = ["id", "designation", "department", "budget", "location", "lastUpdated"];
/// The author of a row without one, as in the legacy backend.
const DEFAULT_AUTHOR: &str = "Admin";

/// A valid row, ready to become a position.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRow {
    /// The id in the file, or a new one. Unique among the rows.
    pub id: String,
    /// The designation, which is not blank.
    pub designation: String,
    /// The department, unchanged.
    pub department: String,
    /// The budget in units of the plan; `None` if it is unknown.
    pub budget: Option<Budget>,
    /// The location, unchanged.
    pub location: String,
    /// Creation time in Unix milliseconds: at most `updated_at_ms` and the present time, and strictly descending from row to row,
    /// so that a view in order of creation, newest first, keeps the order of the file.
    pub created_at_ms: i64,
    /// The date in `lastUpdated`, or the present time, in Unix milliseconds.
    pub updated_at_ms: i64,
    /// The name in `lastUpdated`, or `Admin`.
    pub updated_by: String,
}

/// The rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRows<'a> {
    /// The valid rows, in the order of the file.
    pub valid: Vec<ImportedRow>,
    /// The JSON of the invalid rows, unchanged, in the order of the file.
    pub invalid: Vec<&'a str>,
    /// Why rows are invalid; `None` if all rows are valid.
    pub report: Option<ImportReport>,
}

/// Why a file cannot be imported.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// The file is not UTF-8.
    #[error("the file is not UTF-8 text (line {line} is the first that is not)")]
    NotUtf8 {
        /// The line, from 1.
        line: usize,
    },
    /// The file is not JSON.
    #[error("the file is not JSON: {reason} at line {line}, column {column}")]
    NotJson {
        /// What is wrong.
        reason: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The file is JSON, but not an array.
    #[error("the file must hold a JSON list of positions, but at line {line}, column {column} begins {found}")]
    NotAnArray {
        /// The type of the value.
        found: &'static str,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Some rows are invalid.
    #[error("{0}")]
    Rows(ImportReport),
}

/// Reads a file of valid rows. See [`read_rows`].
///
/// # Errors
/// If the file is not a JSON array, or if any row is invalid.
pub fn import(
    json: &[u8],
    scale: &Scale<'_>,
    now_ms: i64,
    new_id: &mut dyn FnMut() -> String,
) -> Result<Vec<ImportedRow>, ImportError> {
    let rows = read_rows(json, scale, now_ms, new_id)?;
    rows.report.map_or(Ok(rows.valid), |report| Err(ImportError::Rows(report)))
}

/// Reads a file. Rows without an id get `new_id()`, rows without a date get `now_ms`. `scale` is that of the plan into which the
/// rows are imported.
///
/// # Errors
/// If the file is not a JSON array.
pub fn read_rows<'a>(
    json: &'a [u8],
    scale: &Scale<'_>,
    now_ms: i64,
    new_id: &mut dyn FnMut() -> String,
) -> Result<ImportedRows<'a>, ImportError> {
    let text = std::str::from_utf8(json)
        .map_err(|error| ImportError::NotUtf8 { line: 1 + line_feeds(&json[..error.valid_up_to()]) })?;
    // Some Windows editors add a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = split_rows(text)?;

    let mut valid: Vec<ImportedRow> = Vec::with_capacity(rows.len());
    let (mut invalid, mut reported) = (Vec::new(), Vec::new());
    let mut lines_of_ids: HashMap<String, usize> = HashMap::new();
    let mut latest_creation = now_ms;
    for (index, (line, raw)) in rows.iter().enumerate() {
        let mut problems = Vec::new();
        let row = read_row(raw, scale, now_ms, new_id, &mut problems);
        if let Some(row) = &row {
            match lines_of_ids.get(&row.id) {
                Some(&line) => problems.push(RowProblem::DuplicateId { id: row.id.clone(), line }),
                None => drop(lines_of_ids.insert(row.id.clone(), *line)),
            }
        }
        match row {
            Some(row) if problems.is_empty() => {
                let created_at_ms = row.updated_at_ms.min(latest_creation);
                latest_creation = created_at_ms.saturating_sub(1);
                valid.push(ImportedRow { created_at_ms, ..row });
            }
            _ => {
                invalid.push(raw.get());
                reported.push(InvalidRow { line: *line, row: index + 1, problems });
            }
        }
    }
    let report = (!reported.is_empty()).then_some(ImportReport { total: rows.len(), rows: reported });
    Ok(ImportedRows { valid, invalid, report })
}

/// Splits the array into its elements, each with its line in the file.
fn split_rows(text: &str) -> Result<Vec<(usize, &RawValue)>, ImportError> {
    let not_json = |error: serde_json::Error| ImportError::NotJson {
        reason: reason_of(&error),
        line: error.line(),
        column: error.column(),
    };
    let whole: &RawValue = serde_json::from_str(text).map_err(not_json)?;
    if !whole.get().starts_with('[') {
        let before = &text[..offset_in(text, whole.get())];
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        let found = describe_raw(whole.get());
        return Err(ImportError::NotAnArray { found, line: 1 + line_feeds(before.as_bytes()), column });
    }
    let raw: Vec<&RawValue> = serde_json::from_str(text).map_err(not_json)?;
    let (mut line, mut counted) = (1, 0);
    let located = raw.into_iter().map(|row| {
        let offset = offset_in(text, row.get());
        line += line_feeds(&text.as_bytes()[counted..offset]);
        counted = offset;
        (line, row)
    });
    Ok(located.collect())
}

/// The message of a JSON error, without its position.
fn reason_of(error: &serde_json::Error) -> String {
    let full = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    full.strip_suffix(&position).unwrap_or(&full).to_owned()
}

/// Reads a row, and adds its problems to `problems`. Returns an invalid row as well if it has an id, so that duplicate ids are found
/// in the whole file.
fn read_row(
    raw: &RawValue,
    scale: &Scale<'_>,
    now_ms: i64,
    new_id: &mut dyn FnMut() -> String,
    problems: &mut Vec<RowProblem>,
) -> Option<ImportedRow> {
    if !raw.get().starts_with('{') {
        problems.push(RowProblem::NotAnObject(describe_raw(raw.get())));
        return None;
    }
    let row: Map<String, Value> = match strict_json::from_str(raw.get()) {
        Ok(row) => row,
        Err(error) => {
            problems.push(RowProblem::Unreadable(reason_of(&error)));
            return None;
        }
    };
    let id = match row.get("id") {
        None => Some(new_id()),
        Some(Value::String(id)) if is_blank(id) => add_problem(problems, RowProblem::Empty("id")),
        Some(Value::String(id)) => match check_position_id(id) {
            Ok(()) => Some(id.clone()),
            Err(reason) => add_problem(problems, RowProblem::Id { id: id.clone(), reason }),
        },
        Some(other) => add_problem(problems, wrong_type("id", "text", other)),
    };
    let designation = text(&row, "designation", problems);
    if designation.as_deref().is_some_and(is_blank) {
        problems.push(RowProblem::Empty("designation"));
    }
    let department = text(&row, "department", problems);
    let budget = budget(&row, scale, problems);
    let location = text(&row, "location", problems);
    let updated = last_updated(&row, now_ms, problems);
    problems.extend(row.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().map(RowProblem::UnknownKey));

    let (updated_by, updated_at_ms) = updated.unwrap_or_else(|| (DEFAULT_AUTHOR.to_owned(), now_ms));
    // Only the id of an invalid row is used.
    Some(ImportedRow {
        id: id?,
        designation: designation.unwrap_or_default(),
        department: department.unwrap_or_default(),
        budget,
        location: location.unwrap_or_default(),
        created_at_ms: updated_at_ms,
        updated_at_ms,
        updated_by,
    })
}

/// The budget of a row; `None` if it is missing, null, blank, or not an amount.
fn budget(row: &Map<String, Value>, scale: &Scale<'_>, problems: &mut Vec<RowProblem>) -> Option<Budget> {
    let value = row.get("budget").filter(|value| !value.is_null())?;
    if value.as_str().is_some_and(is_blank_amount) {
        return None;
    }
    amount_of_json(value, scale).map_err(|error| problems.push(error.into())).ok()
}

fn text(row: &Map<String, Value>, key: &'static str, problems: &mut Vec<RowProblem>) -> Option<String> {
    match row.get(key) {
        None => add_problem(problems, RowProblem::Missing(key)),
        Some(Value::String(value)) => {
            problems.extend(problem_with_text(key, value));
            Some(value.clone())
        }
        Some(other) => add_problem(problems, wrong_type(key, "text", other)),
    }
}

/// The problem with the text of a field; `None` if it is valid.
fn problem_with_text(key: &'static str, value: &str) -> Option<RowProblem> {
    if value.chars().count() > MAX_TEXT {
        return Some(RowProblem::TooLong(key));
    }
    // Blank texts are valid, except for the designation, for which they are reported as empty.
    if value != value.trim() && !is_blank(value) {
        return Some(RowProblem::WhiteSpace { key, value: value.to_owned() });
    }
    is_damaged(value).then(|| RowProblem::DecodingDamage { key, value: value.to_owned() })
}

/// Whether the legacy backend damaged a text. Its decoder split fields at commas, and removed quotes and brackets from some ends
/// only: a quote or bracket at an end has no counterpart, or an escape sequence remains. `[A] UI [B]`, `"Chief"` and `24" monitor`
/// are valid.
fn is_damaged(value: &str) -> bool {
    let count = |letter| value.matches(letter).count();
    let open_quote = value.trim_start_matches('[').starts_with('"') && count('"') % 2 == 1;
    let open_bracket = (value.starts_with('[') || value.ends_with(']')) && count('[') != count(']');
    open_quote || open_bracket || value.contains("\\\"") || value.ends_with('\\')
}

fn last_updated(row: &Map<String, Value>, now_ms: i64, problems: &mut Vec<RowProblem>) -> Option<(String, i64)> {
    const PAIR: &str = "a list of a name and a date";
    let (author, date) = match row.get("lastUpdated") {
        None => return Some((DEFAULT_AUTHOR.to_owned(), now_ms)),
        Some(Value::Array(pair)) => match pair.as_slice() {
            [Value::String(author), Value::String(date)] => (author, date),
            _ => {
                let found = "another list";
                return add_problem(problems, RowProblem::WrongType { key: "lastUpdated", expected: PAIR, found });
            }
        },
        Some(other) => return add_problem(problems, wrong_type("lastUpdated", PAIR, other)),
    };
    let name = match check_author_name(author) {
        Ok(name) => Some(name),
        Err(InvalidAuthorName::Empty) => Some(DEFAULT_AUTHOR),
        Err(reason) => add_problem(problems, RowProblem::Author { name: author.clone(), reason }),
    };
    let at = parse_date(date).or_else(|| add_problem(problems, RowProblem::Date(date.clone())));
    Some((name?.to_owned(), at?))
}

fn add_problem<T>(problems: &mut Vec<RowProblem>, problem: RowProblem) -> Option<T> {
    problems.push(problem);
    None
}

fn wrong_type(key: &'static str, expected: &'static str, value: &Value) -> RowProblem {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    RowProblem::WrongType { key, expected, found }
}

/// The type of a JSON value, by its first character.
fn describe_raw(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The offset of `part`, which is a slice of `text`.
fn offset_in(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

fn line_feeds(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests;
