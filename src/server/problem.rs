//! Maps errors to HTTP responses: problem details (RFC 9457).

use std::fmt;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plan::EditError;
use plan::history::PageError;
use primitives::{DocumentId, InvalidDocumentId};
use runtime::hub::{Denied, EditFailure, ReadFailure, Unavailable};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

use super::security::origin::ForbiddenOrigin;
use super::transport::connection_limits::TooManyConnections;

/// `Retry-After` in seconds when a connection limit is reached.
const RETRY_CONNECT: u64 = 5;

/// `Retry-After` in seconds when too many documents are being created.
const RETRY_CREATE: u64 = 60;

/// `Retry-After` in seconds when too many requests read the past of documents.
const RETRY_READ: u64 = 3;

/// An error response: problem details (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Stable identifier of the kind of problem, for programs.
    #[serde(rename = "type")]
    #[schema(example = "invalid")]
    pub kind: &'static str,
    /// The kind of problem in words, for people.
    #[schema(example = "Invalid value")]
    pub title: &'static str,
    /// The HTTP status code.
    #[schema(example = 422)]
    pub status: u16,
    /// The cause in this case, and what to do.
    #[schema(example = "budget: must not be negative")]
    pub detail: String,
    /// The invalid field or parameter, as named in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "budget")]
    pub field: Option<String>,
    /// The rows of an imported file that are invalid, the first 1,000 of them.
    #[serde(rename = "invalidRows", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<InvalidRow>, required = false)]
    pub invalid_rows: Option<Box<[InvalidRow]>>,
    /// Seconds to wait before a retry, sent as `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

/// A row of a file that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvalidRow {
    /// The line of the file on which the row begins, from 1.
    #[schema(example = 3)]
    pub line: usize,
    /// The number of the row, from 1.
    #[schema(example = 2)]
    pub row: usize,
    /// All problems of the row, at least one.
    #[schema(example = json!(["budget: must be a number"]))]
    pub problems: Vec<String>,
}

impl fmt::Display for InvalidRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} (row {}): {}", self.line, self.row, self.problems.join("; "))
    }
}

impl Problem {
    /// Creates a problem without a field and without `Retry-After`.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            invalid_rows: None,
            retry_after: None,
        }
    }

    /// 400: the request is malformed.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "Malformed request", detail)
    }

    /// 400: the path is malformed.
    #[must_use]
    pub fn bad_path(rejection: PathRejection) -> Self {
        Self::bad_request(format!("the path is malformed: {}", rejection.body_text()))
    }

    /// 400: the query string is malformed.
    #[must_use]
    pub fn bad_query(rejection: QueryRejection) -> Self {
        Self::bad_request(format!("the query is malformed: {}", rejection.body_text()))
    }

    /// 400: a parameter of the path or the query is invalid.
    #[must_use]
    pub fn bad_parameter(name: &str, detail: impl fmt::Display) -> Self {
        Self { field: Some(name.to_owned()), ..Self::bad_request(format!("{name}: {detail}")) }
    }

    /// 412: `If-Match` does not match.
    #[must_use]
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "changed", "Precondition failed", detail)
    }

    /// 404: the resource does not exist.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 404: the document does not exist, or the requester must not see it. The response does not say which.
    #[must_use]
    pub fn no_document(id: &DocumentId) -> Self {
        Self::not_found(format!("there is no document {id}; GET /api/documents lists the documents"))
    }

    /// 422: the value of a field is invalid.
    #[must_use]
    pub fn invalid(field: &str, detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { field: Some(field.to_owned()), ..Self::new(status, "invalid", "Invalid value", detail) }
    }

    /// 415: the type or the encoding of the body is unsupported.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported-media-type", "Unsupported media type", detail)
    }

    /// Adds a `Retry-After` header.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Names the item of a list that the problem is about: `add[2].budget`.
    #[must_use]
    pub fn within(self, item: &str) -> Self {
        let field = self.field.map_or_else(|| item.to_owned(), |field| format!("{item}.{field}"));
        Self { field: Some(field), detail: format!("{item}: {}", self.detail), ..self }
    }

    fn storage(full: bool, detail: &str) -> Self {
        let status = if full { StatusCode::INSUFFICIENT_STORAGE } else { StatusCode::SERVICE_UNAVAILABLE };
        Self::new(status, "storage", "The change could not be stored", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<InvalidDocumentId> for Problem {
    fn from(error: InvalidDocumentId) -> Self {
        Self { field: Some("documentId".to_owned()), ..Self::bad_request(error.to_string()) }
    }
}

impl From<ForbiddenOrigin> for Problem {
    fn from(error: ForbiddenOrigin) -> Self {
        let detail = error.to_string();
        match error {
            ForbiddenOrigin::Origin(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", "Origin not allowed", detail),
            ForbiddenOrigin::Host { .. } => {
                Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "Unknown host name", detail)
            }
        }
    }
}

impl From<TooManyConnections> for Problem {
    fn from(limit: TooManyConnections) -> Self {
        let (status, kind) = match limit {
            TooManyConnections::Total => (StatusCode::SERVICE_UNAVAILABLE, "full"),
            TooManyConnections::Address | TooManyConnections::User => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-connections")
            }
        };
        Self::new(status, kind, "Too many connections", limit.to_string()).retry_after(RETRY_CONNECT)
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        if let EditError::InBatch { item, error } = error {
            return Self::from(*error).within(&item);
        }
        match &error {
            // Handled above.
            EditError::InBatch { .. } => Self::bad_request(error.to_string()),
            EditError::NotFound(_) => Self::not_found(error.to_string()),
            EditError::Exists(_) => Self::new(StatusCode::CONFLICT, "exists", "Already exists", error.to_string()),
            EditError::NotAMap(_) => {
                let title = "The position cannot be changed";
                Self::new(StatusCode::CONFLICT, "not-a-map", title, error.to_string())
            }
            EditError::Changed => Self::precondition_failed(error.to_string()),
            EditError::Invalid { field, .. } => Self::invalid(field, error.to_string()),
            EditError::Automerge(_) => {
                let detail = "the edit failed; the server's log has the reason";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
            }
        }
    }
}

impl From<EditFailure> for Problem {
    fn from(error: EditFailure) -> Self {
        match error {
            EditFailure::Edit(error) => error.into(),
            EditFailure::Full(full) => {
                let status = StatusCode::INSUFFICIENT_STORAGE;
                Self::new(status, "document-full", "The document is full", full.to_string())
            }
            EditFailure::Storage { full, message } => Self::storage(full, message),
            EditFailure::Merge(_) => {
                let title = "The documents cannot be merged";
                Self::new(StatusCode::CONFLICT, "not-mergeable", title, error.to_string())
            }
            EditFailure::Denied(denied) => denied.into(),
            EditFailure::Unavailable(error) => error.into(),
            EditFailure::Panicked | EditFailure::Unknown => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", error.to_string())
            }
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Missing(id) => Self::no_document(&id),
            Denied::Default => {
                Self::new(StatusCode::CONFLICT, "default-document", "Default document", denied.to_string())
            }
            Denied::Scenario(_) => Self::new(StatusCode::CONFLICT, "scenario", "Scenario", denied.to_string()),
            Denied::LastOwner => Self::new(StatusCode::CONFLICT, "last-owner", "Last owner", denied.to_string()),
            Denied::TooManyUsers => Self::invalid("user", denied.to_string()),
            Denied::ReadOnly | Denied::Create | Denied::NotOwner => {
                Self::new(StatusCode::FORBIDDEN, "denied", "Permission denied", denied.to_string())
            }
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        if let Unavailable::Denied(denied) = error {
            return denied.into();
        }
        if matches!(error, Unavailable::TooManyNew) {
            let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "Too many new documents");
            return Self::new(status, "too-many-new-documents", title, error.to_string()).retry_after(RETRY_CREATE);
        }
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "unavailable", "The document is temporarily unavailable", error.to_string())
    }
}

impl From<ReadFailure> for Problem {
    fn from(failure: ReadFailure) -> Self {
        match failure {
            ReadFailure::Unavailable(error) => error.into(),
            ReadFailure::PageError(PageError::UnknownPosition(_) | PageError::UnknownField(_))
            | ReadFailure::UnknownHeads => Self::not_found(failure.to_string()),
            ReadFailure::PageError(PageError::Failed) | ReadFailure::Follow(_) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Self::new(status, "internal", "Internal error", failure.to_string())
            }
            ReadFailure::Busy => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, "busy", "Too many concurrent requests", failure.to_string()).retry_after(RETRY_READ)
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::storage(matches!(error, StoreError::Full { .. }), error.public_message())
    }
}
