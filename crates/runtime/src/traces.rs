//! Spans for distributed traces.
//!
//! They have a target of their own. The log leaves it out, so without an exporter of traces no span is ever created.

use primitives::DocumentId;
use tracing::{Id, Span, trace_span};

/// The target of all spans that are exported.
pub const TARGET: &str = "happierwork::traces";

/// The span of one commit, linked to the requests whose edits it contains. A commit belongs to several requests, so none is its parent.
pub(crate) fn commit(document: &DocumentId, requests: impl Iterator<Item = Id>) -> Span {
    let span = trace_span!(target: TARGET, parent: None, "commit", document = %document);
    if !span.is_disabled() {
        requests.for_each(|request| {
            span.follows_from(request);
        });
    }
    span
}

/// The span of applying changes to a document in memory.
pub(crate) fn apply(operations: u64) -> Span {
    trace_span!(target: TARGET, "apply", operations)
}

/// The span of making changes durable. `bytes` is their size.
pub(crate) fn append(changes: usize, bytes: u64) -> Span {
    trace_span!(target: TARGET, "append", changes, bytes)
}

/// The span of sending committed changes to subscribers.
pub(crate) fn publish() -> Span {
    trace_span!(target: TARGET, "publish")
}
