//! Encoding of the remembered sync states of peers: a cache that only this program reads, encoded with `bincode`.
//!
//! ```text
//! version (1) | checksum (8, the start of SHA-256 over the rest) | bincode of the records
//! ```
//!
//! These files are written without fsync, so the checksum detects content that a crash has garbled. Wrong heads would make
//! the server assume that a peer has changes which it lacks.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
/// Length of the checksum in bytes.
const CHECKSUM: usize = 8;
const HEADER: usize = 1 + CHECKSUM;

/// Largest size in bytes of the encoded records, and of what decoding them may allocate.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Remembered sync state of one peer for one document.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PeerRecord {
    /// Storage id of the peer, which identifies it across connections.
    pub storage_id: String,
    /// Heads of the changes that both the peer and this server had.
    pub shared_heads: Vec<[u8; 32]>,
    /// When the peer was last connected, in seconds since 1970.
    pub last_seen: i64,
}

fn config() -> Configuration<LittleEndian, Varint, Limit<MAX_BYTES>> {
    bincode::config::standard().with_limit::<MAX_BYTES>()
}

/// Encodes records as the content of a file. `None` if they exceed [`MAX_BYTES`].
pub(super) fn encode(records: &[PeerRecord]) -> Option<Vec<u8>> {
    let body = bincode::encode_to_vec(records, config()).ok().filter(|body| body.len() <= MAX_BYTES)?;
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&Sha256::digest(&body)[..CHECKSUM]);
    bytes.extend_from_slice(&body);
    Some(bytes)
}

/// Decodes the content of a file.
///
/// # Errors
/// When the content is incomplete, corrupt or of another version.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<PeerRecord>, PeerRecordsError> {
    let (header, body) = bytes.split_at_checked(HEADER).ok_or(PeerRecordsError::Short)?;
    if header[0] != VERSION {
        return Err(PeerRecordsError::Version(header[0]));
    }
    if header[1..] != Sha256::digest(body)[..CHECKSUM] {
        return Err(PeerRecordsError::Checksum);
    }
    let (records, read) = bincode::decode_from_slice(body, config())?;
    if read == body.len() { Ok(records) } else { Err(PeerRecordsError::Checksum) }
}

/// Why a file of peer records cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerRecordsError {
    #[error("the file is too short")]
    Short,
    #[error("unknown version {0}")]
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
            PeerRecord { storage_id: "ceo".into(), shared_heads: vec![[1; 32], [2; 32]], last_seen: 1_750_000_000 },
            PeerRecord { storage_id: String::new(), shared_heads: vec![], last_seen: -1 },
        ]
    }

    #[test]
    fn records_survive_a_round_trip() {
        assert_eq!(decode(&encode(&records()).expect("fits")).expect("decodes"), records());
        assert_eq!(decode(&encode(&[]).expect("fits")).expect("decodes"), []);
    }

    #[test]
    fn corrupt_or_truncated_records_are_rejected() {
        let bytes = encode(&records()).expect("fits");
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(decode(&flipped).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn false_length_allocates_nothing() {
        let body = [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&Sha256::digest(body)[..CHECKSUM]);
        bytes.extend_from_slice(&body);
        assert!(matches!(decode(&bytes), Err(PeerRecordsError::Bincode(_))));
    }
}
