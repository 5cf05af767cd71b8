//! `PUT /data/update/<id>/` and `DELETE /data/delete/<id>/`.
//!
//! The original merged every key of the body into the row, the id included, and never managed to delete. Here the four
//! fields that people edit are taken, and everything else is ignored.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use super::add::{budget, text};
use super::{answer, author};
use crate::document::position::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use crate::document::{Edit, PositionPatch};
use crate::hub::Caller;
use crate::server::authentication::LegacyAsker;
use crate::server::{App, write};

/// The id of a path; what is no text names nothing.
type Id = Result<Path<String>, PathRejection>;

/// Changes fields of one position.
pub async fn update(State(app): State<Arc<App>>, LegacyAsker(caller): LegacyAsker, id: Id, body: Body) -> Response {
    let patch = match answer::read_object_of(&app, &caller, body).await {
        Ok(object) => read(&object),
        Err(response) => return response,
    };
    match patch {
        Ok(patch) => make(&app, &caller, id, |id| Edit::Patch { id, patch }, "Data updated successfully").await,
        Err(reason) => answer::error(StatusCode::BAD_REQUEST, &reason),
    }
}

/// Deletes one position.
pub async fn delete(State(app): State<Arc<App>>, LegacyAsker(caller): LegacyAsker, id: Id) -> Response {
    make(&app, &caller, id, |id| Edit::Delete { id }, "Data deleted successfully").await
}

async fn make(app: &App, caller: &Caller, id: Id, edit: impl FnOnce(String) -> Edit, done: &str) -> Response {
    let Ok(Path(id)) = id else { return answer::error(StatusCode::NOT_FOUND, "Entry not found") };
    match write::write(app, caller, &app.default_id, edit(id), author(caller)).await {
        Ok(_) => answer::message(StatusCode::OK, done),
        Err(error) => answer::failure(error),
    }
}

fn read(object: &Map<String, Value>) -> Result<PositionPatch, String> {
    for field in [DESIGNATION, DEPARTMENT, BUDGET, LOCATION] {
        if object.get(field).is_some_and(Value::is_null) {
            return Err(format!("{field}: must not be null"));
        }
    }
    Ok(PositionPatch {
        designation: text(object, DESIGNATION)?,
        department: text(object, DEPARTMENT)?,
        budget: budget(object)?.into(),
        location: text(object, LOCATION)?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_four_fields_are_taken_and_nothing_else() {
        let body = json!({ "id": "x", "color": "red", "lastUpdated": 5, "location": "", "budget": "12.5" });
        let patch = read(body.as_object().unwrap()).unwrap();
        let budget = crate::document::BudgetPatch::Set(crate::format::Budget::Float(12.5));
        assert_eq!(patch, PositionPatch { location: Some(String::new()), budget, ..PositionPatch::default() });
    }

    #[test]
    fn null_is_no_value() {
        for field in ["designation", "department", "budget", "location"] {
            let body = json!({ field: null });
            assert_eq!(read(body.as_object().unwrap()), Err(format!("{field}: must not be null")));
        }
    }
}
