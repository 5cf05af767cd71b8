//! automerge-repo's frames around sync messages.

use bytes::Bytes;
use primitives::DocumentId;
use repo_protocol::{Message, PROTOCOL_VERSION, PeerId, PeerMetadata, decode};

use super::socket::{Outbox, Socket};
use crate::Fallible;

/// One connection's side of the protocol, for one document.
pub struct Envelope {
    /// The `sync` frame up to the length of its data.
    prefix: Vec<u8>,
    document: DocumentId,
    /// The bytes around the data in the last frame. A server writes all frames to one peer alike, so the next frame
    /// is parsed by comparing these bytes.
    around: Option<(Vec<u8>, Vec<u8>)>,
}

impl Envelope {
    /// Joins, and receives the server's peer id.
    pub async fn join(socket: &mut Socket, name: &str, document: &DocumentId) -> Fallible<(Self, PeerId)> {
        socket.outbox.binary(&[&join(name)?]);
        let server = loop {
            if let Some(frame) = socket.inbox.next(&mut socket.outbox)? {
                match decode(&Bytes::copy_from_slice(frame))? {
                    Message::Peer { sender, .. } => break sender,
                    Message::Error { message, .. } => return Err(message.into()),
                    _ => continue,
                }
            }
            socket.turn().await?;
        };
        Ok((Self::new(name, &server, document)?, server))
    }

    /// For one document on a connection that has joined.
    pub fn new(name: &str, server: &PeerId, document: &DocumentId) -> Fallible<Self> {
        Ok(Self { prefix: prefix(&PeerId::new(name)?, server, document)?, document: document.clone(), around: None })
    }

    /// Queues a sync message.
    pub fn sync(&self, outbox: &mut Outbox, data: &[u8]) {
        let mut length = [0; 5];
        outbox.binary(&[&self.prefix, bytes_head(&mut length, data.len()), data]);
    }

    /// The sync message in a frame, if it is for this document.
    pub fn open<'f>(&mut self, frame: &'f [u8]) -> Fallible<Option<&'f [u8]>> {
        if let Some(data) = self.around.as_ref().and_then(|(before, after)| between(before, frame, after)) {
            return Ok(Some(data));
        }
        let whole = Bytes::copy_from_slice(frame);
        match decode(&whole)? {
            Message::Sync { document, data, .. } if document == self.document => {
                let encoded = [bytes_head(&mut [0; 5], data.len()), &data].concat();
                // Servers write the data last. The decoder copies small data, so the position cannot be derived from
                // its address.
                let mut windows = frame.windows(encoded.len());
                let before = windows.rposition(|window| window == encoded).ok_or("the data is not in the frame")?;
                let end = before + encoded.len();
                let start = end - data.len();
                self.around = Some((frame[..before].to_vec(), frame[end..].to_vec()));
                Ok(Some(&frame[start..end]))
            }
            Message::DocUnavailable { .. } => Err("the server has not got the document".into()),
            Message::Error { message, .. } => Err(message.into()),
            _ => Ok(None),
        }
    }
}

/// The byte string in a frame that consists of `before`, one byte string, and `after`.
fn between<'f>(before: &[u8], frame: &'f [u8], after: &[u8]) -> Option<&'f [u8]> {
    let rest = frame.strip_prefix(before)?.strip_suffix(after)?;
    let head = match rest.first()? {
        0x40..0x58 => 1,
        0x58 => 2,
        0x59 => 3,
        0x5a => 5,
        _ => return None,
    };
    let data = rest.get(head..)?;
    (rest[..head] == *bytes_head(&mut [0; 5], data.len())).then_some(data)
}

/// The first frame.
pub fn join(name: &str) -> Fallible<Vec<u8>> {
    let metadata = PeerMetadata { storage_id: None, is_ephemeral: true };
    let versions = vec![PROTOCOL_VERSION.to_owned()];
    Ok(Message::Join { sender: PeerId::new(name)?, metadata, versions }.encode())
}

/// The frame that requests a document.
pub fn request(name: &str, server: &PeerId, document: &DocumentId, data: &[u8]) -> Fallible<Vec<u8>> {
    let data = Bytes::copy_from_slice(data);
    let message =
        Message::Request { sender: PeerId::new(name)?, target: server.clone(), document: document.clone(), data };
    Ok(message.encode())
}

fn prefix(sender: &PeerId, target: &PeerId, document: &DocumentId) -> Fallible<Vec<u8>> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    encoder.map(5)?.str("type")?.str("sync")?;
    for (key, value) in
        [("targetId", target.as_str()), ("documentId", document.as_str()), ("senderId", sender.as_str())]
    {
        encoder.str(key)?.str(value)?;
    }
    encoder.str("data")?;
    Ok(encoder.into_writer())
}

/// The header of a byte string of this length.
fn bytes_head(head: &mut [u8; 5], length: usize) -> &[u8] {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..24), _) => {
            head[0] = 0x40 | short;
            &head[..1]
        }
        (Ok(short), _) => {
            head[..2].copy_from_slice(&[0x58, short]);
            &head[..2]
        }
        (_, Ok(medium)) => {
            head[0] = 0x59;
            head[1..3].copy_from_slice(&medium.to_be_bytes());
            &head[..3]
        }
        _ => {
            head[0] = 0x5a;
            // Frames of more than 4 GiB do not occur.
            head[1..].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
            &head[..]
        }
    }
}
