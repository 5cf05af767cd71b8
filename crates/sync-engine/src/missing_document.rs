//! What a document that does not exist says to a peer.

use std::panic::catch_unwind;

use automerge::{Automerge, sync};
use bytes::Bytes;

use crate::{generate, receive};

/// What a document that does not exist answers to a sync message, or says first. None: nothing, or the message is none.
#[must_use]
pub fn answer_of_none(message: Option<&[u8]>) -> Option<Bytes> {
    let (none, mut state) = (Automerge::new(), sync::State::new());
    if let Some(message) = message {
        let message = catch_unwind(|| sync::Message::decode(message)).ok()?.ok()?;
        state = receive::receive(&none, &state, message);
    }
    generate::generate(&none, &state, &mut generate::Saved::default()).0
}
