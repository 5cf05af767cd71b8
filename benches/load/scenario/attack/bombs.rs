//! Small sync messages that decode to large content.

use std::io::{Read, Result};

use flate2::Compression;
use flate2::read::DeflateEncoder;

use super::forge::{chunk, laid_out, message, signed, unsigned};

/// Number of zero bytes that one of them inflates to.
const INFLATED: usize = 200 << 20;

/// All of them.
pub fn all() -> Result<Vec<Vec<u8>>> {
    let mut zeros = Vec::new();
    DeflateEncoder::new(std::io::repeat(0).take(INFLATED as u64), Compression::fast()).read_to_end(&mut zeros)?;
    let compressed = [&[0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 2][..], &unsigned(zeros.len() as u64), &zeros].concat();
    Ok([compressed, operations(1 << 40), operations(1_999_999), changes(1 << 40), changes(499_999)]
        .map(|bomb| message(Vec::new(), vec![bomb]))
        .into())
}

/// A change that sets one key of the root this number of times.
fn operations(rows: i64) -> Vec<u8> {
    let columns = [
        (0x15, [signed(rows), vec![1, b'k']].concat()),
        (0x34, unsigned(rows.unsigned_abs())),
        (0x42, [signed(rows), vec![1]].concat()),
        (0x56, [signed(rows), vec![0]].concat()),
        (0x70, [signed(rows), vec![0]].concat()),
    ];
    let (heads, data) = laid_out(&columns);
    let actor = [vec![16], vec![66; 16]].concat();
    chunk(1, &[vec![0], actor, vec![1, 1, 0, 0, 0], heads, data].concat())
}

/// A document with this number of changes.
fn changes(count: i64) -> Vec<u8> {
    let columns = [
        (0x01, [signed(count), vec![0]].concat()),
        (0x03, [signed(count), vec![1]].concat()),
        (0x13, [signed(count), vec![1]].concat()),
    ];
    let (heads, data) = laid_out(&columns);
    let actor = [vec![1, 16], vec![66; 16]].concat();
    chunk(0, &[actor, vec![1], vec![0; 32], heads, vec![0], data, vec![0]].concat())
}
