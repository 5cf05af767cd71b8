//! One file of the dashboard.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::GzDecoder;
use offload::run_cpu_bound;

/// One file of the page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Where it is, as browsers write it in a URL: `/assets/index-4f1d.js`.
    pub path: &'static str,
    /// Its media type.
    pub media: &'static str,
    /// Its entity tag, made of its content. A weak one, as encodings share it.
    pub tag: &'static str,
    /// What is in it.
    pub content: Content,
}

/// The content of a file, as it is kept.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// Something that does not become smaller.
    Plain(&'static [u8]),
    /// Compressed when the server was built.
    Compressed {
        /// For those who take brotli.
        brotli: &'static [u8],
        /// For those who take gzip.
        gzip: &'static [u8],
        /// Bytes that it has for those who take neither.
        length: usize,
    },
}

/// What is in a gzip file of so many bytes, that is part of the program. It is inflated once and kept: few clients take neither
/// brotli nor gzip, and one that does so on purpose must not cost more than others.
pub(super) fn inflated(gzip: &'static [u8], length: usize) -> io::Result<Bytes> {
    /// By where the file is in the program.
    static INFLATED: Mutex<Option<HashMap<usize, Bytes>>> = Mutex::new(None);
    let known = || INFLATED.lock().unwrap_or_else(PoisonError::into_inner);
    let place = gzip.as_ptr() as usize;
    if let Some(bytes) = known().as_ref().and_then(|files| files.get(&place)) {
        return Ok(bytes.clone());
    }
    let bytes = run_cpu_bound(|| {
        let mut bytes = Vec::with_capacity(length);
        GzDecoder::new(gzip).read_to_end(&mut bytes).map(|_| Bytes::from(bytes))
    })?;
    // Several may decompress it at once; all get the same bytes.
    Ok(known().get_or_insert_default().entry(place).or_insert(bytes).clone())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn file_is_inflated_once_however_often_it_is_asked_for() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"export {}").expect("written");
        let gzip: &'static [u8] = Vec::leak(encoder.finish().expect("compressed"));
        let (one, other) = (inflated(gzip, 9).expect("inflates"), inflated(gzip, 9).expect("inflates"));
        assert_eq!(one, &b"export {}"[..]);
        assert_eq!(one.as_ptr(), other.as_ptr(), "the very same bytes");
    }
}
