//! `/api/documents`: lists and creates documents.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use offload::run_cpu_bound;
use plan::position::{CURRENCY, NAME, TOTAL_BUDGET, UNIT, YEAR_START};
use plan::{Budget, Edit, Month, PlanPatch, read_view};
use primitives::DocumentId;
use runtime::hub::Requester;
use tokio::task::consume_budget;
use utoipa::ToSchema;

use super::body_fields::{BodyFields, required};
use super::document::etag;
use super::documents_query::{DocumentCursor, DocumentsQuery, DocumentsRequest};
use super::extract::{AuthorQuery, EditAuthor};
use super::paging::{next_link, with_link};
use super::scenarios;
use super::schemas::{AnyProblem, BodyProblem, BrokenDocument, Document, ListedDocument, WriteProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem, conditional, document_view, reserved_body};

/// Number of documents that one request opens concurrently.
const MAX_CONCURRENT_OPENS: usize = 8;
/// A longer list takes more than a millisecond to write.
const MANY: usize = 200;

/// List the documents.
///
/// The default document comes first. Scenarios are listed in their plan. A document that cannot be opened has an `error` instead of its
/// settings, and is in no filtered list. With `limit`, returns a page; follow the link `next` to the others.
#[utoipa::path(
    get,
    path = "/api/documents",
    operation_id = "listDocuments",
    tag = "documents",
    params(
        DocumentsQuery,
        ("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current"),
    ),
    responses(
        (
            status = 200, description = "The documents", body = Vec<ListedDocument>,
            headers(
                ("ETag" = String, description = "Identifies the content of the list"),
                ("Link" = String, description = "The next page, with `rel=\"next\"`; absent after the last"),
            ),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem,
    ),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    request: DocumentsRequest,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut ids = app.hub.list(&requester).await?;
    let key = |id: &DocumentId| (*id != app.default_id, id.clone());
    ids.sort_by_key(key);
    let mut scenarios: HashMap<DocumentId, Vec<DocumentId>> = HashMap::new();
    ids.retain(|id| match app.hub.scenario_of(id) {
        Some(plan) => {
            scenarios.entry(plan).or_default().push(id.clone());
            false
        }
        None => true,
    });
    if let Some(DocumentCursor(last)) = &request.page.cursor {
        let last = key(last);
        ids.retain(|id| key(id) > last);
    }
    let documents: Vec<(DocumentId, Vec<DocumentId>)> =
        ids.into_iter().map(|id| (id.clone(), scenarios.remove(&id).unwrap_or_default())).collect();
    // One more tells whether there is another page.
    let most = request.page.limit.map_or(usize::MAX, |limit| limit + 1);
    let mut listed: Vec<(DocumentId, ListedDocument)> = stream::iter(documents)
        .map(|(id, scenarios)| async { Some((id.clone(), list_one(&app, &requester, id, scenarios).await?)) })
        .buffered(MAX_CONCURRENT_OPENS)
        .filter_map(std::future::ready)
        .filter(|(_, listed)| std::future::ready(request.selects(listed.document())))
        .take(most)
        .collect()
        .await;
    let mut link = None;
    if let Some(limit) = request.page.limit.filter(|limit| listed.len() > *limit) {
        listed.truncate(limit);
        link = listed.last().map(|(id, _)| next_link(&request.uri, &DocumentCursor(id.clone()).to_string()));
    }
    let listed: Vec<ListedDocument> = listed.into_iter().map(|(_, listed)| listed).collect();
    let write = || {
        // Writing texts and numbers to a vector cannot fail.
        let mut body = serde_json::to_vec(&listed).unwrap_or_default();
        // The link is a part of what the tag identifies: a document behind the page changes only the link.
        let length = body.len();
        body.extend(link.as_deref().unwrap_or_default().bytes());
        let tag = conditional::etag_of_content(&body);
        body.truncate(length);
        (body, tag)
    };
    let (body, tag) = if listed.len() > MANY { run_cpu_bound(write) } else { write() };
    let response = || with_link(link.as_deref(), reserved_body::response(&app, "application/json", body));
    Ok(conditional::respond(&headers, &tag, response))
}

/// `None` if nothing was ever written to the document.
async fn list_one(
    app: &App,
    requester: &Requester,
    id: DocumentId,
    scenarios: Vec<DocumentId>,
) -> Option<ListedDocument> {
    // Open documents are ready at once: without this, thousands of them would hold a worker thread for tens of milliseconds.
    consume_budget().await;
    match app.hub.view(requester, &id).await {
        Ok(view) => {
            let view = view?;
            let view = read_view(&view);
            let document = Document::for_requester(requester, app, &id, &view);
            let scenarios = scenarios::of_plan(app, &view, &scenarios);
            Some(ListedDocument::Document(Box::new(Document { scenarios, ..document })))
        }
        Err(error) => Some(ListedDocument::Broken(BrokenDocument {
            id: id.to_string(),
            url: id.url(),
            default: id == app.default_id,
            error: error.to_string(),
        })),
    }
}

/// Settings of a new document.
#[derive(Debug, PartialEq, ToSchema)]
#[schema(rename_all = "camelCase")]
#[serde(deny_unknown_fields)]
pub struct NewDocument {
    /// Name of the plan. Up to 1,000 characters, not only white space.
    #[schema(min_length = 1, max_length = 1000, example = "Growth 2027")]
    name: String,
    /// ISO 4217 code.
    #[schema(value_type = String, required = false, pattern = "^[A-Z]{3}$", default = "INR", example = "EUR")]
    currency: String,
    /// Currency units in one unit of a budget; more than 0.
    #[schema(
        value_type = f64, required = false, exclusive_minimum = 0, maximum = 9_007_199_254_740_991_i64,
        default = 100_000, example = 1000
    )]
    unit: Budget,
    /// In units of the plan.
    #[schema(value_type = f64, required = false, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 2000)]
    total_budget: Option<Budget>,
    /// First month of the plan's year. Null, an empty text or absent: none.
    #[schema(value_type = Option<String>, required = false, example = "2027-04")]
    year_start: Option<Month>,
}

impl NewDocument {
    fn read(fields: BodyFields) -> Result<Self, Problem> {
        let mut fields = fields.only(&[NAME, CURRENCY, UNIT, TOTAL_BUDGET, YEAR_START])?;
        Ok(Self {
            name: required(fields.text(NAME)?, NAME)?,
            currency: fields.text(CURRENCY)?.unwrap_or_else(|| "INR".to_owned()),
            unit: fields.number(UNIT)?.unwrap_or(Budget::Int(100_000)),
            total_budget: fields.number(TOTAL_BUDGET)?,
            year_start: fields.nullable_month(YEAR_START)?.flatten(),
        })
    }
}

/// Create a document.
#[utoipa::path(
    post,
    path = "/api/documents",
    operation_id = "createDocument",
    tag = "documents",
    params(AuthorQuery),
    request_body = NewDocument,
    responses(
        (
            status = 201, description = "The document is stored", body = Document,
            headers(
                ("Location" = String, description = "The document's path"),
                ("ETag" = String, description = "Identifies the document's heads and your right to it"),
            ),
        ),
        AnyProblem, WriteProblem, BodyProblem,
    ),
)]
pub async fn create(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    EditAuthor(author): EditAuthor,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let NewDocument { name, currency, unit, total_budget, year_start } = NewDocument::read(fields)?;
    let id = DocumentId::from_random(rand::random());
    let plan = PlanPatch {
        name: Some(name),
        currency: Some(currency),
        unit: Some(unit),
        total_budget,
        year_start: year_start.map(Some),
        ..PlanPatch::default()
    };
    let edit = Edit::Create { id: id.clone(), plan, positions: Vec::new() };
    let view = document_view::edit(&app, &requester, &id, edit, author).await?;
    let view = read_view(&view);
    let location = format!("/api/documents/{id}");
    let document = Document::for_requester(&requester, &app, &id, &view).with_sums(&view);
    let tag = etag(&requester, &document, &view);
    Ok(conditional::with_etag(
        &tag,
        (StatusCode::CREATED, [(header::LOCATION, location)], Json(document)).into_response(),
    ))
}
