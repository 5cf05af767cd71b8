//! Sync messages for a document that does not exist.

use std::panic::catch_unwind;

use automerge::{Automerge, sync};
use bytes::Bytes;

use crate::{generate, receive};

/// The reply to a sync message for a document that does not exist, or the first message if there is none to reply to. `None` if
/// there is no reply, or the message does not parse.
#[must_use]
pub fn reply_without_document(message: Option<&[u8]>) -> Option<Bytes> {
    let (empty, mut state) = (Automerge::new(), sync::State::new());
    if let Some(message) = message {
        let message = catch_unwind(|| sync::Message::decode(message)).ok()?.ok()?;
        state = receive::receive(&empty, &state, message);
    }
    generate::generate(&empty, &state, &mut generate::Saved::default()).0
}
