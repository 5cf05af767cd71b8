//! Valid chunks with some changed bytes.

use sha2::{Digest, Sha256};

/// Magic, checksum.
const HEADER: usize = 8;

/// Changes bytes of chunks. Each mutation has four bytes: two for the position, one for the operation, one for the value.
/// Then corrects the checksums.
pub fn mutated(chunks: &[u8], mutations: &[u8]) -> Vec<u8> {
    let mut chunks = chunks.to_vec();
    for mutation in mutations.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([mutation[0], mutation[1]]));
        match mutation[2] % 4 {
            0 if at < chunks.len() => chunks[at] = mutation[3],
            1 if at < chunks.len() => chunks[at] ^= 1 << (mutation[3] % 8),
            2 if at < chunks.len() => drop(chunks.remove(at)),
            3 if at <= chunks.len() => chunks.insert(at, mutation[3]),
            _ => {}
        }
    }
    with_checksums(chunks)
}

/// Corrects the checksum of every chunk that can be found.
fn with_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut start = 0;
    while let Some(end) = chunk_end(&bytes, start) {
        let checksum = Sha256::digest(&bytes[start + HEADER..end]);
        bytes[start + 4..start + HEADER].copy_from_slice(&checksum[..4]);
        start = end;
    }
    bytes
}

/// The end of the chunk that begins at `start`.
fn chunk_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start.checked_add(HEADER + 1)?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    at.checked_add(length).filter(|end| *end <= bytes.len())
}
