//! `/api/documents/{documentId}/positions`: all positions, and new ones.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plan::position::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use plan::{Budget, Edit, Form, NewPosition, View, read_view};
use primitives::DocumentId;
use utoipa::ToSchema;

use super::document::if_unchanged;
use super::fields::{Fields, required};
use super::past::{self, At, AtQuery};
use super::position;
use super::shapes::{
    AnyProblem, BodyProblem, ConditionProblem, DocumentProblem, Position, PositionList, WriteProblem, heads,
};
use super::target::{AuthorQuery, DocumentPath, Target, Writer, percent_encoded};
use crate::server::authentication::Asker;
use crate::server::{App, Problem, conditional, large, new_position_id, write};

/// List the positions.
///
/// Poll with `If-None-Match`: as long as nothing changes the answer is 304, and costs next to nothing. Or read them as they
/// were at any moment that the history tells of.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/positions",
    operation_id = "listPositions",
    tag = "positions",
    params(
        DocumentPath,
        AtQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of what you have; 304 if it still holds"),
    ),
    responses(
        (
            status = 200, description = "All positions, the newest first", body = PositionList,
            headers(("ETag" = String, description = "Stands for the document's heads")),
        ),
        (status = 304, description = "You have it already"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Asker(caller): Asker,
    Target(id): Target,
    At(at): At,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(heads) = at {
        return past::list(&app, &caller, &id, heads, &headers).await;
    }
    let view = write::open(&app, &caller, &id).await?;
    let view = read_view(&view);
    let tag = conditional::tag_of_heads(view.heads());
    Ok(conditional::answer(&headers, &tag, || large::answer(&app, "application/json", assemble(&id, &view))))
}

/// From rows that are rendered already.
fn assemble(id: &DocumentId, view: &View) -> Vec<u8> {
    // Ids and hashes are letters and digits.
    let heads = heads(view).join("\",\"");
    let mut out = format!("{{\"documentId\":\"{id}\",\"heads\":[\"{heads}\"],\"positions\":[").into_bytes();
    view.join(Form::Json, b",", &mut out);
    out.extend_from_slice(b"]}");
    out
}

/// A position to be made.
#[derive(Debug, ToSchema)]
#[schema(as = NewPosition)]
#[serde(deny_unknown_fields)]
pub struct PositionBody {
    /// Up to 200 characters, and not that of another position: bring your own to be able to send a request again
    /// without making two. Made here when absent.
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200, example = "0be30cc0d3f126")]
    id: String,
    /// What the person does; up to 1,000 characters, not only white space.
    #[schema(min_length = 1, max_length = 1000, example = "UI developer")]
    designation: String,
    /// Up to 1,000 characters.
    #[schema(value_type = String, required = false, max_length = 1000, default = "", example = "Engineering")]
    department: String,
    /// A number, in units of the plan; null or absent: unknown.
    #[schema(value_type = Option<f64>, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 11.5)]
    budget: Option<Budget>,
    /// Up to 1,000 characters.
    #[schema(value_type = String, required = false, max_length = 1000, default = "", example = "Ahmedabad")]
    location: String,
}

impl PositionBody {
    fn read(fields: Fields) -> Result<Self, Problem> {
        let mut fields = fields.only(&["id", DESIGNATION, DEPARTMENT, BUDGET, LOCATION])?;
        Ok(Self {
            id: fields.text("id")?.unwrap_or_else(new_position_id),
            designation: required(fields.text(DESIGNATION)?, DESIGNATION)?,
            department: fields.text(DEPARTMENT)?.unwrap_or_default(),
            budget: fields.nullable_number(BUDGET)?.flatten(),
            location: fields.text(LOCATION)?.unwrap_or_default(),
        })
    }
}

/// Make a position.
#[utoipa::path(
    post,
    path = "/api/documents/{documentId}/positions",
    operation_id = "createPosition",
    tag = "positions",
    params(
        DocumentPath,
        AuthorQuery,
        (
            "If-Match" = Option<String>, Header,
            description = "The ETag of the list that you have read: 412 if anything has changed since",
        ),
    ),
    request_body = PositionBody,
    responses(
        (
            status = 201, description = "It is stored", body = Position,
            headers(
                ("Location" = String, description = "The position's path"),
                ("ETag" = String, description = "Stands for the position"),
            ),
        ),
        (
            status = 409, description = "There is a position with this id already", body = Problem,
            content_type = "application/problem+json",
        ),
        AnyProblem, DocumentProblem, WriteProblem, BodyProblem, ConditionProblem,
    ),
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Asker(caller): Asker,
    Target(id): Target,
    Writer(author): Writer,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, Problem> {
    let PositionBody { id: row, designation, department, budget, location } = PositionBody::read(fields)?;
    let view = write::open(&app, &caller, &id).await?;
    let path = format!("/api/documents/{id}/positions/{}", percent_encoded(&row));
    let edit = Edit::Add(NewPosition {
        id: row.clone(),
        designation,
        department,
        budget,
        location,
        created_at: None,
        updated: None,
    });
    let edit = if_unchanged(&headers, &read_view(&view), edit)?;
    let view = write::write(&app, &caller, &id, edit, author).await?;
    let made = position::shown(&read_view(&view), &row)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, path)], made).into_response())
}
