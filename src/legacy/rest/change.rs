//! `PUT /data/update/<id>/` and `DELETE /data/delete/<id>/`.
//!
//! The legacy backend merged every key of the body into the row, including the id, and failed to delete. Here the four editable
//! fields are updated, and all other keys are ignored.

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
use super::authentication::LegacyCaller;
use super::{author, response};
use crate::legacy::renderings::entry_row;
use crate::server::{App, document_view};

/// The id in the path. An id that is not UTF-8 names no position.
type Id = Result<Path<String>, PathRejection>;

/// Changes the fields of a position.
pub async fn update(
    State(app): State<Arc<App>>,
    LegacyCaller(caller): LegacyCaller,
    id: Id,
    request: Request,
) -> Response {
    let object = match response::read_object_of(&app, &caller, request).await {
        Ok(object) => object,
        Err(response) => return response,
    };
    let view = match document_view::open(&app, &caller, &app.default_id).await {
        Ok(view) => view,
        Err(problem) => return response::problem(&problem),
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
        Err(reason) => response::error(StatusCode::BAD_REQUEST, &reason),
    }
}

/// Deletes a position.
pub async fn delete(State(app): State<Arc<App>>, LegacyCaller(caller): LegacyCaller, id: Id) -> Response {
    make(&app, &caller, id, |id| Edit::Delete { id }, "Data deleted successfully").await
}

async fn make(app: &App, caller: &Requester, id: Id, edit: impl FnOnce(String) -> Edit, done: &str) -> Response {
    let Ok(Path(id)) = id else { return response::error(StatusCode::NOT_FOUND, "Entry not found") };
    match document_view::edit(app, caller, &app.default_id, edit(id), author(caller)).await {
        Ok(_) => response::message(StatusCode::OK, done),
        Err(error) => response::failure(error),
    }
}

/// Removes values that the client only sends back as it received them: updating a whole row must not replace its department by
/// `Other`.
fn without_unchanged(mut patch: PositionPatch, position: &Position) -> PositionPatch {
    let shown = entry_row(position);
    for (field, shown) in [(DEPARTMENT, shown.department), (LOCATION, shown.location.unwrap_or_default())] {
        let sent = patch.fields[field].as_ref().and_then(FieldValue::as_text);
        if sent.is_some_and(|sent| is_only_shown(sent, shown, position.fields[field].as_ref())) {
            patch.fields[field] = None;
        }
    }
    // An unknown budget is sent as 0, so 0 does not change it.
    if shown.budget.is_none() && patch.fields[BUDGET] == Some(Budget::Int(0).into()) {
        patch.fields[BUDGET] = None;
    }
    patch
}

/// Whether a sent text equals the form in which the client received `stored`, but not `stored` itself.
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
    fn only_the_four_fields_are_updated() {
        let body = json!({ "id": "x", "color": "red", "lastUpdated": 5, "location": "", "budget": "12.5" });
        let patch = read(body.as_object().unwrap(), &Plan::default().scale()).unwrap();
        assert_eq!(patch, PositionPatch::set(LOCATION, "").with(BUDGET, Budget::Float(12.5)));
    }

    #[test]
    fn null_is_rejected() {
        for field in ["designation", "department", "budget", "location"] {
            let body = json!({ field: null });
            assert_eq!(
                read(body.as_object().unwrap(), &Plan::default().scale()),
                Err(format!("{field}: must not be null"))
            );
        }
    }

    #[test]
    fn field_sent_back_as_received_is_unchanged() {
        for (stored, shown, sent, written) in [
            (Some(json!("Finance")), "Other", "Other", None),
            (None, "Other", "Other", None),
            (Some(json!(" engineering ")), "Engineering", "Engineering", None),
            (Some(json!(7)), "", "", None),
            (Some(json!("Finance")), "Other", "HR", Some("HR")),
            (Some(json!("Finance")), "Other", "Finance", Some("Finance")),
            (Some(json!("HR")), "HR", "Other", Some("Other")),
            // Writing the stored value may resolve a conflict.
            (Some(json!("Other")), "Other", "Other", Some("Other")),
        ] {
            let left = (!is_only_shown(sent, shown, stored.as_ref())).then_some(sent);
            assert_eq!(left, written, "{stored:?}");
        }
    }
}
