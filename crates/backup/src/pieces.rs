//! Divides a file into the parts that an earlier backup holds, and the rest. Pure.

use std::ops::Range;

use crate::manifest::{FileEntry, Piece, sha256};

/// How a file is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan<'a> {
    /// The leading parts, which earlier backups hold.
    pub(crate) reused: &'a [Piece],
    /// The bytes to store. Empty if the earlier parts are the whole file.
    pub(crate) new: Range<usize>,
}

/// Plans how to store a file. `base` is the file in the last backup, as far as its parts are still there.
///
/// Files are logs, which mostly grow at their end, so a backup stores what was added since the last one. A part that is at most
/// twice as long as the bytes after it is stored again together with them: so each part is more than twice as long as the next one,
/// a file of n bytes has at most log2(n) parts, and a byte is stored at most as often.
pub(crate) fn plan<'a>(bytes: &[u8], base: &'a [Piece]) -> Plan<'a> {
    let (mut count, mut at) = (0_usize, 0_usize);
    for piece in base {
        let end = usize::try_from(piece.len).ok().and_then(|len| at.checked_add(len));
        match end.and_then(|end| Some((end, bytes.get(at..end)?))) {
            Some((end, part)) if sha256(part) == piece.sha256 => (count, at) = (count + 1, end),
            _ => break,
        }
    }
    if at < bytes.len() {
        while let Some(last) = count.checked_sub(1).map(|last| &base[last]) {
            let len = usize::try_from(last.len).unwrap_or(usize::MAX);
            if len / 2 > bytes.len() - at {
                break;
            }
            (count, at) = (count - 1, at - len);
        }
    }
    Plan { reused: &base[..count], new: at..bytes.len() }
}

/// The entry of a file that is stored in this way. `path` is that of the part with the new bytes.
pub(crate) fn entry(bytes: &[u8], plan: &Plan<'_>, path: &str) -> FileEntry {
    let mut pieces = plan.reused.to_vec();
    if !plan.new.is_empty() {
        let part = &bytes[plan.new.clone()];
        pieces.push(Piece { path: path.to_owned(), len: part.len() as u64, sha256: sha256(part) });
    }
    FileEntry { len: bytes.len() as u64, sha256: sha256(bytes), pieces }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Stores a file after an earlier backup of it. Returns its entry, and the number of stored bytes.
    fn store(bytes: &[u8], base: &[Piece], name: &str) -> (FileEntry, usize) {
        let plan = plan(bytes, base);
        (entry(bytes, &plan, name), plan.new.len())
    }

    fn piece(path: &str, part: &[u8]) -> Piece {
        Piece { path: path.to_owned(), len: part.len() as u64, sha256: sha256(part) }
    }

    #[test]
    fn unchanged_file_stores_nothing() {
        let (first, stored) = store(b"0123456789", &[], "1");
        assert_eq!((stored, &first.pieces[..]), (10, &[piece("1", b"0123456789")][..]));
        let (again, stored) = store(b"0123456789", &first.pieces, "2");
        assert_eq!((again, stored), (first, 0));
        let (empty, stored) = store(b"", &[], "1");
        assert_eq!((empty.len, empty.pieces.len(), stored), (0, 0, 0));
    }

    #[test]
    fn grown_file_stores_its_end_and_joins_short_parts() {
        let bytes = [7; 100];
        let base = [piece("1", &bytes[..60]), piece("2", &bytes[..10])];
        let (grown, stored) = store(&bytes[..72], &base, "3");
        assert_eq!((stored, grown.pieces.len()), (2, 3));
        let (grown, stored) = store(&bytes[..76], &base, "3");
        assert_eq!((stored, grown.pieces), (16, vec![base[0].clone(), piece("3", &bytes[60..76])]));
        let (grown, stored) = store(&bytes, &base, "3");
        assert_eq!((stored, grown.pieces), (100, vec![piece("3", &bytes)]));
    }

    #[test]
    fn rewritten_and_shortened_files_are_stored_anew() {
        let base = [piece("1", &[7; 60]), piece("2", &[7; 10])];
        assert_eq!(store(&[8; 70], &base, "3").1, 70);
        let (shorter, stored) = store(&[7; 65], &base, "3");
        assert_eq!((stored, shorter.pieces), (5, vec![base[0].clone(), piece("3", &[7; 5])]));
    }

    proptest! {
        #[test]
        fn parts_are_the_file_and_stay_few(steps in prop::collection::vec(0_usize..200, 1..80)) {
            let (mut bytes, mut pieces, mut stored) = (Vec::new(), Vec::new(), 0);
            let mut parts = std::collections::HashMap::new();
            for (number, step) in steps.iter().enumerate() {
                bytes.extend((0..*step).map(|index| (index * 31 + number) as u8));
                let plan = plan(&bytes, &pieces);
                parts.insert(number.to_string(), bytes[plan.new.clone()].to_vec());
                stored += plan.new.len();
                let file = entry(&bytes, &plan, &number.to_string());
                let joined: Vec<u8> = file.pieces.iter().flat_map(|piece| parts[&piece.path].clone()).collect();
                prop_assert_eq!(&joined, &bytes);
                pieces = file.pieces;
            }
            let bits = bytes.len().max(2).ilog2() as usize + 1;
            prop_assert!(pieces.len() <= bits, "{} parts of {} bytes", pieces.len(), bytes.len());
            prop_assert!(stored <= bytes.len() * bits, "{stored} bytes stored of {}", bytes.len());
        }
    }
}
