//! Messages between the processes that share a store. They are not stored, and may be lost: ephemeral messages of clients, and
//! messages of further protocols.
//!
//! ```text
//! length of the head (4, little endian) | head as JSON | data
//! ```

use std::sync::Arc;

use bytes::Bytes;
use primitives::DocumentId;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::Hub;
use super::command::Command;
use super::outbox::Ephemeral;

/// Messages that wait for a slow receiver.
const CAPACITY: usize = 256;
/// Largest message, in bytes. Stores carry no larger ones.
const MAX_MESSAGE: usize = 5_500;

/// The part of a message that is not data of an application.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Head {
    /// An ephemeral message of a client.
    Ephemeral {
        document: String,
        sender: Arc<str>,
        session: Arc<str>,
        count: u64,
        /// The client's user, if users are known.
        user: Option<Arc<str>>,
    },
    /// A message of a further protocol.
    Surface,
    /// A message of a later version.
    #[serde(other)]
    Unknown,
}

/// Messages of further protocols at other processes.
#[derive(Debug)]
pub(super) struct SurfaceMessages(broadcast::Sender<Bytes>);

impl Default for SurfaceMessages {
    fn default() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }
}

impl Hub {
    /// Whether other processes may serve the same documents.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.inner.store.is_shared()
    }

    /// Sends a message to the further protocol at all other processes. It may be lost, and is dropped if it has more than about
    /// 5,000 bytes.
    pub fn tell_surfaces(&self, message: &[u8]) {
        if self.is_shared() {
            self.tell_others(&Head::Surface, message);
        }
    }

    /// The messages that other processes send with [`tell_surfaces`](Self::tell_surfaces), from now on.
    #[must_use]
    pub fn surface_messages(&self) -> broadcast::Receiver<Bytes> {
        self.inner.surface_messages.0.subscribe()
    }

    /// Sends an ephemeral message of a local client to the clients of all other processes.
    pub(super) fn tell_ephemeral(&self, message: &Ephemeral, user: Option<Arc<str>>) {
        if !self.is_shared() {
            return;
        }
        let Ephemeral { document, sender, session, count, data } = message;
        let (sender, session) = (Arc::clone(sender), Arc::clone(session));
        let document = document.as_str().to_owned();
        self.tell_others(&Head::Ephemeral { document, sender, session, count: *count, user }, data);
    }

    fn tell_others(&self, head: &Head, data: &[u8]) {
        match encode(head, data) {
            Some(message) => self.inner.store.tell(message),
            None => self.inner.metrics.cluster_messages_dropped.increment(1),
        }
    }

    /// Handles a message of another process.
    pub(super) fn take_message(&self, message: Vec<u8>) {
        match decode(message) {
            Some((Head::Ephemeral { document, sender, session, count, user }, data)) => {
                let Ok(id) = document.parse::<DocumentId>() else { return };
                let message = Arc::new(Ephemeral { document: id.clone(), sender, session, count, data });
                self.try_send_if_open(&id, Command::RemoteEphemeral { user, message });
            }
            Some((Head::Surface, data)) => {
                // Fails if this process has no such protocol.
                let _ = self.inner.surface_messages.0.send(data);
            }
            Some((Head::Unknown, _)) => {}
            None => tracing::debug!("a message of another server cannot be read"),
        }
    }
}

/// `None` if the message is too large.
fn encode(head: &Head, data: &[u8]) -> Option<Vec<u8>> {
    let head = serde_json::to_vec(head).ok()?;
    let mut message = u32::try_from(head.len()).ok()?.to_le_bytes().to_vec();
    message.extend(head);
    message.extend_from_slice(data);
    (message.len() <= MAX_MESSAGE).then_some(message)
}

fn decode(message: Vec<u8>) -> Option<(Head, Bytes)> {
    let mut message = Bytes::from(message);
    let (length, rest) = message.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let head = serde_json::from_slice(rest.get(..length)?).ok()?;
    Some((head, message.split_off(4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ephemeral(user: Option<&str>) -> Head {
        let document = DocumentId::from_random([7; 16]).as_str().to_owned();
        let (sender, session) = ("tab \"1\"".into(), "s".into());
        Head::Ephemeral { document, sender, session, count: 3, user: user.map(Into::into) }
    }

    #[test]
    fn messages_survive_a_round_trip() {
        for head in [ephemeral(None), ephemeral(Some("cfo")), Head::Surface] {
            for data in [&b""[..], b"\0\xff"] {
                let (read, bytes) = decode(encode(&head, data).expect("fits")).expect("reads");
                assert_eq!((read, &bytes[..]), (head_again(&head), data));
            }
        }
        assert_eq!(encode(&Head::Surface, &[0; MAX_MESSAGE]), None);
    }

    fn head_again(head: &Head) -> Head {
        serde_json::from_value(serde_json::to_value(head).expect("JSON")).expect("a head")
    }

    #[test]
    fn later_and_damaged_messages_are_recognized() {
        let later = br#"{"kind":"cursor","at":3}"#;
        let mut message = u32::try_from(later.len()).expect("short").to_le_bytes().to_vec();
        message.extend_from_slice(later);
        assert_eq!(decode(message.clone()).map(|(head, _)| head), Some(Head::Unknown));
        for len in 0..message.len() {
            assert_eq!(decode(message[..len].to_vec()), None);
        }
    }
}
