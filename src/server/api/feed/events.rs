//! Events of the change feed, and where they come from.

use automerge::ChangeHash;
use primitives::DocumentId;
use runtime::document::AttributedFollowing;
use serde::Serialize;
use utoipa::ToSchema;

use crate::server::Problem;
use crate::server::api::history::Change;

/// Longest place that a stream names, in bytes: clients send it back in a header.
pub const MAX_PLACE: usize = 7 << 10;
/// Most events of a page or portion.
pub const MAX_EVENTS: usize = plan::history::MAX_PORTION;

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedEvent {
    #[serde(rename = "type")]
    kind: EventKind,
    /// The document. Null in a `reset` of all documents.
    #[schema(required = true, example = "4NMNnkMhL8jXrdJ9jamS58PAVdXu")]
    document_id: Option<String>,
    /// The change. Present only with `change`. Its `heads` are those of what you have read so far, with this change.
    #[schema(value_type = Change, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Box<Change>>,
    /// The heads of the document. Present only in a `reset` of one document that can be read.
    #[schema(value_type = Vec<String>, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    heads: Option<Vec<String>>,
    /// The place after this event. `None` if it cannot be named, because it has too many heads.
    #[serde(skip)]
    pub place: Option<String>,
}

/// `change`: a change was made. `reset`: changes cannot be listed, because the document does not have the heads of your request (it
/// was restored, for example), or because too many changes followed. Read the document again; the feed continues after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A change was made.
    Change,
    /// Read the document again.
    Reset,
}

impl FeedEvent {
    /// The events of a portion of changes. `place`: the place after a change, from its heads.
    pub fn of_portion(
        id: &DocumentId,
        portion: AttributedFollowing,
        place: impl Fn(&[ChangeHash]) -> Option<String>,
    ) -> Vec<Self> {
        let AttributedFollowing { following, provenance, merges } = portion;
        let origins = provenance.into_iter().zip(merges);
        let changes = following.entries.into_iter().zip(origins).map(|(entry, (provenance, merge))| Self {
            kind: EventKind::Change,
            document_id: Some(id.to_string()),
            place: entry.heads.as_deref().and_then(&place),
            change: Some(Box::new(Change::of(entry, provenance, merge))),
            heads: None,
        });
        changes.collect()
    }

    /// A reset of one document, which has these heads, if they are known.
    pub fn reset(id: &DocumentId, heads: Option<&[ChangeHash]>, place: String) -> Self {
        let heads = heads.map(|heads| heads.iter().map(ToString::to_string).collect());
        Self { kind: EventKind::Reset, document_id: Some(id.to_string()), change: None, heads, place: Some(place) }
    }

    /// A reset of all documents.
    pub fn reset_all(place: String) -> Self {
        Self { kind: EventKind::Reset, document_id: None, change: None, heads: None, place: Some(place) }
    }

    /// The name of the event in a stream.
    pub fn name(&self) -> &'static str {
        match self.kind {
            EventKind::Change => "change",
            EventKind::Reset => "reset",
        }
    }

    /// Whether the client has to read again.
    pub fn is_reset(&self) -> bool {
        self.kind == EventKind::Reset
    }
}

/// Events that were read.
#[derive(Debug, Default)]
pub struct Portion {
    /// The events.
    pub events: Vec<FeedEvent>,
    /// Whether there are more.
    pub has_more: bool,
}

/// Where events come from.
pub trait Source: Send + 'static {
    /// Reads the events after the place that was reached, and moves that place. After a portion without events and without more,
    /// wait with [`changed`](Self::changed).
    ///
    /// # Errors
    /// When the client may not read any more, or the events cannot be read.
    fn read(&mut self) -> impl Future<Output = Result<Portion, Problem>> + Send;

    /// Waits until there may be events after the last portion.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;

    /// The place that was reached, from which a later request continues.
    fn place(&self) -> String;

    /// Whether the client may still get the events of the last portion.
    fn is_permitted(&self) -> bool;
}
