//! The one place where an error becomes an HTTP answer: problem details (RFC 9457).

use std::fmt;

use axum::Json;
use axum::extract::rejection::QueryRejection;
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

/// Seconds after which there may be room for a connection.
const FULL_FOR: u64 = 5;

/// Seconds after which a document may be made again.
const NEW_AFTER: u64 = 60;

/// Seconds after which there may be a turn to read a document as it was.
const BUSY_FOR: u64 = 3;

/// What went wrong, for programs and for people.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A short name of the kind of problem; stable.
    #[serde(rename = "type")]
    #[schema(example = "invalid")]
    pub kind: &'static str,
    /// The kind of problem in words.
    #[schema(example = "A value is not acceptable")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened this time, and what to do.
    #[schema(example = "budget: must not be negative")]
    pub detail: String,
    /// The field that is not acceptable, as the JSON names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "budget")]
    pub field: Option<String>,
    /// After how many seconds it makes sense to try again: the `Retry-After` header.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, title, status: status.as_u16(), detail: detail.into(), field: None, retry_after: None }
    }

    /// A request that cannot be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be understood", detail)
    }

    /// A query that cannot be read.
    #[must_use]
    pub fn bad_query(rejection: QueryRejection) -> Self {
        Self::bad_request(format!("the query cannot be read: {}", rejection.body_text()))
    }

    /// A parameter of the query that is not acceptable.
    #[must_use]
    pub fn bad_parameter(name: &str, detail: impl fmt::Display) -> Self {
        Self { field: Some(name.to_owned()), ..Self::bad_request(format!("{name}: {detail}")) }
    }

    /// A condition of the request's headers that does not hold.
    #[must_use]
    pub fn changed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "changed", "It is not as it was", detail)
    }

    /// Something that is not there.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// A document that is not there, or not for whoever asks: they are not to know which.
    #[must_use]
    pub fn no_document(id: &DocumentId) -> Self {
        Self::not_found(format!("there is no document {id} here; GET /api/documents lists those that there are"))
    }

    /// A value that is not acceptable.
    #[must_use]
    pub fn invalid(field: &str, detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { field: Some(field.to_owned()), ..Self::new(status, "invalid", "A value is not acceptable", detail) }
    }

    /// A body of a type, or in an encoding, that is not accepted.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported-media-type", "The body is of the wrong type", detail)
    }

    /// The same, with a moment after which it makes sense to try again.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
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
            ForbiddenOrigin::Origin(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", "You may not ask this", detail),
            ForbiddenOrigin::Host { .. } => {
                Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "The host name is not this server's", detail)
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
        Self::new(status, kind, "There is no room for another connection", limit.to_string()).retry_after(FULL_FOR)
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        match &error {
            EditError::NotFound(_) => Self::not_found(error.to_string()),
            EditError::Exists(_) => {
                Self::new(StatusCode::CONFLICT, "exists", "There is one already", error.to_string())
            }
            EditError::NotAMap(_) => {
                let title = "This position cannot be changed";
                Self::new(StatusCode::CONFLICT, "not-a-map", title, error.to_string())
            }
            EditError::Changed => Self::changed(error.to_string()),
            EditError::Invalid { field, .. } => Self::invalid(field, error.to_string()),
            EditError::Automerge(_) => {
                let detail = "the document could not be edited; the reason is in the server's log";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed here", detail)
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
                Self::new(status, "document-full", "The document is as large as it may be", full.to_string())
            }
            EditFailure::Storage { full, message } => Self::storage(full, message),
            EditFailure::Denied(denied) => denied.into(),
            EditFailure::Unavailable(error) => error.into(),
            EditFailure::Panicked | EditFailure::Unknown => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed here", error.to_string())
            }
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Missing(id) => Self::no_document(&id),
            Denied::Default => {
                Self::new(StatusCode::CONFLICT, "default-document", "You may not do this", denied.to_string())
            }
            Denied::LastOwner => {
                Self::new(StatusCode::CONFLICT, "last-owner", "You may not do this", denied.to_string())
            }
            Denied::TooManyUsers => Self::invalid("user", denied.to_string()),
            Denied::ReadOnly | Denied::Create | Denied::NotOwner => {
                Self::new(StatusCode::FORBIDDEN, "denied", "You may not do this", denied.to_string())
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
            let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "Too many documents are being made");
            return Self::new(status, "too-many-new-documents", title, error.to_string()).retry_after(NEW_AFTER);
        }
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "unavailable", "The document is not to be had now", error.to_string())
    }
}

impl From<ReadFailure> for Problem {
    fn from(failure: ReadFailure) -> Self {
        match failure {
            ReadFailure::Unavailable(error) => error.into(),
            ReadFailure::PageError(PageError::UnknownPosition(_) | PageError::UnknownField(_))
            | ReadFailure::UnknownHeads => Self::not_found(failure.to_string()),
            ReadFailure::PageError(PageError::Failed) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Self::new(status, "internal", "Something failed here", failure.to_string())
            }
            ReadFailure::Busy => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self::new(status, "busy", "Too many ask for the same", failure.to_string()).retry_after(BUSY_FOR)
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
