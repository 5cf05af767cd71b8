//! Reads a legacy `data.json`: its rows as positions, and a report of those that cannot be imported.

use std::collections::HashMap;

use plan::{Budget, Scale, amount_of_json, check_position_id, is_blank_amount};
use primitives::{InvalidAuthorName, MAX_TEXT, check_author_name, is_blank, strict_json};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::import_report::{ImportReport, RefusedRow, RowProblem};
use super::parse_when;

/// The keys of a legacy row.
const KEYS: [&str; 6] = ["id", "designation", "department", "budget", "location", "lastUpdated"];
/// The author of a row that names none, as in the original.
const NOBODY: &str = "Admin";

/// A row of a legacy file, ready to become a position.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRow {
    /// The file's id, or a new one; unique among the rows.
    pub id: String,
    /// Not blank.
    pub designation: String,
    /// The department, as it is in the file.
    pub department: String,
    /// In units of the plan. `None`: unknown.
    pub budget: Option<Budget>,
    /// The place, as it is in the file.
    pub location: String,
    /// In milliseconds since 1970: not after `updated_at_ms` and not after now, and strictly descending from row to row,
    /// so that a view by creation time, newest first, keeps the file's order.
    pub created_at_ms: i64,
    /// The date of `lastUpdated`, or now; in milliseconds since 1970.
    pub updated_at_ms: i64,
    /// The name in `lastUpdated`, or `Admin`.
    pub updated_by: String,
}

/// The rows of a file: those that can be imported, and the others.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRows<'a> {
    /// The sound rows, in the file's order.
    pub sound: Vec<ImportedRow>,
    /// The other rows as JSON, as they are in the file and in its order.
    pub refused: Vec<&'a str>,
    /// Why the other rows are refused; `None` if there are none.
    pub report: Option<ImportReport>,
}

/// Why a file cannot be imported.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// Not text at all.
    #[error("the file is not UTF-8 text (line {line} is the first that is not)")]
    NotUtf8 {
        /// The line, from 1.
        line: usize,
    },
    /// Not JSON.
    #[error("the file is not JSON: {reason} at line {line}, column {column}")]
    NotJson {
        /// What is wrong.
        reason: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// JSON, but of another shape.
    #[error("the file must hold a JSON list of positions, but at line {line}, column {column} begins {found}")]
    NotAnArray {
        /// What the file holds.
        found: &'static str,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// Some rows cannot be imported.
    #[error("{0}")]
    Rows(ImportReport),
}

/// Reads a file whose rows are all sound. See [`read_rows`].
///
/// # Errors
/// When the file is no JSON list, and when any row cannot be imported.
pub fn import(
    json: &[u8],
    scale: &Scale<'_>,
    now_ms: i64,
    new_id: &mut dyn FnMut() -> String,
) -> Result<Vec<ImportedRow>, ImportError> {
    let rows = read_rows(json, scale, now_ms, new_id)?;
    rows.report.map_or(Ok(rows.sound), |report| Err(ImportError::Rows(report)))
}

/// Reads a legacy `data.json`. Rows without an id get `new_id()`, rows without a date get `now_ms`. Budgets are read by
/// `scale`, which is that of the plan that they go into.
///
/// # Errors
/// When the file is no JSON list.
pub fn read_rows<'a>(
    json: &'a [u8],
    scale: &Scale<'_>,
    now_ms: i64,
    new_id: &mut dyn FnMut() -> String,
) -> Result<ImportedRows<'a>, ImportError> {
    let text = std::str::from_utf8(json)
        .map_err(|error| ImportError::NotUtf8 { line: 1 + line_feeds(&json[..error.valid_up_to()]) })?;
    // Windows editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = split_rows(text)?;

    let mut sound: Vec<ImportedRow> = Vec::with_capacity(rows.len());
    let (mut refused, mut reported) = (Vec::new(), Vec::new());
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
                sound.push(ImportedRow { created_at_ms, ..row });
            }
            _ => {
                refused.push(raw.get());
                reported.push(RefusedRow { line: *line, row: index + 1, problems });
            }
        }
    }
    let report = (!reported.is_empty()).then_some(ImportReport { total: rows.len(), rows: reported });
    Ok(ImportedRows { sound, refused, report })
}

/// The rows as they are in the file, each with its line.
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

/// What is wrong with a JSON text, without the place that the library adds.
fn reason_of(error: &serde_json::Error) -> String {
    let full = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    full.strip_suffix(&place).unwrap_or(&full).to_owned()
}

/// Reads what can be read of a row, and adds its problems to the list. A row with an id comes back even if it has
/// problems, so that ids are compared over the whole file.
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
        Some(Value::String(id)) if is_blank(id) => refuse(problems, RowProblem::Empty("id")),
        Some(Value::String(id)) => match check_position_id(id) {
            Ok(()) => Some(id.clone()),
            Err(reason) => refuse(problems, RowProblem::Id { id: id.clone(), reason }),
        },
        Some(other) => refuse(problems, wrong_type("id", "text", other)),
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

    let (updated_by, updated_at_ms) = updated.unwrap_or_else(|| (NOBODY.to_owned(), now_ms));
    // Of a row with problems only the id is used.
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

/// The budget of a row; `None` if it is absent, null or blank, and if it is not an amount.
fn budget(row: &Map<String, Value>, scale: &Scale<'_>, problems: &mut Vec<RowProblem>) -> Option<Budget> {
    let value = row.get("budget").filter(|value| !value.is_null())?;
    if value.as_str().is_some_and(is_blank_amount) {
        return None;
    }
    amount_of_json(value, scale).map_err(|error| problems.push(error.into())).ok()
}

fn text(row: &Map<String, Value>, key: &'static str, problems: &mut Vec<RowProblem>) -> Option<String> {
    match row.get(key) {
        None => refuse(problems, RowProblem::Missing(key)),
        Some(Value::String(value)) => {
            problems.extend(problem_with_text(key, value));
            Some(value.clone())
        }
        Some(other) => refuse(problems, wrong_type(key, "text", other)),
    }
}

/// Why the text of a field cannot be imported.
fn problem_with_text(key: &'static str, value: &str) -> Option<RowProblem> {
    if value.chars().count() > MAX_TEXT {
        return Some(RowProblem::TooLong(key));
    }
    // A blank text is no damage, and a blank designation is reported as empty.
    if value != value.trim() && !is_blank(value) {
        return Some(RowProblem::WhiteSpace { key, value: value.to_owned() });
    }
    is_damaged(value).then(|| RowProblem::DecodingDamage { key, value: value.to_owned() })
}

/// The old decoder cut at commas and took quotes and brackets off some ends only. It left a quote or bracket at an end
/// whose partner is missing, or an escape that was never undone. `[A] UI [B]`, `"Chief"` and `24" monitor` are sound.
fn is_damaged(value: &str) -> bool {
    let count = |letter| value.matches(letter).count();
    let open_quote = value.trim_start_matches('[').starts_with('"') && count('"') % 2 == 1;
    let open_bracket = (value.starts_with('[') || value.ends_with(']')) && count('[') != count(']');
    open_quote || open_bracket || value.contains("\\\"") || value.ends_with('\\')
}

fn last_updated(row: &Map<String, Value>, now_ms: i64, problems: &mut Vec<RowProblem>) -> Option<(String, i64)> {
    const PAIR: &str = "a list of a name and a date";
    let (who, when) = match row.get("lastUpdated") {
        None => return Some((NOBODY.to_owned(), now_ms)),
        Some(Value::Array(pair)) => match pair.as_slice() {
            [Value::String(who), Value::String(when)] => (who, when),
            _ => {
                let found = "another list";
                return refuse(problems, RowProblem::WrongType { key: "lastUpdated", expected: PAIR, found });
            }
        },
        Some(other) => return refuse(problems, wrong_type("lastUpdated", PAIR, other)),
    };
    let name = match check_author_name(who) {
        Ok(name) => Some(name),
        Err(InvalidAuthorName::Empty) => Some(NOBODY),
        Err(reason) => refuse(problems, RowProblem::Author { name: who.clone(), reason }),
    };
    let at = parse_when(when).or_else(|| refuse(problems, RowProblem::Date(when.clone())));
    Some((name?.to_owned(), at?))
}

fn refuse<T>(problems: &mut Vec<RowProblem>, problem: RowProblem) -> Option<T> {
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

/// What kind of JSON value a text is, told by its first letter.
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

/// Where in the text this part of it begins.
fn offset_in(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

fn line_feeds(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
