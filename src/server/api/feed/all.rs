//! `/api/changes`: the changes of all documents.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::response::Response;
use plan::history::Since;
use primitives::DocumentId;
use runtime::hub::{Changes, InvalidPosition, RecentChange, RecentFollower, RecentPosition, Requester, Right};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{FeedPage, Wish, answer};
use super::document::{last_event_id, wish};
use super::events::{FeedEvent, MAX_EVENTS, Portion, Source};
use crate::server::api::schemas::AnyProblem;
use crate::server::security::authentication::ApiRequester;
use crate::server::{App, Problem};

/// Most entries of the list that are passed over in one step, because the client may not read their documents.
const MAX_PASSED: usize = 1_000;

/// Query parameters: where to begin, and how long to wait.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AfterQuery {
    /// Only later changes: the `next` of the last answer, or the `id` of an event. Absent: changes from now on.
    #[param(example = "8a3f6d1b5c2e9074.118")]
    after: Option<String>,
    /// Seconds to wait for a change if there is none. Ignored by a stream.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 30, default = 0, example = 0)]
    wait: Option<String>,
}

/// Extracts the place that the client has reached (`None`: the current one), and how it wants the changes.
pub struct ChangesAfter(Option<RecentPosition>, Wish);

impl FromRequestParts<Arc<App>> for ChangesAfter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let query: Result<Query<AfterQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(AfterQuery { after, wait }) = query.map_err(Problem::bad_query)?;
        let parse = |name: &'static str, text: &str| {
            text.parse().map_err(|error: InvalidPosition| Problem::bad_parameter(name, error))
        };
        let after = after.as_deref().map(|after| parse("after", after)).transpose()?;
        let wish = wish(app, parts, wait)?;
        let last = last_event_id(parts, &wish)?.map(|last| parse("Last-Event-ID", last)).transpose()?;
        Ok(Self(last.or(after), wish))
    }
}

/// Follow the changes of all documents.
///
/// Lists the changes of all documents that you may read, as `GET /api/documents/{documentId}/changes` does for one. The server keeps
/// the latest 4,096 batches of changes, until it restarts. When a place is older, a `reset` without a document tells that changes
/// may be missing: list the documents, and follow each document from the heads that you know of it. A `reset` of one document tells
/// this for that document alone: another server has changed it, or it cannot be read now (then without `heads`).
#[utoipa::path(
    get,
    path = "/api/changes",
    operation_id = "followDocuments",
    tag = "history",
    params(
        AfterQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "For streams: the `id` of the last event that you have received, instead of `after`"),
    ),
    responses(
        (
            status = 200, description = "The events, the oldest first",
            content((FeedPage = "application/json"), (String = "text/event-stream")),
        ),
        AnyProblem,
    ),
)]
pub async fn read(
    State(app): State<Arc<App>>,
    ApiRequester(requester): ApiRequester,
    ChangesAfter(after, wish): ChangesAfter,
) -> Result<Response, Problem> {
    let follower = app.hub.follow_recent(after).await?;
    let source = AllSource { app: Arc::clone(&app), requester: requester.clone(), follower, last: None };
    answer(app, requester, source, wish).await
}

/// The changes of all documents that a client may read.
struct AllSource {
    app: Arc<App>,
    requester: Requester,
    follower: RecentFollower,
    /// The document of the last portion.
    last: Option<DocumentId>,
}

impl AllSource {
    fn may_read(&self, id: &DocumentId) -> bool {
        self.app.hub.right(&self.requester, id) >= Right::Read
    }

    /// The events of an entry of the list. Moves past it after its last event.
    async fn read_entry(&mut self, change: RecentChange) -> Result<Portion, Problem> {
        let RecentChange { document: id, heads } = change;
        let hub = &self.app.hub;
        let after = self.follower.position.next().to_string();
        let changes = match heads {
            Some((before, until)) => {
                let known = self.follower.position.within.clone().unwrap_or_else(|| before.to_vec());
                let since = Since { heads: known, until: Some(until.to_vec()), limit: MAX_EVENTS };
                hub.changes(&self.requester, &id, since).await?
            }
            None => hub.heads(&self.requester, &id).await?.map(Changes::Reset),
        };
        let events = match changes {
            Some(Changes::Portion(portion)) => {
                let (position, has_more) = (self.follower.position.clone(), portion.following.has_more);
                if has_more {
                    self.follower.position.within = Some(portion.following.heads.clone());
                }
                let place = |heads: &[_]| position.part_way(heads).map(|position| position.to_string());
                let mut events = FeedEvent::of_portion(&id, portion, place);
                if has_more {
                    return Ok(Portion { events, has_more });
                }
                if let Some(last) = events.last_mut() {
                    last.place = Some(after);
                }
                events
            }
            Some(Changes::Reset(heads)) => vec![FeedEvent::reset(&id, Some(&heads), after)],
            // The document was deleted, or may not be read.
            None => Vec::new(),
        };
        Ok(self.complete(events))
    }

    /// The last events of an entry of the list. Moves past it.
    fn complete(&mut self, events: Vec<FeedEvent>) -> Portion {
        self.follower.advance();
        Portion { events, has_more: !matches!(self.follower.peek(), Ok(None)) }
    }
}

impl Source for AllSource {
    async fn read(&mut self) -> Result<Portion, Problem> {
        for _ in 0..MAX_PASSED {
            let change = match self.follower.peek() {
                Ok(Some(change)) => change,
                Ok(None) => return Ok(Portion::default()),
                Err(end) => {
                    self.last = None;
                    self.follower.position = end;
                    let reset = FeedEvent::reset_all(self.follower.position.to_string());
                    return Ok(Portion { events: vec![reset], has_more: true });
                }
            };
            if self.may_read(&change.document) {
                self.last = Some(change.document.clone());
                let id = change.document.clone();
                return match self.read_entry(change).await {
                    // This document cannot be read now. The others are not affected.
                    Err(problem) if problem.status >= 500 && !self.app.stopping.is_cancelled() => {
                        tracing::debug!(document = %id, reason = problem.detail, "a feed lacks changes of a document");
                        let after = self.follower.position.next().to_string();
                        Ok(self.complete(vec![FeedEvent::reset(&id, None, after)]))
                    }
                    read => read,
                };
            }
            self.follower.advance();
        }
        Ok(Portion { events: Vec::new(), has_more: true })
    }

    async fn changed(&mut self) {
        self.follower.grown().await;
    }

    fn place(&self) -> String {
        self.follower.position.to_string()
    }

    fn is_permitted(&self) -> bool {
        self.last.as_ref().is_none_or(|id| self.may_read(id))
    }
}
