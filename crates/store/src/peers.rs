//! What is remembered of peers that may come back: a cache for our own programs, encoded with `bincode`.
//!
//! ```text
//! version (1) | checksum (8, the start of SHA-256 over the rest) | bincode of the records
//! ```
//!
//! The checksum is there because these files are written without fsync: heads that a crash had garbled could make a
//! peer look as if it had changes which it has not.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
const CHECKSUM: usize = 8;
const HEADER: usize = 1 + CHECKSUM;

/// What a file of records may hold at most, and make a decoder allocate.
pub(super) const LIMIT: usize = 16 << 20;

/// What is remembered of one peer about one document.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PeerRecord {
    /// The peer's storage id: who it is, across connections.
    pub storage_id: String,
    /// The heads that the peer and this server both had.
    pub shared_heads: Vec<[u8; 32]>,
    /// When it was last here, in seconds since 1970.
    pub seen: i64,
}

fn config() -> Configuration<LittleEndian, Varint, Limit<LIMIT>> {
    bincode::config::standard().with_limit::<LIMIT>()
}

/// The records as the bytes of a file; `None` if they are more than a file may hold.
pub(super) fn encode(records: &[PeerRecord]) -> Option<Vec<u8>> {
    let body = bincode::encode_to_vec(records, config()).ok().filter(|body| body.len() <= LIMIT)?;
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&Sha256::digest(&body)[..CHECKSUM]);
    bytes.extend_from_slice(&body);
    Some(bytes)
}

/// The records in the bytes of a file.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<PeerRecord>, Unreadable> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or(Unreadable::Short)?;
    if header[0] != VERSION {
        return Err(Unreadable::Version(header[0]));
    }
    if header[1..] != Sha256::digest(body)[..CHECKSUM] {
        return Err(Unreadable::Checksum);
    }
    let (records, read) = bincode::decode_from_slice(body, config())?;
    if read == body.len() { Ok(records) } else { Err(Unreadable::Checksum) }
}

/// Why bytes are no peer records.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the file is too short")]
    Short,
    #[error("version {0} is not known")]
    Version(u8),
    #[error("the checksum does not match")]
    Checksum,
    #[error(transparent)]
    Bincode(#[from] bincode::error::DecodeError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<PeerRecord> {
        vec![
            PeerRecord { storage_id: "ceo".into(), shared_heads: vec![[1; 32], [2; 32]], seen: 1_750_000_000 },
            PeerRecord { storage_id: String::new(), shared_heads: vec![], seen: -1 },
        ]
    }

    #[test]
    fn records_come_back_as_they_were() {
        assert_eq!(decode(&encode(&records()).expect("fits")).expect("decodes"), records());
        assert_eq!(decode(&encode(&[]).expect("fits")).expect("decodes"), []);
    }

    #[test]
    fn records_with_a_flipped_byte_or_a_missing_end_are_refused() {
        let bytes = encode(&records()).expect("fits");
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(decode(&flipped).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_length_that_lies_allocates_nothing() {
        let body = [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&Sha256::digest(body)[..CHECKSUM]);
        bytes.extend_from_slice(&body);
        assert!(matches!(decode(&bytes), Err(Unreadable::Bincode(_))));
    }
}
