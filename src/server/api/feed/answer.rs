//! The answer to a request for events: a page after a bounded wait, or a stream of server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::stream;
use runtime::hub::{Requester, Unavailable};
use runtime::memory_budget::Reservation;
use runtime::metrics::RefusalReason;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::events::{FeedEvent, MAX_PLACE, Portion, Source};
use super::subscription::Subscription;
use crate::server::transport::connection_limits::ConnectionPermit;
use crate::server::{App, Problem};

/// Longest time that a request waits for the first event, in seconds. Idle connections are closed after a minute.
pub const MAX_WAIT: u64 = 30;
/// Interval of the comments in a stream without events. Proxies close connections that are silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long clients wait before they connect again.
const RETRY: Duration = Duration::from_secs(2);
/// Header with the `id` of the last event that a client has received.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx not to buffer a response.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedPage {
    /// The events, the oldest first. At most 100, and fewer if they are large. Empty if nothing happened before the time was up.
    events: Vec<FeedEvent>,
    /// The place after these events: send it with the next request.
    #[schema(example = "a31c0b52e6c4f3f5f4d3a1d1e2b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2")]
    next: String,
    /// Whether further events are there already, so that the next request will not wait.
    more: bool,
}

/// How a request wants its events.
pub struct Wish {
    /// Whether it wants a stream of server-sent events.
    pub is_stream: bool,
    /// How long it waits for the first event, unless it wants a stream.
    pub wait: Duration,
    /// The permit of a client behind a proxy.
    pub proxied: Option<ConnectionPermit>,
}

/// Whether a client asks for server-sent events.
pub fn accepts_stream(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = values.flat_map(|list| list.split(',')).filter_map(|range| range.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Answers with the events of a source.
///
/// # Errors
/// When a limit is reached, or the events cannot be read.
pub async fn answer(app: Arc<App>, requester: Requester, source: impl Source, wish: Wish) -> Result<Response, Problem> {
    let Wish { is_stream, wait, proxied } = wish;
    let subscription = Subscription::open(&app, &requester, proxied)?;
    if is_stream { Ok(stream(app, source, subscription)) } else { page(&app, source, &subscription, wait).await }
}

async fn page(
    app: &App,
    mut source: impl Source,
    subscription: &Subscription,
    wait: Duration,
) -> Result<Response, Problem> {
    let deadline = Instant::now() + wait;
    let mut portion = source.read().await?;
    while portion.events.is_empty() && (portion.has_more || Instant::now() < deadline) {
        if !portion.has_more {
            tokio::select! {
                changed = timeout_at(deadline, source.changed()) => if changed.is_err() { break },
                () = subscription.closed() => return Err(closed(app, subscription)),
            }
        }
        portion = source.read().await?;
    }
    if subscription.is_closed() {
        return Err(closed(app, subscription));
    }
    count(app, &portion);
    let page = FeedPage { events: portion.events, next: source.place(), more: portion.has_more };
    // Writing texts and numbers to a vector cannot fail.
    let body = serde_json::to_vec(&page).unwrap_or_default();
    let mut response = crate::server::reserved_body::response(app, "application/json", body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The problem of a request that ends because the token is no longer valid, or because the server stops.
fn closed(app: &App, subscription: &Subscription) -> Problem {
    if app.stopping.is_cancelled() {
        return Unavailable::Stopping.into();
    }
    let status = axum::http::StatusCode::UNAUTHORIZED;
    Problem::new(status, "unauthorized", "Authentication required", subscription.close_reason())
}

fn count(app: &App, portion: &Portion) {
    app.hub.metrics().feed_events.increment(portion.events.len() as u64);
    let resets = portion.events.iter().filter(|event| event.is_reset()).count();
    app.hub.metrics().feed_resets.increment(resets as u64);
}

/// A stream, between two events.
struct Stream<S> {
    app: Arc<App>,
    source: S,
    subscription: Subscription,
    /// The events of the last portion that were not sent yet.
    queue: VecDeque<Event>,
    /// Memory of the queue.
    reservation: Reservation,
    has_more: bool,
    has_ended: bool,
}

fn stream(app: Arc<App>, source: impl Source, subscription: Subscription) -> Response {
    let ready = with_id(Event::default().event("ready").retry(RETRY).data("{}"), Some(source.place()));
    let reservation = app.hub.memory_budget().reservation();
    let queue = VecDeque::from([ready]);
    // The first portion is read at once.
    let state = Stream { app, source, subscription, queue, reservation, has_more: true, has_ended: false };
    let events = stream::unfold(state, |mut state| async move {
        let event = state.next().await?;
        Some((Ok::<Event, Infallible>(event), state))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(UNBUFFERED, HeaderValue::from_static("no"));
    response
}

/// Adds the place after an event. Without it, a client that resumes gets the event again.
fn with_id(event: Event, place: Option<String>) -> Event {
    match place.filter(|place| place.len() <= MAX_PLACE) {
        Some(place) => event.id(place),
        None => event,
    }
}

impl<S: Source> Stream<S> {
    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.has_ended {
                return None;
            }
            if self.subscription.is_closed() {
                return Some(self.end(&self.subscription.close_reason()));
            }
            if let Some(event) = self.queue.pop_front() {
                // A client that reads slowly may have lost the right since the portion was read.
                if self.source.is_permitted() {
                    return Some(event);
                }
                self.queue.clear();
                self.has_more = true;
                continue;
            }
            if !self.has_more {
                tokio::select! {
                    () = self.subscription.closed() => continue,
                    () = self.source.changed() => {}
                }
            }
            if let Err(reason) = self.fill().await {
                return Some(self.end(&reason));
            }
        }
    }

    /// Reads the next portion.
    async fn fill(&mut self) -> Result<(), String> {
        let portion = self.source.read().await.map_err(|problem| problem.detail)?;
        count(&self.app, &portion);
        self.has_more = portion.has_more;
        let mut bytes = 0;
        for event in &portion.events {
            // Writing texts and numbers to a text cannot fail.
            let data = serde_json::to_string(event).unwrap_or_default();
            bytes += data.len() as u64;
            self.queue.push_back(with_id(Event::default().event(event.name()).data(data), event.place.clone()));
        }
        self.reservation.resize(bytes).map_err(|full| {
            self.app.hub.metrics().record_refusal(RefusalReason::Memory);
            full.to_string()
        })
    }

    /// The last event.
    fn end(&mut self, reason: &str) -> Event {
        self.has_ended = true;
        self.queue.clear();
        Event::default().event("end").data(json!({ "reason": reason }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_explicit_media_type_selects_the_stream() {
        for (accept, expected) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;q=0.5", true),
            ("*/*", false),
            ("text/*", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(accepts_stream(&headers), expected, "{accept}");
        }
        assert!(!accepts_stream(&HeaderMap::new()));
    }
}
