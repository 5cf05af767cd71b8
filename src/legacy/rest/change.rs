//! `PUT /data/update/<id>/` and `DELETE /data/delete/<id>/`.
//!
//! The original merged every key of the body into the row, the id included, and never managed to delete. Here the four
//! fields that people edit are taken, and everything else is ignored.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use plan::fields::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use plan::{Budget, Edit, FieldValue, Position, PositionPatch, Scale, read_view};
use runtime::hub::Requester;
use serde_json::{Map, Value};

use super::add::{budget, text};
use super::caller::LegacyAsker;
use super::{answer, author};
use crate::legacy::renderings::entry_row;
use crate::server::{App, write};

/// The id of a path; what is no text names nothing.
type Id = Result<Path<String>, PathRejection>;

/// Changes fields of one position.
pub async fn update(
    State(app): State<Arc<App>>,
    LegacyAsker(caller): LegacyAsker,
    id: Id,
    request: Request,
) -> Response {
    let object = match answer::read_object_of(&app, &caller, request).await {
        Ok(object) => object,
        Err(response) => return response,
    };
    let view = match write::open(&app, &caller, &app.default_id).await {
        Ok(view) => view,
        Err(problem) => return answer::problem(&problem),
    };
    let (plan, row) = {
        let view = read_view(&view);
        (view.plan().clone(), id.as_ref().ok().and_then(|Path(id)| view.get(id).cloned()))
    };
    match read(&object, &plan.scale()).map(|patch| match row {
        Some(row) => without_unchanged(patch, &row.position),
        None => patch,
    }) {
        Ok(patch) => make(&app, &caller, id, |id| Edit::Patch { id, patch }, "Data updated successfully").await,
        Err(reason) => answer::error(StatusCode::BAD_REQUEST, &reason),
    }
}

/// Deletes one position.
pub async fn delete(State(app): State<Arc<App>>, LegacyAsker(caller): LegacyAsker, id: Id) -> Response {
    make(&app, &caller, id, |id| Edit::Delete { id }, "Data deleted successfully").await
}

async fn make(app: &App, caller: &Requester, id: Id, edit: impl FnOnce(String) -> Edit, done: &str) -> Response {
    let Ok(Path(id)) = id else { return answer::error(StatusCode::NOT_FOUND, "Entry not found") };
    match write::write(app, caller, &app.default_id, edit(id), author(caller)).await {
        Ok(_) => answer::message(StatusCode::OK, done),
        Err(error) => answer::failure(error),
    }
}

/// Leaves out texts that are sent back as the legacy surface shows them: a client that sends a whole row back does not
/// replace its department by `Other`.
fn without_unchanged(mut patch: PositionPatch, position: &Position) -> PositionPatch {
    let shown = entry_row(position);
    for (field, shown) in [(DEPARTMENT, shown.department), (LOCATION, shown.location.unwrap_or_default())] {
        let sent = patch.fields[field].as_ref().and_then(FieldValue::as_text);
        if sent.is_some_and(|sent| is_only_shown(sent, shown, position.fields[field].as_ref())) {
            patch.fields[field] = None;
        }
    }
    // An unknown budget is shown as 0: a row that is sent back whole does not make it 0.
    if shown.budget.is_none() && patch.fields[BUDGET] == Some(Budget::Int(0).into()) {
        patch.fields[BUDGET] = None;
    }
    patch
}

/// Whether a text that was sent is only how `stored` is shown, and not what it is.
fn is_only_shown(sent: &str, shown: &str, stored: Option<&Value>) -> bool {
    sent == shown && stored.is_none_or(|stored| stored != sent)
}

fn read(object: &Map<String, Value>, scale: &Scale<'_>) -> Result<PositionPatch, String> {
    for field in [DESIGNATION, DEPARTMENT, BUDGET, LOCATION] {
        if object.get(field.key()).is_some_and(Value::is_null) {
            return Err(format!("{field}: must not be null"));
        }
    }
    let mut patch = PositionPatch::default();
    patch.fields[DESIGNATION] = text(object, DESIGNATION.key())?.map(FieldValue::Text);
    patch.fields[DEPARTMENT] = text(object, DEPARTMENT.key())?.map(FieldValue::Text);
    patch.fields[BUDGET] = budget(object, scale)?.map(FieldValue::from);
    patch.fields[LOCATION] = text(object, LOCATION.key())?.map(FieldValue::Text);
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use plan::Plan;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_four_fields_are_taken_and_nothing_else() {
        let body = json!({ "id": "x", "color": "red", "lastUpdated": 5, "location": "", "budget": "12.5" });
        let patch = read(body.as_object().unwrap(), &Plan::default().scale()).unwrap();
        assert_eq!(patch, PositionPatch::set(LOCATION, "").with(BUDGET, Budget::Float(12.5)));
    }

    #[test]
    fn null_is_no_value() {
        for field in ["designation", "department", "budget", "location"] {
            let body = json!({ field: null });
            assert_eq!(
                read(body.as_object().unwrap(), &Plan::default().scale()),
                Err(format!("{field}: must not be null"))
            );
        }
    }

    #[test]
    fn a_field_sent_back_as_shown_is_left_alone() {
        for (stored, shown, sent, written) in [
            (Some(json!("Finance")), "Other", "Other", None),
            (None, "Other", "Other", None),
            (Some(json!(" engineering ")), "Engineering", "Engineering", None),
            (Some(json!(7)), "", "", None),
            (Some(json!("Finance")), "Other", "HR", Some("HR")),
            (Some(json!("Finance")), "Other", "Finance", Some("Finance")),
            (Some(json!("HR")), "HR", "Other", Some("Other")),
            // Writing what stands there may settle a conflict.
            (Some(json!("Other")), "Other", "Other", Some("Other")),
        ] {
            let left = (!is_only_shown(sent, shown, stored.as_ref())).then_some(sent);
            assert_eq!(left, written, "{stored:?}");
        }
    }
}
