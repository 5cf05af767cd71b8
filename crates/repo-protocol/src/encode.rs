//! Encodes messages: CBOR maps of known length, with keys in the order of the JavaScript code.

use primitives::DocumentId;

use super::{Ephemeral, Message, PeerId, PeerMetadata};

/// CBOR's major types, in the upper three bits of the first byte.
const UNSIGNED: u8 = 0x00;
const BYTES: u8 = 0x40;
const TEXT: u8 = 0x60;
const ARRAY: u8 = 0x80;
const MAP: u8 = 0xa0;

impl Message {
    /// Encodes the message as a binary frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Join { sender, metadata, versions } => {
                let mut out = Writer::new("join", 4, 0);
                out.pair("senderId", sender.as_str());
                out.metadata(metadata);
                out.list("supportedProtocolVersions", versions.iter().map(String::as_str));
                out.0
            }
            Self::Peer { sender, target, metadata, version } => {
                let mut out = Writer::new("peer", 5, 0);
                out.pair("senderId", sender.as_str());
                out.metadata(metadata);
                out.pair("selectedProtocolVersion", version);
                out.pair("targetId", target.as_str());
                out.0
            }
            Self::Sync { sender, target, document, data } => {
                let mut out = Writer::new("sync", 5, data.len());
                out.pair("targetId", target.as_str());
                out.data(data);
                out.pair("documentId", document.as_str());
                out.pair("senderId", sender.as_str());
                out.0
            }
            Self::Request { sender, target, document, data } => {
                let mut out = Writer::new("request", 5, data.len());
                out.pair("targetId", target.as_str());
                out.pair("documentId", document.as_str());
                out.data(data);
                out.pair("senderId", sender.as_str());
                out.0
            }
            Self::DocUnavailable { sender, target, document, message } => {
                let mut out = Writer::new("doc-unavailable", 4 + u64::from(message.is_some()), 0);
                out.pair("targetId", target.as_str());
                out.pair("documentId", document.as_str());
                out.pair("senderId", sender.as_str());
                if let Some(message) = message {
                    out.pair("message", message);
                }
                out.0
            }
            Self::Ephemeral(Ephemeral { sender, target, count, session, document, data }) => {
                let mut out = Writer::new("ephemeral", 7, data.len());
                out.pair("targetId", target.as_str());
                out.pair("documentId", document.as_str());
                out.data(data);
                out.text("count");
                out.count(*count);
                out.pair("sessionId", session);
                out.pair("senderId", sender.as_str());
                out.0
            }
            Self::RemoteSubscriptionChange { sender, target, add, remove } => {
                let mut out = Writer::new("remote-subscription-change", 5, 0);
                out.pair("targetId", target.as_str());
                out.list("add", add.iter().map(super::StorageId::as_str));
                out.list("remove", remove.iter().map(super::StorageId::as_str));
                out.pair("senderId", sender.as_str());
                out.0
            }
            Self::RemoteHeadsChanged { sender, target, document, heads } => {
                let mut out = Writer::new("remote-heads-changed", 5, 0);
                out.pair("targetId", target.as_str());
                out.pair("documentId", document.as_str());
                out.text("newHeads");
                out.head(MAP, heads.len() as u64);
                for (store, remote) in heads {
                    out.text(store.as_str());
                    out.head(MAP, 2);
                    out.list("heads", remote.heads.iter().map(String::as_str));
                    out.text("timestamp");
                    out.float(remote.timestamp);
                }
                out.pair("senderId", sender.as_str());
                out.0
            }
            Self::Leave { sender } => {
                let mut out = Writer::new("leave", 2, 0);
                out.pair("senderId", sender.as_str());
                out.0
            }
            Self::Error { sender, target, document, message } => {
                let named = [sender.is_some(), target.is_some(), document.is_some()];
                let keys = 2 + named.into_iter().map(u64::from).sum::<u64>();
                let mut out = Writer::new("error", keys, message.len());
                if let Some(sender) = sender {
                    out.pair("senderId", sender.as_str());
                }
                out.pair("message", message);
                if let Some(target) = target {
                    out.pair("targetId", target.as_str());
                }
                if let Some(document) = document {
                    out.pair("documentId", document.as_str());
                }
                out.0
            }
            Self::Unknown { kind, sender } => {
                let mut out = Writer::new(kind, 1 + u64::from(sender.is_some()), 0);
                if let Some(sender) = sender {
                    out.pair("senderId", sender.as_str());
                }
                out.0
            }
        }
    }
}

/// The beginning of a `sync` frame up to its data, of which there are `length` bytes (not 0). Append the data to get
/// the frame.
///
/// Unlike [`Message::encode`], this needs no copy of data that goes to many peers. Only the order of the keys differs.
#[must_use]
pub fn sync_head(sender: &PeerId, target: &PeerId, document: &DocumentId, length: usize) -> Vec<u8> {
    let mut out = Writer::new("sync", 5, 0);
    out.pair("senderId", sender.as_str());
    out.pair("targetId", target.as_str());
    out.pair("documentId", document.as_str());
    out.text("data");
    out.head(BYTES, length as u64);
    out.0
}

/// Writes CBOR.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Begins a message; `payload` hints at the size of large values.
    fn new(kind: &str, keys: u64, payload: usize) -> Self {
        let mut out = Self(Vec::with_capacity(payload + 256));
        out.head(MAP, keys);
        out.pair("type", kind);
        out
    }

    /// Begins the content of an ephemeral presence message.
    pub(super) fn presence(keys: u64) -> Self {
        let mut out = Self(Vec::new());
        out.map(1);
        out.text("__presence");
        out.map(keys);
        out
    }

    pub(super) fn map(&mut self, keys: u64) {
        self.head(MAP, keys);
    }

    pub(super) fn array(&mut self, entries: usize) {
        self.head(ARRAY, entries as u64);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes the head of a value: its major type and a number, in as few bytes as possible.
    #[expect(clippy::cast_possible_truncation, reason = "every arm knows that the number fits")]
    fn head(&mut self, major: u8, number: u64) {
        match number {
            0..24 => self.0.push(major | number as u8),
            24..=0xff => self.0.extend([major | 24, number as u8]),
            0x100..=0xffff => {
                self.0.push(major | 25);
                self.0.extend((number as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.0.push(major | 26);
                self.0.extend((number as u32).to_be_bytes());
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend(number.to_be_bytes());
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn pair(&mut self, key: &str, value: &str) {
        self.text(key);
        self.text(value);
    }

    fn data(&mut self, data: &[u8]) {
        self.text("data");
        self.head(BYTES, data.len() as u64);
        self.0.extend_from_slice(data);
    }

    fn list<'a>(&mut self, key: &str, entries: impl ExactSizeIterator<Item = &'a str>) {
        self.text(key);
        self.head(ARRAY, entries.len() as u64);
        for entry in entries {
            self.text(entry);
        }
    }

    fn metadata(&mut self, metadata: &PeerMetadata) {
        self.text("peerMetadata");
        self.head(MAP, 1 + u64::from(metadata.storage_id.is_some()));
        if let Some(store) = &metadata.storage_id {
            self.pair("storageId", store.as_str());
        }
        self.text("isEphemeral");
        self.0.push(if metadata.is_ephemeral { 0xf5 } else { 0xf4 });
    }

    /// Writes a float above 32 bits, as cbor-x does: it reads large integers as `BigInt`, which equals no number.
    fn count(&mut self, count: u64) {
        if u32::try_from(count).is_ok() {
            self.head(UNSIGNED, count);
        } else {
            #[expect(clippy::cast_precision_loss, reason = "counts are at most 2^53 - 1")]
            self.float(count as f64);
        }
    }

    fn float(&mut self, number: f64) {
        self.0.push(0xfb);
        self.0.extend(number.to_be_bytes());
    }
}
