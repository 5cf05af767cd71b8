//! WebSocket messages, before they reach a document.

use bytes::Bytes;
use happierwork::legacy::frames;
use plan::Plan;

/// A frame of automerge-repo: decoding and encoding it again yields the same.
pub fn repo_frame(bytes: &[u8]) {
    if let Ok(message) = repo_protocol::decode(&Bytes::copy_from_slice(bytes)) {
        let again = repo_protocol::decode(&Bytes::from(message.encode())).expect("our own encoding decodes");
        assert_eq!(format!("{message:?}"), format!("{again:?}"));
    }
}

/// A frame of a legacy client.
pub fn legacy_frame(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match frames::decode(text, &Plan::default().scale()) {
        Ok(request) => drop(format!("{request:?}")),
        Err(error) => assert!(!error.frames().is_empty(), "an error has a frame"),
    }
}
