//! Sync messages for tests.

use automerge::{Change, sync};
use bytes::Bytes;

/// An encoded message with these changes.
pub(crate) fn carrying(changes: &[Change]) -> Bytes {
    let message = sync::Message {
        heads: changes.last().map(Change::hash).into_iter().collect(),
        need: Vec::new(),
        have: Vec::new(),
        changes: changes.iter().map(|change| change.raw_bytes().to_vec()).collect::<Vec<_>>().into(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    message.encode().into()
}
