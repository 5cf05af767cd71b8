//! The import of a legacy `data.json`: all of its rows, or none and a list of what is odd.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::odd::{OddRow, OddRows, Oddity, oddity_of_department, oddity_of_text};
use crate::format::{Budget, Scale, amount_of_json, parse_when};

/// The keys of a legacy row.
const KEYS: [&str; 6] = ["id", "designation", "department", "budget", "location", "lastUpdated"];
/// Who changed a row when nobody says so, as in the original.
const NOBODY: &str = "Admin";

/// A row of a legacy file, ready to become a position.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRow {
    /// The file's id, or a new one; unique among the rows.
    pub id: String,
    /// What the person does; never empty.
    pub designation: String,
    /// The department, as it is.
    pub department: String,
    /// The budget, a number whatever form the file has it in.
    pub budget: Budget,
    /// The place, as it is.
    pub location: String,
    /// In milliseconds since 1970: not after `updated_at_ms` and not after now, and strictly descending from row to row,
    /// so that a view by creation time, newest first, keeps the file's order.
    pub created_at_ms: i64,
    /// The date of `lastUpdated`, or now; in milliseconds since 1970.
    pub updated_at_ms: i64,
    /// The name in `lastUpdated`, or `Admin`.
    pub updated_by: String,
}

/// Why nothing was imported.
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
    /// Some rows are odd.
    #[error("{0}")]
    OddRows(OddRows),
}

/// Reads a legacy `data.json`. Rows without an id get `new_id()`, rows without a date get `now_ms`. Budgets are read by
/// `scale`, which is that of the plan that they go into.
pub fn import(
    json: &[u8],
    scale: &Scale<'_>,
    now_ms: i64,
    new_id: &mut dyn FnMut() -> String,
) -> Result<Vec<ImportedRow>, ImportError> {
    let text = std::str::from_utf8(json)
        .map_err(|error| ImportError::NotUtf8 { line: 1 + line_feeds(&json[..error.valid_up_to()]) })?;
    // Windows editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = split_rows(text)?;

    let mut imported: Vec<ImportedRow> = Vec::with_capacity(rows.len());
    let mut odd = Vec::new();
    let mut lines_of_ids: HashMap<String, usize> = HashMap::new();
    let mut latest_creation = now_ms;
    for (index, (line, raw)) in rows.iter().enumerate() {
        let mut oddities = Vec::new();
        let row = read_row(raw, scale, now_ms, new_id, &mut oddities);
        if let Some(row) = row {
            match lines_of_ids.get(&row.id) {
                Some(&line) => oddities.push(Oddity::DuplicateId { id: row.id.clone(), line }),
                None => drop(lines_of_ids.insert(row.id.clone(), *line)),
            }
            let created_at_ms = row.updated_at_ms.min(latest_creation);
            latest_creation = created_at_ms.saturating_sub(1);
            imported.push(ImportedRow { created_at_ms, ..row });
        }
        if !oddities.is_empty() {
            odd.push(OddRow { line: *line, row: index + 1, oddities });
        }
    }
    if odd.is_empty() { Ok(imported) } else { Err(ImportError::OddRows(OddRows { total: rows.len(), rows: odd })) }
}

/// The rows as they are in the file, each with its line.
fn split_rows(text: &str) -> Result<Vec<(usize, &RawValue)>, ImportError> {
    let not_json = |error: serde_json::Error| {
        // The reason repeats the place at its end.
        let (full, line, column) = (error.to_string(), error.line(), error.column());
        let reason = full.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&full).to_owned();
        ImportError::NotJson { reason, line, column }
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

/// Reads what can be read of a row, and lists what is odd. A row with an id and a date comes back even if it is odd, so
/// that ids are compared over the whole file.
fn read_row(
    raw: &RawValue,
    scale: &Scale<'_>,
    now_ms: i64,
    new_id: &mut dyn FnMut() -> String,
    oddities: &mut Vec<Oddity>,
) -> Option<ImportedRow> {
    if !raw.get().starts_with('{') {
        oddities.push(Oddity::NotAnObject(describe_raw(raw.get())));
        return None;
    }
    let row: Map<String, Value> = match serde_json::from_str(raw.get()) {
        Ok(row) => row,
        Err(error) => {
            oddities.push(Oddity::Unreadable(error.to_string()));
            return None;
        }
    };
    if !row.contains_key("id") && !row.contains_key("lastUpdated") {
        oddities.push(Oddity::NoOrigin);
    }
    let id = match row.get("id") {
        None => Some(new_id()),
        Some(Value::String(id)) if id.is_empty() => odd(oddities, Oddity::Empty("id")),
        Some(Value::String(id)) => Some(id.clone()),
        Some(other) => odd(oddities, wrong_type("id", "text", other)),
    };
    let designation = text(&row, "designation", oddities);
    if designation.as_ref().is_some_and(String::is_empty) {
        oddities.push(Oddity::Empty("designation"));
    }
    let department = text(&row, "department", oddities);
    oddities.extend(department.as_deref().and_then(oddity_of_department));
    let budget = match row.get("budget").map(|budget| amount_of_json(budget, scale)) {
        None => odd(oddities, Oddity::Missing("budget")),
        Some(Err(error)) => odd(oddities, error.into()),
        Some(Ok(budget)) => Some(budget),
    };
    let location = text(&row, "location", oddities);
    let updated = last_updated(&row, now_ms, oddities);
    oddities.extend(row.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().map(Oddity::UnknownKey));

    let (updated_by, updated_at_ms) = updated.unwrap_or_else(|| (NOBODY.to_owned(), now_ms));
    // Of an odd row only the id matters any more: nothing is imported.
    Some(ImportedRow {
        id: id?,
        designation: designation.unwrap_or_default(),
        department: department.unwrap_or_default(),
        budget: budget.unwrap_or(Budget::Int(0)),
        location: location.unwrap_or_default(),
        created_at_ms: updated_at_ms,
        updated_at_ms,
        updated_by,
    })
}

fn text(row: &Map<String, Value>, key: &'static str, oddities: &mut Vec<Oddity>) -> Option<String> {
    match row.get(key) {
        None => odd(oddities, Oddity::Missing(key)),
        Some(Value::String(value)) => {
            oddities.extend(oddity_of_text(key, value));
            Some(value.clone())
        }
        Some(other) => odd(oddities, wrong_type(key, "text", other)),
    }
}

fn last_updated(row: &Map<String, Value>, now_ms: i64, oddities: &mut Vec<Oddity>) -> Option<(String, i64)> {
    const PAIR: &str = "a list of a name and a date";
    match row.get("lastUpdated") {
        None => Some((NOBODY.to_owned(), now_ms)),
        Some(Value::Array(pair)) => match pair.as_slice() {
            [Value::String(who), Value::String(when)] => {
                let Some(at) = parse_when(when) else { return odd(oddities, Oddity::Date(when.clone())) };
                Some((if who.trim().is_empty() { NOBODY } else { who }.to_owned(), at))
            }
            _ => odd(oddities, Oddity::WrongType { key: "lastUpdated", expected: PAIR, found: "another list" }),
        },
        Some(other) => odd(oddities, wrong_type("lastUpdated", PAIR, other)),
    }
}

fn odd<T>(oddities: &mut Vec<Oddity>, oddity: Oddity) -> Option<T> {
    oddities.push(oddity);
    None
}

fn wrong_type(key: &'static str, expected: &'static str, value: &Value) -> Oddity {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Oddity::WrongType { key, expected, found }
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
