//! `/api/webhooks`: adds, lists, tests and removes webhooks. For owners of all documents.

use std::sync::Arc;

use auth::{Documents, Role};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use offload::run_blocking;
use plan::Budget;
use primitives::iso_ms;
use runtime::clock::now_ms;
use runtime::hub::{Denied, Requester};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body_fields::{BodyFields, required};
use super::enum_schemas::DocumentNames;
use super::schemas::{AnyProblem, BodyProblem, DocumentProblem, WriteProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::webhooks::{
    DEFAULT_DEBOUNCE, FolderError, InvalidWebhook, NewWebhook, Progress, Webhook, WebhookFolder, Webhooks, send_test,
};
use crate::server::{App, Problem, conditional};

/// A webhook. Its secret is shown only when it is added.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct ListedWebhook {
    /// Its id.
    #[schema(example = "wh_5d2f8a1b7c3e4f60918273a4")]
    id: String,
    /// Where messages are sent.
    #[schema(example = "https://example.com/hooks")]
    url: String,
    /// The documents that messages are about.
    #[schema(value_type = DocumentNames)]
    documents: Documents,
    /// Seconds between a change and its message.
    #[schema(example = 5)]
    debounce: u64,
    /// Whether messages may go to private addresses. Only the server's operator can allow that.
    allow_private: bool,
    /// When it was added.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    added_at: Option<String>,
    /// The user who added it; null if the server's operator did, or if the server has no authentication.
    #[schema(required = true, example = "ceo@example.com")]
    added_by: Option<String>,
    /// When a message was delivered last; null if none was.
    #[schema(required = true, format = DateTime, example = "2026-11-22T14:21:00.000Z")]
    last_delivery: Option<String>,
    /// Failed attempts to deliver the next message.
    #[schema(example = 0)]
    failed: u32,
    /// Why the last attempt failed; null if it did not.
    #[schema(required = true, example = "the answer is 500")]
    last_error: Option<String>,
    /// Why it is switched off; null if it is not.
    #[schema(required = true, example = "10 attempts to deliver a message failed; the last: the answer is 500")]
    disabled: Option<String>,
}

/// The webhooks of a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookList {
    /// The webhooks, in the order in which they were added.
    webhooks: Vec<ListedWebhook>,
}

/// A webhook that was added.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedWebhook {
    /// The webhook.
    webhook: ListedWebhook,
    /// The secret that signs its messages. It cannot be read again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

/// A webhook to add.
#[derive(Debug, ToSchema)]
#[schema(as = NewWebhook)]
#[serde(deny_unknown_fields)]
pub struct WebhookBody {
    /// Where messages are sent: an `https://` URL with a public address.
    #[schema(example = "https://example.com/hooks", max_length = 2000)]
    #[expect(dead_code, reason = "describes the body; the handler reads `BodyFields`")]
    url: String,
    /// The documents that messages are about: ids, or `default`. Absent: all.
    #[schema(value_type = Vec<String>, required = false, example = json!(["default"]))]
    #[expect(dead_code, reason = "describes the body; the handler reads `BodyFields`")]
    documents: Vec<String>,
    /// Seconds between a change and its message, in which further changes join the message.
    #[schema(value_type = u64, required = false, minimum = 0, maximum = 3600, default = 5, example = 5)]
    #[expect(dead_code, reason = "describes the body; the handler reads `BodyFields`")]
    debounce: u64,
}

/// The result of a test.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestedWebhook {
    /// Whether the receiver has accepted the message.
    accepted: bool,
    /// Why not; null if it has.
    #[schema(required = true, example = "the answer is 500")]
    error: Option<String>,
}

/// Path parameter: a webhook.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub struct WebhookPath {
    /// The webhook's id.
    #[param(example = "wh_5d2f8a1b7c3e4f60918273a4")]
    webhook_id: String,
}

/// Extracts the id of the path.
pub struct TargetWebhook(String);

impl FromRequestParts<Arc<App>> for TargetWebhook {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path: Result<Path<WebhookPath>, PathRejection> = Path::from_request_parts(parts, app).await;
        let malformed = |rejection: PathRejection| {
            Problem::bad_request(format!("the path is malformed: {}", rejection.body_text()))
        };
        Ok(Self(path.map_err(malformed)?.0.webhook_id))
    }
}

impl From<FolderError> for Problem {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Unknown(_) => Self::not_found(error.to_string()),
            FolderError::Invalid(invalid) => invalid.into(),
            error => {
                tracing::error!(%error, "the webhooks cannot be used");
                let detail = "the webhooks cannot be read or changed; the reason is in the server's log";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage", "The change could not be stored", detail)
            }
        }
    }
}

impl From<InvalidWebhook> for Problem {
    fn from(invalid: InvalidWebhook) -> Self {
        Self::invalid(invalid.field(), invalid.to_string())
    }
}

/// Checks whether a requester may manage webhooks.
fn check_manager(requester: &Requester) -> Result<(), Problem> {
    let may = requester.grant().is_none_or(|grant| grant.role == Role::Owner && grant.documents == Documents::All);
    if may {
        return Ok(());
    }
    let detail = "only owners of all documents can manage webhooks";
    Err(Problem { detail: detail.to_owned(), ..Denied::NotOwner.into() })
}

/// The webhooks of the server, for a requester who may manage them.
fn managed<'a>(app: &'a App, requester: &Requester) -> Result<&'a Webhooks, Problem> {
    check_manager(requester)?;
    app.webhooks.as_ref().ok_or_else(|| {
        let detail = "this server keeps its documents in a database, where it has no webhooks";
        Problem::new(StatusCode::NOT_IMPLEMENTED, "no-webhooks", "No webhooks", detail)
    })
}

impl ListedWebhook {
    fn of(webhook: Webhook, progress: &Progress) -> Self {
        let disabled = progress.disabled(webhook.enabled).map(|disabled| disabled.reason.clone());
        let Webhook { id, url, secret: _, documents, debounce, allow_private, added_at, added_by, enabled: _ } =
            webhook;
        Self {
            id,
            url,
            documents,
            debounce,
            allow_private,
            added_at: iso_ms(added_at),
            added_by,
            last_delivery: progress.last_delivery.and_then(iso_ms),
            failed: progress.failed,
            last_error: progress.last_error.clone(),
            disabled,
        }
    }
}

fn all(folder: &WebhookFolder) -> Result<Vec<ListedWebhook>, FolderError> {
    let listed = folder.webhooks()?.into_iter().map(|webhook| {
        let progress = folder.progress(&webhook.id)?;
        Ok(ListedWebhook::of(webhook, &progress))
    });
    listed.collect()
}

/// List the webhooks.
///
/// For owners of all documents.
#[utoipa::path(
    get,
    path = "/api/webhooks",
    operation_id = "listWebhooks",
    tag = "webhooks",
    params(("If-None-Match" = Option<String>, Header, description = "The ETag of your copy: 304 if it is current")),
    responses(
        (
            status = 200, description = "The webhooks", body = WebhookList,
            headers(("ETag" = String, description = "Identifies the content of the list")),
        ),
        (status = 304, description = "Your copy is current"),
        AnyProblem,
    ),
)]
pub async fn list(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check_manager(&requester)?;
    let webhooks = match app.webhooks.clone() {
        Some(Webhooks { folder, .. }) => run_blocking(move || all(&folder)).await?,
        None => Vec::new(),
    };
    Ok(conditional::json(&headers, &WebhookList { webhooks }))
}

/// Add a webhook.
///
/// From then on, the server sends a signed message (Standard Webhooks) after each change. For owners of all documents.
#[utoipa::path(
    post,
    path = "/api/webhooks",
    operation_id = "addWebhook",
    tag = "webhooks",
    request_body = WebhookBody,
    responses(
        (status = 201, description = "The webhook is stored", body = AddedWebhook),
        (status = 501, description = "The server keeps its documents in a database", body = Problem, content_type = "application/problem+json"),
        AnyProblem, WriteProblem, BodyProblem,
    ),
)]
pub async fn add(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    fields: BodyFields,
) -> Result<Response, Problem> {
    let folder = managed(&app, &requester)?.folder.clone();
    let mut fields = fields.only(&["url", "documents", "debounce"])?;
    let documents = match fields.texts("documents")? {
        None => Documents::All,
        Some(names) => {
            let names = names.iter().map(|name| name.parse()).collect::<Result<_, _>>();
            Documents::Named(names.map_err(|error| Problem::invalid("documents", format!("documents: {error}")))?)
        }
    };
    let debounce = match fields.number("debounce")? {
        None => DEFAULT_DEBOUNCE,
        Some(Budget::Int(seconds)) => seconds,
        Some(_) => return Err(InvalidWebhook::Debounce.into()),
    };
    let (url, user) = (required(fields.text("url")?, "url")?, requester.user());
    let added_by = user.as_deref().map(str::to_owned);
    let webhook = NewWebhook { url, documents, debounce, allow_private: false, added_by }.create(now_ms())?;
    let added = webhook.clone();
    run_blocking(move || folder.add(added)).await?;
    tracing::info!(webhook = webhook.id, host = webhook.host(), user = user.as_deref(), "a webhook was added");
    let secret = webhook.secret.to_string();
    let webhook = ListedWebhook::of(webhook, &Progress::default());
    let body = Json(AddedWebhook { webhook, secret });
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], body).into_response())
}

/// Remove a webhook.
///
/// For owners of all documents.
#[utoipa::path(
    delete,
    path = "/api/webhooks/{webhookId}",
    operation_id = "removeWebhook",
    tag = "webhooks",
    params(WebhookPath),
    responses(
        (status = 204, description = "The webhook is removed"),
        (status = 501, description = "The server keeps its documents in a database", body = Problem, content_type = "application/problem+json"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetWebhook(id): TargetWebhook,
) -> Result<Response, Problem> {
    let folder = managed(&app, &requester)?.folder.clone();
    let removed = id.clone();
    run_blocking(move || folder.remove(&removed)).await?;
    tracing::info!(webhook = id, user = requester.user().as_deref(), "a webhook was removed");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Test a webhook.
///
/// Sends a message of type `webhook.test`, once. For owners of all documents.
#[utoipa::path(
    post,
    path = "/api/webhooks/{webhookId}/test",
    operation_id = "testWebhook",
    tag = "webhooks",
    params(WebhookPath),
    responses(
        (status = 200, description = "The result", body = TestedWebhook),
        (status = 501, description = "The server keeps its documents in a database", body = Problem, content_type = "application/problem+json"),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn test(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetWebhook(id): TargetWebhook,
) -> Result<Response, Problem> {
    let Webhooks { folder, sender } = managed(&app, &requester)?.clone();
    let webhook = run_blocking(move || folder.webhook(&id)).await?;
    let result = send_test(&sender, &webhook).await;
    let tested = TestedWebhook { accepted: result.is_ok(), error: result.err().map(|error| error.to_string()) };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(tested)).into_response())
}
