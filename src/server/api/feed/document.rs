//! `/api/documents/{documentId}/changes`: the changes of one document.

use std::sync::Arc;
use std::time::Duration;

use automerge::ChangeHash;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::response::Response;
use runtime::hub::{Changes, Follower, Requester, Right};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{FeedPage, LAST_EVENT_ID, MAX_WAIT, Wish, accepts_stream, answer};
use super::events::{FeedEvent, MAX_EVENTS, Portion, Source};
use super::subscription::Subscription;
use crate::server::api::extract::{DocumentPath, TargetDocument};
use crate::server::api::heads_query::parse_hashes;
use crate::server::api::schemas::{AnyProblem, DocumentProblem};
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem};

/// Query parameters: where to begin, and how long to wait.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SinceQuery {
    /// Only changes that are not part of these heads: the `next` of the last answer, the `heads` of a document or change, or the
    /// `id` of an event. Absent: changes from now on.
    #[param(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    since: Option<String>,
    /// Seconds to wait for a change if there is none. Ignored by a stream.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 30, default = 0, example = 0)]
    wait: Option<String>,
}

/// Extracts the heads that the client knows (`None`: the current ones), and how it wants the changes.
pub struct ChangesSince(Option<Vec<ChangeHash>>, Wish);

impl FromRequestParts<Arc<App>> for ChangesSince {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<SinceQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(SinceQuery { since, wait }) = query.map_err(Problem::bad_query)?;
        let since = since.as_deref().map(|heads| parse_hashes("since", heads)).transpose()?;
        let wish = wish(app, parts, wait)?;
        let last = last_event_id(parts, &wish)?;
        let last = last.map(|heads| parse_hashes("Last-Event-ID", heads)).transpose()?;
        Ok(Self(last.or(since), wish))
    }
}

/// How a request wants its events.
pub(super) fn wish(app: &App, parts: &Parts, wait: Option<String>) -> Result<Wish, Problem> {
    let wait = wait.map_or(Ok(0), |wait| {
        let seconds = wait.parse().ok().filter(|seconds| *seconds <= MAX_WAIT);
        seconds.ok_or_else(|| Problem::bad_parameter("wait", format!("must be a number from 0 to {MAX_WAIT}")))
    })?;
    Ok(Wish {
        is_stream: accepts_stream(&parts.headers),
        wait: Duration::from_secs(wait),
        proxied: Subscription::proxied_permit(app, parts)?,
    })
}

/// The `id` of the last event that the client of a stream has received. It counts more than the query, which browsers repeat.
pub(super) fn last_event_id<'a>(parts: &'a Parts, wish: &Wish) -> Result<Option<&'a str>, Problem> {
    let value = parts.headers.get(LAST_EVENT_ID).filter(|value| wish.is_stream && !value.is_empty());
    let text = value.map(|value| value.to_str()).transpose();
    text.map_err(|_| Problem::bad_parameter("Last-Event-ID", "must be the `id` of an event"))
}

/// Follow the changes of a document.
///
/// With `Accept: text/event-stream`, the answer is a stream of server-sent events that does not end: `change` and `reset` as described
/// here, each with an `id` from which `Last-Event-ID` resumes; first a `ready` with the `id` of the beginning; last, if the server
/// ends the stream, an `end` with a `reason`. Comments are heartbeats. Otherwise the answer is a page of events: send its `next` as
/// `since` with the next request, and `wait` to wait for changes.
///
/// Only changes on disk are listed. Each is listed once, after the changes that it depends on.
#[utoipa::path(
    get,
    path = "/api/documents/{documentId}/changes",
    operation_id = "followDocument",
    tag = "history",
    params(
        DocumentPath,
        SinceQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "For streams: the `id` of the last event that you have received, instead of `since`"),
    ),
    responses(
        (
            status = 200, description = "The events, the oldest first",
            content((FeedPage = "application/json"), (String = "text/event-stream")),
        ),
        AnyProblem, DocumentProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    TargetDocument(id): TargetDocument,
    ChangesSince(since, wish): ChangesSince,
) -> Result<Response, Problem> {
    let missing = || Problem::no_document(&id);
    // Follows before it reads the heads, so that no change is missed.
    let follower = app.hub.follow(&requester, &id)?.ok_or_else(missing)?;
    let heads = follower.heads().await?.ok_or_else(missing)?;
    let source =
        DocumentSource { app: Arc::clone(&app), requester: requester.clone(), known: since.unwrap_or(heads), follower };
    answer(app, requester, source, wish).await
}

/// The changes of a document.
struct DocumentSource {
    app: Arc<App>,
    requester: Requester,
    follower: Follower,
    /// The heads of what the client has read.
    known: Vec<ChangeHash>,
}

impl Source for DocumentSource {
    async fn read(&mut self) -> Result<Portion, Problem> {
        let id = self.follower.document().clone();
        let changes = self.follower.next(&self.known, MAX_EVENTS).await?;
        match changes.ok_or_else(|| Problem::no_document(&id))? {
            Changes::Portion(mut portion) => {
                self.known = std::mem::take(&mut portion.following.heads);
                let has_more = portion.following.has_more;
                let events = FeedEvent::of_portion(&id, portion, |heads| Some(joined(heads)));
                Ok(Portion { events, has_more })
            }
            Changes::Reset(heads) => {
                let reset = FeedEvent::reset(&id, Some(&heads), joined(&heads));
                self.known = heads;
                Ok(Portion { events: vec![reset], has_more: false })
            }
        }
    }

    async fn changed(&mut self) {
        self.follower.changed().await;
    }

    fn place(&self) -> String {
        joined(&self.known)
    }

    fn is_permitted(&self) -> bool {
        self.app.hub.right(&self.requester, self.follower.document()) >= Right::Read
    }
}

/// Heads as the text of a place.
fn joined(heads: &[ChangeHash]) -> String {
    let names: Vec<String> = heads.iter().map(ToString::to_string).collect();
    names.join(",")
}
