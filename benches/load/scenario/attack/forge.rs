//! Handmade Automerge chunks that are well-formed, but that no library would create.

use automerge::ChangeHash;
use automerge::sync::{Message, MessageVersion};
use sha2::{Digest, Sha256};

/// A change, and the hash that other changes refer to.
pub struct Forged {
    /// The chunk, header included.
    pub bytes: Vec<u8>,
    pub hash: ChangeHash,
}

/// A change without operations. `start_op` is the counter of its first operation, if it had one.
pub fn empty_change(actor: &[u8], seq: u64, start_op: u64, deps: &[ChangeHash]) -> Forged {
    let mut body = unsigned(deps.len() as u64);
    deps.iter().for_each(|dep| body.extend(dep.0));
    body.extend(unsigned(actor.len() as u64));
    body.extend(actor);
    body.extend(unsigned(seq));
    body.extend(unsigned(start_op));
    // Time, message, other actors, columns.
    body.extend([0; 4]);
    let (bytes, hash) = chunk_and_hash(1, &body);
    Forged { bytes, hash: ChangeHash(hash) }
}

/// A chunk of this type.
pub fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    chunk_and_hash(kind, body).0
}

fn chunk_and_hash(kind: u8, body: &[u8]) -> (Vec<u8>, [u8; 32]) {
    let hashed = [&[kind][..], &unsigned(body.len() as u64), body].concat();
    let hash: [u8; 32] = Sha256::digest(&hashed).into();
    ([&[0x85, 0x6f, 0x4a, 0x83][..], &hash[..4], &hashed].concat(), hash)
}

/// Column headers, then column data.
pub fn laid_out(columns: &[(u64, Vec<u8>)]) -> (Vec<u8>, Vec<u8>) {
    let mut heads = unsigned(columns.len() as u64);
    for (spec, data) in columns {
        heads.extend(unsigned(*spec));
        heads.extend(unsigned(data.len() as u64));
    }
    (heads, columns.iter().flat_map(|(_, data)| data.clone()).collect())
}

/// A sync message with these chunks.
pub fn message(mut heads: Vec<ChangeHash>, chunks: Vec<Vec<u8>>) -> Vec<u8> {
    // The usual order of the parts.
    heads.sort_unstable();
    let message = Message {
        heads,
        need: Vec::new(),
        have: Vec::new(),
        changes: chunks.into(),
        flags: None,
        version: MessageVersion::V1,
    };
    message.encode()
}

/// Unsigned LEB128.
pub fn unsigned(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Signed LEB128.
pub fn signed(mut value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !(-0x40..0x40).contains(&value) {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
    bytes
}
