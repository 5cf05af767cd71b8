//! The format of notifications between nodes.
//!
//! ```text
//! base64( version (1) | node (8) | messages | HMAC-SHA-256 over all before it (32) )
//! ```
//!
//! A message is one byte for its kind and its fields; numbers are little endian, byte strings follow their length. Others
//! may notify on the same database, so the code makes sure that a message comes from a node of this cluster.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::position::{Batch, BatchKind, News, Position, Tip};

/// Bytes of a notification that PostgreSQL accepts, with a margin.
const MAX_PAYLOAD: usize = 7_900;
const VERSION: u8 = 1;
const NODE: usize = 8;
const TAG: usize = 32;
/// Bytes of messages that fit into a notification.
pub(super) const MAX_MESSAGES: usize = MAX_PAYLOAD / 4 * 3 - 1 - NODE - TAG;

const MOVED: u8 = 1;
const CONTROL: u8 = 2;
const EPHEMERAL: u8 = 3;
const LOOK_AT_ALL: u8 = 4;
const ALIVE: u8 = 5;
const LEAVING: u8 = 6;

/// One message of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Something for the nodes.
    News(News),
    /// The sender lives, and its notifications are delivered.
    Alive,
    /// The sender shuts down.
    Leaving,
}

/// Signs and verifies the notifications of a cluster.
pub(super) struct Seal {
    key: hmac::Key,
    node: [u8; NODE],
}

impl Seal {
    pub(super) fn new(key: &[u8], node: [u8; NODE]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), node }
    }

    /// The payload with these encoded messages.
    pub(super) fn seal(&self, messages: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(1 + NODE + messages.len() + TAG);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.node);
        bytes.extend_from_slice(messages);
        let tag = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        STANDARD_NO_PAD.encode(bytes)
    }

    /// The sender and the messages in a payload. `None` if it is not from this cluster. Messages of a later version are
    /// left out, with those after them; [`News::LookAtAll`] stands for them.
    pub(super) fn open(&self, payload: &str) -> Option<([u8; NODE], Vec<Message>)> {
        let bytes = STANDARD_NO_PAD.decode(payload).ok()?;
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        hmac::verify(&self.key, signed, tag).ok()?;
        let (version, rest) = signed.split_first()?;
        let (node, mut rest) = rest.split_first_chunk::<NODE>()?;
        let mut messages = Vec::new();
        while !rest.is_empty() {
            match (*version == VERSION).then(|| decode(&mut rest)).flatten() {
                Some(message) => messages.push(message),
                None => {
                    messages.push(Message::News(News::LookAtAll));
                    break;
                }
            }
        }
        Some((*node, messages))
    }
}

/// Adds a message to those of a notification.
pub(super) fn encode(message: &Message, into: &mut Vec<u8>) {
    match message {
        Message::News(News::Moved { id, at, batch }) => {
            into.push(MOVED);
            put_bytes(id.as_str().as_bytes(), into);
            into.extend_from_slice(&at.seq.to_le_bytes());
            into.extend_from_slice(at.tip.as_bytes());
            into.push(u8::from(batch.is_some()));
            if let Some(batch) = batch {
                into.push(batch.kind as u8);
                put_bytes(&batch.chunks, into);
                put_bytes(&batch.authors, into);
            }
        }
        Message::News(News::Control(revision)) => {
            into.push(CONTROL);
            into.extend_from_slice(&revision.to_le_bytes());
        }
        Message::News(News::Ephemeral(bytes)) => {
            into.push(EPHEMERAL);
            put_bytes(bytes, into);
        }
        Message::News(News::LookAtAll) => into.push(LOOK_AT_ALL),
        Message::Alive => into.push(ALIVE),
        Message::Leaving => into.push(LEAVING),
    }
}

fn decode(rest: &mut &[u8]) -> Option<Message> {
    let [kind] = take(rest)?;
    Some(match kind {
        MOVED => {
            let id = std::str::from_utf8(take_bytes(rest)?).ok()?.parse().ok()?;
            let at = Position { seq: u64::from_le_bytes(take(rest)?), tip: Tip::from(take::<{ Tip::LEN }>(rest)?) };
            let batch = match take(rest)? {
                [0] => None,
                _ => {
                    let [kind] = take(rest)?;
                    let kind = BatchKind::from_number(kind)?;
                    let (chunks, authors) = (take_bytes(rest)?.to_vec(), take_bytes(rest)?.to_vec());
                    Some(Batch { kind, chunks, authors })
                }
            };
            Message::News(News::Moved { id, at, batch })
        }
        CONTROL => Message::News(News::Control(u64::from_le_bytes(take(rest)?))),
        EPHEMERAL => Message::News(News::Ephemeral(take_bytes(rest)?.to_vec())),
        LOOK_AT_ALL => Message::News(News::LookAtAll),
        ALIVE => Message::Alive,
        LEAVING => Message::Leaving,
        _ => return None,
    })
}

fn put_bytes(bytes: &[u8], into: &mut Vec<u8>) {
    // Every part of a notification is shorter than 2^32 bytes.
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    into.extend_from_slice(bytes);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u32::from_le_bytes(take(rest)?) as usize;
    let (bytes, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use primitives::DocumentId;

    use super::*;

    fn messages() -> Vec<Message> {
        let id = DocumentId::from_random([7; 16]);
        let at = Position { seq: 9, tip: Tip::from([3; Tip::LEN]) };
        let batch = Batch { kind: BatchKind::Changes, chunks: vec![0, 255, 10], authors: b"a\n".to_vec() };
        vec![
            Message::News(News::Moved { id: id.clone(), at, batch: Some(batch) }),
            Message::News(News::Moved { id, at, batch: None }),
            Message::News(News::Control(77)),
            Message::News(News::Ephemeral(vec![1, 0, 2])),
            Message::News(News::LookAtAll),
            Message::Alive,
            Message::Leaving,
        ]
    }

    fn encoded(messages: &[Message]) -> Vec<u8> {
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| encode(message, &mut bytes));
        bytes
    }

    #[test]
    fn messages_come_back_as_they_were_sent() {
        let seal = Seal::new(b"key", [1; 8]);
        let payload = seal.seal(&encoded(&messages()));
        assert!(payload.is_ascii());
        assert_eq!(seal.open(&payload), Some(([1; 8], messages())));
    }

    #[test]
    fn payloads_of_others_are_refused() {
        let seal = Seal::new(b"key", [1; 8]);
        let payload = seal.seal(&encoded(&messages()));
        assert_eq!(Seal::new(b"another", [1; 8]).open(&payload), None);
        for at in 0..payload.len() {
            let mut changed = payload.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("text");
            assert_eq!(seal.open(&changed), None, "at {at}");
            assert_eq!(seal.open(&payload[..at]), None, "cut at {at}");
        }
        assert_eq!(seal.open("not base64!"), None);
    }

    #[test]
    fn messages_of_a_later_version_ask_to_look_at_all() {
        let seal = Seal::new(b"key", [1; 8]);
        let look = Message::News(News::LookAtAll);
        for (bytes, expected) in
            [(vec![200, 1, 2, 3], vec![look.clone()]), (vec![ALIVE, 200], vec![Message::Alive, look])]
        {
            assert_eq!(seal.open(&seal.seal(&bytes)).map(|(_, messages)| messages), Some(expected));
        }
    }

    #[test]
    fn a_full_notification_fits() {
        let seal = Seal::new(b"key", [1; 8]);
        assert!(seal.seal(&vec![ALIVE; MAX_MESSAGES]).len() <= MAX_PAYLOAD);
    }
}
