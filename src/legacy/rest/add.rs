//! `POST /data/add/`: adds a position.
//!
//! The legacy backend stored any JSON unchanged, without an id. Here a row needs a designation and a budget; a missing id and a
//! missing `lastUpdated` are generated, and unknown keys are ignored.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use plan::fields::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use plan::{Budget, Edit, LastEdit, NewPosition, Scale, amount_of_json, read_view};
use primitives::{InvalidAuthorName, check_author_name};
use serde_json::{Map, Value};

use super::authentication::LegacyRequester;
use super::{author, response};
use crate::legacy::parse_date;
use crate::server::{App, document_view, new_position_id};

/// Adds a position at the top of the list.
pub async fn add(
    State(app): State<Arc<App>>,
    LegacyRequester(requester): LegacyRequester,
    request: Request,
) -> Response {
    let object = match response::read_object_of(&app, &requester, request).await {
        Ok(object) => object,
        Err(response) => return response,
    };
    let plan = match document_view::open(&app, &requester, &app.default_id).await {
        Ok(view) => read_view(&view).plan().clone(),
        Err(problem) => return response::problem(&problem),
    };
    let position = match read(&object, &plan.scale()) {
        Ok(position) => position,
        Err(reason) => return response::error(StatusCode::BAD_REQUEST, &reason),
    };
    match document_view::edit(&app, &requester, &app.default_id, Edit::Add(position), author(&requester)).await {
        Ok(_) => response::message(StatusCode::CREATED, "Data added successfully"),
        Err(error) => response::failure(error),
    }
}

fn read(object: &Map<String, Value>, scale: &Scale<'_>) -> Result<NewPosition, String> {
    let id = text(object, "id")?.unwrap_or_else(new_position_id);
    let designation = text(object, DESIGNATION.key())?.ok_or_else(|| format!("{DESIGNATION}: is missing"))?;
    let budget = budget(object, scale)?.ok_or_else(|| format!("{BUDGET}: is missing"))?;
    let mut position = NewPosition::new(id, designation)
        .with(DEPARTMENT, text(object, DEPARTMENT.key())?.unwrap_or_default())
        .with(BUDGET, budget)
        .with(LOCATION, text(object, LOCATION.key())?.unwrap_or_default());
    position.updated = object.get("lastUpdated").map_or(Ok(None), last_updated)?;
    Ok(position)
}

/// The text of a field; `None` if it is missing or null.
pub(super) fn text(object: &Map<String, Value>, field: &str) -> Result<Option<String>, String> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{field}: must be text")),
    }
}

/// The budget, which is a number, or text such as `5 lakh`; `None` if it is missing.
pub(super) fn budget(object: &Map<String, Value>, scale: &Scale<'_>) -> Result<Option<Budget>, String> {
    object.get(BUDGET.key()).map(|value| amount_of_json(value, scale).map_err(|error| error.to_string())).transpose()
}

/// Parses `[author, date]`. `None` for other values: then the author and the time of the request are recorded.
///
/// # Errors
/// If the author's name is invalid.
fn last_updated(value: &Value) -> Result<Option<LastEdit>, String> {
    let Some([Value::String(author), Value::String(date)]) = value.as_array().map(Vec::as_slice) else {
        return Ok(None);
    };
    let Some(at) = parse_date(date) else { return Ok(None) };
    match check_author_name(author) {
        Ok(name) => Ok(Some(LastEdit::new(name.to_owned(), at))),
        Err(InvalidAuthorName::Empty) => Ok(None),
        Err(reason) => Err(format!("lastUpdated: the name {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use plan::Plan;
    use serde_json::json;

    use super::*;

    fn read_json(value: &Value) -> Result<NewPosition, String> {
        read(value.as_object().unwrap(), &Plan::default().scale())
    }

    #[test]
    fn row_in_the_format_of_the_list_is_accepted() {
        let position = read_json(&json!({
            "id": "6e43578d", "designation": "Programmer Analyst", "department": "Other", "budget": "₹1,00,000",
            "location": "Ahmedabad", "lastUpdated": ["Amit Gupta", "Jun 4, 2022 11:33 am"], "color": "red",
        }))
        .unwrap();
        assert_eq!((position.id.as_str(), &position.fields[BUDGET]), ("6e43578d", &Budget::Int(100_000).into()));
        assert_eq!(position.updated, Some(LastEdit::new("Amit Gupta".to_owned(), 1_654_342_380_000)));
    }

    #[test]
    fn missing_id_and_date_are_generated() {
        for last_updated in [json!(null), json!("today"), json!(["a"]), json!(["a", "today"]), json!([" ", 5])] {
            let row = json!({ "id": null, "designation": "UI", "budget": 0, "lastUpdated": last_updated });
            let position = read_json(&row).unwrap();
            assert_eq!((position.id.len(), position.updated, &position.fields[LOCATION]), (14, None, &"".into()));
        }
    }

    #[test]
    fn invalid_rows_are_rejected_with_a_reason() {
        for (row, reason) in [
            (json!({}), "designation: is missing"),
            (json!({ "designation": null }), "designation: is missing"),
            (json!({ "designation": 5, "budget": 1 }), "designation: must be text"),
            (json!({ "designation": "UI" }), "budget: is missing"),
            (json!({ "designation": "UI", "budget": "lots" }), "the budget \"lots\" is not a number"),
            (json!({ "designation": "UI", "budget": -1 }), "the budget cannot be negative"),
            (json!({ "designation": "UI", "budget": 1, "id": 7 }), "id: must be text"),
            (json!({ "designation": "UI", "budget": 1, "location": [] }), "location: must be text"),
            (
                json!({ "designation": "UI", "budget": 1, "lastUpdated": ["a\nb", "Jun 4, 2022 11:33 am"] }),
                "lastUpdated: the name must not hold control characters",
            ),
            (
                json!({ "designation": "UI", "budget": 1, "lastUpdated": ["x".repeat(201), "Jun 4, 2022 11:33 am"] }),
                "lastUpdated: the name must not be longer than 200 characters",
            ),
        ] {
            assert_eq!(read_json(&row), Err(reason.to_owned()), "{row}");
        }
    }
}
