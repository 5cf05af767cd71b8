//! Decodes frames.
//!
//! Works in two passes: the first locates the value of every key, the second reads those that this kind of message has.
//! So the order of keys does not matter, the last of repeated keys wins (as in cbor-x), and the values of unknown
//! messages are not read.

use std::collections::HashMap;

use bytes::Bytes;
use primitives::DocumentId;

use super::cbor::Reader;
use super::{DecodeError, Ephemeral, Message, PROTOCOL_VERSION, PeerId, PeerMetadata, RemoteHeads, StorageId, detach};

/// Longest accepted text in bytes, for values that are short in every client: kinds, versions, sessions, heads.
const MAX_TEXT: usize = 512;
/// Longest accepted reason in an `error`, in bytes.
const MAX_REASON: usize = 64 * 1024;
/// Most storage ids, or heads of all of them, in one message. Bounds how much larger than its frame a message can be.
const MAX_ENTRIES: usize = 10_000;

/// Most bytes of unknown entries in one message: room for extensions by later clients.
const MAX_UNKNOWN: usize = 16 * 1024;

/// Looks up the ids of known documents.
pub type KnownDocuments<'a> = dyn Fn(&str) -> Option<DocumentId> + 'a;

/// Decodes one binary frame. The `data` of the message is a slice of the frame, unless it is a small part of it (see
/// [`detach`]).
///
/// # Errors
/// When the frame is not a valid message.
pub fn decode(frame: &Bytes) -> Result<Message, DecodeError> {
    decode_with_known(frame, &|_| None)
}

/// Like [`decode`], but does not check the ids of `known` documents again.
///
/// # Errors
/// As for [`decode`].
pub fn decode_with_known(frame: &Bytes, known: &KnownDocuments<'_>) -> Result<Message, DecodeError> {
    let mut fields = Fields::locate(frame)?;
    fields.known = Some(known);
    let kind = fields.text("type", fields.kind, MAX_TEXT)?;
    let message = match &*kind {
        "join" => Message::Join {
            sender: fields.sender()?,
            metadata: fields.peer_metadata()?,
            versions: fields.versions_or_default()?,
        },
        "peer" => Message::Peer {
            sender: fields.sender()?,
            target: fields.target()?,
            metadata: fields.peer_metadata()?,
            version: fields.text("selectedProtocolVersion", fields.version, MAX_TEXT)?,
        },
        "sync" => Message::Sync {
            sender: fields.sender()?,
            target: fields.target()?,
            document: fields.document()?,
            data: fields.data(frame)?,
        },
        "request" => Message::Request {
            sender: fields.sender()?,
            target: fields.target()?,
            document: fields.document()?,
            data: fields.data(frame)?,
        },
        "doc-unavailable" => Message::DocUnavailable {
            sender: fields.sender()?,
            target: fields.target()?,
            document: fields.document()?,
            // Another type of value is no reason to end the connection.
            message: fields.message.and_then(|_| fields.text("message", fields.message, MAX_REASON).ok()),
        },
        "ephemeral" => Message::Ephemeral(Ephemeral {
            sender: fields.sender()?,
            target: fields.target()?,
            count: fields.required("count", fields.count)?.whole_number("count")?,
            session: fields.text("sessionId", fields.session, MAX_TEXT)?,
            document: fields.document()?,
            data: fields.data(frame)?,
        }),
        "remote-subscription-change" => Message::RemoteSubscriptionChange {
            sender: fields.sender()?,
            target: fields.target()?,
            add: fields.stores("add", fields.add)?,
            remove: fields.stores("remove", fields.remove)?,
        },
        "remote-heads-changed" => Message::RemoteHeadsChanged {
            sender: fields.sender()?,
            target: fields.target()?,
            document: fields.document()?,
            heads: fields.new_heads()?,
        },
        "leave" => Message::Leave { sender: fields.sender()? },
        "error" => Message::Error {
            sender: fields.sender.map(|_| fields.sender()).transpose()?,
            target: fields.target.map(|_| fields.target()).transpose()?,
            document: fields.document.map(|_| fields.document()).transpose()?,
            message: fields.text("message", fields.message, MAX_REASON)?,
        },
        // Unknown messages are ignored, so nothing of the frame is kept.
        _ => return Ok(Message::Unknown { sender: fields.sender().ok(), kind }),
    };
    if fields.unknown > MAX_UNKNOWN {
        return Err(DecodeError::UnknownKeys { found: fields.unknown, limit: MAX_UNKNOWN });
    }
    Ok(message)
}

/// Offset of each key's value in the frame. Absent, null and undefined are the same.
struct Fields<'b> {
    frame: Reader<'b>,
    known: Option<&'b KnownDocuments<'b>>,
    /// Bytes of entries with unknown or repeated keys.
    unknown: usize,
    kind: Option<usize>,
    sender: Option<usize>,
    target: Option<usize>,
    document: Option<usize>,
    data: Option<usize>,
    metadata: Option<usize>,
    versions: Option<usize>,
    version: Option<usize>,
    count: Option<usize>,
    session: Option<usize>,
    add: Option<usize>,
    remove: Option<usize>,
    new_heads: Option<usize>,
    message: Option<usize>,
}

impl<'b> Fields<'b> {
    fn locate(frame: &'b [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame);
        let mut fields = Self {
            frame: Reader::new(frame),
            known: None,
            unknown: 0,
            kind: None,
            sender: None,
            target: None,
            document: None,
            data: None,
            metadata: None,
            versions: None,
            version: None,
            count: None,
            session: None,
            add: None,
            remove: None,
            new_heads: None,
            message: None,
        };
        let mut remaining = reader.map("the frame")?;
        while reader.more(&mut remaining)? {
            let start = reader.position();
            let key = reader.key()?;
            let value = (!reader.is_absent()?).then_some(reader.position());
            reader.skip()?;
            let field = match key.as_deref() {
                Some("type") => &mut fields.kind,
                Some("senderId") => &mut fields.sender,
                Some("targetId") => &mut fields.target,
                Some("documentId") => &mut fields.document,
                Some("data") => &mut fields.data,
                // Some implementations use `metadata`, the README's name.
                Some("peerMetadata" | "metadata") => &mut fields.metadata,
                Some("supportedProtocolVersions") => &mut fields.versions,
                Some("selectedProtocolVersion") => &mut fields.version,
                Some("count") => &mut fields.count,
                Some("sessionId") => &mut fields.session,
                Some("add") => &mut fields.add,
                Some("remove") => &mut fields.remove,
                Some("newHeads") => &mut fields.new_heads,
                Some("message") => &mut fields.message,
                _ => {
                    fields.unknown += reader.position() - start;
                    continue;
                }
            };
            *field = value;
        }
        reader.end()?;
        Ok(fields)
    }

    fn required(&self, key: &'static str, field: Option<usize>) -> Result<Reader<'b>, DecodeError> {
        field.map(|position| self.frame.at(position)).ok_or(DecodeError::Missing { key })
    }

    fn text(&self, key: &'static str, field: Option<usize>, limit: usize) -> Result<String, DecodeError> {
        Ok(self.required(key, field)?.text(key, limit)?.into_owned())
    }

    fn sender(&self) -> Result<PeerId, DecodeError> {
        let name = self.required("senderId", self.sender)?.text("senderId", MAX_TEXT)?;
        PeerId::new(&name).map_err(|source| DecodeError::Name { key: "senderId", source })
    }

    fn target(&self) -> Result<PeerId, DecodeError> {
        let name = self.required("targetId", self.target)?.text("targetId", MAX_TEXT)?;
        PeerId::new(&name).map_err(|source| DecodeError::Name { key: "targetId", source })
    }

    fn document(&self) -> Result<DocumentId, DecodeError> {
        let text = self.required("documentId", self.document)?.text("documentId", MAX_TEXT)?;
        let known = self.known.and_then(|known| known(&text));
        known.map_or_else(|| Ok(text.parse()?), Ok)
    }

    /// Never empty: stock clients never send that, and crash when they receive it.
    fn data(&self, frame: &Bytes) -> Result<Bytes, DecodeError> {
        let data = match self.required("data", self.data)?.bytes("data")? {
            std::borrow::Cow::Borrowed(part) => detach(frame, part),
            std::borrow::Cow::Owned(joined) => joined.into(),
        };
        if data.is_empty() { Err(DecodeError::Empty { key: "data" }) } else { Ok(data) }
    }

    fn versions_or_default(&self) -> Result<Vec<String>, DecodeError> {
        const KEY: &str = "supportedProtocolVersions";
        let Some(position) = self.versions else { return Ok(vec![PROTOCOL_VERSION.to_owned()]) };
        texts(&mut self.frame.at(position), KEY, MAX_ENTRIES)
    }

    fn stores(&self, key: &'static str, field: Option<usize>) -> Result<Vec<StorageId>, DecodeError> {
        let Some(position) = field else { return Ok(Vec::new()) };
        list(&mut self.frame.at(position), key, MAX_ENTRIES, |reader| storage_id(&reader.text(key, MAX_TEXT)?, key))
    }

    fn peer_metadata(&self) -> Result<PeerMetadata, DecodeError> {
        let mut metadata = PeerMetadata::default();
        let Some(position) = self.metadata else { return Ok(metadata) };
        let mut reader = self.frame.at(position);
        let mut remaining = reader.map("peerMetadata")?;
        while reader.more(&mut remaining)? {
            let key = reader.key()?;
            let absent = reader.is_absent()?;
            match key.as_deref() {
                Some("storageId") if absent => metadata.storage_id = None,
                Some("isEphemeral") if absent => metadata.is_ephemeral = false,
                Some("storageId") => {
                    // Stock peers treat an empty id as none.
                    let name = reader.text("storageId", MAX_TEXT)?;
                    metadata.storage_id = if name.is_empty() { None } else { Some(storage_id(&name, "storageId")?) };
                    continue;
                }
                Some("isEphemeral") => {
                    metadata.is_ephemeral = reader.bool("isEphemeral")?;
                    continue;
                }
                _ => {}
            }
            reader.skip()?;
        }
        Ok(metadata)
    }

    fn new_heads(&self) -> Result<Vec<(StorageId, RemoteHeads)>, DecodeError> {
        let mut reader = self.required("newHeads", self.new_heads)?;
        let mut heads: Vec<(StorageId, RemoteHeads)> = Vec::new();
        let mut indexes = HashMap::new();
        let mut remaining = reader.map("newHeads")?;
        // For all stores together: lists within a list multiply.
        let mut left = MAX_ENTRIES;
        while reader.more(&mut remaining)? {
            if heads.len() == MAX_ENTRIES {
                return Err(DecodeError::TooMany { key: "newHeads", limit: MAX_ENTRIES });
            }
            let store = storage_id(&reader.text("newHeads", MAX_TEXT)?, "newHeads")?;
            let value = remote_heads(&mut reader, left)?;
            left -= value.heads.len();
            match indexes.get(&store) {
                Some(&index) => heads[index] = (store, value),
                None => {
                    indexes.insert(store.clone(), heads.len());
                    heads.push((store, value));
                }
            }
        }
        Ok(heads)
    }
}

fn remote_heads(reader: &mut Reader<'_>, most: usize) -> Result<RemoteHeads, DecodeError> {
    let (mut heads, mut timestamp) = (None, None);
    let mut remaining = reader.map("newHeads")?;
    while reader.more(&mut remaining)? {
        match reader.key()?.as_deref() {
            Some("heads") => heads = Some(texts(reader, "heads", most)?),
            Some("timestamp") => timestamp = Some(reader.number("timestamp")?),
            _ => reader.skip()?,
        }
    }
    Ok(RemoteHeads {
        heads: heads.ok_or(DecodeError::Missing { key: "heads" })?,
        timestamp: timestamp.ok_or(DecodeError::Missing { key: "timestamp" })?,
    })
}

fn texts(reader: &mut Reader<'_>, key: &'static str, most: usize) -> Result<Vec<String>, DecodeError> {
    list(reader, key, most, |reader| Ok(reader.text(key, MAX_TEXT)?.into_owned()))
}

// The vector grows with the actual entries; the length in the header is not trusted.
fn list<'b, T>(
    reader: &mut Reader<'b>,
    key: &'static str,
    most: usize,
    read: impl Fn(&mut Reader<'b>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut entries = Vec::new();
    let mut remaining = reader.array(key)?;
    while reader.more(&mut remaining)? {
        if entries.len() == most {
            return Err(DecodeError::TooMany { key, limit: MAX_ENTRIES });
        }
        entries.push(read(reader)?);
    }
    Ok(entries)
}

fn storage_id(text: &str, key: &'static str) -> Result<StorageId, DecodeError> {
    StorageId::new(text).map_err(|source| DecodeError::Name { key, source })
}
