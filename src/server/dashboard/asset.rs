//! One file of the dashboard.

use std::collections::HashMap;
use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::GzDecoder;
use offload::run_cpu_bound;
use parking_lot::Mutex;

/// One file of the dashboard.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// The path of its URL, percent-encoded: `/assets/index-4f1d.js`.
    pub path: &'static str,
    /// The media type.
    pub media: &'static str,
    /// The entity tag, a hash of the content. Weak, because all encodings share it.
    pub tag: &'static str,
    /// The content.
    pub content: Content,
}

/// The content of a file, as it is embedded.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// Uncompressed, because compression does not make it smaller.
    Plain(&'static [u8]),
    /// Compressed when the server was built.
    Compressed {
        /// For clients that accept brotli.
        brotli: &'static [u8],
        /// For clients that accept gzip. Decompressed for other clients.
        gzip: &'static [u8],
        /// Uncompressed size in bytes.
        length: usize,
    },
}

/// Decompresses an embedded file of `length` bytes, once: the result is kept. Few clients accept neither brotli nor gzip, and one
/// that does so on purpose must not cost more than others.
pub(super) fn decompress(gzip: &'static [u8], length: usize) -> io::Result<Bytes> {
    /// The decompressed files, by the address of the embedded ones.
    static DECOMPRESSED: Mutex<Option<HashMap<usize, Bytes>>> = Mutex::new(None);
    let cache = || DECOMPRESSED.lock();
    let address = gzip.as_ptr() as usize;
    if let Some(bytes) = cache().as_ref().and_then(|files| files.get(&address)) {
        return Ok(bytes.clone());
    }
    let bytes = run_cpu_bound(|| {
        let mut bytes = Vec::with_capacity(length);
        GzDecoder::new(gzip).read_to_end(&mut bytes).map(|_| Bytes::from(bytes))
    })?;
    // If several requests decompress the file at once, all get the bytes of the first.
    Ok(cache().get_or_insert_default().entry(address).or_insert(bytes).clone())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn file_is_decompressed_once() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"export {}").expect("written");
        let gzip: &'static [u8] = Vec::leak(encoder.finish().expect("compressed"));
        let (one, other) = (decompress(gzip, 9).expect("decompresses"), decompress(gzip, 9).expect("decompresses"));
        assert_eq!(one, &b"export {}"[..]);
        assert_eq!(one.as_ptr(), other.as_ptr(), "the same bytes in memory");
    }
}
