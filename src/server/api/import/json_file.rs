//! JSON files: what `export.json`, the list of positions and the list of the command line give.

use std::collections::BTreeMap;

use plan::position::{CREATED_AT, UPDATED_AT, UPDATED_BY};
use plan::{Budget, Extras, FieldId, Month, NewContent, PlanPatch};
use primitives::strict_json;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::file::{FileError, ImportFile, MAX_ROWS};
use super::row::ImportedRow;
use super::times::parse_time;

/// Members of a position that the server computes.
const COMPUTED: [&str; 2] = ["conflicts", "omitted"];

/// Members of a document: the settings, and what the server computes, which is left out.
const SETTINGS: [&str; 24] = [
    "access",
    "archived",
    "columns",
    "conflicts",
    "currency",
    "default",
    "departmentBudgets",
    "error",
    "heads",
    "id",
    "name",
    "omitted",
    "positions",
    "predecessor",
    "scenarioEntries",
    "scenarioOf",
    "scenarios",
    "successor",
    "sums",
    "totalBudget",
    "unit",
    "url",
    "value",
    "yearStart",
];

/// The members of a file that is an object.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    positions: Vec<&'a RawValue>,
    #[serde(borrow)]
    document: Option<&'a RawValue>,
}

/// Reads a file.
///
/// # Errors
/// When it is not JSON, or has no list of positions.
pub fn read(bytes: &[u8]) -> Result<ImportFile, FileError> {
    let text = std::str::from_utf8(bytes).map_err(|error| FileError::NotUtf8(error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let not_json = |error: serde_json::Error| FileError::NotJson(error.to_string());
    let (rows, document) = match text.trim_start().as_bytes().first() {
        Some(b'[') => (serde_json::from_str::<Vec<&RawValue>>(text).map_err(not_json)?, None),
        Some(b'{') => {
            let whole: Whole<'_> = serde_json::from_str(text).map_err(not_json)?;
            let document = whole.document.map(RawValue::get).filter(|document| *document != "null");
            (whole.positions, document.map(strict_json::from_str).transpose().map_err(not_json)?)
        }
        _ => return Err(FileError::NoPositions),
    };
    if rows.len() > MAX_ROWS {
        return Err(FileError::TooManyRows(rows.len()));
    }
    let mut file =
        ImportFile { content: document.map(settings).transpose()?.unwrap_or_default(), ..ImportFile::default() };
    let (mut line, mut counted) = (1, 0);
    for raw in rows {
        let offset = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        line += text.as_bytes()[counted..offset].iter().filter(|byte| **byte == b'\n').count();
        counted = offset;
        let mut problems = Vec::new();
        let row = read_row(raw.get(), &mut problems);
        file.rows.push((line, row, problems));
    }
    Ok(file)
}

fn read_row(raw: &str, problems: &mut Vec<String>) -> ImportedRow {
    let mut row = ImportedRow::default();
    if !raw.starts_with('{') {
        problems.push("it must be an object".to_owned());
        return row;
    }
    let members: Map<String, Json> = match strict_json::from_str(raw) {
        Ok(members) => members,
        Err(error) => {
            problems.push(format!("it cannot be read: {error}"));
            return row;
        }
    };
    for (key, value) in members {
        match (key.as_str(), value) {
            ("id", Json::String(id)) => row.set_id(&id, problems),
            (CREATED_AT, value) => row.created_at = time(CREATED_AT, &value, problems),
            (UPDATED_AT, value) => row.updated_at = time(UPDATED_AT, &value, problems),
            (UPDATED_BY, Json::String(name)) => row.set_editor(&name, problems),
            (UPDATED_BY, Json::Null) => {}
            ("extra", Json::Object(extra)) => row.extra = extra.into_iter().collect(),
            ("value", _) => problems.push("value: it is not a map of fields, so it is no position".to_owned()),
            (key, _) if COMPUTED.contains(&key) => {}
            (key, value) => match FieldId::from_key(key) {
                Some(field) => row.set(field, &value, problems),
                None if ["id", UPDATED_BY].contains(&key) => problems.push(format!("{key}: must be text")),
                None if key == "extra" => problems.push("extra: must be an object".to_owned()),
                None => problems.push(format!("{key}: is unknown, and its value would be lost; put it into `extra`")),
            },
        }
    }
    row
}

fn time(key: &str, value: &Json, problems: &mut Vec<String>) -> Option<i64> {
    let time = match value {
        Json::Null => return None,
        Json::Number(ms) => ms.as_i64(),
        Json::String(text) => parse_time(text),
        _ => None,
    };
    if time.is_none() {
        problems.push(format!("{key}: must be a time such as 2026-11-22T14:21:00.000Z"));
    }
    time
}

/// Reads the settings of an exported document. What the server computes is left out.
fn settings(mut document: Map<String, Json>) -> Result<NewContent, FileError> {
    let invalid = |key: &str, reason: &str| FileError::Setting { key: key.to_owned(), reason: reason.to_owned() };
    let extra = match document.remove("extra") {
        None | Some(Json::Null) => Extras::new(),
        Some(Json::Object(members)) => members.into_iter().collect(),
        Some(_) => return Err(invalid("extra", "must be an object")),
    };
    if let Some(key) = document.keys().find(|key| !SETTINGS.contains(&key.as_str())) {
        return Err(invalid(key, "is unknown, and its value would be lost; put it into `extra`"));
    }
    let archived = match document.get("archived") {
        None | Some(Json::Null) => false,
        Some(Json::Bool(archived)) => *archived,
        Some(_) => return Err(invalid("archived", "must be true or false")),
    };
    let object = |key: &str| match document.get(key) {
        None | Some(Json::Null) => Ok(Extras::new()),
        Some(Json::Object(members)) => Ok(members.clone().into_iter().collect()),
        Some(_) => Err(invalid(key, "must be an object")),
    };
    let text = |key: &str| match document.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(key, "must be text")),
    };
    let amount = |key: &str| match document.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => Budget::from_json(value).map(Some).map_err(|error| invalid(key, &error.to_string())),
    };
    let year_start = match text("yearStart")? {
        Some(month) => Some(Some(Month::parse(&month).ok_or_else(|| invalid("yearStart", "must be a month"))?)),
        None => None,
    };
    let mut department_budgets = BTreeMap::new();
    for (department, value) in object("departmentBudgets")? {
        let amount = Budget::from_json(&value).map_err(|_| invalid("departmentBudgets", "must be amounts"))?;
        department_budgets.insert(department, Some(amount));
    }
    Ok(NewContent {
        settings: PlanPatch {
            name: text("name")?,
            currency: text("currency")?,
            unit: amount("unit")?,
            total_budget: amount("totalBudget")?,
            year_start,
            department_budgets,
        },
        archived,
        columns: object("columns")?,
        extra,
        positions: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use plan::FieldValue;
    use plan::fields::{BUDGET, DEPARTMENT};
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_exports_are_read() {
        let row = json!({ "id": "a", "designation": "Cook", "budget": 5, "updatedBy": "cfo", "createdAt": "2026-11-22T14:21:00.020Z",
            "updatedAt": null, "conflicts": { "budget": [1] }, "omitted": 1, "extra": { "headcount": 3 } });
        for text in [json!([row]).to_string(), json!({ "heads": [], "positions": [row] }).to_string()] {
            let file = read(text.as_bytes()).unwrap();
            let (line, row, problems) = &file.rows[0];
            assert_eq!((*line, problems.is_empty(), row.id.as_deref()), (1, true, Some("a")), "{problems:?}");
            assert_eq!(row.fields[BUDGET], Some(FieldValue::Amount(Budget::Int(5))));
            assert_eq!(
                (row.created_at, row.updated_at, &row.fields[DEPARTMENT]),
                (Some(1_795_357_260_020), None, &None)
            );
            assert_eq!(row.extra["headcount"], json!(3));
        }
    }

    #[test]
    fn problems_have_the_line_of_their_row() {
        let text = "[{\"designation\": \"Cook\"},\n\n {\"budget\": \"twelve\", \"wage\": 1, \"id\": \"a/b\"},\n5]";
        let file = read(text.as_bytes()).unwrap();
        let lines: Vec<usize> = file.rows.iter().map(|(line, ..)| *line).collect();
        let counts: Vec<usize> = file.rows.iter().map(|(_, _, problems)| problems.len()).collect();
        assert_eq!((lines, counts), (vec![1, 3, 4], vec![0, 3, 1]));
    }

    #[test]
    fn settings_are_taken_exactly_or_refused() {
        let read = |document: &str| read(format!("{{\"positions\":[],\"document\":{document}}}").as_bytes());
        let file = read(r#"{"archived":true,"totalBudget":5,"url":"automerge:x","extra":{"views":{}}}"#).unwrap();
        assert!(file.content.archived && file.content.extra.contains_key("views"));
        assert!(read("null").is_ok());
        for document in [
            r#"{"totalBudget":5,"totalBudget":50}"#,
            r#"{"archived":"true"}"#,
            r#"{"totalbudget":5}"#,
            r#"{"extra":[]}"#,
        ] {
            assert!(read(document).is_err(), "{document}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["", "5", "{}", "[", "{\"positions\": 5}", "\u{feff}"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(matches!(read(b"[\xff]"), Err(FileError::NotUtf8(1))));
    }
}
