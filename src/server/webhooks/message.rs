//! The body of a message.

use bytes::Bytes;
use primitives::{DocumentId, iso_ms};
use serde::Serialize;
use serde_json::{Value, json};

use super::progress::Heads;

/// Makes the message about changes of a document. `events`: those of the change feed.
pub fn changes_message(at: i64, document: &DocumentId, events: &impl Serialize, until: &Heads) -> Bytes {
    let data = json!({ "documentId": document, "events": events, "heads": until });
    message("document.changed", at, data)
}

/// Makes a message that only shows that messages arrive.
#[must_use]
pub fn test_message(at: i64) -> Bytes {
    message("webhook.test", at, json!({}))
}

fn message(kind: &str, at: i64, data: Value) -> Bytes {
    let message = json!({ "type": kind, "timestamp": iso_ms(at), "data": data });
    message.to_string().into()
}
